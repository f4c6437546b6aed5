//! Does a replay count? Nothing else says so: the engine runs what is asked for where it is asked
//! to and records it all, and the rest of the analysis adds up what is counted here.
//!
//! In a crowd (beside more other replays than there are CPUs) a replay is slow, and a test may set
//! a bound to speed. A failure there does not count
//!
//! * if the replay did the workload's work all the same, as its metric says ([`file`]);
//! * if another replica of its policy passed, with an answer of the injection ([`is_forgiven`]);
//! * or if it would have computed more ([`wants_more`]), none has failed otherwise, and another one that
//!   failed so counts, or one failure would decide.
//!
//! A failure by time is the host's if the host stood still. So one counts only
//!
//! * if something passed between it and the failure that confirms it; without that, both are one
//!   ([`is_echo`]), and more replicas wait until something has passed ([`is_held`]);
//! * and if no control after it fails by time as well ([`void_if_late`]).
//!
//! After a failure that a crowd may have brought, the policy's next replicas have a CPU of their own
//! ([`room`]). Whether the crowd leaves the workload as it is, controls say ([`super::crowd`]).

use loupe_common::feature::Feature;
use loupe_common::replay::Control;

use super::ledger::times::Times;
use super::run::Run;
use super::tally::{Rule, Tally, Vote};
use super::{ExploreOptions, Room};

/// After the first replica of a policy so many run before it is looked at again where the next ones run:
/// as many as are asked for at once.
const AT_ONCE: usize = 2;

/// What fails in a crowd wanted more of a CPU if it had this part (one in so many) of its share.
const SHARE_PART: f64 = 2.0;

/// Takes note of what a replay alone says about whether it counts. `alone` is the metric of the
/// baseline's first replica.
pub(super) fn file(run: &mut Run, alone: Option<f64>, options: &ExploreOptions) {
    let share = options.cpus as f64 / options.jobs.max(1) as f64;
    let expected = alone.map(|metric| metric * share);
    let expected = expected.filter(|metric| *metric > 0.0);
    let works = expected.and_then(|metric| run.does_its_work(metric));
    if !fails_in_crowd(run) {
        return;
    }
    if works == Some(true) {
        run.too_slow = true;
        run.late = false;
        run.vote = Vote::Invalid;
        run.why_invalid = Some(
            "it failed beside more others than there are CPUs although it did the workload's work"
                .to_owned(),
        );
    } else {
        run.starved = wants_more(run, share);
    }
}

fn fails_in_crowd(run: &Run) -> bool {
    run.in_crowd && run.vote == Vote::Failure
}

/// Whether a replay that came to its test would have done more alone: it computed for about as long as this
/// share of a CPU lets it, or its calls had to wait for who looks at them (and for a CPU, where that may not
/// go first).
fn wants_more(run: &Run, share: f64) -> bool {
    let computes = run.total_cpu_us() as f64 * SHARE_PART >= run.wall_us as f64 * share;
    let mut rules = run.policy.iter();
    let is_looked_at = rules.any(|(feature, _)| matches!(feature, Feature::PseudoFile(_)));
    run.tested && (computes || is_looked_at)
}

/// Whether it failed by time together with another replica of its policy: nothing passed between the
/// two. (Of the baseline nothing could: where it fails by time, nothing else runs.)
pub(super) fn is_echo(run: &Run, replicas: &[Option<Run>], times: &Times) -> bool {
    let is_one_with =
        |other: &Run| other.late && !other.echo && !times.separates(other.span, run.span);
    let may_be = run.late && !run.policy.is_empty();
    may_be && replicas.iter().flatten().any(is_one_with)
}

/// Whether more replicas of a policy must wait until some other replay has passed: one of them has
/// failed by time, or was kept from its end by the host.
pub(super) fn is_held(replicas: &[Option<Run>], times: &Times) -> bool {
    replicas.iter().flatten().any(|run| {
        let waits = run.vote == Vote::Void || run.late && !run.echo;
        waits && !run.policy.is_empty() && !times.passed_since(run.span)
    })
}

/// Counts for nothing any more what failed by time and nothing has passed since, where the baseline
/// has now failed so, too.
pub(super) fn void_if_late(run: &mut Run, times: &Times) {
    if run.late && !times.passed_since(run.span) {
        run.void("the baseline failed by time after it, too");
    }
}

/// The replicas of a policy that count, by their votes.
pub(super) fn tally(runs: &[&Run], rule: Rule) -> Tally {
    let mut tally = Tally::default();
    for run in runs.iter().filter(|run| !run.echo) {
        let forgiven = is_forgiven(run, runs, rule);
        tally.late += u32::from(run.late && !forgiven);
        tally.add(match forgiven {
            true => Vote::Invalid,
            false => run.vote,
        });
    }
    tally
}

