//! The analysis as a plain function of the finished replays: its parts in their order, and the
//! result put together.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::analysis::{Analysis, Basis, FeatureVerdict, NotInjected, SCHEMA, Trial};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::trace::ForeignCall;
use loupe_common::verdict::Verdict;

use super::baseline::{self, Baseline};
use super::joint::budget::Budget;
use super::joint::scope::Scope;
use super::ledger::{Asker, Stop, both};
use super::run::Run;
use super::scheduler::Question;
use super::tally::Vote;
use super::{
    ExploreOptions, Subject, confidence, controls, crowd, drill, fallbacks, impact, joint, judge,
    other_ways, single,
};

impl Question for Subject {
    type Answer = Analysis;

    fn answer(&self, asker: &mut Asker<'_>, options: &ExploreOptions) -> Result<Analysis, Stop> {
        analysis(asker, self, options)
    }
}

/// The whole analysis, or what it waits for. The wall time is left 0: it is not the business
/// of a pure function.
fn analysis(
    asker: &mut Asker<'_>,
    subject: &Subject,
    options: &ExploreOptions,
) -> Result<Analysis, Stop> {
    let baseline = baseline::measure(asker, options)?;
    // Asked for first, and waited for last.
    let inert = controls::inert(asker, options, &baseline)?;
    crowd::control(asker, options, false)?;
    asker.phase = "single features";
    let mut features = single::measure(asker, options, &baseline)?;
    // Asked for now, and waited for last.
    let controlled = crowd::control(asker, options, true)?;
    if options.errnos {
        other_ways::errnos(asker, &baseline, &mut features)?;
    }
    if options.plausible {
        other_ways::plausible(asker, &baseline, &mut features)?;
    }
    features.sort_by(|a, b| (a.verdict, &a.feature).cmp(&(b.verdict, &b.feature)));

    let mut fallbacks = fallbacks::edges(asker, &baseline, None)?;
    let mut budget = Budget::new(options.effort, asker, &baseline);
    let (joint, mut conflicts) = if options.joint {
        asker.phase = "joint policy";
        let scope = Scope::of_syscalls(&baseline);
        let found = joint::find(asker, &scope, &features, &fallbacks, &mut budget);
        // That asks one question after another, mostly; what is below the syscall fills the gaps.
        let opened = drill::open(options.depth, &baseline, &features);
        let parts = drill::measure(asker, options, &opened);
        asker.phase = match (&found, &parts) {
            (Err(_), Err(_)) => "joint policy and operations",
            (Err(_), Ok(_)) => "joint policy",
            (Ok(_), _) => asker.phase,
        };
        let ((joint, conflicts), _) = both(found, parts)?;
        let more = fallbacks::to_files(asker, &baseline, &joint, &fallbacks)?;
        fallbacks.extend(more);
        fallbacks.sort_by(|a, b| {
            (&a.feature, a.action, &a.appears).cmp(&(&b.feature, b.action, &b.appears))
        });
        (Some(joint), conflicts)
    } else {
        (None, Vec::new())
    };
    // What later parts happened to measure of a feature alone counts more than what shared replays
    // implied. (Not before they are over: it would depend on the order of completion.)
    for row in &mut features {
        judge::again(row, &baseline, |policy| {
            asker.if_known(policy, baseline.rule)
        });
    }
    features.sort_by(|a, b| (a.verdict, &a.feature).cmp(&(b.verdict, &b.feature)));
    let opened = drill::open(options.depth, &baseline, &features);
    let mut parts = drill::measure(asker, options, &opened)?;
    if let Some(baseline) = opened.baseline.as_ref().filter(|_| options.errnos) {
        other_ways::errnos(asker, baseline, &mut parts)?;
    }
    if opened.baseline.is_some() {
        fallbacks.extend(fallbacks::edges(asker, &baseline, Some(&opened))?);
    }
    let joint = match joint {
        Some(joint) => {
            let edges = &fallbacks;
            let (joint, more) =
                drill::joint::refine(asker, &baseline, &opened, &parts, edges, joint, &mut budget)?;
            conflicts.extend(more);
            Some(joint)
        }
        None => None,
    };
    let impact = match options.impact {
        Some(impact) => Some(impact::measure(asker, impact, &mut features)?),
        None => None,
    };
    if !(inert && controlled) {
        return Err(Stop::Pending);
    }
    let all: Vec<&Run> = asker.all().collect();
    let foreign = foreign(&all);
    let failed = asker.failed_measuring();
    let mut warnings = warnings(&features, options, &foreign, &all, &failed);
    warnings.extend(impact.as_ref().and_then(impact::too_few));
    warnings.extend(left_behind(&baseline.runs));
    warnings.extend(in_memory(&opened.in_memory));
    warnings.extend(by_chance(&fallbacks::by_chance(asker)));
    if baseline.rule.counts_replicas() {
        warnings.extend(features.iter().chain(&parts).flat_map(few));
    }
    warnings.extend(asker.forgiven(baseline.rule).map(|policy| {
        format!(
            "a replay of `{}` failed beside more others than there are CPUs, and others of \
             it passed: it counts for nothing; `--jobs` makes replays fewer at a time",
            policy.in_brief()
        )
    }));
    let features = drill::insert(features, parts);
    Ok(Analysis {
        schema: SCHEMA.to_owned(),
        application: subject.application.clone(),
        workload: subject.workload.clone(),
        replays: all.len() as u64,
        replays_reused: all.iter().filter(|run| run.reused).count() as u64,
        wall_seconds: 0.0,
        target_execs: baseline.runs.first().map(|run| run.target_execs),
        baseline_ms: baseline.median_us() / 1000.0,
        baseline_runs: baseline.test.baseline_runs,
        baseline_failures: baseline.test.baseline_failures,
        flake_rate: confidence::rate(baseline.test.baseline_failures, baseline.test.baseline_runs),
        confidence: options.confidence,
        warnings,
        not_injected: not_injected(&baseline),
        depth: Some(options.depth),
        features,
        joint,
        conflicts,
        impact,
        fallbacks,
        foreign,
        vdso: all.iter().any(|run| run.vdso),
        pseudo_files: baseline.runs.iter().any(|run| run.watched),
        lost_events: all.iter().map(|run| run.lost).sum(),
        ..Analysis::default()
    })
}

