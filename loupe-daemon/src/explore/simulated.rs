//! Simulated applications behind a [`Replayer`]: what they need is known, so that what the
//! analysis says about them can be checked. An answer depends only on policy and replica;
//! when it comes depends on a seed, so that tests can shuffle the order of completion.

mod hosts;
mod simulator;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher as _};

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::replay::{
    Conditions, Control, ExitStatus, Failure, Outcome, OutputTail, Replay, Timing, Usage,
};
use loupe_common::trace::{CallCounts, Trace};

use super::baseline::Baseline;
use super::confidence::Test;
use super::ledger::Ruling;
use super::run::Run;
use super::tally::Rule;
use super::{ExploreOptions, Recorded, Request};
pub(crate) use hosts::{Crowd, Host};
pub(crate) use simulator::Simulator;

/// What comes of leaving a feature out one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Works,
    Breaks,
    /// Breaks in so many of a thousand runs.
    Flaky(u64),
}

/// When the application uses a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Always,
    /// In so many of a thousand runs.
    Sometimes(u64),
    /// Instead of this one, when that one is stubbed (and was called).
    InsteadOf(Feature),
    /// Unless this one is stubbed.
    Unless(Feature),
}

#[derive(Clone, Debug)]
pub(crate) struct SimFeature {
    pub stub: Effect,
    pub fake: Effect,
    pub when: Use,
    /// The injection never answers it (a call made before the filter is there).
    pub silent: bool,
    /// A stub with this errno breaks nothing.
    pub tolerates: Option<Errno>,
    /// When it is left out, the application complains and the test passes all the same.
    pub missed: bool,
    /// It breaks nothing while this one is used, or stubbed.
    pub rescued_by: Option<Rescue>,
}

/// What makes up for the absence of a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rescue {
    /// This one is used.
    Use(Feature),
    /// This one is stubbed, which changes no call.
    Stub(Feature),
}

impl SimFeature {
    pub fn always(stub: Effect, fake: Effect) -> SimFeature {
        SimFeature {
            stub,
            fake,
            when: Use::Always,
            silent: false,
            tolerates: None,
            missed: false,
            rescued_by: None,
        }
    }

    pub fn effect(&self, action: Action) -> Effect {
        match action {
            Action::Stub(errno) if Some(errno) == self.tolerates => Effect::Works,
            Action::Stub(_) => self.stub,
            Action::Fake | Action::Plausible => self.fake,
            Action::Kill => Effect::Breaks,
        }
    }
}

/// An application and its workload. Operations are features of it beside their syscalls.
#[derive(Clone, Debug, Default)]
pub(crate) struct App {
    pub features: BTreeMap<Feature, SimFeature>,
    /// Rules that break it together, when all of them fire.
    pub conflicts: Vec<Policy>,
    /// Rules that only make it complain together.
    pub grudges: Vec<Policy>,
    /// Its start takes next to no time, beside its test.
    pub starts_quickly: bool,
    /// It ends at once where something breaks it.
    pub dies: bool,
    /// It hangs where something breaks it.
    pub hangs: bool,
    /// Of a thousand runs, so many fail for no reason, under any policy.
    pub flakes: u64,
    /// Of a thousand runs, so many cannot be used.
    pub unusable: u64,
    /// Without these, by these ways, it takes so many times the descriptors.
    pub leaks: BTreeMap<(Feature, Action), f64>,
    /// Without these, by these ways, its workload does nothing, as its metric says. Where there are none
    /// it has no metric.
    pub barely_works: BTreeSet<(Feature, Action)>,
    /// So many replicas of the baseline are watched for pseudo-files; if none is, nothing is.
    pub watched: u32,
    /// Its replays take next to no time, beside which watching takes long.
    pub is_short: bool,
    /// It fails under any filter, or under a listener only.
    pub breaks_under: Option<Control>,
    /// No filter can be put on it.
    pub refuses_filters: bool,
    pub seed: u64,
}