/// Where one replica passes without what is left out, another that failed in a crowd may have failed for
/// that. So may all that wanted more of a CPU there, as long as none has failed otherwise: then the
/// first of them counts, unless one failure is all that decides. (Where failures are weighed, each counts.)
pub(super) fn is_forgiven(run: &Run, runs: &[&Run], rule: Rule) -> bool {
    let may_be = rule.counts_replicas() && fails_in_crowd(run);
    let first_starved = runs
        .iter()
        .find(|other| other.starved)
        .map(|first| first.id);
    let is_alike = || {
        let fails_otherwise = |other: &&Run| other.vote == Vote::Failure && !other.starved;
        let counts = rule.failures > 1 && first_starved == Some(run.id);
        run.starved && !counts && !runs.iter().any(fails_otherwise)
    };
    may_be && (runs.iter().any(|run| run.vote == Vote::Pass) || is_alike())
}

/// Where the next replica of a policy runs, if replays outnumber the CPUs: with a CPU of its own
/// once the crowd may be what makes the policy fail.
///
/// The first replica decides about the next two, all these about two more: so it does not depend on which
/// comes back first.
pub(super) fn room(replicas: &[Option<Run>]) -> Room {
    let before = &replicas[..settled(replicas.len())];
    let before = before.iter().flatten();
    let any = |what: fn(&Run) -> bool| before.clone().any(what);
    let disagree = any(fails_in_crowd) && any(|run| run.vote == Vote::Pass);
    match disagree || any(|run| run.too_slow || run.starved) {
        true => Room::OwnCpu,
        false => Room::Shared,
    }
}

/// Of so many replicas, those that were there before the last ones could be said where to run.
fn settled(replicas: usize) -> usize {
    match replicas {
        0 => 0,
        more => 1 + (more - 1) / AT_ONCE * AT_ONCE,
    }
}

/// Where a control runs, before which there were so many of its kind: what fails beside others must
/// not be said to be a filter's doing.
pub(super) fn room_of_control(control: Control, before: usize) -> Room {
    match control {
        Control::Filter | Control::Listener | Control::Bare if before > 0 => Room::OwnCpu,
        _ => Room::Shared,
    }
}

/// How many more replicas of a policy can be said where to run: any number once they have a CPU of
/// their own, as that stays so.
pub(super) fn startable(replicas: &[Option<Run>]) -> u32 {
    if room(replicas) == Room::OwnCpu {
        return u32::MAX;
    }
    let finished = replicas.iter().take_while(|run| run.is_some()).count();
    let known = match finished {
        0 => 1,
        more => settled(more) + AT_ONCE,
    };
    known.saturating_sub(replicas.len()) as u32
}

#[cfg(test)]
mod tests {
    use loupe_common::policy::{Action, Policy};

    use super::*;
    use crate::explore::simulated::{App, Effect, SimFeature};
    use crate::explore::tally::Decision;
    use crate::explore::{Recorded, Request};

    fn eight_on_two_cpus() -> ExploreOptions {
        ExploreOptions {
            jobs: 8,
            cpus: 2,
            ..ExploreOptions::default()
        }
    }

    /// A replica that passes or not, beside so many others, and reaches this.
    fn replica(passes: bool, crowd: u64, metric: Option<f64>) -> Run {
        replica_of(passes, crowd, metric, 0)
    }

    /// The same that took a second, and so much CPU time.
    fn replica_of(passes: bool, crowd: u64, metric: Option<f64>, total_cpu_us: u64) -> Run {
        let feature: Feature = "brk".parse().expect("a syscall");
        let effect = match passes {
            true => Effect::Works,
            false => Effect::Breaks,
        };
        let app = App {
            features: [(feature.clone(), SimFeature::always(effect, effect))].into(),
            ..App::default()
        };
        let mut replay = app.replay(&Request::new(Policy::single(feature, Action::STUB), 0));
        replay.usage.crowd = crowd;
        replay.usage.total_cpu_us = total_cpu_us;
        replay.timing.wall_us = 1_000_000;
        replay.timing.test_us = 900_000;
        replay.metric = metric;
        Run::new(&Recorded {
            id: 1,
            replay,
            reused: false,
        })
    }

