//! Which applications a plan or a statistic is about, and with which workload each. Chooses
//! among needs; makes none.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use loupe_common::feature::Feature;

use super::need::{Need, NeedBasis};

/// What workloads measure: the applications' own test suites, or anything else, which is a
/// benchmark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkloadKind {
    Bench,
    Suite,
    /// A benchmark where there is one, else a suite.
    #[default]
    Any,
}

impl FromStr for WorkloadKind {
    type Err = String;

    fn from_str(text: &str) -> Result<WorkloadKind, String> {
        match text {
            "bench" => Ok(WorkloadKind::Bench),
            "suite" => Ok(WorkloadKind::Suite),
            "any" => Ok(WorkloadKind::Any),
            _ => Err("must be bench, suite or any".to_owned()),
        }
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            WorkloadKind::Bench => "bench",
            WorkloadKind::Suite => "suite",
            WorkloadKind::Any => "any",
        })
    }
}

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

/// Chooses. `wanted` are applications, or `application/workload`; empty: all applications.
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
    if wanted.is_empty() {
        for candidates in by_application.values() {
            let Some(need) = of_kind(candidates, kind, &mut notes) else {
                continue;
            };
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
        let need = named(&by_application, name, kind, &mut notes)?;
        if need.used.is_empty() {
            return Err(SelectError::NoVerdicts { name: need.name() });
        }
        if chosen.contains(need) {
            return Err(SelectError::Twice { name: need.name() });
        }
        chosen.push(need.clone());
    }
    notes.extend(chosen.iter().filter_map(pseudo_files));
    notes.extend(of_use(&chosen));
    Ok(Selection {
        needs: with_names(chosen),
        notes,
    })
}

/// Names the pseudo-files that the application needs: an OS without `/proc` would not be enough.
fn pseudo_files(need: &Need) -> Option<String> {
    let paths: Vec<String> = need.pseudo_files.iter().map(Feature::to_string).collect();
    (!paths.is_empty()).then(|| {
        format!(
            "{} needs pseudo-files, too, which are no syscalls and left out here: {}",
            need.name(),
            paths.join(", ")
        )
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

fn named<'a>(
    all: &'a BTreeMap<String, Vec<Need>>,
    name: &str,
    kind: WorkloadKind,
    notes: &mut Vec<String>,
) -> Result<&'a Need, SelectError> {
    let unknown = || SelectError::Unknown {
        name: name.to_owned(),
        near: all
            .keys()
            .filter(|other| !name.is_empty() && (other.contains(name) || name.contains(*other)))
            .take(3)
            .cloned()
            .collect(),
    };
    if let Some(candidates) = all.get(name) {
        // One that was asked for by name is taken by another kind rather than not at all.
        return of_kind(candidates, kind, notes)
            .or_else(|| candidates.first())
            .ok_or_else(unknown);
    }
    let (application, workload) = name.split_once('/').ok_or_else(unknown)?;
    let candidates = all.get(application).ok_or_else(unknown)?;
    let found = candidates.iter().find(|need| need.workload == workload);
    found.ok_or_else(unknown)
}

/// One of an application's workloads; says so where there is a choice.
fn of_kind<'a>(
    candidates: &'a [Need],
    kind: WorkloadKind,
    notes: &mut Vec<String>,
) -> Option<&'a Need> {
    let (suites, benches): (Vec<&Need>, Vec<&Need>) =
        candidates.iter().partition(|need| need.suite);
    let mut fitting = match kind {
        WorkloadKind::Bench => benches,
        WorkloadKind::Suite => suites,
        WorkloadKind::Any if benches.is_empty() => suites,
        WorkloadKind::Any => benches,
    };
    fitting.sort_by(|a, b| a.workload.cmp(&b.workload));
    let first = *fitting.first()?;
    if fitting.len() > 1 {
        let others: Vec<&str> = fitting[1..]
            .iter()
            .map(|need| need.workload.as_str())
            .collect();
        let note = format!(
            "{} is taken, the first by name; left out: {}",
            first.name(),
            others.join(", ")
        );
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    Some(first)
}

fn with_names(chosen: Vec<Need>) -> Vec<Named> {
    let several = |need: &Need| {
        let same = chosen
            .iter()
            .filter(|other| other.application == need.application);
        same.count() > 1
    };
    let mut named: Vec<Named> = chosen
        .iter()
        .map(|need| Named {
            name: match several(need) {
                true => need.name(),
                false => need.application.clone(),
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
