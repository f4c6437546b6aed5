//! The rule that turns the replicas of one policy into a decision.
//!
//! Only counts go in, never an order: what is decided cannot depend on which replica came
//! back first. Knows no policies and no traces.

use std::ops::AddAssign;

use super::confidence::Test;

/// When the replicas of a policy decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Replicas that must all pass for "works".
    pub passes: u32,
    /// Failing replicas that make "does not work".
    pub failures: u32,
    /// Usable replicas after which no more are asked for, where passes and failures are weighed.
    pub limit: u32,
    /// The same where they are counted and disagree: replicas in which an injection answered.
    pub reach: u32,
    /// Replicas without an injection after which those with one must do.
    pub idle_limit: u32,
    /// Usable replicas without a single injection after which the policy counts as not
    /// exercised; at least `passes`, at most `limit`.
    pub patience: u32,
    /// Unusable replicas that are repeated; one more ends the matter.
    pub unusable: u32,
    /// The same of those that are void because the host stood still, which is not the policy's.
    pub void: u32,
    /// How passes and failures that disagree, or are few, are weighed.
    pub weighing: Weighing,
}

/// How passes and failures decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weighing {
    /// By their numbers alone, and no failure is forgiven.
    Strict,
    /// By the chance that the decision is wrong; `passes` and `failures` are not used.
    Confident(Test),
    /// The baseline's failure rate is wanted: each failure asks for more replays, up to
    /// `limit`; so many `failures` are too many to measure anything, and one less is not.
    Rate,
}

/// Further replicas for something that does not show up in every run.
const EXTRA: u32 = 2;

/// Where the first `passes + EXTRA` replicas disagree, so many times as many are run before that
/// is given up: one of five may have been the host's doing.
const REACH_FACTOR: u32 = 2;

/// A replica in which nothing was injected says nothing, and is repeated until there are so many
/// times the passes that are wanted: what is called in a half of all runs is then called in as many
/// as are needed, but for one case in fifty (of twelve and more, fewer than three).
const IDLE_FACTOR: u32 = 4;

/// Usable replicas after which a confident decision is given up.
const CONFIDENT_LIMIT: u32 = 60;

/// Replicas of a baseline whose failure rate matters, while none fails.
const RATE_REPLICAS: u32 = 10;

/// Failures after which a baseline is not measured: one in five of the most replicas that it
/// gets. Beyond that, working and not working are too alike.
const TOO_MANY_FAILURES: u32 = 8;

/// Replicas that may come out unusable before a policy is given up.
pub(super) const UNUSABLE: u32 = 3;

/// Replicas that may be void: a host that stands still so often for one policy is none to measure
/// on.
pub(super) const VOID: u32 = 12;

impl Rule {
    /// The usual rule for this number of replicas. With one replica there is none to confirm a
    /// failure, so the single one counts.
    pub fn of_replicas(replicas: u32) -> Rule {
        let passes = replicas.max(1);
        let limit = passes + EXTRA;
        Rule {
            passes,
            failures: passes.min(2),
            limit,
            reach: limit * REACH_FACTOR,
            idle_limit: passes * IDLE_FACTOR + EXTRA,
            patience: passes,
            unusable: UNUSABLE,
            void: VOID,
            weighing: Weighing::Strict,
        }
    }

    /// The first usable replica decides: quick to ask, and for a search only, never for a claim.
    pub fn once() -> Rule {
        Rule {
            limit: 1,
            reach: 1,
            idle_limit: 1,
            ..Rule::of_replicas(1)
        }
    }

    /// Goes on until the decision is sure enough.
    pub fn confident(replicas: u32, test: Test) -> Rule {
        let usual = Rule::of_replicas(replicas);
        Rule {
            limit: CONFIDENT_LIMIT,
            unusable: 3 * UNUSABLE,
            weighing: Weighing::Confident(test),
            ..usual
        }
    }

    /// Finds out how often the baseline fails, and refuses it where that is too often.
    pub fn of_rate(replicas: u32) -> Rule {
        Rule {
            passes: replicas.max(RATE_REPLICAS),
            failures: TOO_MANY_FAILURES,
            limit: 4 * replicas.max(RATE_REPLICAS),
            weighing: Weighing::Rate,
            ..Rule::of_replicas(replicas)
        }
    }

    /// A single pass decides.
    pub fn trusts_one_pass(self) -> bool {
        self.passes == 1 && self.weighing == Weighing::Strict
    }

    /// Decides by the number of replicas that agree.
    pub fn counts_replicas(self) -> bool {
        self.weighing == Weighing::Strict
    }

    /// The rule for what so many replays of another kind have already shown to pass.
    pub fn after_passes(self, passes: u32) -> Rule {
        let passes = self.passes.saturating_sub(passes).max(1);
        Rule {
            passes,
            failures: passes.min(self.failures),
            ..self
        }
    }

    /// The same rule for something that does not happen in every run: it gets every replica
    /// there is to show up.
    pub fn patient(self) -> Rule {
        Rule {
            patience: self.limit.min(self.passes + EXTRA),
            ..self
        }
    }
}

/// What one replica says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vote {
    /// Passed although an injection answered a call.
    Pass,
    /// Passed, but no injection answered a call.
    IdlePass,
    /// Failed, and an injection had answered a call.
    Failure,
    /// Failed without any injection: the policy is not what made it fail.
    Stray,
    /// Failed by time while the host stood still.
    Void,
    /// Could not be used (events lost, filter not installed, …).
    Invalid,
}

impl Vote {
    pub fn passes(self) -> bool {
        matches!(self, Vote::Pass | Vote::IdlePass)
    }