    #[test]
    fn what_failed_beside_many_others_counts_only_where_all_fail() {
        let decision = |replicas: &[(bool, u64)]| {
            let runs = replicas.iter();
            let runs: Vec<Run> = runs
                .map(|(passes, crowd)| replica(*passes, *crowd, None))
                .collect();
            let rule = Rule::of_replicas(3);
            tally(&runs.iter().collect::<Vec<_>>(), rule).decide(rule)
        };
        let (passes, fails, fails_alone) = ((true, 8), (false, 8), (false, 0));
        assert_eq!(decision(&[fails, fails]), Some(Decision::Fails));
        assert_eq!(decision(&[fails, passes, passes]), None);
        let forgiven = [fails, passes, passes, passes];
        assert_eq!(decision(&forgiven), Some(Decision::Works));
        let disagree = [fails_alone, passes, passes, passes, passes];
        assert_eq!(decision(&disagree), None, "more are asked for");
        let alone = [fails, passes, fails_alone, fails_alone];
        assert_eq!(decision(&alone), Some(Decision::Fails));
    }

    #[test]
    fn where_failures_are_weighed_none_is_forgiven() {
        let (fails, passes) = (replica(false, 8, None), replica(true, 8, None));
        let tally = tally(&[&fails, &passes], Rule::of_rate(10));
        assert_eq!(tally.failures, 1);
    }

    #[test]
    fn only_what_does_its_work_in_a_crowd_may_have_failed_for_it() {
        let vote = |metric, passes, crowd| {
            let mut run = replica(passes, crowd, metric);
            file(&mut run, Some(8000.0), &eight_on_two_cpus());
            run.vote
        };
        // A fair share is 2000, and an eighth of that enough.
        assert_eq!(vote(Some(300.0), false, 8), Vote::Invalid);
        assert_eq!(vote(Some(300.0), true, 8), Vote::Pass);
        assert_eq!(vote(Some(200.0), false, 8), Vote::Failure);
        assert_eq!(vote(None, false, 8), Vote::Failure);
        assert_eq!(vote(Some(8000.0), false, 0), Vote::Failure);
    }

    #[test]
    fn a_policy_that_the_crowd_may_fail_has_a_cpu_of_its_own() {
        let (passes, fails) = (replica(true, 8, None), replica(false, 8, None));
        let of = |runs: &[&Run]| {
            let runs: Vec<_> = runs.iter().map(|run| Some((*run).clone())).collect();
            room(&runs)
        };
        assert_eq!(of(&[]), Room::Shared);
        assert_eq!(of(&[&fails]), Room::Shared);
        assert_eq!(of(&[&fails, &passes]), Room::Shared, "not known in time");
        assert_eq!(of(&[&fails, &passes, &passes]), Room::OwnCpu);
        assert_eq!(of(&[&passes, &passes, &fails]), Room::OwnCpu);
        assert_eq!(of(&[&passes, &passes, &passes, &fails]), Room::Shared);
        let mut slow = replica(false, 8, None);
        (slow.too_slow, slow.vote) = (true, Vote::Invalid);
        let mut starved = replica(false, 8, None);
        starved.starved = true;
        for doubtful in [&slow, &starved] {
            assert_eq!(of(&[doubtful]), Room::OwnCpu);
            assert_eq!(of(&[&passes, doubtful, &passes]), Room::OwnCpu);
        }
        let fails_alone = replica(false, 0, None);
        assert_eq!(of(&[&fails_alone, &passes, &passes]), Room::Shared);
    }

    #[test]
    fn who_fails_in_a_crowd_with_half_of_its_share_or_looked_at_would_have_done_more() {
        let starved = |cpu_us, passes, crowd| {
            let mut run = replica_of(passes, crowd, None, cpu_us);
            file(&mut run, None, &eight_on_two_cpus());
            run.starved
        };
        // A quarter of its second is its share.
        assert!(starved(125_000, false, 8));
        assert!(!starved(124_999, false, 8));
        assert!(!starved(125_000, true, 8));
        assert!(!starved(125_000, false, 0));
        let mut waits = replica_of(false, 8, None, 0);
        assert!(!wants_more(&waits, 0.25));
        let file = "/proc/stat".parse().expect("a pseudo-file");
        waits.policy = Policy::single(file, Action::STUB);
        assert!(wants_more(&waits, 0.25));
    }

    #[test]
    fn no_replica_is_started_before_it_is_known_where_it_runs() {
        let (known, running) = (Some(replica(true, 8, None)), None);
        let startable = |runs: &[&Option<Run>]| {
            let runs: Vec<_> = runs.iter().map(|run| (*run).clone()).collect();
            super::startable(&runs)
        };
        assert_eq!(startable(&[]), 1);
        assert_eq!(startable(&[&running]), 0);
        assert_eq!(startable(&[&known]), 2);
        assert_eq!(startable(&[&known, &running]), 1);
        assert_eq!(startable(&[&running, &known]), 0);
        assert_eq!(startable(&[&known, &known]), 1);
        assert_eq!(startable(&[&known, &known, &known]), 2);
        let mut starved = replica(false, 8, None);
        starved.starved = true;
        assert_eq!(startable(&[&Some(starved), &running]), u32::MAX);
    }
}
