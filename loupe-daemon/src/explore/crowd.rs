//! Do replays that outnumber the CPUs still leave the workload as it is? The host may have had
//! more to spare when their number was chosen than it has later. So now and then the baseline is
//! replayed among the others: where that control fails, their failures prove nothing.

use loupe_common::replay::Control;

use super::ledger::{Asker, Stop};
use super::run::Run;
use super::tally::Vote;
use super::{ExploreError, ExploreOptions};

/// There is a control after so many replays that came to their test in the crowd. (Not at once:
/// the baseline has just been tried beside itself.)
const CONTROL_EVERY: usize = 24;

/// Where a control fails, so many more are asked, and most of them must fail, too: one failure
/// proves nothing, as the workload may be flaky.
const MORE_CONTROLS: usize = 3;

/// Whether all controls that are due have passed; `false` while some are missing, which are asked
/// for. `all_failed`: nothing that failed so far is to be without a control after it.
pub(super) fn control(
    asker: &mut Asker<'_>,
    options: &ExploreOptions,
    all_failed: bool,
) -> Result<bool, Stop> {
    if !options.is_crowded() {
        return Ok(true);
    }
    let replays = asker.all().filter(|run| run.tested_in_crowd()).count();
    let due = match all_failed {
        true => replays.div_ceil(CONTROL_EVERY),
        false => replays / CONTROL_EVERY,
    };
    // One that could not be used says nothing of the crowd.
    let fails = |run: &Run| run.vote == Vote::Failure;
    let controls = asker.controls(Control::Crowd);
    let mut known = controls.iter();
    let mut missing = false;
    for _ in 0..due {
        let Some(first) = known.next() else {
            missing = true;
            break;
        };
        if !fails(first) {
            continue;
        }
        let more: Vec<_> = known.by_ref().take(MORE_CONTROLS).collect();
        let failed = more.iter().filter(|run| fails(run)).count();
        if 2 * failed > MORE_CONTROLS {
            return Err(ExploreError::Crowded {
                jobs: options.jobs,
                id: first.id,
                replay: first.replay(),
            }
            .into());
        }
        missing |= more.len() < MORE_CONTROLS;
    }
    if missing {
        asker.control(Control::Crowd);
    }
    Ok(!missing)
}
