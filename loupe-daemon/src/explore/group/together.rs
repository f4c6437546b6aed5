//! Features that share their replays, as a [`Design`] says.
//!
//! A feature all of whose groups pass, with its injection having answered in each of them and
//! nothing looking wrong, works; since no other feature was left out in all of them, no other's
//! absence can have made up for its own. (Two others' together could; `--exhaustive` measures
//! every feature alone.)
//!
//! Where groups fail, features without any passing group are suspected, the least likely to work
//! first, and replayed alone. Without those that fail then, the groups are tried again. What a
//! group complains of is not held against a member if it is another's, or that of several others
//! together ([`super::blame`]).
//! Whoever lacks passes after all that is replayed alone.
//!
//! Where replays without each feature were begun before, those without groups are, too
//! ([`super::begin`]).

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::feature::Feature;
use loupe_common::policy::Policy;

use super::begin::Conflicts;
use super::blame::{Blame, Evidence};
use super::design::Design;
use super::{Grouping, Passed};
use crate::explore::ledger::{Ruling, Stop, all, known};
use crate::explore::purpose::{Alone, way};
use crate::explore::run::Run;
use crate::explore::tally::Vote;

/// Of the features without a passing group, one in so many is suspected at a time, and at least
/// [`FEWEST_SUSPECTS`]: the least likely to work explain the most.
const SUSPECTED_PART: usize = 3;
const FEWEST_SUSPECTS: usize = 4;

/// Features that are left out together, and what came of it: the replay, if it passed and at
/// most complained.
pub(super) struct Group<'a> {
    pub members: BTreeSet<Feature>,
    pub passed: Option<&'a Run>,
}

/// What replays of features alone say.
#[derive(Default)]
struct Culprits<'a> {
    /// All that were replayed.
    known: BTreeSet<Feature>,
    /// Groups are no good with these.
    broken: BTreeSet<Feature>,
    /// Passed and complained.
    complaining: BTreeMap<Feature, &'a Run>,
    /// Passed, and nothing was odd.
    cleared: BTreeMap<Feature, &'a Run>,
}

