//! Fewer replays: features that probably work are left out together, for one way to leave
//! features out.
//!
//! What probably fails is replayed alone. What probably works shares its replays: each feature is
//! in as many groups as a verdict needs replicas, no two features in the same ones (see
//! [`design`]). A feature all of whose groups pass, with its injection having answered in each
//! of them and nothing looking wrong, works; since no other feature was left out in all of them,
//! no other's absence can have made up for its own. (Two others' together could; `--exhaustive`
//! measures every feature alone.)
//!
//! Where groups fail, features without any passing group are suspected, the least likely to work
//! first, and replayed alone. Without those that fail then, the groups are tried again. Where
//! groups complain, those are suspected whose absence explains which of them do and which do not.
//! What a group complains of is not held against its other members if one of them complains
//! alone, too. Where groups make calls that the baseline never makes, those whose absence
//! explains them are replayed alone as well: that shows whose plan B they are. Whoever lacks
//! passes after all that is replayed alone.
//!
//! Where an application's start takes much less time than its test, it is first started once
//! without each feature ([`Asker::probe`]): most of what fails does so before the test, and what
//! does not may share its replays even if little spoke for it before. Groups are only started
//! first, too: from those without which it does not start, members are taken until it does.
//!
//! A feature that passes alone is confirmed together with others like it: all of them are left
//! out at once, as often as a pass lacks replicas; where that does not pass, the set is halved.
//! A failure is always confirmed by another replay of the feature alone.

mod design;

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::baseline::Baseline;
use super::ledger::{Asker, Ruling, Stop};
use super::run::Run;
use super::tally::{Decision, Rule, Vote};
use design::Design;

/// A feature that works with at least this chance probably works.
const PROBABLY: f64 = 0.65;
/// The same where it is known that the application starts without it: what fails then may take
/// its time.
const PROBABLY_LATE: f64 = 0.7;

/// Of the features that an application needs, about this part is not missed before its test:
/// counted over the servers in `tests/workloads`.
const MISSED_LATE: f64 = 0.25;

/// Of the features without a passing group, one in so many is suspected at a time, and at least
/// [`FEWEST_SUSPECTS`]: the least likely to work explain the most.
const SUSPECTED_PART: usize = 3;
const FEWEST_SUSPECTS: usize = 4;

/// What came of a way, as far as it is known; a feature that is in neither waits.
#[derive(Default)]
pub(super) struct Settled<'a> {
    /// Works, by these replays.
    pub confirmed: Vec<(Feature, Ruling<'a>)>,
    /// All replicas are to be of the feature alone.
    pub alone: Vec<Feature>,
    /// Of these, those that have failed alone once.
    pub failed: BTreeSet<Feature>,
}

impl Settled<'_> {
    /// Whether a feature works, where replays of it alone or groups have said so.
    pub fn works(&self, feature: &Feature) -> Option<bool> {
        let confirmed = || self.confirmed.iter().any(|(other, _)| other == feature);
        match self.failed.contains(feature) {
            true => Some(false),
            false => confirmed().then_some(true),
        }
    }
}

/// Features that are left out in the same way.
pub(super) struct Grouping<'s, 'a> {
    pub asker: &'s mut Asker<'a>,
    pub baseline: &'s Baseline<'a>,
    pub rule: Rule,
    pub action: Action,
    /// Each feature is replayed alone before any shares a replay.
    pub alone_first: bool,
    /// The application is started without each feature first.
    pub probes: bool,
    pub settled: Settled<'a>,
}

/// A feature, and its replays that passed.
type Passed<'a> = (Feature, Vec<&'a Run>);

/// Features that are left out together, and what came of it: the replay, if it passed and at
/// most complained.
struct Group<'a> {
    members: BTreeSet<Feature>,
    passed: Option<&'a Run>,
}

/// What replays of suspects alone say.
#[derive(Default)]
struct Culprits<'a> {
    /// All that were replayed.
    known: BTreeSet<Feature>,
    broken: BTreeSet<Feature>,
    /// Passed and complained.
    complaining: BTreeMap<Feature, &'a Run>,
}

