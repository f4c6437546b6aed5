//! Costs, as they are printed: in the table what is significant, in the explanation all.

use insta::{assert_json_snapshot, assert_snapshot};
use loupe_common::analysis::{Analysis, FeatureVerdict};
use loupe_common::impact::{Comparison, Effect, Impact, Interval, Quantity};
use loupe_common::policy::{Action, Policy};
use loupe_common::replay::Outcome;

use super::samples::{self, BASELINE, feature, trace};
use super::{TABLE, TEXT, well_formed};
use crate::report::{Explanation, Style, analysis_table, explain, explain_json};

fn effect(quantity: Quantity, baseline: f64, mean: f64, p: f64) -> Effect {
    let ratio = mean / baseline;
    Effect {
        quantity,
        baseline,
        baseline_runs: 20,
        mean,
        runs: 10,
        ratio: Some(ratio),
        interval: Some(Interval {
            low: ratio * 0.98,
            high: ratio * 1.02,
        }),
        p,
        significant: p <= 0.05,
    }
}

fn row<'a>(analysis: &'a mut Analysis, name: &str) -> &'a mut FeatureVerdict {
    let mut rows = analysis.features.iter_mut();
    rows.find(|row| row.feature == feature(name))
        .expect("it is there")
}

/// Replays 100 and up.
fn impact(effects: Vec<Effect>) -> Option<Impact> {
    let replays = (100..110).collect();
    Some(Impact { replays, effects })
}

fn analysis() -> Analysis {
    let mut analysis = samples::analysis();
    analysis.impact = Some(Comparison {
        runs: 10,
        baseline: (200..220).collect(),
        comparisons: 20,
        level: 0.05,
    });
    row(&mut analysis, "brk").stub.impact = impact(vec![
        effect(Quantity::Metric, 21_504.0, 21_480.0, 0.87),
        effect(Quantity::Cpu, 9.73, 9.85, 0.6),
        effect(Quantity::Memory, 7_438.0, 8_702.0, 0.000_03),
        effect(Quantity::Descriptors, 12.0, 12.0, 1.0),
    ]);
    row(&mut analysis, "rt_sigaction").fake.impact =
        impact(vec![effect(Quantity::Descriptors, 12.0, 96.0, 0.000_002)]);
    row(&mut analysis, "futex").fake.impact = impact(vec![
        effect(Quantity::Metric, 21_504.0, 7_300.0, 0.004),
        effect(Quantity::Cpu, 9.73, 107.6, 0.000_5),
        Effect {
            ratio: None,
            interval: None,
            ..effect(Quantity::Memory, 0.0, 4_096.0, 0.01)
        },
    ]);
    analysis
}

#[test]
fn the_table_says_what_is_significant_largest_first() {
    let print = |style| analysis_table(&analysis(), super::FULL, style);
    well_formed(&TABLE, print);
    assert_snapshot!(print(Style::PLAIN));
}

#[test]
fn the_table_says_so_if_nothing_is_significant() {
    let mut analysis = analysis();
    for row in &mut analysis.features {
        let impacts = row
            .trials_mut()
            .filter_map(|(_, trial)| trial.impact.as_mut());
        impacts
            .flat_map(|impact| &mut impact.effects)
            .for_each(|effect| effect.significant = false);
    }
    let print = |style| analysis_table(&analysis, super::FULL, style);
    well_formed(&TABLE, print);
    let text = print(Style::PLAIN);
    let said = "\nImpact: nothing significant in 20 comparisons (10 replays of each way that\n\
                works, 20 of the baseline).\n";
    assert!(text.contains(said), "{text}");
}

fn explanation() -> Explanation {
    let mut stored = samples::stored_analysis();
    stored.analysis = analysis();
    let mut evidence = samples::evidence();
    evidence.together.clear();
    evidence.alone = [(30, 0), (100, 3), (101, 4)]
        .map(|(id, replica)| {
            let policy = Policy::single(feature("brk"), Action::STUB);
            let replay = samples::replay(policy, Outcome::Passed, trace(&BASELINE));
            samples::stored(id, replica, replay)
        })
        .into();
    Explanation::new(&stored, &feature("brk"), &evidence).expect("it has a verdict")
}

#[test]
fn the_explanation_tells_every_cost_and_not_each_replay_that_measured_it() {
    let print = |style| explain(&explanation(), style);
    well_formed(&TEXT, print);
    let text = print(Style::PLAIN);
    assert!(
        text.contains("#30 passed") && !text.contains("#100"),
        "{text}"
    );
    assert_snapshot!(text);
}

#[test]
fn the_explanation_as_json_has_the_impact_and_the_replays() {
    let json = explain_json(&explanation());
    assert_eq!(
        json["trials"][0]["replays"].as_array().map(Vec::len),
        Some(3)
    );
    assert_json_snapshot!((&json["comparison"], &json["trials"][0]["impact"]));
}
