//! Which syscalls an application takes a plausible fake of, where such a value is known and is
//! another than the paper's 0.

use loupe_common::analysis::FeatureVerdict;
use loupe_common::policy::{Action, Policy};

use super::baseline::Baseline;
use super::judge::Finding;
use super::ledger::{Asker, Stop, all};
use super::purpose::Alone;
use crate::inject::notify;

/// Fakes each syscall alone plausibly. It has no part in the verdict, which is the paper's.
pub(super) fn measure(
    asker: &mut Asker<'_>,
    baseline: &Baseline<'_>,
    verdicts: &mut [FeatureVerdict],
) -> Result<(), Stop> {
    asker.phase = "plausible fakes";
    let known = |row: &&mut FeatureVerdict| {
        let value = notify::constant(&row.feature, Action::Plausible);
        row.feature.syscall().is_some() && matches!(value, Ok(None))
    };
    all(verdicts.iter_mut().filter(known).map(|row| {
        let policy = Policy::single(row.feature.clone(), Action::Plausible);
        let ruling = asker.ask(
            &policy,
            baseline.rule,
            Alone(&row.feature, Action::Plausible),
        )?;
        let trial = Finding::alone(ruling).trial(&row.feature, baseline);
        row.plausible = Some(trial);
        Ok(())
    }))?;
    Ok(())
}