/// What is used now and then.
fn by_chance(features: &[Feature]) -> Option<String> {
    let names: Vec<String> = features.iter().map(Feature::to_string).collect();
    (!names.is_empty()).then(|| {
        format!(
            "used now and then, under policies that have nothing to do with each other, and \
             nobody's fallback for that: {}",
            names.join(", ")
        )
    })
}

/// What works by fewer passes than all replicas, or in spite of one that failed.
fn few(row: &FeatureVerdict) -> Vec<String> {
    let works = row.trials().filter(|(_, trial)| trial.works == Some(true));
    let text = |(action, trial): (Action, &Trial)| {
        let policy = Policy::single(row.feature.clone(), action);
        if trial.passes < trial.runs {
            return Some(format!(
                "{} of {} replays of `{policy}` failed by time, and none confirmed that: it \
                 counts for nothing, but the host may stand still now and then",
                trial.runs - trial.passes,
                trial.runs
            ));
        }
        let few = trial.idle > trial.runs && trial.basis == Basis::Measured;
        few.then(|| {
            format!(
                "`{}` was called in {} of {} replays of `{policy}`, and only these count",
                row.feature,
                trial.runs,
                trial.runs + trial.idle
            )
        })
    };
    works.filter_map(text).collect()
}

/// Parts that were seen and say nothing.
fn in_memory(parts: &[Feature]) -> Option<String> {
    let names: Vec<String> = parts.iter().map(Feature::to_string).collect();
    (!names.is_empty()).then(|| {
        format!(
            "not measured, because a call has them in memory, which seccomp does not read: {}",
            names.join(", ")
        )
    })
}

/// What the baseline submits to rings of io_uring.
fn not_injected(baseline: &Baseline<'_>) -> Vec<NotInjected> {
    let mut most: BTreeMap<&Feature, u64> = BTreeMap::new();
    for (feature, calls) in baseline.runs.iter().flat_map(|run| &run.io_uring) {
        let known = most.entry(feature).or_default();
        *known = (*known).max(*calls);
    }
    let row = |(feature, calls): (&Feature, u64)| NotInjected {
        feature: feature.clone(),
        kind: feature.kind().to_owned(),
        calls,
    };
    most.into_iter().map(row).collect()
}