impl App {
    pub fn replay(&self, request: &Request) -> Replay {
        let policy = &request.policy;
        let chance = |what: &str, permille: u64| self.chance(request, what, permille);
        let mut calls: BTreeMap<Feature, CallCounts> = BTreeMap::new();
        let mut operations: BTreeMap<Feature, CallCounts> = BTreeMap::new();
        let mut injections: BTreeMap<Feature, u64> =
            policy.iter().map(|(rule, _)| (rule.clone(), 0)).collect();
        let mut breaks = None;
        // A fallback can have its own fallback: go on until nothing is added.
        let mut used: BTreeSet<&Feature> = BTreeSet::new();
        loop {
            let before = used.len();
            for (feature, sim) in &self.features {
                let is_used = match &sim.when {
                    Use::Always => true,
                    Use::Sometimes(permille) => chance(&format!("use {feature}"), *permille),
                    Use::Unless(first) => !self.is_stubbed(first, policy),
                    Use::InsteadOf(first) => used.contains(first) && self.is_stubbed(first, policy),
                };
                if is_used {
                    used.insert(feature);
                }
            }
            if used.len() == before {
                break;
            }
        }
        let is_file = |feature: &Feature| feature.syscall().is_none();
        // With a rule for any, all are looked for.
        let pseudo_files =
            request.is_watched(self.watched) || policy.iter().any(|(feature, _)| is_file(feature));
        let filtered =
            pseudo_files || !policy.is_empty() || request.control == Some(Control::Filter);
        let is_broken = match self.breaks_under {
            Some(Control::Listener) => pseudo_files,
            other => other.is_some() && filtered,
        };
        if is_broken {
            breaks = Some(ExitStatus::Code(9));
        }
        let refused = (self.refuses_filters && filtered).then(|| "EPERM".to_owned());
        let mut first_seen = Vec::new();
        let mut application_output = OutputTail::default();
        for feature in self.order() {
            if !used.contains(feature) || (breaks.is_some() && self.dies) {
                continue;
            }
            let is_part = feature.parent().is_some();
            if is_file(feature) && !pseudo_files {
                continue;
            }
            if !is_part {
                first_seen.push(feature.clone());
            }
            let sim = &self.features[feature];
            let mut counts = CallCounts {
                calls: 1 + hash(feature) % 9,
                ..CallCounts::default()
            };
            if let Some(action) = rule(policy, feature).filter(|_| !sim.silent) {
                if policy.get(feature).is_some() {
                    injections.insert(feature.clone(), counts.calls);
                }
                if let Action::Stub(errno) = action {
                    counts.errors.insert(errno, counts.calls);
                }
                if sim.missed {
                    application_output.tail += "error 17: something is missing\n";
                }
                let rescued = match &sim.rescued_by {
                    Some(Rescue::Use(other)) => used.contains(other),
                    Some(Rescue::Stub(other)) => self.is_stubbed(other, policy),
                    None => false,
                };
                let broken = match sim.effect(action) {
                    Effect::Works => false,
                    Effect::Breaks => !rescued,
                    Effect::Flaky(permille) => chance(&format!("break {feature}"), permille),
                };
                if broken {
                    breaks.get_or_insert(ExitStatus::Signal(6));
                }
            }
            match is_part {
                true => operations.insert(feature.clone(), counts),
                false => calls.insert(feature.clone(), counts),
            };
        }
        let fires = |feature: &Feature| injections.get(feature).is_some_and(|times| *times > 0);
        let all_hit = |rules: &Policy| {
            let mut rules = rules.iter();
            rules.all(|(feature, action)| policy.get(feature) == Some(action) && fires(feature))
        };
        if self.conflicts.iter().any(all_hit) {
            breaks.get_or_insert(ExitStatus::Signal(11));
        }
        if self.grudges.iter().any(all_hit) {
            application_output.tail += "error 18: too much is missing\n";
        }
        if chance("flake", self.flakes) {
            breaks.get_or_insert(ExitStatus::Code(1));
        }
        let outcome = if refused.is_some() || chance("unusable", self.unusable) {
            Outcome::Invalid {
                why: "simulated".to_owned(),
            }
        } else if let Some(status) = breaks {
            Outcome::Failed(match self.hangs {
                true => Failure::Hung { after_ms: 100 },
                false => Failure::Test { status },
            })
        } else {
            Outcome::Passed
        };
        let wall_us = if self.is_short { 1 } else { 100_000 };
        Replay {
            policy: policy.clone(),
            outcome,
            application_exit: None,
            test_exit: None,
            application_output,
            test_output: OutputTail::default(),
            trace: Trace {
                calls,
                operations,
                first_seen,
                pseudo_files,
                ..Trace::default()
            },
            injections,
            target_execs: 1,
            timing: Timing {
                wall_us,
                ready_us: if self.starts_quickly {
                    0
                } else {
                    wall_us / 2 + 1
                },
                test_us: 1,
                ..Timing::default()
            },
            usage: self.usage(request),
            metric: self.metric(policy),
            listened: None,
            listens: 0,
            left: Vec::new(),
            conditions: Conditions {
                control: request.control,
                refused,
                ..Conditions::default()
            },
        }
    }

