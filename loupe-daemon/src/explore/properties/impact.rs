//! Costs: an effect that is built in is found, one that is not is not; what is measured changes
//! no verdict, and neither order nor parallelism shows.

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use loupe_common::impact::{Effect, Quantity};
use loupe_common::policy::{Action, Policy};
use proptest::prelude::*;

use super::{app, feature, plain_app, row, run};
use crate::explore::simulated::{App, Effect as Outcome, SimFeature, Simulator};
use crate::explore::{ExploreOptions, ImpactOptions};

fn measuring(jobs: usize, replays: u32) -> ExploreOptions {
    ExploreOptions {
        jobs,
        impact: Some(ImpactOptions { replays, jobs: 2 }),
        ..ExploreOptions::default()
    }
}

/// Every effect with the way that it is of.
fn effects(analysis: &Analysis) -> impl Iterator<Item = (&Feature, Action, &Effect)> {
    let rows = analysis.features.iter();
    let trials = rows.flat_map(|row| row.trials().map(move |trial| (&row.feature, trial)));
    trials.flat_map(|(feature, (action, trial))| {
        let effects = trial.impact.iter().flat_map(|impact| &impact.effects);
        effects.map(move |effect| (feature, action, effect))
    })
}

/// Twenty features without which it works, of which one leaks when it is faked.
fn leaking(seed: u64) -> App {
    let harmless = SimFeature::always(Outcome::Works, Outcome::Works);
    App {
        features: (0..20).map(|i| (feature(i), harmless.clone())).collect(),
        leaks: [((feature(7), Action::Fake), 8.0)].into(),
        seed,
        ..App::default()
    }
}

#[test]
fn a_leak_is_found_with_its_size_and_nothing_else_is() {
    let mut alarms = 0;
    for seed in 0..20 {
        let app = leaking(seed);
        let simulator = Simulator::new(&app, seed);
        let analysis = run(&simulator, &measuring(2, 10)).expect("it works");
        let comparison = analysis.impact.as_ref().expect("asked for");
        assert_eq!((comparison.runs, comparison.baseline.len()), (10, 20));
        assert_eq!(comparison.comparisons, 20 * 2 * 3);
        let mut found = false;
        for (of, action, effect) in effects(&analysis).filter(|(.., effect)| effect.significant) {
            if (of, action, effect.quantity) != (&feature(7), Action::Fake, Quantity::Descriptors) {
                alarms += 1;
                continue;
            }
            found = true;
            assert_eq!((effect.runs, effect.baseline_runs), (10, 20));
            let interval = effect.interval.expect("there are enough replays");
            assert!(interval.low > 7.0 && interval.high < 9.0, "{effect:?}");
        }
        assert!(found, "seed {seed}");
    }
    // One analysis in twenty may have one.
    assert!(alarms <= 3, "{alarms} false alarms");
}

#[test]
fn replays_that_are_measured_run_in_rounds_and_only_as_many_at_a_time_as_may() {
    let app = leaking(1);
    let simulator = Simulator::new(&app, 0);
    run(&simulator, &measuring(1, 10)).expect("it works");
    let log = simulator
        .log
        .into_inner()
        .expect("no test thread has panicked");
    // 20 features, both ways, and the baseline twice.
    let rounds: Vec<Vec<Policy>> = log.answers[log.answers.len() - 420..]
        .chunks(42)
        .map(|round| {
            round
                .iter()
                .map(|(request, _)| request.policy.clone())
                .collect()
        })
        .collect();
    for round in &rounds {
        let mut once = round.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), 41);
    }
    assert_ne!(rounds[0], rounds[1], "each has its own order");

    let simulator = Simulator::new(&app, 0);
    let options = ExploreOptions {
        impact: Some(ImpactOptions {
            replays: 10,
            jobs: 2,
        }),
        replicas: 1,
        baseline_replicas: 1,
        joint: false,
        jobs: 6,
        ..ExploreOptions::default()
    };
    run(&simulator, &options).expect("it works");
    let log = simulator
        .log
        .into_inner()
        .expect("no test thread has panicked");
    assert_eq!(log.most_running, 6, "before");
    let again = log.starts.iter().filter(|(request, _)| request.replica > 0);
    assert_eq!(again.map(|(_, running)| running).max(), Some(&2));
}

#[test]
fn too_few_replays_are_told_with_how_many_would_do() {
    let app = leaking(1);
    let warnings = |replays| {
        let simulator = Simulator::new(&app, 0);
        let analysis = run(&simulator, &measuring(2, replays)).expect("it works");
        let found = effects(&analysis).any(|(.., effect)| effect.significant);
        (analysis.warnings, found)
    };
    let (told, found) = warnings(4);
    assert!(told[0].contains("`--impact=6` is the least"), "{told:?}");
    assert!(!found);
    assert_eq!(warnings(6), (Vec::new(), true));
}

#[test]
fn what_fails_while_it_is_measured_is_not_compared_and_told() {
    let mut app = plain_app(1);
    let flaky = app.features.get_mut(&feature(0)).expect("it is there");
    flaky.stub = Outcome::Flaky(300);
    // One whose first three replays pass, so that it counts as working.
    let analysis = (0..100).find_map(|seed| {
        app.seed = seed;
        let simulator = Simulator::new(&app, 0);
        let analysis = run(&simulator, &measuring(2, 10)).ok()?;
        let works = row(&analysis, &feature(0))?.stub.works == Some(true);
        (works && !analysis.warnings.is_empty()).then_some(analysis)
    });
    let analysis = analysis.expect("one of them");
    let warning = &analysis.warnings[0];
    assert!(
        warning.contains("to measure the impact of `stub "),
        "{warning}"
    );
    let trial = &row(&analysis, &feature(0)).expect("used").stub;
    let impact = trial.impact.as_ref().expect("asked for");
    assert!((2..=10).contains(&impact.replays.len()), "{impact:?}");
    assert_eq!(impact.effects[0].runs as usize, impact.replays.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn measuring_changes_no_verdict(app in app(true), order: u64) {
        let verdicts = |options: &ExploreOptions| {
            let mut analysis = run(&Simulator::new(&app, order), options).ok()?;
            let measured = effects(&analysis).count() > 0 || analysis.impact.is_some();
            assert!(options.impact.is_some() || !measured);
            for row in &mut analysis.features {
                row.stub.impact = None;
                row.fake.impact = None;
            }
            Some((analysis.features, analysis.joint, analysis.conflicts, analysis.fallbacks))
        };
        let exhaustive = ExploreOptions { exhaustive: true, ..ExploreOptions::default() };
        prop_assert_eq!(verdicts(&measuring(3, 4)), verdicts(&exhaustive));
    }

    #[test]
    fn neither_order_nor_parallelism_shows(app in app(true), orders: [u64; 2], jobs in 2usize..6) {
        let result = |order, jobs| {
            let simulator = Simulator::new(&app, order);
            let analysis = run(&simulator, &measuring(jobs, 4)).ok();
            (analysis, simulator.requests())
        };
        prop_assert_eq!(result(orders[0], 1), result(orders[1], jobs));
    }

    #[test]
    fn only_ways_that_work_are_measured(app in app(true), order: u64) {
        let Ok(analysis) = run(&Simulator::new(&app, order), &measuring(3, 3)) else {
            return Ok(());
        };
        for row in &analysis.features {
            for trial in [&row.stub, &row.fake] {
                prop_assert_eq!(trial.impact.is_some(), trial.works == Some(true));
            }
        }
    }
}
