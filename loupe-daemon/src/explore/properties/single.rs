//! The baseline, the single verdicts and the fallbacks; the driver.

use std::sync::Mutex;

use futures::executor::block_on;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::progress::Progress;
use loupe_common::replay::Replay;
use loupe_common::verdict::Verdict;
use proptest::prelude::*;

use super::{app, feature, options, plain_app, row, run};
use crate::explore::simulated::{App, Effect, SimFeature, Simulator, Use};
use crate::explore::suspicion::Profile;
use crate::explore::{ExploreOptions, Request, Subject, analyze};

/// An application without noise, with the feature left out.
fn without(app: &App, feature: &Feature, action: Action) -> Replay {
    let policy = Policy::single(feature.clone(), action);
    app.replay(&Request::new(policy, 0))
}

/// Whether its pass looks wrong.
fn looks_wrong(app: &App, replay: &Replay) -> bool {
    let baseline = app.replay(&Request::new(Policy::baseline(), 0));
    let suspicions = Profile::new(replay).suspicions(&[&Profile::new(&baseline)], 1.0);
    replay.outcome.passed() && !suspicions.is_empty()
}

pub(super) fn truth(app: &App, feature: &Feature, strict: bool) -> Verdict {
    if app.features[feature].silent {
        return Verdict::NotExercised;
    }
    let works = |action| {
        let replay = without(app, feature, action);
        replay.outcome.passed() && !(strict && looks_wrong(app, &replay))
    };
    Verdict::from_works(works(Action::STUB), works(Action::Fake))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn verdicts_are_the_truth(
        app in app(false),
        order: u64,
        jobs in 1usize..6,
        replicas in 1u32..4,
        exhaustive: bool,
        (waits, stands_still) in (0u64..1000, 0u64..1000),
        strict: bool,
    ) {
        let options = ExploreOptions {
            replicas,
            exhaustive,
            strict,
            ..options(jobs)
        };
        let simulator = Simulator { waits, stands_still, ..Simulator::new(&app, order) };
        let analysis = run(&simulator, &options).expect("measurable");
        for (feature, sim) in &app.features {
            match (&sim.when, row(&analysis, feature)) {
                (Use::Always | Use::Unless(_), Some(row)) => prop_assert_eq!(row.verdict, truth(&app, feature, strict), "{}", feature),
                (Use::Always | Use::Unless(_), None) => prop_assert!(false, "{feature} is missing"),
                (_, row) => prop_assert!(row.is_none(), "{feature} is not in the baseline"),
            }
        }
        for row in &analysis.features {
            for (trial, action) in [(&row.stub, Action::STUB), (&row.fake, Action::Fake)] {
                let wrong = looks_wrong(&app, &without(&app, &row.feature, action));
                prop_assert_eq!(!trial.suspicious.is_empty(), wrong, "{}", &row.feature);
            }
        }
        let sorted = analysis
            .features
            .is_sorted_by(|a, b| (a.verdict, &a.feature) < (b.verdict, &b.feature));
        prop_assert!(sorted);
    }

    #[test]
    fn a_decision_rests_on_confirmed_failures_or_on_passes_alone(
        app in app(true),
        order: u64,
        jobs in 1usize..6,
    ) {
        let simulator = Simulator::new(&app, order);
        let options = ExploreOptions { exhaustive: true, joint: false, ..options(jobs) };
        let Ok(analysis) = run(&simulator, &options) else {
            return Ok(());
        };
        let log = simulator.log.lock().expect("no test thread has panicked");
        for row in &analysis.features {
            for (action, trial) in [(Action::STUB, &row.stub), (Action::Fake, &row.fake)] {
                let policy = Policy::single(row.feature.clone(), action);
                let of_policy = log.answers.iter().filter(|(request, _)| request.policy == policy);
                let failures = of_policy.filter(|(_, outcome)| outcome.failed()).count();
                let fires = trial.injections > 0;
                match trial.works {
                    Some(true) => prop_assert!(failures == 0 && fires && trial.passes >= 3),
                    Some(false) => prop_assert!(failures >= 2 && fires),
                    None => prop_assert!(!matches!(
                        row.verdict,
                        Verdict::Any | Verdict::Stub | Verdict::Fake | Verdict::Required
                    )),
                }
            }
        }
    }
}

#[test]
fn as_many_replays_run_at_a_time_as_jobs_allow_and_no_more() {
    let app = plain_app(20);
    for jobs in [1, 3, 8] {
        let simulator = Simulator::new(&app, 7);
        let options = ExploreOptions {
            exhaustive: true,
            ..options(jobs)
        };
        run(&simulator, &options).expect("measurable");
        let log = simulator.log.lock().expect("no test thread has panicked");
        assert_eq!(log.most_running, jobs);
    }
}

#[test]
fn a_passing_way_costs_its_replicas_and_a_failing_one_two() {
    let app = plain_app(10);
    let options = ExploreOptions {
        exhaustive: true,
        joint: false,
        ..options(2)
    };
    let analysis = run(&Simulator::new(&app, 1), &options).expect("measurable");
    assert_eq!(analysis.replays, 3 + 1 + 10 * (3 + 2));
}

