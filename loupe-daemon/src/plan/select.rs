//! Which applications a plan or a statistic is about, and with which workload each. Chooses
//! among needs; makes none.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::text::nearest;

use super::need::{Need, NeedBasis};
use crate::store::{Choosable as _, RULE, Selector, WorkloadKind, choose};

/// A need under the name that it has in plans: the application's, or with the workload's where
/// one application is there with several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub need: Need,
}

/// What was chosen, by name, and what is to be said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub needs: Vec<Named>,
    pub notes: Vec<String>,
}

/// Nothing could be chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    #[error("there is no finished analysis in the database")]
    NothingThere,
    #[error("none of the {there} applications in the database has a workload of the kind {kind}")]
    NoneOfKind { there: usize, kind: WorkloadKind },
    #[error("there is no finished analysis of {name}{}", perhaps(.near))]
    Unknown { name: String, near: Vec<String> },
    #[error("{name} has no verdicts: its workload used nothing")]
    NoVerdicts { name: String },
    #[error("{name} is named twice")]
    Twice { name: String },
}

fn perhaps(names: &[String]) -> String {
    match names {
        [] => String::new(),
        some => format!(" (did you mean {}?)", some.join(", ")),
    }
}

impl SelectError {
    pub fn hint(&self) -> Option<String> {
        let cure = match self {
            SelectError::NothingThere => {
                "`loupe analyze WORKLOAD.toml` makes one, `loupe import loupedb DIR` reads the \
                 paper's"
            }
            SelectError::NoneOfKind { .. } => "try --workload any",
            SelectError::Unknown { .. } => "`loupe list` shows what there is",
            SelectError::NoVerdicts { .. } => "leave it out, or give it a workload that does more",
            SelectError::Twice { .. } => "name it once",
        };
        Some(cure.to_owned())
    }
}

/// Chooses. `wanted` are names as [`Selector`] reads them; empty: all applications.
pub fn select(
    needs: Vec<Need>,
    wanted: &[String],
    kind: WorkloadKind,
) -> Result<Selection, SelectError> {
    if needs.is_empty() {
        return Err(SelectError::NothingThere);
    }
    let mut by_application: BTreeMap<String, Vec<Need>> = BTreeMap::new();
    for need in needs {
        by_application
            .entry(need.application.clone())
            .or_default()
            .push(need);
    }
    let mut chosen = Vec::new();
    let mut notes = Vec::new();
    let mut left_out: Vec<String> = Vec::new();
    if wanted.is_empty() {
        for candidates in by_application.values() {
            let Some(meant) = choose(candidates, &anything(), kind) else {
                continue;
            };
            let need = meant.item;
            left_out.extend(rivals(need, &meant.passed_over));
            match need.used.is_empty() {
                true => notes.push(format!("{} has no verdicts: left out", need.name())),
                false => chosen.push(need.clone()),
            }
        }
        if chosen.is_empty() {
            let there = by_application.len();
            return Err(SelectError::NoneOfKind { there, kind });
        }
    }
    let mut seen = BTreeSet::new();
    for name in wanted {
        if !seen.insert(name) {
            return Err(SelectError::Twice { name: name.clone() });
        }
        let (need, note) = named(&by_application, name, kind)?;
        notes.extend(note);
        if need.used.is_empty() {
            return Err(SelectError::NoVerdicts { name: need.name() });
        }
        if chosen.contains(need) {
            return Err(SelectError::Twice { name: need.name() });
        }
        chosen.push(need.clone());
    }
    if !left_out.is_empty() {
        notes.push(format!(
            "where there are several ({RULE}): {}",
            left_out.join(", ")
        ));
    }
    notes.extend(of_use(&chosen));
    Ok(Selection {
        needs: with_names(chosen),
        notes,
    })
}

/// Says once what profiles are: what is used may still not be needed.
fn of_use(chosen: &[Need]) -> Option<String> {
    let used = chosen.iter().filter(|need| need.basis == NeedBasis::Used);
    let names: Vec<String> = used.map(Need::name).collect();
    (!names.is_empty()).then(|| {
        format!(
            "all that was seen in use counts as to be implemented, because a profile knows nothing \
             that could be left out: {}",
            names.join(", ")
        )
    })
}

fn anything() -> Selector {
    Selector {
        application: None,
        workload: None,
        which: Default::default(),
    }
}

/// Those that somebody might have meant: a benchmark is no rival of a suite.
fn rivals(need: &Need, passed_over: &[&Need]) -> Option<String> {
    let rivals = passed_over.iter().filter(|other| other.suite == need.suite);
    let names: Vec<String> = rivals.map(|other| other.workload.clone()).collect();
    (!names.is_empty()).then(|| format!("{} and not {}", need.name(), names.join(" or ")))
}

/// What a name means, and that there was a choice.
fn named<'a>(
    all: &'a BTreeMap<String, Vec<Need>>,
    name: &str,
    kind: WorkloadKind,
) -> Result<(&'a Need, Option<String>), SelectError> {
    // A profile's name is no other's.
    if let Some([need]) = all.get(name).map(Vec::as_slice) {
        return Ok((need, None));
    }
    let selector = Selector::parse(name, None);
    let found = all.values().find_map(|candidates| {
        // One that was asked for by name is taken by another kind rather than not at all.
        let chosen = choose(candidates, &selector, kind);
        chosen.or_else(|| choose(candidates, &selector, WorkloadKind::Any))
    });
    match found {
        Some(chosen) => Ok((chosen.item, chosen.note())),
        None => Err(SelectError::Unknown {
            name: name.to_owned(),
            near: near(all, name),
        }),
    }
}

fn near(all: &BTreeMap<String, Vec<Need>>, name: &str) -> Vec<String> {
    let mut near: Vec<String> = Vec::new();
    if let Some((application, _)) = name.split_once('/')
        && let Some(needs) = all.get(application)
    {
        near.extend(needs.iter().map(Need::name));
    }
    let applications = all.keys().map(String::as_str);
    near.extend(
        nearest(name, applications.clone())
            .into_iter()
            .map(str::to_owned),
    );
    let parts = applications
        .filter(|other| !name.is_empty() && (other.contains(name) || name.contains(*other)));
    near.extend(parts.map(str::to_owned));
    let mut seen = BTreeSet::new();
    near.retain(|name| seen.insert(name.clone()));
    near.truncate(3);
    near
}

fn with_names(chosen: Vec<Need>) -> Vec<Named> {
    let same = |of: &dyn Fn(&Need) -> String, need: &Need| {
        let name = of(need);
        chosen.iter().filter(|other| of(other) == name).count() > 1
    };
    let mut named: Vec<Named> = chosen
        .iter()
        .map(|need| Named {
            name: if same(&Need::name, need) {
                need.exact_name()
            } else if same(&|need| need.application.clone(), need) {
                need.name()
            } else {
                need.application.clone()
            },
            need: need.clone(),
        })
        .collect();
    named.sort_by(|a, b| a.name.cmp(&b.name));
    named
}

/// Stands for what was chosen: other verdicts, applications or workloads give another text.
pub fn fingerprint(needs: &[Named]) -> String {
    // FNV-1a: it is to tell data sets apart, not to withstand anybody.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |text: &str| {
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for Named { name, need } in needs {
        add(name);
        add(&need.workload);
        for class in [&need.required, &need.stub_only, &need.fake_only, &need.any] {
            for feature in class {
                add(&feature.to_string());
            }
            add("|");
        }
    }
    format!("{hash:016x}")
}
