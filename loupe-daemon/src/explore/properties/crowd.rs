//! More replays at a time than there are CPUs: verdicts are true all the same, or there are none.

use loupe_common::replay::Control;
use proptest::prelude::*;

use super::single::truth;
use super::{app, options, plain_app, run};
use crate::explore::simulated::{App, Crowd, Simulator};
use crate::explore::{ExploreError, ExploreOptions, Room};

pub(super) fn crowded(jobs: usize, exhaustive: bool) -> ExploreOptions {
    ExploreOptions {
        cpus: 2,
        exhaustive,
        ..options(jobs)
    }
}

pub(super) fn in_crowd(app: &App, order: u64, crowd: Crowd) -> Simulator<'_> {
    Simulator {
        crowd: Some(crowd),
        ..Simulator::new(app, order)
    }
}

/// Everything that ran is in the store, and nothing else is told.
fn check_records(simulator: &Simulator<'_>, replays: u64) -> Result<(), TestCaseError> {
    let log = simulator.log.lock().expect("no test thread has panicked");
    prop_assert_eq!(log.answers.len() as u64, replays);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_only_too_slow_in_a_crowd_gets_its_true_verdict(
        app in app(false),
        order: u64,
        jobs in 3usize..9,
        exhaustive: bool,
        breaks in 0u64..700,
        (works, waits, stands_still) in (any::<bool>(), 0u64..500, 0u64..500),
    ) {
        let crowd = Crowd { breaks, works, ..Crowd::default() };
        let simulator = Simulator { waits, stands_still, ..in_crowd(&app, order, crowd) };
        let analysis = run(&simulator, &crowded(jobs, exhaustive)).expect("measurable");
        for row in &analysis.features {
            prop_assert_eq!(row.verdict, truth(&app, &row.feature, false), "{}", &row.feature);
        }
        check_records(&simulator, analysis.replays)?;
    }

    #[test]
    fn a_host_that_becomes_too_slow_for_a_crowd_deceives_nobody(
        app in app(false),
        order: u64,
        jobs in 3usize..9,
        exhaustive: bool,
        works: bool,
        slow_from in 3usize..200,
    ) {
        let crowd = Crowd { works, slow_from: Some(slow_from), ..Crowd::default() };
        let simulator = in_crowd(&app, order, crowd);
        match run(&simulator, &crowded(jobs, exhaustive)) {
            Err(error) => prop_assert!(matches!(error, ExploreError::Crowded { .. }), "{}", error),
            Ok(analysis) => for row in &analysis.features {
                prop_assert_eq!(row.verdict, truth(&app, &row.feature, false), "{}", &row.feature);
            },
        }
    }
}

proptest! {
    // Each case is analysed twice.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn neither_jobs_nor_the_order_of_completion_show_where_a_crowd_fails_some(
        app in app(true),
        orders: [u64; 2],
        replicas in 1u32..5,
        exhaustive: bool,
        breaks in 0u64..700,
        (works, waits, stands_still) in (any::<bool>(), 0u64..500, 0u64..500),
    ) {
        let with = |jobs, order| {
            let crowd = Crowd { breaks, works, ..Crowd::default() };
            let simulator = Simulator { waits, stands_still, ..in_crowd(&app, order, crowd) };
            let options = ExploreOptions { replicas, ..crowded(jobs, exhaustive) };
            let result = run(&simulator, &options).map_err(|error| error.to_string());
            if let Ok(analysis) = &result {
                check_records(&simulator, analysis.replays)?;
            }
            Ok::<_, TestCaseError>((result, simulator.requests()))
        };
        prop_assert_eq!(with(3, orders[0])?, with(8, orders[1])?);
    }
}

/// Of the controls, those with these numbers fail.
fn with_failing_controls(failing: &'static [usize]) -> (Option<ExploreError>, usize) {
    let app = plain_app(20);
    let crowd = Crowd {
        failing_controls: failing,
        ..Crowd::default()
    };
    let simulator = in_crowd(&app, 1, crowd);
    let result = run(&simulator, &crowded(8, true));
    let log = simulator.log.lock().expect("no test thread has panicked");
    let is_control = |control: Option<Control>| control == Some(Control::Crowd);
    let controls = log
        .answers
        .iter()
        .filter(|(request, _)| is_control(request.control));
    (result.err(), controls.count())
}

#[test]
fn one_control_that_fails_proves_nothing_and_three_of_four_that_do_end_the_analysis() {
    // 20 features, three replicas of each that works and two of each that does not.
    let usual = (20usize * 5).div_ceil(24);
    let (error, controls) = with_failing_controls(&[]);
    assert!(error.is_none() && controls >= usual, "{controls}");
    let (error, more) = with_failing_controls(&[1]);
    assert!(error.is_none());
    assert_eq!(more, controls + 3);
    let (error, _) = with_failing_controls(&[1, 2, 4]);
    let Some(ExploreError::Crowded { jobs, replay, .. }) = error else {
        panic!("{error:?}");
    };
    assert!(jobs == 8 && replay.outcome.failed());
}

#[test]
fn a_failure_that_counts_is_confirmed_in_quiet_where_the_crowd_may_have_failed_it() {
    let app = plain_app(20);
    let crowd = Crowd {
        breaks: 1000,
        works: true,
        ..Crowd::default()
    };
    let simulator = in_crowd(&app, 1, crowd);
    let analysis = run(&simulator, &crowded(8, false)).expect("measurable");
    let log = simulator.log.lock().expect("no test thread has panicked");
    let own = |id: &i64| {
        let mut answers = log.answers.iter();
        let answer = answers.find(|(request, _)| request.id() == *id);
        answer.is_some_and(|(request, _)| request.room == Room::OwnCpu)
    };
    for row in &analysis.features {
        assert_eq!(row.stub.works, Some(true));
        assert!(row.stub.replays.iter().all(own), "{}", row.feature);
    }
}
