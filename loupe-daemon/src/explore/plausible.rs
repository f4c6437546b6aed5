//! Which syscalls an application takes a plausible fake of, where such a value is known and is
//! another than the paper's 0.

use loupe_common::analysis::{Basis, FeatureVerdict};
use loupe_common::policy::{Action, Policy};

use super::baseline::Baseline;
use super::ledger::{Asker, Stop};
use super::single;
use crate::inject::notify;

/// Fakes each syscall alone plausibly. It has no part in the verdict, which is the paper's.
pub(super) fn measure(
    asker: &mut Asker<'_>,
    baseline: &Baseline<'_>,
    verdicts: &mut [FeatureVerdict],
) -> Result<(), Stop> {
    asker.phase = "plausible fakes";
    let mut waits = false;
    for row in verdicts {
        let feature = &row.feature;
        if feature.syscall().is_none()
            || !matches!(notify::constant(feature, Action::Plausible), Ok(None))
        {
            continue;
        }
        let policy = Policy::single(feature.clone(), Action::Plausible);
        match asker.ask(&policy, baseline.rule) {
            Some(ruling) => {
                row.plausible = Some(single::trial(feature, &ruling, Basis::Measured, baseline));
            }
            None => waits = true,
        }
    }
    match waits {
        true => Err(Stop::Pending),
        false => Ok(()),
    }
}