#[test]
fn a_replay_that_cannot_be_run_ends_the_analysis_after_the_others_have_ended() {
    let app = plain_app(10);
    let simulator = Simulator::new(&app, 3);
    simulator.log.lock().expect("fresh").breaks_after = Some(9);
    let error = run(&simulator, &options(4)).expect_err("broken");
    assert_eq!(error.to_string(), "the sandbox broke");
    let log = simulator.log.lock().expect("no test thread has panicked");
    assert_eq!(log.running, 0, "nothing was abandoned");
    assert!(log.answers.len() <= 9 + 4);
}

#[test]
fn io_uring_and_features_that_come_and_go_are_told() {
    let io_uring: Feature = "io_uring_setup".parse().expect("a syscall");
    let mut app = plain_app(2);
    let works = SimFeature::always(Effect::Works, Effect::Works);
    app.features.insert(io_uring.clone(), works.clone());
    let comes_and_goes = SimFeature {
        when: Use::Sometimes(500),
        ..works
    };
    app.features.insert(feature(5), comes_and_goes);
    let seen = (0..50).map(|seed| {
        app.seed = seed;
        run(&Simulator::new(&app, 1), &options(2)).expect("measurable")
    });
    let analysis = seen
        .into_iter()
        .find(|analysis| row(analysis, &feature(5)).is_some_and(|row| row.seen_in < 3))
        .expect("some baseline lacks a feature that half of the runs use");
    assert!(analysis.warnings.iter().any(|w| w.contains("io_uring")));
    assert_eq!(row(&analysis, &io_uring).map(|row| row.seen_in), Some(3));
}

#[test]
fn progress_tells_the_phases_and_ends_with_nothing_left() {
    let app = plain_app(4);
    let told: Mutex<Vec<Progress>> = Mutex::default();
    let subject = Subject {
        application: "app".to_owned(),
        workload: "load".to_owned(),
    };
    let analysis = block_on(analyze(
        &Simulator::new(&app, 1),
        &subject,
        &options(2),
        &|step| told.lock().expect("one thread").push(step),
    ))
    .expect("measurable");
    let told = told.into_inner().expect("one thread");
    let phases: Vec<&str> = told
        .iter()
        .filter_map(|step| match step {
            Progress::Phase { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(phases, ["baseline", "single features", "joint policy"]);
    let replayed = told
        .iter()
        .filter(|step| matches!(step, Progress::Replayed { .. }))
        .count() as u64;
    assert_eq!(replayed, analysis.replays);
    let last = told
        .iter()
        .rev()
        .find(|step| matches!(step, Progress::Counts { .. }));
    assert_eq!(
        last,
        Some(&Progress::Counts {
            done: analysis.replays,
            running: 0,
            left: 0
        })
    );
}

#[test]
fn an_analysis_can_move_between_threads() {
    fn movable<T: Send>(future: T) -> T {
        future
    }
    let app = plain_app(1);
    let simulator = Simulator::new(&app, 1);
    let subject = Subject {
        application: "app".to_owned(),
        workload: "load".to_owned(),
    };
    block_on(movable(analyze(&simulator, &subject, &options(1), &|_| ()))).expect("measurable");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn fallbacks_are_what_a_stub_makes_appear(app in app(false), order: u64) {
        let analysis = run(&Simulator::new(&app, order), &options(2)).expect("measurable");
        let found: Vec<_> = analysis
            .fallbacks
            .iter()
            .map(|edge| (edge.feature.clone(), edge.action, edge.appears.clone(), edge.passed))
            .collect();
        let used = |policy: Policy| app.replay(&Request::new(policy, 1000));
        let baseline = used(Policy::baseline()).trace.calls;
        let mut expected = Vec::new();
        for cause in baseline.keys().filter(|cause| !app.features[*cause].silent) {
            for action in [Action::STUB, Action::Fake] {
                let replay = used(Policy::single(cause.clone(), action));
                let passed = replay.outcome.passed();
                let appears = replay.trace.calls.into_keys();
                let new = appears.filter(|feature| !baseline.contains_key(feature));
                expected.extend(new.map(|new| (cause.clone(), action, new, passed)));
            }
        }
        expected.sort();
        prop_assert_eq!(found, expected);
    }
}

proptest! {
    // Each case is analysed three times.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn neither_jobs_nor_the_order_of_completion_show_in_the_result(
        app in app(true),
        orders: [u64; 3],
        replicas in 1u32..5,
        exhaustive: bool,
        (waits, stands_still) in (0u64..1000, 0u64..1000),
    ) {
        let with = |jobs, order| {
            let options = ExploreOptions {
                jobs,
                replicas,
                exhaustive,
                    ..ExploreOptions::default()
            };
            let simulator = Simulator { waits, stands_still, ..Simulator::new(&app, order) };
            let result = run(&simulator, &options).map_err(|error| error.to_string());
            if let Ok(analysis) = &result {
                assert_eq!(analysis.replays, simulator.requests().len() as u64);
            }
            (result, simulator.requests())
        };
        let alone = with(1, orders[0]);
        for (jobs, order) in [(2, orders[1]), (7, orders[2])] {
            let other = with(jobs, order);
            let differs = |request: &&(Policy, u32)| !(alone.1.contains(request) && other.1.contains(request));
            let only_one: Vec<_> = alone.1.iter().chain(&other.1).filter(differs).collect();
            prop_assert!(only_one.is_empty(), "asked for by one of them: {only_one:?}");
            prop_assert_eq!(&alone, &other);
        }
    }
}
