//! The joint policy: what can be left out all at once, seen to pass, with nothing open.
//!
//! 1. Every feature takes its best way (stub before fake); while that policy fails, the minimal
//!    conflict in it is found and the best policy without any known conflict is tried next. If
//!    more rules never make a failing policy pass, what comes out implements as little as any
//!    choice among these ways can.
//! 2. What only this policy makes the application use (its fallbacks), and what it keeps the
//!    application from using, is stubbed or faked too where that passes, and implemented where
//!    it does not.
//! 3. Where a rule brings a fallback that must be implemented (or one that is left out, where
//!    something must be implemented that no rule brings alone), the same is done without that rule;
//!    the better result stays. So it is with what the fallbacks themselves bring, of which the
//!    single verdicts know nothing: another way to leave them out is tried, and none.
//!
//! A rule with which the workload does next to none of its work is not fought for: where a policy that
//! has it fails, it is dropped, and told as undecided.
//!
//! On the way to it one passing replay of each policy is enough, and what does not depend on each
//! other is asked at once. What is found is replayed as often as the rule asks; if that fails, the
//! search is done again with all replays at each step.
//!
//! The same is done below the syscall ([`super::drill::joint`]); [`scope`] is what differs.

pub(super) mod budget;
mod choice;
pub(super) mod scope;
mod solved;
mod solver;

use loupe_common::analysis::{Conflict, Fallback, FeatureVerdict, Joint};
use loupe_common::policy::{Action, Policy};

use super::ledger::{Asker, Stop};
use budget::Budget;
use choice::Choices;
use scope::Scope;
use solver::Solver;

/// The joint policy of a scope (its fixed rules, and as much else as goes with them), and the
/// conflicts that were found on the way.
pub(super) fn find<'a>(
    asker: &mut Asker<'a>,
    scope: &Scope<'_, 'a>,
    verdicts: &[FeatureVerdict],
    edges: &[Fallback],
    budget: &mut Budget,
) -> Result<(Joint, Vec<Conflict>), Stop> {
    let choices: Choices = verdicts
        .iter()
        .map(|row| (row.feature.clone(), ways(row)))
        .filter(|(_, ways)| !ways.is_empty())
        .collect();
    let mut solver = Solver::new(asker, scope, choices, budget)?;
    let best = solver.best(edges)?;
    // One whose feature is left out another way after all is decided.
    let undecided = std::mem::take(&mut solver.undecided).into_iter();
    let undecided = undecided.filter(|(feature, _)| best.implement.contains(feature));
    let undecided: Policy = undecided.collect();
    let is_least = Some(!solver.budget.is_spent && undecided.is_empty());
    let mut conflicts = solver.reported;
    conflicts.sort_by(|a, b| a.policy.cmp(&b.policy));
    let joint = Joint {
        is_least,
        undecided,
        ..scope.joint(best)
    };
    Ok((joint, conflicts))
}

/// The ways to leave a feature out alone, best first.
fn ways(row: &FeatureVerdict) -> Vec<Action> {
    [(Action::STUB, &row.stub), (Action::Fake, &row.fake)]
        .into_iter()
        .filter(|(_, trial)| trial.works == Some(true))
        .map(|(action, _)| action)
        .collect()
}
