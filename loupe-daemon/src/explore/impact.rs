//! What it costs to do without a feature, where the application works without it: speed,
//! memory, descriptors and CPU time against the baseline's.
//!
//! Runs when everything else is decided, so that nothing but these replays runs meanwhile: the
//! baseline again, and each way that works alone, round by round, each round in another order.
//! What the host does to one of them it does to all, and none always has the same neighbour.
//! That the rounds have this in common is not used; it makes the test say less, never more.

use loupe_common::analysis::{FeatureVerdict, Trial};
use loupe_common::impact::{Comparison, Effect, Impact, Quantity};
use loupe_common::policy::{Action, Policy};

use super::ImpactOptions;
use super::ledger::{Asker, Stop, all, both};
use super::run::Run;
use super::statistics::{Sample, holm, p_value, rarest_order, ratio_interval};

/// The chance of even one false alarm in an analysis.
const LEVEL: f64 = 0.05;

/// In every round the baseline runs so many times: every other policy is compared with it.
const BASELINE_SHARE: u32 = 2;

const QUANTITIES: [Quantity; 4] = [
    Quantity::Metric,
    Quantity::Cpu,
    Quantity::Memory,
    Quantity::Descriptors,
];

/// Fills in the impact of each trial that works.
pub(super) fn measure(
    asker: &mut Asker<'_>,
    options: ImpactOptions,
    features: &mut [FeatureVerdict],
) -> Result<Comparison, Stop> {
    asker.phase = "impact";
    let runs = options.replays.max(2);
    let baseline = Policy::baseline();
    let baseline = asker.measure(&baseline, runs * BASELINE_SHARE, BASELINE_SHARE);
    let mut wanted: Vec<(Policy, &mut Trial)> = Vec::new();
    for row in features {
        let feature = row.feature.clone();
        for (action, trial) in row.trials_mut() {
            // What is answered by a supervisor costs the application time that no OS would take.
            let supervised = feature.syscall().is_none() || action == Action::Plausible;
            if trial.works == Some(true) && !supervised {
                wanted.push((Policy::single(feature.clone(), action), trial));
            }
        }
    }
    let ways = wanted
        .into_iter()
        .map(|(policy, trial)| Ok((trial, asker.measure(&policy, runs, 1)?)));
    let (baseline, mut ways) = both(baseline, all(ways))?;
    for (trial, runs) in &mut ways {
        let effects = QUANTITIES
            .iter()
            .filter_map(|quantity| effect(*quantity, runs, &baseline))
            .collect();
        trial.impact = Some(Impact {
            replays: runs.iter().map(|run| run.id).collect(),
            effects,
        });
    }
    let comparisons = correct(ways.into_iter().map(|(trial, _)| trial));
    Ok(Comparison {
        runs,
        baseline: baseline.iter().map(|run| run.id).collect(),
        comparisons,
        level: LEVEL,
    })
}

/// A warning where no effect, however large, could have been called significant.
pub(super) fn too_few(comparison: &Comparison) -> Option<String> {
    let suffices = |runs: u32| {
        let best = rarest_order(runs, runs * BASELINE_SHARE);
        best * f64::from(comparison.comparisons) <= LEVEL
    };
    if suffices(comparison.runs) {
        return None;
    }
    let needed = (comparison.runs..).find(|runs| suffices(*runs))?;
    Some(format!(
        "{} replays of each way are too few for {} comparisons: no effect, however large, is \
         called significant; `--impact={needed}` is the least that can find one",
        comparison.runs, comparison.comparisons
    ))
}

/// One quantity; `None` where it is not known of at least two replays on each side, or of none
/// is more known than that it is small. The p-value
/// is that of this comparison alone.
fn effect(quantity: Quantity, runs: &[&Run], baseline: &[&Run]) -> Option<Effect> {
    let sample = |runs: &[&Run]| {
        let numbers: Vec<f64> = runs.iter().filter_map(|run| run.amount(quantity)).collect();
        Sample::new(&numbers)
    };
    if runs
        .iter()
        .chain(baseline)
        .all(|run| run.is_hidden(quantity))
    {
        return None;
    }
    let (with, without) = (sample(baseline)?, sample(runs)?);
    Some(Effect {
        quantity,
        baseline: with.mean,
        baseline_runs: with.count,
        mean: without.mean,
        runs: without.count,
        ratio: (with.mean != 0.0).then(|| without.mean / with.mean),
        interval: ratio_interval(&without, &with),
        p: p_value(&without, &with),
        significant: false,
    })
}

/// Corrects the p-values for the number of comparisons, which it returns.
fn correct<'t>(trials: impl Iterator<Item = &'t mut Trial>) -> u32 {
    let mut effects: Vec<&mut Effect> = trials
        .filter_map(|trial| trial.impact.as_mut())
        .flat_map(|impact| &mut impact.effects)
        .collect();
    let alone: Vec<f64> = effects.iter().map(|effect| effect.p).collect();
    for (effect, p) in effects.iter_mut().zip(holm(&alone)) {
        effect.p = p;
        effect.significant = p <= LEVEL;
    }
    effects.len() as u32
}
