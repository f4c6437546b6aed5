//! Does the measuring itself change the workload? Every replay of a policy runs under a filter,
//! and some under a listener; most replicas of the baseline run under neither. A filter brings
//! `no_new_privs` to a target that is not root, so that its set-uid helpers have no rights; a
//! launcher may forbid filters; and a workload may set a bound to its own speed, which a filter
//! lowers. Then each syscall would seem required.
//!
//! So the baseline is replayed once under a filter that answers nothing (a *control*), and where
//! rules are notified, once under a listener that answers nothing. Replicas of the baseline that
//! are watched for pseudo-files are such already.

use loupe_common::replay::Control;

use super::baseline::Baseline;
use super::ledger::{Asker, Ruling, Stop};
use super::run::Run;
use super::tally::{Decision, Rule, Tally, UNUSABLE, Vote};
use super::{ExploreError, ExploreOptions};

/// Failures of a control that count, and passes that do once it has failed.
const CONFIRMED: usize = 2;

/// What controls of a kind come to.
enum Controlled<'a> {
    Passes,
    /// One of its failures.
    Fails(&'a Run),
    /// Too many could not be used.
    Unusable,
}

/// Whether the workload passes under filters as it does without: refused where it does not, and
/// `false` while that is not known. What is asked for is not waited for here.
pub(super) fn inert(
    asker: &mut Asker<'_>,
    options: &ExploreOptions,
    baseline: &Baseline<'_>,
) -> Result<bool, Stop> {
    if !options.controls {
        return Ok(true);
    }
    let mut wanted = vec![Control::Filter];
    if options.notifies && !baseline.is_watched() {
        wanted.push(Control::Listener);
    }
    let mut known = true;
    for control in wanted {
        match ask(asker, control, Some(baseline.rule)) {
            Err(_) => known = false,
            Ok(Controlled::Fails(run)) => {
                return Err(refusal(run, control, &baseline.runs).into());
            }
            Ok(Controlled::Passes | Controlled::Unusable) => (),
        }
    }
    Ok(known)
}

/// Why a baseline fails all of whose failures were watched: if it passes under no filter at all,
/// a filter is what breaks it, and this says which. `None`: it fails as it is.
pub(super) fn why_watched_fails(
    asker: &mut Asker<'_>,
    options: &ExploreOptions,
    ruling: &Ruling<'_>,
) -> Result<Option<ExploreError>, Stop> {
    let watched = || ruling.runs.iter().copied().filter(|run| run.watched);
    let failed = ruling.runs.iter().filter(|run| run.vote == Vote::Failure);
    let (mut failed, Some(first)) = (failed.clone(), failed.clone().next()) else {
        return Ok(None);
    };
    let confirmed = failed.clone().count() >= CONFIRMED;
    let under_listener = failed.all(|run| run.watched) && !watched().any(|run| run.vote.passes());
    if !options.controls || !confirmed || !under_listener {
        return Ok(None);
    }
    let bare = asker.controls(Control::Bare);
    if bare.iter().any(|run| !run.vote.passes()) {
        return Ok(None);
    }
    if bare.len() < CONFIRMED {
        asker.control(Control::Bare);
        return Err(Stop::Pending);
    }
    let by_any = matches!(ask(asker, Control::Filter, None)?, Controlled::Fails(_));
    let control = match by_any {
        true => Control::Filter,
        false => Control::Listener,
    };
    Ok(Some(refusal(first, control, &bare)))
}

/// A baseline on whose target no filter could be put; once may be bad luck.
pub(super) fn refused<'a>(runs: impl Iterator<Item = &'a Run>) -> Option<ExploreError> {
    let refused: Vec<&Run> = runs.filter(|run| run.refused.is_some()).collect();
    let first = refused.first().filter(|_| refused.len() >= CONFIRMED)?;
    Some(refusal(first, Control::Listener, &[]))
}

/// One passing control is enough. A failure, or a refused filter, counts when another confirms it;
/// where failures are weighed by `rule`, because the workload fails now and then as it is, controls
/// are weighed as well.
fn ask<'a>(
    asker: &mut Asker<'a>,
    control: Control,
    rule: Option<Rule>,
) -> Result<Controlled<'a>, Stop> {
    let runs = asker.controls(control);
    let breaks = |run: &&&Run| run.vote == Vote::Failure || run.refused.is_some();
    let failures: Vec<&&Run> = runs.iter().filter(breaks).collect();
    if let Some(rule) = rule.filter(|rule| !rule.counts_replicas())
        && failures.iter().all(|run| run.refused.is_none())
    {
        let mut tally = Tally::default();
        for run in &runs {
            tally.add(run.vote);
        }
        let Some(decision) = tally.decide(rule) else {
            asker.control(control);
            return Err(Stop::Pending);
        };
        return Ok(match (decision, failures.first()) {
            (Decision::Fails, Some(first)) => Controlled::Fails(first),
            (Decision::Undecided, _) => Controlled::Unusable,
            _ => Controlled::Passes,
        });
    }
    let passes = runs.iter().filter(|run| run.vote.passes()).count();
    let unusable = runs.len() - failures.len() - passes;
    match failures[..] {
        [] if passes > 0 => return Ok(Controlled::Passes),
        [first, ..] if failures.len() >= CONFIRMED => return Ok(Controlled::Fails(first)),
        _ if passes >= CONFIRMED => return Ok(Controlled::Passes),
        _ if unusable > UNUSABLE as usize => return Ok(Controlled::Unusable),
        _ => (),
    }
    asker.control(control);
    Err(Stop::Pending)
}

fn refusal(run: &Run, control: Control, without: &[&Run]) -> ExploreError {
    if let Some(why) = &run.refused {
        return ExploreError::FilterRefused {
            id: run.id,
            why: why.clone(),
            replay: run.replay(),
        };
    }
    let usual = without.iter().map(|run| run.wall_us).max();
    ExploreError::FiltersBreak {
        id: run.id,
        control,
        replay: run.replay(),
        slower_ms: run.wall_us.saturating_sub(usual.unwrap_or(u64::MAX)) / 1000,
    }
}