impl<'a> Grouping<'_, 'a> {
    /// Leaves features out as a design says, and with them what has passed alone. Those come back
    /// that passed, but not often enough.
    pub(super) fn together(
        &mut self,
        mut features: Vec<Feature>,
        passed: Vec<Passed<'a>>,
    ) -> Result<Vec<Passed<'a>>, Stop> {
        let before: BTreeMap<Feature, Vec<&Run>> = passed.into_iter().collect();
        features.extend(before.keys().cloned());
        let complaining = |runs: &Vec<&'a Run>| {
            let mut runs = runs.iter().copied();
            runs.find(|run| !run.complaints.is_empty())
        };
        let complaining = before
            .iter()
            .filter_map(|(feature, runs)| Some((feature.clone(), complaining(runs)?)));
        let mut culprits = Culprits {
            known: before.keys().cloned().collect(),
            complaining: complaining.collect(),
            ..Culprits::default()
        };
        let groups = self.groups(&features, &mut culprits)?;
        let evidence = Evidence::new(&groups, &features, self.rule.passes);
        let mut blame = evidence.blame(self.baseline, self.action);
        // These have run alone, and that says more.
        blame
            .complaints
            .retain(|feature, _| !before.contains_key(feature));
        blame
            .fallbacks
            .retain(|edge| !before.contains_key(&edge.feature));
        let questioned = self.question(&blame.suspects - &culprits.known, &mut culprits);
        if let Err(stop) = questioned {
            // Whoever lacks passes already will be replayed alone whatever comes of that.
            let lacks = |feature: &&Feature| {
                let passes = passes(&groups, feature).len() < self.rule.passes as usize;
                passes && !culprits.known.contains(*feature)
            };
            let short = features.iter().filter(lacks).cloned().collect();
            self.alone(short, |_| Vec::new()).ok();
            return Err(stop);
        }
        self.reckon(features, &groups, &before, &culprits, blame)
    }

    /// All groups that pass, after those that fail were tried again without who breaks them.
    fn groups(
        &mut self,
        features: &[Feature],
        culprits: &mut Culprits<'a>,
    ) -> Result<Vec<Group<'a>>, Stop> {
        let Some(design) = Design::new(features.len(), self.rule.passes as usize) else {
            return Ok(Vec::new());
        };
        let members = |group: usize| {
            let in_group = design.places.iter().zip(features);
            let in_group = in_group.filter(|(places, _)| places.contains(&group));
            in_group.map(|(_, feature)| feature.clone()).collect()
        };
        let mut groups = self.try_groups((0..design.groups).map(members).collect(), features)?;
        loop {
            let never = |feature: &&Feature| {
                !culprits.known.contains(*feature) && passes(&groups, feature).is_empty()
            };
            let never: Vec<Feature> = features.iter().filter(never).cloned().collect();
            if never.is_empty() {
                return Ok(groups);
            }
            let some = (never.len() / SUSPECTED_PART).max(FEWEST_SUSPECTS);
            self.question(never.into_iter().take(some).collect(), culprits)?;
            let failed = groups.iter().filter(|group| group.passed.is_none());
            let again = failed.filter(|group| !group.members.is_disjoint(&culprits.broken));
            let again = again.map(|group| group.members.difference(&culprits.broken).cloned());
            let again = self.try_groups(again.map(Iterator::collect).collect(), features)?;
            groups.retain(|group| group.members.is_disjoint(&culprits.broken));
            groups.extend(again);
        }
    }

    /// Who has passed often enough, and what else is to be said of them; the others come back, or
    /// are to be replayed alone.
    fn reckon(
        &mut self,
        features: Vec<Feature>,
        groups: &[Group<'a>],
        before: &BTreeMap<Feature, Vec<&'a Run>>,
        culprits: &Culprits<'a>,
        mut blame: Blame,
    ) -> Result<Vec<Passed<'a>>, Stop> {
        let mut passed = Vec::new();
        let mut short = Vec::new();
        for feature in features {
            if self.settled.alone.contains(&feature) {
                continue;
            }
            let questioned = [&culprits.complaining, &culprits.cleared];
            let questioned = questioned.iter().filter_map(|runs| runs.get(&feature));
            let own: Vec<&Run> = match before.get(&feature) {
                Some(runs) => runs.clone(),
                None => questioned.copied().collect(),
            };
            let has_own = !own.is_empty();
            let mut shared = passes(groups, &feature);
            if !has_own {
                let others =
                    |run: &&Run| culprits.complains_for_others(run, &feature, groups, &blame);
                shared.retain(others);
            }
            let runs: Vec<&Run> = own.into_iter().chain(shared).collect();
            if runs.len() >= self.rule.passes as usize {
                let complaints = blame.complaints.remove(&feature).unwrap_or_default();
                self.confirmed(feature, Ruling::of_passes(runs), complaints);
            } else if has_own {
                self.settled.passed.insert(feature.clone());
                passed.push((feature, runs));
            } else {
                short.push(feature);
            }
        }
        let is_confirmed = |feature: &Feature| {
            let mut confirmed = self.settled.confirmed.iter();
            confirmed.any(|confirmed| confirmed.feature == *feature)
        };
        blame.fallbacks.retain(|edge| is_confirmed(&edge.feature));
        self.settled.fallbacks.append(&mut blame.fallbacks);
        passed.extend(self.alone(short, |feature| passes(groups, feature))?);
        Ok(passed)
    }

    /// Replays groups once each; what is left of a group may be the same as another's, or too
    /// little to be one. `features` are sorted, the least likely to work first.
    fn try_groups(
        &mut self,
        groups: BTreeSet<BTreeSet<Feature>>,
        features: &[Feature],
    ) -> Result<Vec<Group<'a>>, Stop> {
        let mut conflicts = Some(Conflicts::new());
        let begun = groups.into_iter().map(|members| match self.beginnings {
            Some(_) => self.that_begin(members, features, &mut conflicts),
            None => Ok(members),
        });
        let (begun, rest) = known(begun.collect::<Vec<_>>());
        let begun: BTreeSet<_> = begun.into_iter().filter(|it| it.len() > 1).collect();
        let count = begun.len();
        let tried = all((1..).zip(begun).map(|(number, members)| {
            let purpose = format_args!("{} group {number} of {count}", way(self.action));
            let run = self.asker.once(&self.policy(&members), purpose)?;
            let passed = run.filter(|run| run.passes_but_for_complaints());
            Ok(Group { members, passed })
        }));
        rest.and(tried)
    }

    /// Replays suspects alone once.
    fn question(
        &mut self,
        suspects: BTreeSet<Feature>,
        culprits: &mut Culprits<'a>,
    ) -> Result<(), Stop> {
        all(suspects.into_iter().map(|feature| {
            let policy = Policy::single(feature.clone(), self.action);
            let purpose = format_args!("{}, suspect of a group", Alone(&feature, self.action));
            let run = self.asker.once(&policy, purpose)?;
            culprits.known.insert(feature.clone());
            match run {
                Some(run) if run.vote == Vote::Pass && run.suspicions.is_empty() => {
                    culprits.cleared.insert(feature, run);
                    return Ok(());
                }
                Some(run) if run.passes_but_for_complaints() => {
                    culprits.complaining.insert(feature, run);
                    return Ok(());
                }
                // What looks wrong makes its groups look wrong.
                Some(run) if run.vote == Vote::Pass => {}
                _ => drop(self.settled.failed.insert(feature.clone())),
            }
            culprits.broken.insert(feature.clone());
            self.settled.alone.push(feature);
            Ok(())
        }))?;
        Ok(())
    }
}

impl Culprits<'_> {
    /// Whether all that a group's replay complains of is not the feature's, which is a member: it
    /// is what another member is known for, or does not show in another group of the feature, so
    /// that it takes something else (or several others together). Where the feature itself is known
    /// for it, that is said of it.
    fn complains_for_others(
        &self,
        run: &Run,
        feature: &Feature,
        groups: &[Group<'_>],
        blame: &Blame,
    ) -> bool {
        let is_known_for = |member: &Feature, complaint: &String| {
            let own = self.complaining.get(member);
            let taken = blame.complaints.get(member);
            own.is_some_and(|run| run.complaints.contains(complaint))
                || taken.is_some_and(|taken| taken.contains(complaint))
        };
        run.complaints.iter().all(|complaint| {
            let mut members = run.policy.iter().map(|(member, _)| member);
            let mut others = passes(groups, feature).into_iter();
            members.any(|member| is_known_for(member, complaint))
                || others.any(|run| !run.complaints.contains(complaint))
        })
    }
}

/// The passing replays of a feature's groups in which its injection answered.
fn passes<'a>(groups: &[Group<'a>], feature: &Feature) -> Vec<&'a Run> {
    let own = groups
        .iter()
        .filter(|group| group.members.contains(feature));
    own.filter_map(|group| group.passed)
        .filter(|run| run.fired.contains_key(feature))
        .collect()
}
