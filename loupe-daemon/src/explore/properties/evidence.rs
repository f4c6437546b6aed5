//! What is no evidence: a workload that the measuring itself breaks, what a host that is busy or
//! stands still does to replays, and what happens by chance.

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::replay::Control;
use loupe_common::verdict::Verdict;
use proptest::prelude::*;

use super::single::truth;
use super::{app, feature, options, plain_app, row, run};
use crate::explore::simulated::{App, Effect, Host, SimFeature, Simulator, Use};
use crate::explore::{ExploreError, ExploreOptions, Request};

/// Replays of the baseline and its controls: a host that stands still unnoticed already then makes
/// the workload look flaky, and it is refused.
const FIRST: usize = 12;

/// The verdicts that are not the truth.
fn wrong(app: &App, analysis: &Analysis) -> Vec<(Feature, Verdict)> {
    let rows = analysis.features.iter();
    let wrong = rows.filter(|row| row.verdict != truth(app, &row.feature, false));
    wrong
        .map(|row| (row.feature.clone(), row.verdict))
        .collect()
}

/// The purposes of the replays of a policy with these rules, in their order.
fn purposes(simulator: &Simulator<'_>, is_asked: impl Fn(&Request) -> bool) -> Vec<String> {
    let log = simulator.log.lock().expect("no test thread has panicked");
    let asked = log.starts.iter().map(|(request, _)| request);
    let asked = asked.filter(|request| is_asked(request));
    asked.map(|request| request.purpose.clone()).collect()
}