    /// The replay was what it should be, whether an injection answered or not.
    pub fn is_usable(self) -> bool {
        matches!(self, Vote::Pass | Vote::IdlePass | Vote::Failure)
    }

    /// It says something about the policy: an injection answered, and the replay can be used.
    pub fn speaks(self) -> bool {
        matches!(self, Vote::Pass | Vote::Failure)
    }
}

/// How the replicas of a policy voted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Tally {
    pub passes: u32,
    pub idle: u32,
    pub failures: u32,
    /// Of the failures, those by time.
    pub late: u32,
    pub strays: u32,
    pub void: u32,
    pub invalid: u32,
}

/// What the replicas of a policy come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Works,
    Fails,
    /// No injection ever answered a call.
    NotExercised,
    /// The replicas disagree, or too many could not be used.
    Undecided,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passes += other.passes;
        self.idle += other.idle;
        self.failures += other.failures;
        self.late += other.late;
        self.strays += other.strays;
        self.void += other.void;
        self.invalid += other.invalid;
    }
}

impl Tally {
    pub fn add(&mut self, vote: Vote) {
        *match vote {
            Vote::Pass => &mut self.passes,
            Vote::IdlePass => &mut self.idle,
            Vote::Failure => &mut self.failures,
            Vote::Stray => &mut self.strays,
            Vote::Void => &mut self.void,
            Vote::Invalid => &mut self.invalid,
        } += 1;
    }

    /// Replicas in which an injection answered a call.
    pub fn exercised(&self) -> u32 {
        self.passes + self.failures
    }

    /// Replicas that were what they should be.
    pub fn usable(&self) -> u32 {
        self.passes + self.idle + self.failures
    }

    fn unusable(&self) -> u32 {
        self.strays + self.invalid
    }

    /// The decision, or `None` when more replicas are needed.
    pub fn decide(&self, rule: Rule) -> Option<Decision> {
        let weighed = match rule.weighing {
            Weighing::Strict => self.weigh_strictly(rule),
            Weighing::Confident(test) => self.weigh_confidently(test),
            Weighing::Rate => self.weigh_rate(rule),
        };
        if weighed == Some(Decision::Fails) {
            return weighed;
        }
        let never_fired = self.passes + self.failures == 0;
        if self.unusable() > rule.unusable || self.void > rule.void {
            return Some(if never_fired && self.invalid + self.void == 0 {
                Decision::NotExercised
            } else {
                Decision::Undecided
            });
        }
        if weighed.is_some() {
            return weighed;
        }
        if never_fired && self.idle >= rule.patience {
            return Some(Decision::NotExercised);
        }
        if rule.counts_replicas() {
            return self.give_up_counting(rule);
        }
        (self.usable() >= rule.limit).then_some(Decision::Undecided)
    }

    fn weigh_strictly(&self, rule: Rule) -> Option<Decision> {
        if self.failures >= rule.failures {
            return Some(Decision::Fails);
        }
        (self.failures == 0 && self.passes >= rule.passes).then_some(Decision::Works)
    }

    /// What replicas come to that disagree, or in too few of which anything was injected. A single
    /// failure that was one by time, and that none of many more replicas confirms, was the host's.
    fn give_up_counting(&self, rule: Rule) -> Option<Decision> {
        let is_hosts = self.late == self.failures && self.passes >= rule.limit;
        if self.failures > 0 && self.exercised() >= rule.reach {
            return Some(match is_hosts {
                true => Decision::Works,
                false => Decision::Undecided,
            });
        }
        // Hardly ever exercised: fewer passes than a verdict needs are none.
        (self.idle >= rule.idle_limit).then_some(match self.failures {
            0 => Decision::NotExercised,
            _ => Decision::Undecided,
        })
    }

    fn weigh_confidently(&self, test: Test) -> Option<Decision> {
        let not_working = test.chance_of_not_working(self.passes, self.failures);
        if self.failures > 0 && 1.0 - not_working <= test.error() {
            return Some(Decision::Fails);
        }
        (self.passes > 0 && not_working <= test.error()).then_some(Decision::Works)
    }

    fn weigh_rate(&self, rule: Rule) -> Option<Decision> {
        let nothing_passes = self.passes == 0 && self.failures >= 2;
        if self.failures >= rule.failures || nothing_passes {
            return Some(Decision::Fails);
        }
        (self.usable() >= self.wanted_for_rate(rule)).then_some(Decision::Works)
    }

    fn wanted_for_rate(&self, rule: Rule) -> u32 {
        (rule.passes * (1 + self.failures)).min(rule.limit)
    }

    /// The number of further replicas without which no decision can come, whatever they say;
    /// 0 when it is there. That many may run at a time without any being wasted, and whoever
    /// runs no more gets the same set of replicas in every order of completion.
    ///
    /// Replicas that agree with each other decide soonest. (A test tries all others.)
    pub fn surely_needed(&self, rule: Rule) -> u32 {
        let votes = [
            Vote::Pass,
            Vote::IdlePass,
            Vote::Failure,
            Vote::Void,
            Vote::Invalid,
        ];
        let needed = votes.map(|vote| self.until(vote, rule));
        needed.into_iter().min().unwrap_or_default()
    }

    /// Votes of this kind alone until a decision.
    fn until(&self, vote: Vote, rule: Rule) -> u32 {
        let mut tally = *self;
        let mut votes = 0;
        while tally.decide(rule).is_none() {
            tally.add(vote);
            votes += 1;
        }
        votes
    }

    /// A guess at the further replicas until the decision: as many as if nothing surprising
    /// came any more.
    pub fn likely_needed(&self, rule: Rule) -> u32 {
        match self.failures {
            0 => self.until(Vote::Pass, rule),
            _ => self.surely_needed(rule),
        }
    }
}

#[cfg(test)]
mod tests;
