//! Whose absence it is that shows in some groups and not in others: what they complain of, and
//! the calls that they make and the baseline does not.
//!
//! A feature explains something if it is in all the groups that show it and in no others. Where
//! just one does, in as many groups as a verdict needs replicas, it is taken at that; where
//! several may, they are suspects, to be replayed alone.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::analysis::Fallback;
use loupe_common::feature::Feature;
use loupe_common::policy::Action;

use super::together::Group;
use crate::explore::baseline::Baseline;
use crate::explore::run::Run;

/// What is known from passing groups alone.
#[derive(Default)]
pub(super) struct Blame {
    pub complaints: BTreeMap<Feature, BTreeSet<String>>,
    pub fallbacks: Vec<Fallback>,
    pub suspects: BTreeSet<Feature>,
}

/// Passing groups and who is in them.
pub(super) struct Evidence<'g, 'a> {
    passed: Vec<(&'g BTreeSet<Feature>, &'a Run)>,
    features: &'g [Feature],
    /// Groups that one feature must be in to be taken at that.
    enough: usize,
}

impl<'g, 'a> Evidence<'g, 'a> {
    pub fn new(groups: &'g [Group<'a>], features: &'g [Feature], enough: u32) -> Self {
        let passed = |group: &'g Group<'a>| Some((&group.members, group.passed?));
        Evidence {
            passed: groups.iter().filter_map(passed).collect(),
            features,
            enough: enough as usize,
        }
    }

    pub fn blame(&self, baseline: &Baseline<'_>, action: Action) -> Blame {
        let mut blame = Blame::default();
        self.complaints(&mut blame);
        self.calls(baseline, action, &mut blame);
        blame
    }

    fn complaints(&self, blame: &mut Blame) {
        let runs = self.passed.iter().map(|(_, run)| run);
        let complaints: BTreeSet<&String> = runs.flat_map(|run| &run.complaints).collect();
        for complaint in &complaints {
            match self.explaining(|run| run.complaints.contains(*complaint)) {
                Explained::By(feature, _) => {
                    let own = blame.complaints.entry(feature.clone()).or_default();
                    own.insert((*complaint).clone());
                }
                Explained::Perhaps(features) => blame.suspects.extend(features),
            }
        }
        let nobody = blame.suspects.is_empty() && blame.complaints.is_empty();
        if nobody && !complaints.is_empty() {
            let is_never_clean = |feature: &&Feature| {
                let own = self.passed.iter();
                let mut own = own.filter(|(members, _)| members.contains(*feature));
                own.all(|(_, run)| !run.complaints.is_empty())
            };
            let suspects = self.features.iter().filter(is_never_clean);
            blame.suspects.extend(suspects.cloned());
        }
    }

    fn calls(&self, baseline: &Baseline<'_>, action: Action, blame: &mut Blame) {
        let made = self.passed.iter().flat_map(|(_, run)| run.calls.keys());
        let known = |call: &Feature| baseline.runs.iter().any(|run| run.calls.contains_key(call));
        let new: BTreeSet<&Feature> = made.filter(|call| !known(call)).collect();
        for call in new {
            match self.explaining(|run| run.calls.contains_key(call)) {
                Explained::By(feature, runs) => {
                    let calls = runs.iter().filter_map(|run| run.calls.get(call));
                    blame.fallbacks.push(Fallback {
                        feature: feature.clone(),
                        action,
                        appears: call.clone(),
                        calls: calls.copied().max().unwrap_or_default(),
                        passed: true,
                        replay: runs.first().map(|run| run.id).unwrap_or_default(),
                    });
                }
                Explained::Perhaps(features) => blame.suspects.extend(features),
            }
        }
    }

    fn explaining(&self, shows: impl Fn(&Run) -> bool) -> Explained<'g, 'a> {
        let explains = |feature: &&Feature| {
            let mut passed = self.passed.iter();
            passed.all(|(members, run)| members.contains(*feature) == shows(run))
        };
        let features: Vec<&Feature> = self.features.iter().filter(explains).collect();
        let showing = self.passed.iter().map(|(_, run)| *run);
        let showing: Vec<&Run> = showing.filter(|run| shows(run)).collect();
        match features[..] {
            [feature] if showing.len() >= self.enough => Explained::By(feature, showing),
            _ => Explained::Perhaps(features.into_iter().cloned().collect()),
        }
    }
}

enum Explained<'g, 'a> {
    By(&'g Feature, Vec<&'a Run>),
    /// One of these, or none.
    Perhaps(Vec<Feature>),
}