    fn metric(&self, policy: &Policy) -> Option<f64> {
        let does_nothing = policy
            .iter()
            .any(|(feature, action)| self.barely_works.contains(&(feature.clone(), action)));
        let metric = if does_nothing { 0.0 } else { hosts::METRIC };
        (!self.barely_works.is_empty()).then_some(metric)
    }

    /// The features in the order in which the application comes to them: a plan B follows at
    /// once on what it replaces.
    pub fn order(&self) -> Vec<&Feature> {
        let later = |sim: &SimFeature| matches!(sim.when, Use::InsteadOf(_));
        let mut order: Vec<&Feature> = self.features.keys().collect();
        order.sort_by_key(|feature| hash(&(self.seed, feature)));
        order.retain(|feature| !later(&self.features[*feature]));
        let mut waiting: Vec<(&Feature, &SimFeature)> =
            self.features.iter().filter(|(_, sim)| later(sim)).collect();
        // What waits for something that never comes goes last.
        for _ in 0..self.features.len() {
            waiting.retain(|(feature, sim)| {
                let Use::InsteadOf(first) = &sim.when else {
                    return false;
                };
                let place = order.iter().position(|other| *other == first);
                if let Some(place) = place {
                    order.insert(place + 1, feature);
                }
                place.is_none()
            });
        }
        order
    }

    /// Half of what an application needs it needs to start.
    pub fn needs_early(&self, feature: &Feature) -> bool {
        hash(feature).is_multiple_of(2)
    }

    fn is_stubbed(&self, feature: &Feature, policy: &Policy) -> bool {
        let silent = self.features.get(feature).is_none_or(|sim| sim.silent);
        !silent && matches!(rule(policy, feature), Some(Action::Stub(_)))
    }

    /// Memory and CPU time vary with nothing but chance.
    fn usage(&self, request: &Request) -> Usage {
        let noise = |what: &str| hash(&(self.seed, request, what)) % 1000;
        let leaks = self.leaks.iter();
        let leaks =
            leaks.filter(|((feature, action), _)| request.policy.get(feature) == Some(*action));
        let factor: f64 = leaks.map(|(_, factor)| factor).product();
        Usage {
            cpu_us: 20_000 + noise("cpu") + noise("other cpu"),
            peak_memory_kib: Some(10_000 + noise("memory")),
            // As many or one more, by chance.
            descriptors: Some((12.0 * factor) as u64 + noise("descriptors") / 800),
            ..Usage::default()
        }
    }

    fn chance(&self, request: &Request, what: &str, permille: u64) -> bool {
        hash(&(self.seed, request, what)) % 1000 < permille
    }
}

/// What is done with a feature: what is done with the whole is done with a part that has no rule
/// of its own.
fn rule(policy: &Policy, feature: &Feature) -> Option<Action> {
    let of_parent = || feature.parent().and_then(|parent| policy.get(&parent));
    policy.get(feature).or_else(of_parent)
}

fn hash(what: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// A replica of a policy, compared with these of the baseline.
pub(super) fn run_of(app: &App, policy: &Policy, replica: u32, baseline: &[Run]) -> Run {
    let request = Request::new(policy.clone(), replica);
    let mut run = Run::new(&Recorded {
        id: request.id(),
        replay: app.replay(&request),
        reused: false,
    });
    let baseline: Vec<&Run> = baseline.iter().collect();
    run.compare(&baseline, &ExploreOptions::default());
    run
}

/// The baseline of which these are the replicas.
pub(super) fn baseline_of(runs: &[Run]) -> Baseline<'_> {
    let runs: Vec<&Run> = runs.iter().collect();
    Baseline {
        ruling: Ruling::of_passes(runs.clone()),
        features: BTreeMap::new(),
        test: Test {
            baseline_runs: 3,
            baseline_failures: 0,
            error_ppm: 0,
        },
        rule: Rule::of_replicas(3),
        runs,
    }
}
