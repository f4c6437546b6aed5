//! Workloads that cannot be measured.

use super::{options, plain_app, run};
use crate::explore::ExploreError;
use crate::explore::simulated::{App, Simulator};

#[test]
fn a_workload_that_fails_as_it_is_is_refused_after_two_replays() {
    let app = App {
        flakes: 1000,
        ..plain_app(3)
    };
    let simulator = Simulator::new(&app, 1);
    let error = run(&simulator, &options(2)).expect_err("nothing to measure");
    assert!(
        matches!(&error, ExploreError::BaselineFails { replay, .. } if replay.outcome.failed())
    );
    assert_eq!(simulator.requests().len(), 2);
}

#[test]
fn a_workload_that_hangs_as_it_is_is_refused_as_soon_as_one_that_fails() {
    let replays = |hangs| {
        let app = App {
            flakes: 1000,
            hangs,
            ..plain_app(3)
        };
        let simulator = Simulator::new(&app, 1);
        let error = run(&simulator, &options(2)).expect_err("the baseline fails");
        assert!(
            matches!(error, ExploreError::BaselineFails { .. }),
            "{error}"
        );
        simulator.requests().len()
    };
    assert_eq!(replays(true), replays(false));
}

#[test]
fn a_flaky_workload_is_refused_with_a_failing_replay() {
    let flaky = (0..).map(|seed| App {
        flakes: 500,
        seed,
        ..plain_app(3)
    });
    let error = flaky
        .take(50)
        .filter_map(|app| run(&Simulator::new(&app, 1), &options(2)).err())
        .find(|error| matches!(error, ExploreError::BaselineFlaps { .. }))
        .expect("of fifty coin-flipping workloads one shows both sides");
    let ExploreError::BaselineFlaps {
        passes,
        runs,
        replay,
        ..
    } = error
    else {
        unreachable!("filtered");
    };
    assert!(passes > 0 && passes < runs && replay.outcome.failed());
}

#[test]
fn a_baseline_that_cannot_be_measured_is_refused_with_the_reason() {
    let app = App {
        unusable: 1000,
        ..plain_app(3)
    };
    let error = run(&Simulator::new(&app, 1), &options(2)).expect_err("nothing to measure");
    assert!(matches!(&error, ExploreError::BaselineInvalid { why, .. } if why == "simulated"));
}

#[test]
fn a_target_without_a_single_call_is_refused() {
    let error = run(&Simulator::new(&App::default(), 1), &options(2)).expect_err("nothing seen");
    assert!(matches!(error, ExploreError::NothingTraced { .. }));
}