impl<'a> Grouping<'_, 'a> {
    /// Settles every feature, or as many as can be so far; `prior` is the chance that a feature
    /// works this way.
    pub fn run(
        mut self,
        mut features: Vec<Feature>,
        prior: &dyn Fn(&Feature) -> f64,
    ) -> (Settled<'a>, Result<(), Stop>) {
        if self.probes {
            match self.probe(features) {
                Ok(started) => features = started,
                Err(stop) => return (self.settled, Err(stop)),
            }
        }
        let missed = if self.probes { MISSED_LATE } else { 1.0 };
        let chance = |feature: &Feature| {
            let prior = prior(feature);
            prior / (prior + (1.0 - prior) * missed)
        };
        // Failures need another replay, and some of them time.
        features.sort_by(|a, b| chance(a).total_cmp(&chance(b)).then(a.cmp(b)));
        let enough = if self.probes { PROBABLY_LATE } else { PROBABLY };
        let split = features.partition_point(|feature| chance(feature) < enough);
        let mut likely = features.split_off(split);
        let replicas = self.rule.passes as usize;
        let design = match self.rule.counts_replicas() && !self.alone_first {
            true => Design::new(likely.len(), replicas),
            false => None,
        };
        if design.is_none() {
            features.append(&mut likely);
        }
        // Both are asked for before either is waited for.
        let alone = self.alone(features, |_| Vec::new());
        let together = match design {
            Some(design) => self.together(likely, &design),
            None => Ok(Vec::new()),
        };
        let outcome = match (alone, together) {
            (Ok(mut passed), Ok(others)) => {
                passed.extend(others);
                passed.sort_by(|(a, _), (b, _)| a.cmp(b));
                self.confirm(passed)
            }
            (Err(stop), _) | (_, Err(stop)) => Err(stop),
        };
        (self.settled, outcome)
    }

    /// Replays each feature alone once. Those that pass come back, with that replay and what
    /// they have passed before.
    fn alone(
        &mut self,
        features: Vec<Feature>,
        before: impl Fn(&Feature) -> Vec<&'a Run>,
    ) -> Result<Vec<Passed<'a>>, Stop> {
        let mut passed = Vec::new();
        let mut waits = false;
        for feature in features {
            let policy = Policy::single(feature.clone(), self.action);
            match self.asker.glance_run(&policy) {
                None => waits = true,
                Some(Some(run)) if run.vote == Vote::Pass && looks_right(run) => {
                    let mut runs = vec![run];
                    runs.extend(before(&feature));
                    passed.push((feature, runs));
                }
                Some(run) => {
                    if run.is_some_and(|run| run.vote == Vote::Failure) {
                        self.settled.failed.insert(feature.clone());
                    }
                    self.settled.alone.push(feature);
                }
            }
        }
        unless(waits, passed)
    }

    /// Leaves features out as a design says. Those come back that passed, but not often enough.
    fn together(
        &mut self,
        features: Vec<Feature>,
        design: &Design,
    ) -> Result<Vec<Passed<'a>>, Stop> {
        let members = |group: usize| {
            let in_group = design.places.iter().zip(&features);
            let in_group = in_group.filter(|(places, _)| places.contains(&group));
            in_group.map(|(_, feature)| feature.clone()).collect()
        };
        let mut groups = self.try_groups((0..design.groups).map(members).collect(), &features)?;
        let mut culprits = Culprits::default();
        loop {
            let never = |feature: &&Feature| {
                !culprits.known.contains(*feature) && passes(&groups, feature).is_empty()
            };
            let never: Vec<Feature> = features.iter().filter(never).cloned().collect();
            if never.is_empty() {
                break;
            }
            let some = (never.len() / SUSPECTED_PART).max(FEWEST_SUSPECTS);
            self.question(never.into_iter().take(some).collect(), &mut culprits)?;
            let failed = groups.iter().filter(|group| group.passed.is_none());
            let again = failed.filter(|group| !group.members.is_disjoint(&culprits.broken));
            let again = again.map(|group| group.members.difference(&culprits.broken).cloned());
            let again = self.try_groups(again.map(Iterator::collect).collect(), &features)?;
            groups.retain(|group| group.members.is_disjoint(&culprits.broken));
            groups.extend(again);
        }
        let mut suspects = complaining(&groups, &features);
        suspects.extend(self.with_fallbacks(&groups, &features));
        self.question(&suspects - &culprits.known, &mut culprits)?;
        groups.retain(|group| culprits.explain(group));
        let mut short = Vec::new();
        for feature in features {
            let alone = culprits.complaining.get(&feature).copied();
            let runs: Vec<&Run> = alone.into_iter().chain(passes(&groups, &feature)).collect();
            if self.settled.alone.contains(&feature) {
                continue;
            } else if runs.len() >= self.rule.passes as usize {
                let ruling = Ruling::of_passes(runs);
                self.settled.confirmed.push((feature, ruling));
            } else if alone.is_some() {
                self.settled.alone.push(feature);
            } else {
                short.push(feature);
            }
        }
        self.alone(short, |feature| passes(&groups, feature))
    }

    /// Replays groups once each; what is left of a group may be the same as another's, or too
    /// little to be one. `features` are sorted, the least likely to work first.
    fn try_groups(
        &mut self,
        groups: BTreeSet<BTreeSet<Feature>>,
        features: &[Feature],
    ) -> Result<Vec<Group<'a>>, Stop> {
        let mut starting = BTreeSet::new();
        let mut waits = false;
        for members in groups {
            let members = match self.probes {
                true => self.that_start(members, features),
                false => Some(members),
            };
            match members {
                Some(members) => drop(starting.insert(members)),
                None => waits = true,
            }
        }
        let mut tried = Vec::new();
        for members in starting.into_iter().filter(|members| members.len() > 1) {
            match self.asker.glance_run(&self.policy(&members)) {
                None => waits = true,
                Some(run) => {
                    let passed = run.filter(|run| run.passes_but_for_complaints());
                    tried.push(Group { members, passed });
                }
            }
        }
        unless(waits, tried)
    }

    /// Those of a group without which the application starts: as long as it does not, the last
    /// member of the shortest list that keeps it from starting is taken away.
    fn that_start(
        &mut self,
        members: BTreeSet<Feature>,
        features: &[Feature],
    ) -> Option<BTreeSet<Feature>> {
        let likely_first = features
            .iter()
            .rev()
            .filter(|feature| members.contains(*feature));
        let mut list: Vec<Feature> = likely_first.cloned().collect();
        while list.len() > 1 && !self.starts_without(&list)? {
            // It starts without any single one.
            let (mut starts, mut fails) = (1, list.len());
            while fails - starts > 1 {
                let middle = usize::midpoint(starts, fails);
                match self.starts_without(&list[..middle])? {
                    true => starts = middle,
                    false => fails = middle,
                }
            }
            list.remove(fails - 1);
        }
        Some(list.into_iter().collect())
    }

    fn starts_without(&mut self, list: &[Feature]) -> Option<bool> {
        let policy = self.policy(&list.iter().cloned().collect());
        self.asker.probe(&policy)
    }

    /// Whoever explains calls that the baseline never makes.
    fn with_fallbacks(&self, groups: &[Group<'_>], features: &[Feature]) -> BTreeSet<Feature> {
        let passed = passed(groups);
        let made = passed.iter().flat_map(|(_, run)| run.calls.keys());
        let new = made.filter(|call| !self.baseline.features.contains_key(*call));
        let new: BTreeSet<&Feature> = new.collect();
        new.into_iter()
            .flat_map(|call| explaining(&passed, features, |run| run.calls.contains_key(call)))
            .collect()
    }

    /// Starts the application without each feature. Those come back without which it starts.
    fn probe(&mut self, features: Vec<Feature>) -> Result<Vec<Feature>, Stop> {
        let mut started = Vec::new();
        let mut waits = false;
        for feature in features {
            match self
                .asker
                .probe(&Policy::single(feature.clone(), self.action))
            {
                None => waits = true,
                Some(true) => started.push(feature),
                Some(false) => {
                    self.settled.failed.insert(feature.clone());
                    self.settled.alone.push(feature);
                }
            }
        }
        unless(waits, started)
    }

    /// Replays suspects alone once.
    fn question(
        &mut self,
        suspects: BTreeSet<Feature>,
        culprits: &mut Culprits<'a>,
    ) -> Result<(), Stop> {
        let mut waits = false;
        for feature in suspects {
            let policy = Policy::single(feature.clone(), self.action);
            let Some(run) = self.asker.glance_run(&policy) else {
                waits = true;
                continue;
            };
            culprits.known.insert(feature.clone());
            match run {
                Some(run) if run.vote == Vote::Pass && looks_right(run) => {}
                Some(run) if run.passes_but_for_complaints() => {
                    culprits.complaining.insert(feature, run);
                }
                Some(run) if run.vote == Vote::Pass => self.settled.alone.push(feature),
                _ => {
                    culprits.broken.insert(feature.clone());
                    self.settled.failed.insert(feature.clone());
                    self.settled.alone.push(feature);
                }
            }
        }
        unless(waits, ())
    }

    /// Brings passes up to the number that a verdict needs.
    fn confirm(&mut self, group: Vec<Passed<'a>>) -> Result<(), Stop> {
        let enough = |(_, runs): &Passed<'a>| runs.len() >= self.rule.passes as usize;
        let enough = |passed: &Passed<'a>| self.rule.counts_replicas() && enough(passed);
        let (done, group): (Vec<_>, Vec<_>) = group.into_iter().partition(enough);
        for (feature, runs) in done {
            let ruling = Ruling::of_passes(runs);
            self.settled.confirmed.push((feature, ruling));
        }
        if group.len() < 2 {
            let alone = group.into_iter().map(|(feature, _)| feature);
            self.settled.alone.extend(alone);
            return Ok(());
        }
        let features = group.iter().map(|(feature, _)| feature.clone()).collect();
        if self.glance(&features).ok_or(Stop::Pending)?.is_none() {
            return self.halve(group);
        }
        let policy = self.policy(&features);
        let fewest = group.iter().map(|(_, runs)| runs.len()).min();
        let rule = self.rule.after_passes(fewest.unwrap_or_default() as u32);
        let ruling = self.asker.ask(&policy, rule).ok_or(Stop::Pending)?;
        let right = ruling.runs.iter().all(|run| looks_right(run));
        if ruling.decision != Decision::Works || !right {
            return self.halve(group);
        }
        for (feature, runs) in group {
            let passing = ruling.runs.iter().filter(|run| run.vote.passes());
            if passing.clone().all(|run| run.fired.contains_key(&feature)) {
                let confirmed = runs.into_iter().rev().fold(ruling.clone(), Ruling::with);
                self.settled.confirmed.push((feature, confirmed));
            } else {
                self.settled.alone.push(feature);
            }
        }
        Ok(())
    }

    fn halve(&mut self, mut group: Vec<Passed<'a>>) -> Result<(), Stop> {
        let right = group.split_off(group.len() / 2);
        // Both are asked for before either is waited for.
        let (left, right) = (self.confirm(group), self.confirm(right));
        left.and(right)
    }

    /// The first replay of a set, if it passes and looks as it should.
    fn glance(&mut self, set: &BTreeSet<Feature>) -> Option<Option<&'a Run>> {
        let run = self.asker.glance_run(&self.policy(set))?;
        Some(run.filter(|run| run.vote == Vote::Pass && looks_right(run)))
    }

    fn policy(&self, set: &BTreeSet<Feature>) -> Policy {
        let rule = |feature: &Feature| (feature.clone(), self.action);
        set.iter().map(rule).collect()
    }
}

