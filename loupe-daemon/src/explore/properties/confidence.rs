//! Flaky workloads, measured until a decision is sure enough.

use loupe_common::analysis::Analysis;
use loupe_common::verdict::Verdict;
use proptest::prelude::*;

use super::{app, feature, options, plain_app, row, run};
use crate::explore::simulated::{App, Effect, SimFeature, Simulator};
use crate::explore::{ExploreError, ExploreOptions};

fn confident(jobs: usize, exhaustive: bool) -> ExploreOptions {
    ExploreOptions {
        confidence: Some(0.99),
        joint: false,
        exhaustive,
        ..options(jobs)
    }
}

fn flaky_app(flakes: u64, seed: u64) -> App {
    let effect = |works| if works { Effect::Works } else { Effect::Breaks };
    let sim = |index: usize| {
        SimFeature::always(
            effect(index.is_multiple_of(2)),
            effect(index.is_multiple_of(3)),
        )
    };
    App {
        features: (0..10).map(|index| (feature(index), sim(index))).collect(),
        flakes,
        seed,
        ..App::default()
    }
}

/// Right and wrong decisions over many workloads that fail in 5 % of their runs.
fn right_and_wrong(exhaustive: bool) -> (usize, usize) {
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..30 {
        let app = flaky_app(50, seed);
        let analysis = run(&Simulator::new(&app, seed), &confident(2, exhaustive));
        let analysis = analysis.expect("5 % is few enough to be measured");
        for (feature, sim) in &app.features {
            let row = row(&analysis, feature).expect("used in every run");
            for (trial, effect) in [(&row.stub, sim.stub), (&row.fake, sim.fake)] {
                match trial.works {
                    Some(works) if works == (effect == Effect::Works) => right += 1,
                    Some(_) => wrong += 1,
                    None => (),
                }
                assert!(trial.error_bound.is_none_or(|bound| bound <= 0.01));
            }
        }
    }
    (right, wrong)
}

#[test]
fn no_more_decisions_are_wrong_than_the_confidence_allows() {
    for exhaustive in [true, false] {
        let (right, wrong) = right_and_wrong(exhaustive);
        // Of 600; six wrong ones are expected at most, and four times the deviation allowed.
        assert!(right > 550, "{right} right");
        assert!(wrong <= 6 + 10, "{wrong} wrong");
    }
}

#[test]
fn a_workload_that_is_too_flaky_to_decide_is_refused_even_with_a_confidence() {
    let error = run(&Simulator::new(&flaky_app(450, 3), 1), &confident(2, false))
        .expect_err("nearly half of the runs fail");
    assert!(
        matches!(error, ExploreError::BaselineFlaps { .. }),
        "{error}"
    );
}

#[test]
fn the_baseline_of_a_flaky_workload_says_how_often_it_fails() {
    let analyses: Vec<Analysis> = (0..20)
        .filter_map(|seed| {
            run(
                &Simulator::new(&flaky_app(50, seed), 1),
                &confident(2, false),
            )
            .ok()
        })
        .collect();
    assert!(
        analyses
            .iter()
            .any(|analysis| analysis.baseline_failures > 0)
    );
    for analysis in analyses {
        let failures = f64::from(analysis.baseline_failures);
        let runs = f64::from(analysis.baseline_runs);
        assert!(runs >= 10.0 && failures / runs <= 0.2);
        assert!((analysis.flake_rate - (failures + 0.5) / (runs + 1.0)).abs() < 1e-9);
    }
}

#[test]
fn what_cannot_be_decided_in_time_is_said_to_be_undecided() {
    let mut app = plain_app(3);
    // It breaks in a third of the runs: between the two models.
    let odd = SimFeature::always(Effect::Flaky(330), Effect::Flaky(330));
    app.features.insert(feature(5), odd);
    let undecided = (0..20).find_map(|seed| {
        app.seed = seed;
        let mut options = confident(2, true);
        options.confidence = Some(0.999_999);
        let analysis = run(&Simulator::new(&app, 1), &options).expect("measurable");
        let verdict = row(&analysis, &feature(5)).map(|row| row.verdict);
        (verdict == Some(Verdict::Undecided)).then_some(analysis)
    });
    let analysis = undecided.expect("of twenty coin-flipping features one stays open");
    assert!(
        analysis
            .warnings
            .iter()
            .any(|warning| warning.contains("undecided"))
    );
    let trial = &row(&analysis, &feature(5)).expect("used").stub;
    assert!(trial.works.is_some() || trial.error_bound.is_none());
}

#[test]
fn without_a_confidence_verdicts_still_say_how_sure_they_are() {
    let analysis = run(&Simulator::new(&plain_app(3), 1), &options(2)).expect("measurable");
    for row in &analysis.features {
        let bound = row.error_bound.expect("decided");
        assert!(
            0.01 < bound && bound < 0.2,
            "three passes, two failures: {bound}"
        );
    }
}

proptest! {
    // Each case is analysed three times.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn neither_jobs_nor_the_order_of_completion_show_in_a_confident_result(
        mut app in app(true),
        orders: [u64; 3],
        flakes in 0u64..100,
    ) {
        app.flakes = flakes;
        let with = |jobs, order| {
            let simulator = Simulator::new(&app, order);
            let result = run(&simulator, &confident(jobs, false)).map_err(|e| e.to_string());
            // What had begun before an analysis is refused depends on how many run at a time.
            let requests = result.is_ok().then(|| simulator.requests());
            (result, requests)
        };
        let alone = with(1, orders[0]);
        prop_assert_eq!(&alone, &with(2, orders[1]));
        prop_assert_eq!(&alone, &with(7, orders[2]));
    }
}
