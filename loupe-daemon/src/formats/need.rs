//! What some applications together need of an OS: each syscall that any of them uses, with the
//! least that serves all of them.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;

use crate::plan::need::Answer;
use crate::plan::{Need, NeedBasis};

/// The least that an OS must do about a syscall. Sorts by work, most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    Implement,
    /// Return 0 and do nothing.
    Fake,
    /// Fail with ENOSYS.
    Stub,
}

impl Class {
    /// The word for it in tables.
    pub fn word(self) -> &'static str {
        match self {
            Class::Implement => "implement",
            Class::Fake => "fake",
            Class::Stub => "stub",
        }
    }
}

/// One syscall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub feature: Feature,
    pub class: Class,
    /// The applications (`nginx/wrk`) that need it to be of this class; the others do with less.
    pub applications: Vec<String>,
    /// The only operations that any of them needs implemented, and flags. Empty: all, or what is needed
    /// of it was not measured.
    pub parts: BTreeSet<Feature>,
    /// One application needs it to fail and another to succeed, so it has to be implemented,
    /// although neither alone would ask for that.
    pub conflict: bool,
}

/// What applications need together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub applications: Vec<String>,
    /// Sorted by feature.
    pub rows: Vec<Row>,
    /// Every syscall that any of them calls in its baseline.
    pub used: BTreeSet<Feature>,
    /// Seen where something was left out, in replays that passed.
    pub fallbacks: BTreeSet<Feature>,
    /// Pseudo-files that any application needs; profiles do not speak of them.
    pub pseudo_files: BTreeSet<Feature>,
    /// An application of these may have had calls answered by its vDSO, which no trace shows: on a host
    /// whose clock the vDSO cannot read, they are syscalls.
    pub vdso: bool,
    /// Applications whose needs were never seen to hold all at once.
    pub not_joint: Vec<String>,
    /// What each of them was measured on, a line each.
    pub measured_on: Vec<String>,
}

impl Needs {
    /// Of analyses and of profiles.
    pub fn of<'a>(analyses: impl IntoIterator<Item = &'a Analysis>, profiles: &[Need]) -> Needs {
        let analyses: Vec<&Analysis> = analyses.into_iter().collect();
        let analysed = analyses.iter().map(|analysis| Need::of(analysis));
        let asked: Vec<Need> = analysed.chain(profiles.iter().cloned()).collect();
        let each: Vec<Need> = asked.iter().map(Need::of_syscalls).collect();
        let mut users: BTreeMap<&Feature, Vec<&Need>> = BTreeMap::new();
        for need in &each {
            for feature in &need.used {
                users.entry(feature).or_default().push(need);
            }
        }
        let rows = users
            .into_iter()
            .map(|(feature, users)| Row {
                parts: parts(feature, &asked),
                ..together(feature, &users)
            })
            .collect();
        let baselines = analyses.iter().flat_map(|analysis| &analysis.features);
        let edges = analyses.iter().flat_map(|analysis| &analysis.fallbacks);
        Needs {
            rows,
            used: baselines
                .filter_map(|row| row.feature.syscall())
                .map(Feature::from)
                .chain(profiles.iter().flat_map(|need| need.of_syscalls().used))
                .collect(),
            fallbacks: edges
                .filter(|edge| edge.passed)
                .filter_map(|edge| edge.appears.syscall())
                .map(Feature::from)
                .collect(),
            pseudo_files: asked
                .iter()
                .flat_map(|need| need.pseudo_files().cloned())
                .collect(),
            // Nobody hid it from a service.
            vdso: !profiles.is_empty()
                || analyses.iter().any(|analysis| hides_vdso_calls(analysis)),
            not_joint: each
                .iter()
                .filter(|need| need.basis == NeedBasis::Single)
                .map(Need::name)
                .collect(),
            applications: each.iter().map(Need::name).collect(),
            measured_on: analyses
                .iter()
                .map(|analysis| measured_on(analysis))
                .collect(),
        }
    }

    pub fn of_class(&self, class: Class) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.class == class)
    }
}

fn measured_on(analysis: &Analysis) -> String {
    let on = match (&analysis.provenance, &analysis.origin) {
        (Some(provenance), _) => format!("{}, {}", provenance.summary(), provenance.date),
        (None, Some(origin)) => format!("imported from {}", origin.format),
        (None, None) => "not recorded".to_owned(),
    };
    format!("{}/{}: {on}", analysis.application, analysis.workload)
}

/// Whether calls of an application may have been answered by a vDSO: by its own, by that of what it
/// executes, which has one in any case, or by one that an imported measurement says nothing of.
fn hides_vdso_calls(analysis: &Analysis) -> bool {
    let executes = |feature: &Feature| {
        let name = feature.to_string();
        name == "execve" || name == "execveat"
    };
    analysis.vdso
        || analysis.origin.is_some()
        || analysis.features.iter().any(|row| executes(&row.feature))
}

/// What is needed of a syscall, if everybody who needs it says so.
fn parts(whole: &Feature, asked: &[Need]) -> BTreeSet<Feature> {
    if asked.iter().any(|need| need.used.contains(whole)) {
        return BTreeSet::new();
    }
    let required = asked.iter().flat_map(|need| &need.required);
    let parts = required.filter(|part| part.parent().as_ref() == Some(whole));
    parts.cloned().collect()
}

/// The least that serves all who use it.
fn together(feature: &Feature, users: &[&Need]) -> Row {
    let serves = |answer| users.iter().all(|need| need.accepts(feature, answer));
    let requires = |need: &&&Need| need.required.contains(feature);
    let class = if serves(Answer::Stub) {
        Class::Stub
    } else if serves(Answer::Fake) {
        Class::Fake
    } else {
        Class::Implement
    };
    let conflict = class == Class::Implement && !users.iter().any(|need| requires(&need));
    let needs_it = |need: &&&Need| match class {
        Class::Implement => conflict || requires(need),
        Class::Fake => !need.accepts(feature, Answer::Stub),
        Class::Stub => true,
    };
    Row {
        feature: feature.clone(),
        parts: BTreeSet::new(),
        class,
        applications: users
            .iter()
            .filter(needs_it)
            .map(|need| need.name())
            .collect(),
        conflict,
    }
}
