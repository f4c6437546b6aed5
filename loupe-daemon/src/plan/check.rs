//! Replaying a plan literally: what runs if somebody does exactly what the steps say, in order,
//! and everything that is in no list fails with ENOSYS. Trusts nothing that the plan says of
//! itself.

use std::collections::BTreeMap;

use serde::Serialize;

use super::need::{Answer, Need};
use super::os::OsProfile;
use super::select::{Named, fingerprint};
use super::steps::{Plan, SCHEMA, Step};

/// What became of one application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// It runs from the step that promises it.
    Kept,
    /// It does not run at the step that promises it, or not ever after.
    Broken,
    /// It runs, and goes on to, before it is promised.
    Late,
    /// The plan does not mention it.
    LeftOut,
}

/// One application in a replayed plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Check {
    pub application: String,
    pub checked: Checked,
    pub promised: Option<usize>,
    /// The step from which on it runs.
    pub runs_from: Option<usize>,
    /// What is not as it needs it, at the step that promises it or, if it runs there, at the
    /// first later one where it does not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<String>,
}

/// A plan cannot be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    #[error("it is no plan: its schema is `{0}`, not `{SCHEMA}`")]
    Schema(String),
    #[error("the plan was made from other measurements than those in this database: {0}")]
    OtherData(String),
    #[error("{application} is promised twice, by steps {first} and {second}")]
    Twice {
        application: String,
        first: usize,
        second: usize,
    },
    #[error("the plan is for {plan}, and the profile is one of {profile}")]
    OtherOs { plan: String, profile: String },
    #[error("the plan does not say what {os} implements")]
    NoProfile { os: String },
}

impl CheckError {
    pub fn hint(&self) -> Option<String> {
        let cure = match self {
            CheckError::OtherData(_) => {
                "name the database that it was made from with --db PATH, or plan again"
            }
            CheckError::OtherOs { .. } => "leave --os away: the plan has its profile with it",
            CheckError::NoProfile { .. } => "name its profile with --os",
            CheckError::Schema(_) | CheckError::Twice { .. } => return None,
        };
        Some(cure.to_owned())
    }
}

/// For each application the step from which on it runs.
pub fn runs_from(profile: &OsProfile, steps: &[Step], needs: &[Named]) -> Vec<Option<usize>> {
    let mut os = profile.clone();
    let mut from = vec![None; needs.len()];
    for (number, step) in steps.iter().enumerate() {
        os.follow(step);
        for (from, named) in from.iter_mut().zip(needs) {
            *from = match named.need.unmet(&os).next().is_none() {
                true => from.or(Some(number)),
                false => None,
            };
        }
    }
    from
}

/// Replays a plan on these needs. `profile` is the OS where the plan does not say.
pub fn check(
    plan: &Plan,
    profile: Option<&OsProfile>,
    needs: &[Named],
) -> Result<Vec<Check>, CheckError> {
    let profile = profile_of(plan, profile)?;
    let promises = promises(plan)?;
    same_data(plan, needs, &promises)?;
    let from = runs_from(profile, &plan.steps, needs);
    let checks = needs.iter().zip(from).map(|(named, runs_from)| {
        let promised = promises.get(&named.name).copied();
        let checked = match (promised, runs_from) {
            (None, _) => Checked::LeftOut,
            (Some(promised), Some(runs)) if runs == promised => Checked::Kept,
            (Some(promised), Some(runs)) if runs < promised => Checked::Late,
            (Some(_), _) => Checked::Broken,
        };
        let unmet = match (checked, promised) {
            (Checked::Broken, Some(promised)) => unmet(profile, &plan.steps, promised, &named.need),
            _ => Vec::new(),
        };
        Check {
            application: named.name.clone(),
            checked,
            promised,
            runs_from,
            unmet,
        }
    });
    Ok(checks.collect())
}

fn profile_of<'a>(
    plan: &'a Plan,
    given: Option<&'a OsProfile>,
) -> Result<&'a OsProfile, CheckError> {
    if plan.schema != SCHEMA {
        return Err(CheckError::Schema(plan.schema.clone()));
    }
    match (&plan.profile, given) {
        (Some(own), Some(given)) if own != given => Err(CheckError::OtherOs {
            plan: plan.os.clone(),
            profile: given.name.clone(),
        }),
        (Some(own), _) => Ok(own),
        (None, Some(given)) if given.name != plan.os => Err(CheckError::OtherOs {
            plan: plan.os.clone(),
            profile: given.name.clone(),
        }),
        (None, Some(given)) => Ok(given),
        (None, None) => Err(CheckError::NoProfile {
            os: plan.os.clone(),
        }),
    }
}

fn promises(plan: &Plan) -> Result<BTreeMap<String, usize>, CheckError> {
    let mut promises = BTreeMap::new();
    for (number, step) in plan.steps.iter().enumerate() {
        for name in &step.unlocks {
            if let Some(first) = promises.insert(name.clone(), number) {
                return Err(CheckError::Twice {
                    application: name.clone(),
                    first,
                    second: number,
                });
            }
        }
    }
    Ok(promises)
}

fn same_data(
    plan: &Plan,
    needs: &[Named],
    promises: &BTreeMap<String, usize>,
) -> Result<(), CheckError> {
    let is_there = |name: &&String| needs.iter().any(|named| named.name == **name);
    if let Some(stranger) = promises.keys().find(|name| !is_there(name)) {
        let what = format!("it promises {stranger}, which is not among them");
        return Err(CheckError::OtherData(what));
    }
    match &plan.data {
        Some(data) if *data != fingerprint(needs) => {
            let what = "the verdicts differ".to_owned();
            Err(CheckError::OtherData(what))
        }
        _ => Ok(()),
    }
}

/// What an application lacks at the first step, from the one that promises it on, where it
/// lacks something.
fn unmet(profile: &OsProfile, steps: &[Step], promised: usize, need: &Need) -> Vec<String> {
    let mut os = profile.clone();
    for (number, step) in steps.iter().enumerate() {
        os.follow(step);
        if number < promised {
            continue;
        }
        let unmet: Vec<String> = need
            .unmet(&os)
            .map(|(feature, answer)| {
                let (is, wants) = match answer {
                    Answer::Fake if need.required.contains(feature) => ("faked", "required"),
                    Answer::Fake => ("faked", "stub only"),
                    Answer::Kill if need.accepts(feature, Answer::Stub) => ("a kill", "to fail"),
                    Answer::Kill if need.required.contains(feature) => ("a kill", "required"),
                    Answer::Kill => ("a kill", "fake only"),
                    _ if need.required.contains(feature) => ("stubbed", "required"),
                    _ => ("stubbed", "fake only"),
                };
                format!("{feature} ({wants}, but {is} at step {number})")
            })
            .collect();
        if !unmet.is_empty() {
            return unmet;
        }
    }
    Vec::new()
}
