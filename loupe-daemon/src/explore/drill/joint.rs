//! The joint policy, one level deeper: with the rules that it has, which of the operations that it
//! leaves to implement can be left out, too. What conflicts then is named as it is over syscalls;
//! between a syscall that is left out whole and an operation, the syscall stays out.

use loupe_common::analysis::{Conflict, Fallback, FeatureVerdict, Joint};
use loupe_common::feature::Feature;

use super::Opened;
use crate::explore::baseline::Baseline;
use crate::explore::joint::{self, budget::Budget, scope::Scope};
use crate::explore::ledger::{Asker, Stop};

/// The joint policy with the operations of what it implements, and the conflicts among them.
pub(in crate::explore) fn refine<'a>(
    asker: &mut Asker<'a>,
    baseline: &Baseline<'a>,
    opened: &Opened<'a>,
    parts: &[FeatureVerdict],
    edges: &[Fallback],
    joint: Joint,
    budget: &mut Budget,
) -> Result<(Joint, Vec<Conflict>), Stop> {
    let implements = |part: &FeatureVerdict| {
        let parent = part.feature.parent();
        parent.is_some_and(|parent| joint.implement.contains(&parent))
    };
    let own: Vec<FeatureVerdict> = parts.iter().filter(|it| implements(it)).cloned().collect();
    if own.is_empty() {
        return Ok((joint, Vec::new()));
    }
    asker.phase = "joint policy, operations";
    let scope = Scope::below(baseline, opened, joint.policy());
    if !scope.holds(asker)? {
        return Ok((joint, Vec::new()));
    }
    let (mut found, conflicts) = joint::find(asker, &scope, &own, edges, budget)?;
    let are_least = |found: bool| found && joint.is_least == Some(true);
    found.is_least = found.is_least.map(are_least);
    let is_implemented = |feature: &Feature| {
        let mut implement = found.implement.iter();
        implement.any(|it| it == feature || it.parent().as_ref() == Some(feature))
    };
    let still = joint.undecided.iter().filter(|(it, _)| is_implemented(it));
    let still: Vec<_> = still.map(|(it, action)| (it.clone(), action)).collect();
    for (feature, action) in still {
        found.undecided.insert(feature, action);
    }
    Ok((found, conflicts))
}