/// Calls of other ABIs, in any replay; of each the most that one replay made.
fn foreign(all: &[&Run]) -> Vec<ForeignCall> {
    let mut most: Vec<ForeignCall> = Vec::new();
    for call in all.iter().flat_map(|run| &run.foreign) {
        match most
            .iter_mut()
            .find(|seen| seen.abi == call.abi && seen.number == call.number)
        {
            Some(seen) => seen.calls = seen.calls.max(call.calls),
            None => most.push(call.clone()),
        }
    }
    most.sort_by(|a, b| (&a.abi, a.number).cmp(&(&b.abi, b.number)));
    most
}

/// A batch application that leaves something was tested beside it.
fn left_behind(baseline: &[&Run]) -> Option<String> {
    let names: BTreeSet<&str> = baseline
        .iter()
        .flat_map(|run| run.left.iter().map(String::as_str))
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    (!names.is_empty()).then(|| {
        format!(
            "the command ends and leaves {}, asleep: a run counted as over then, and what is left \
             as a part of the application",
            names.join(", ")
        )
    })
}

/// Reasons of unusable replays that are told.
const MOST_REASONS: usize = 4;

/// What a reader of the table must know.
fn warnings(
    features: &[FeatureVerdict],
    options: &ExploreOptions,
    foreign: &[ForeignCall],
    all: &[&Run],
    failures: &BTreeMap<&Policy, usize>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let undecided = features
        .iter()
        .filter(|row| row.verdict == Verdict::Undecided)
        .count();
    if let Some(confidence) = options.confidence.filter(|_| undecided > 0) {
        warnings.push(format!(
            "{undecided} features stay undecided: no number of replays that is worth running \
             makes their verdicts {} % sure",
            confidence * 100.0
        ));
    }
    let io_uring = |feature: &Feature| feature.to_string() == "io_uring_setup";
    if all.iter().any(|run| run.calls.keys().any(io_uring)) {
        let seen = match all.iter().all(|run| run.sees_io_uring) {
            true => "not injected one by one",
            false => "neither traced nor injected",
        };
        warnings.push(format!(
            "the application uses io_uring (it called io_uring_setup): operations that it \
             submits to a ring are {seen}, so the verdicts hold only for what it does by \
             syscalls; io_uring_setup stubbed tells whether it has another way"
        ));
    }
    if !foreign.is_empty() {
        let names: Vec<String> = foreign
            .iter()
            .map(|call| format!("{}:{}", call.abi, call.number))
            .collect();
        warnings.push(format!(
            "calls of another ABI or beyond the syscall table were seen ({}): they are counted \
             but never injected, so no verdict speaks about them",
            names.join(", ")
        ));
    }
    let unusable: Vec<&Run> = all
        .iter()
        .filter(|run| matches!(run.vote, Vote::Invalid | Vote::Void))
        .copied()
        .collect();
    if !unusable.is_empty() {
        let reasons: BTreeSet<&str> = unusable
            .iter()
            .filter_map(|run| run.why_invalid.as_deref())
            .collect();
        let reasons: Vec<&str> = reasons.into_iter().take(MOST_REASONS).collect();
        warnings.push(format!(
            "{} replays could not be used and count for nothing: {}",
            unusable.len(),
            reasons.join("; ")
        ));
    }
    let strays: BTreeSet<&Policy> = all
        .iter()
        .filter(|run| run.vote == Vote::Stray)
        .map(|run| &run.policy)
        .collect();
    warnings.extend(failures.iter().map(|(policy, failures)| {
        format!(
            "{failures} of the replays that were to measure the impact of `{}` failed, \
             although it works otherwise: the workload may be flaky",
            policy.in_brief()
        )
    }));
    for policy in strays {
        warnings.push(format!(
            "a replay of `{}` failed although nothing had been injected yet: it counts \
             for nothing, but the workload may be flaky",
            policy.in_brief()
        ));
    }
    warnings
}