#[test]
fn every_replay_says_why_it_is_run() {
    let mut app = plain_app(3);
    let simulator = Simulator::new(&app, 1);
    run(&simulator, &options(1)).expect("measurable");
    let of = |policy: Policy| {
        purposes(&simulator, |request| {
            request.policy == policy && request.control.is_none()
        })
    };
    assert_eq!(of(Policy::baseline()), ["baseline"; 3]);
    let fake = of(Policy::single(feature(1), Action::Fake));
    assert_eq!(fake, ["fake alone", "fake alone, confirms a failure"]);
    assert_eq!(
        of(Policy::single(feature(1), Action::STUB))[..1],
        ["stub alone"]
    );
    let controls = purposes(&simulator, |request| request.control.is_some());
    assert_eq!(controls, ["control: inert filter"]);

    let parts = ["fcntl", "fcntl:F_SETLK"].map(|name| name.parse::<Feature>().expect("a feature"));
    let breaks = SimFeature::always(Effect::Breaks, Effect::Breaks);
    app.features
        .extend(parts.clone().map(|part| (part, breaks.clone())));
    let simulator = Simulator::new(&app, 1);
    run(&simulator, &options(1)).expect("measurable");
    let below = Policy::single(parts[1].clone(), Action::STUB);
    let below = purposes(&simulator, |request| request.policy == below);
    assert_eq!(below[0], "operations of fcntl: stub alone");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn no_replay_is_run_for_no_reason(
        app in app(true),
        order: u64,
        exhaustive: bool,
    ) {
        let options = ExploreOptions { exhaustive, ..options(2) };
        let simulator = Simulator::new(&app, order);
        // Whether it can be measured or not.
        run(&simulator, &options).ok();
        let silent = purposes(&simulator, |request| request.purpose.is_empty());
        prop_assert_eq!(silent.len(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_host_that_stands_still_now_and_then_changes_no_verdict(
        app in app(false),
        hangs: bool,
        (order, jobs) in (any::<u64>(), 1usize..6),
        exhaustive: bool,
        unnoticed in FIRST..200usize,
        noticed in 0u64..80,
    ) {
        let app = App { hangs, ..app };
        let options = ExploreOptions { exhaustive, ..options(jobs) };
        let host = Some(Host { noticed, unnoticed });
        let simulator = Simulator { host, ..Simulator::new(&app, order) };
        match run(&simulator, &options) {
            Ok(analysis) => prop_assert_eq!(wrong(&app, &analysis), vec![]),
            // It stood still whenever the baseline was tried.
            Err(error) => prop_assert!(
                matches!(
                    error,
                    ExploreError::BaselineInvalid { .. } | ExploreError::HostFails { .. }
                ),
                "{}", error
            ),
        }
    }

    #[test]
    fn what_hangs_is_found_in_any_order_and_each_hang_is_confirmed_after_a_pass(
        app in app(false),
        orders: [u64; 2],
        jobs in [1usize..3, 3usize..8],
        exhaustive: bool,
    ) {
        let app = App { hangs: true, ..app };
        for (order, jobs) in orders.into_iter().zip(jobs) {
            let options = ExploreOptions { exhaustive, joint: false, ..options(jobs) };
            let simulator = Simulator::new(&app, order);
            let analysis = run(&simulator, &options).expect("measurable");
            prop_assert_eq!(wrong(&app, &analysis), vec![]);
            let log = simulator.log.lock().expect("no test thread has panicked");
            for row in &analysis.features {
                for (action, trial) in [(Action::STUB, &row.stub), (Action::Fake, &row.fake)] {
                    if trial.works != Some(false) {
                        continue;
                    }
                    let policy = Policy::single(row.feature.clone(), action);
                    let mut answers = log.answers.iter();
                    answers.find(|(request, _)| request.policy == policy);
                    let rest: Vec<_> = answers.collect();
                    let last = rest.iter().rposition(|(request, _)| request.policy == policy);
                    let between = &rest[..last.expect("a second")];
                    prop_assert!(between.iter().any(|(_, outcome)| outcome.passed()));
                }
            }
        }
    }

    #[test]
    fn what_is_called_in_some_runs_only_is_judged_by_these(
        often in 300u64..1000,
        (stub, fake) in (super::effect(false), super::effect(false)),
        (seed, order) in any::<(u64, u64)>(),
        (jobs, exhaustive) in (1usize..6, any::<bool>()),
    ) {
        let mut app = App { seed, ..plain_app(6) };
        let now_and_then = SimFeature {
            when: Use::Sometimes(often),
            ..SimFeature::always(stub, fake)
        };
        app.features.insert(feature(8), now_and_then);
        let options = ExploreOptions { exhaustive, ..options(jobs) };
        let analysis = run(&Simulator::new(&app, order), &options).expect("measurable");
        let Some(row) = row(&analysis, &feature(8)) else {
            return Ok(());
        };
        for (effect, trial) in [(stub, &row.stub), (fake, &row.fake)] {
            let works = effect == Effect::Works;
            prop_assert!(trial.works.is_none_or(|found| found == works), "{trial:?}");
            prop_assert_eq!(trial.passes, if works { trial.runs } else { 0 });
            let asked = trial.runs + trial.idle;
            prop_assert!(trial.runs >= 2 || asked >= 3, "{:?}", trial);
            // Of so many, hardly ever are too few called.
            prop_assert!(trial.works.is_some() || trial.runs < 3, "{:?}", trial);
        }
    }


    #[test]
    fn what_any_filter_breaks_is_refused_and_the_reason_said(
        app in app(false),
        order: u64,
        jobs in 1usize..6,
        watched in 0u32..3,
        exhaustive: bool,
    ) {
        let app = App { breaks_under: Some(Control::Filter), watched, ..app };
        let options = ExploreOptions { exhaustive, ..options(jobs) };
        let error = run(&Simulator::new(&app, order), &options).expect_err("nothing to measure");
        // One that is watched among others that are not looks like a flaky one.
        let expected = match watched {
            1 => matches!(error, ExploreError::BaselineFlaps { .. }),
            _ => matches!(error, ExploreError::FiltersBreak { control: Control::Filter, .. }),
        };
        prop_assert!(expected, "{error}");
    }

    #[test]
    fn a_lost_replay_is_run_again_and_does_not_show(
        app in app(true),
        order: u64,
        jobs in 1usize..8,
        exhaustive: bool,
    ) {
        let options = ExploreOptions { exhaustive, ..options(jobs) };
        let result = |loses| {
            let simulator = Simulator { loses, ..Simulator::new(&app, order) };
            let result = run(&simulator, &options).map_err(|error| error.to_string());
            (result, simulator.requests())
        };
        prop_assert_eq!(result(0), result(30));
    }
}

#[test]
fn what_only_a_listener_breaks_is_told_from_what_any_filter_does() {
    let app = App {
        breaks_under: Some(Control::Listener),
        watched: 2,
        ..plain_app(3)
    };
    let error = run(&Simulator::new(&app, 1), &options(2)).expect_err("nothing to measure");
    let ExploreError::FiltersBreak { control, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(control, Control::Listener);
    let app = App { watched: 0, ..app };
    run(&Simulator::new(&app, 1), &options(2)).expect("nothing listens");
    let notifies = ExploreOptions {
        notifies: true,
        ..options(2)
    };
    let error = run(&Simulator::new(&app, 1), &notifies).expect_err("nothing to measure");
    assert!(error.to_string().contains("listener"), "{error}");
}

#[test]
fn a_watched_workload_that_fails_without_filters_too_just_fails() {
    let app = App {
        flakes: 1000,
        watched: 2,
        ..plain_app(3)
    };
    let error = run(&Simulator::new(&app, 1), &options(2)).expect_err("nothing to measure");
    assert!(
        matches!(error, ExploreError::BaselineFails { .. }),
        "{error}"
    );
}

#[test]
fn where_no_filter_can_be_put_on_the_target_the_analysis_ends_soon_and_says_so() {
    for watched in [0, 2] {
        let app = App {
            refuses_filters: true,
            watched,
            ..plain_app(20)
        };
        let simulator = Simulator::new(&app, 1);
        let error = run(&simulator, &options(2)).expect_err("nothing to measure");
        let ExploreError::FilterRefused { why, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(why, "EPERM");
        assert!(simulator.requests().len() < 10);
    }
}

#[test]
fn controls_cost_one_replay_and_two_where_a_listener_has_to_be_tried_too() {
    let replays = |controls, notifies, watched| {
        let app = App {
            watched,
            ..plain_app(4)
        };
        let options = ExploreOptions {
            controls,
            notifies,
            ..options(2)
        };
        run(&Simulator::new(&app, 1), &options)
            .expect("measurable")
            .replays
    };
    let without = replays(false, false, 2);
    assert_eq!(replays(true, false, 2), without + 1);
    assert_eq!(replays(true, true, 2), without + 1);
    assert_eq!(replays(true, true, 0), replays(false, true, 0) + 2);
}

#[test]
fn fewer_replays_run_at_a_time_once_one_was_lost_and_what_is_always_lost_ends_the_analysis() {
    let app = plain_app(20);
    let simulator = Simulator {
        loses: 1000,
        ..Simulator::new(&app, 3)
    };
    let error = run(&simulator, &options(8)).expect_err("nothing runs");
    assert_eq!(error.to_string(), "the host is busy");
    let log = simulator.log.lock().expect("no test thread has panicked");
    let last = log.starts.last().expect("something was started");
    assert_eq!(last.1, 1, "alone in the end");
    assert_eq!(log.running, 0);
    assert!(log.starts.len() < 40, "{}", log.starts.len());
}

#[test]
fn what_appears_by_chance_is_nobodys_plan_b() {
    let named = |name: &str| -> Feature { name.parse().expect("a feature") };
    let (file, call) = (named("/sys/devices/system/cpu/online"), named("tgkill"));
    let (mut seen, mut blamed, mut told) = (0, Vec::new(), 0);
    for seed in 0..36 {
        let often = [20, 60, 150][seed as usize % 3];
        let mut app = App {
            watched: 2,
            seed,
            ..plain_app(30)
        };
        let by_chance = SimFeature {
            when: Use::Sometimes(often),
            ..SimFeature::always(Effect::Works, Effect::Works)
        };
        app.features.insert(file.clone(), by_chance.clone());
        app.features.insert(call.clone(), by_chance);
        let options = ExploreOptions {
            exhaustive: seed % 2 == 0,
            ..options(3)
        };
        let analysis = run(&Simulator::new(&app, seed), &options).expect("measurable");
        for feature in [&file, &call] {
            if row(&analysis, feature).is_some() {
                continue;
            }
            seen += 1;
            let mut edges = analysis.fallbacks.iter();
            blamed.extend(edges.find(|edge| edge.appears == *feature).cloned());
            let mut warnings = analysis.warnings.iter();
            told += usize::from(warnings.any(|text| text.contains(&feature.to_string())));
        }
    }
    assert!(seen > 40, "{seen}");
    assert!(blamed.len() * 12 <= seen, "{seen}: {blamed:#?}");
    assert!(told * 4 > seen, "{told} of {seen}");
}

#[test]
fn a_plan_b_is_found_beside_what_appears_by_chance() {
    let named = |name: &str| -> Feature { name.parse().expect("a feature") };
    let (file, chance) = (
        named("/dev/urandom"),
        named("/sys/devices/system/cpu/online"),
    );
    let mut app = App {
        watched: 2,
        ..plain_app(30)
    };
    let works = SimFeature::always(Effect::Works, Effect::Works);
    for cause in [feature(3), feature(17)] {
        let when = Use::InsteadOf(cause);
        app.features.insert(
            file.clone(),
            SimFeature {
                when,
                ..works.clone()
            },
        );
        let when = Use::Sometimes(100);
        app.features.insert(
            chance.clone(),
            SimFeature {
                when,
                ..works.clone()
            },
        );
        for (seed, exhaustive) in [(1, false), (2, true), (3, false)] {
            app.seed = seed;
            let options = ExploreOptions {
                exhaustive,
                ..options(2)
            };
            let analysis = run(&Simulator::new(&app, seed), &options).expect("measurable");
            let edges = analysis.fallbacks.iter();
            let edges = edges.filter(|edge| edge.appears == file);
            assert_eq!(edges.count(), 1, "{:?}", analysis.fallbacks);
        }
    }
}