/// What was found, unless replays are missing.
fn unless<T>(waits: bool, found: T) -> Result<T, Stop> {
    match waits {
        true => Err(Stop::Pending),
        false => Ok(found),
    }
}

fn looks_right(run: &Run) -> bool {
    run.suspicions.is_empty()
}

/// Who may be to blame for what passing groups complain of: whoever is in just those that do.
fn complaining(groups: &[Group<'_>], features: &[Feature]) -> BTreeSet<Feature> {
    let passed = passed(groups);
    let complaints: BTreeSet<&String> = passed
        .iter()
        .flat_map(|(_, run)| run.complaints.iter())
        .collect();
    let mut suspects = BTreeSet::new();
    for complaint in &complaints {
        let shows = |run: &Run| run.complaints.contains(*complaint);
        suspects.extend(explaining(&passed, features, shows));
    }
    if suspects.is_empty() && !complaints.is_empty() {
        let is_never_clean = |feature: &&Feature| {
            let mut own = passed
                .iter()
                .filter(|(members, _)| members.contains(*feature));
            own.all(|(_, run)| !run.complaints.is_empty())
        };
        suspects.extend(features.iter().filter(is_never_clean).cloned());
    }
    suspects
}

fn passed<'g, 'a>(groups: &'g [Group<'a>]) -> Vec<(&'g BTreeSet<Feature>, &'a Run)> {
    let passed = |group: &'g Group<'a>| Some((&group.members, group.passed?));
    groups.iter().filter_map(passed).collect()
}

/// Features that are in all the groups that show something, and in no others.
fn explaining(
    passed: &[(&BTreeSet<Feature>, &Run)],
    features: &[Feature],
    shows: impl Fn(&Run) -> bool,
) -> Vec<Feature> {
    let explains = |feature: &&Feature| {
        let mut passed = passed.iter();
        passed.all(|(members, run)| members.contains(*feature) == shows(run))
    };
    features.iter().filter(explains).cloned().collect()
}

impl Culprits<'_> {
    /// Whether a group passed, and one of its members is known for complaints if there are any.
    fn explain(&self, group: &Group<'_>) -> bool {
        let explained = |run: &Run| {
            let mut complaining = self.complaining.keys();
            run.complaints.is_empty() || complaining.any(|feature| group.members.contains(feature))
        };
        group.passed.is_some_and(explained)
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
