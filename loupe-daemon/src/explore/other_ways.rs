//! Other ways to leave a feature out than a verdict is about: errnos where ENOSYS is not taken, and
//! fakes with a plausible value. They have no part in the verdict.

use loupe_common::analysis::{FeatureVerdict, Trial};
use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::baseline::Baseline;
use super::judge::Finding;
use super::ledger::{Asker, Stop, all};
use super::purpose::Alone;
use crate::inject::notify;

/// The errnos to try: what a kernel says that knows the syscall but refuses what is asked, or does
/// not know this operation of it; of a pseudo-file, that it may not be looked at.
fn candidates(feature: &Feature) -> impl Iterator<Item = Errno> {
    let syscall = feature.syscall().map(|syscall| syscall.to_string());
    let refusals: &[i32] = match syscall.as_deref() {
        None => &[libc::EACCES, libc::EPERM],
        Some("ioctl") => &[libc::EPERM, libc::EINVAL, libc::EOPNOTSUPP, libc::ENOTTY],
        Some("getsockopt" | "setsockopt") => &[
            libc::EPERM,
            libc::EINVAL,
            libc::EOPNOTSUPP,
            libc::ENOPROTOOPT,
        ],
        Some(_) => &[libc::EPERM, libc::EINVAL, libc::EOPNOTSUPP],
    };
    let numbers = refusals.iter();
    numbers.filter_map(|number| Errno::new(i64::from(*number)))
}

/// Stubs each feature that cannot be stubbed with ENOSYS with every candidate, alone.
pub(super) fn errnos(
    asker: &mut Asker<'_>,
    baseline: &Baseline<'_>,
    verdicts: &mut [FeatureVerdict],
) -> Result<(), Stop> {
    asker.phase = "errnos";
    let cannot = verdicts.iter_mut();
    let cannot = cannot.filter(|row| row.stub.works == Some(false));
    let tried = all(cannot.map(|row| {
        let tried = candidates(&row.feature).map(|errno| {
            let action = Action::Stub(errno);
            Ok((errno, alone(asker, baseline, &row.feature, action)?))
        });
        row.errnos.extend(all(tried)?);
        Ok(())
    }));
    tried.map(drop)
}

/// Fakes each syscall plausibly, alone, where such a value is known and is another than the paper's 0.
pub(super) fn plausible(
    asker: &mut Asker<'_>,
    baseline: &Baseline<'_>,
    verdicts: &mut [FeatureVerdict],
) -> Result<(), Stop> {
    asker.phase = "plausible fakes";
    let is_known = |row: &&mut FeatureVerdict| {
        let value = notify::constant(&row.feature, Action::Plausible);
        row.feature.syscall().is_some() && matches!(value, Ok(None))
    };
    let tried = all(verdicts.iter_mut().filter(is_known).map(|row| {
        let trial = alone(asker, baseline, &row.feature, Action::Plausible)?;
        row.plausible = Some(trial);
        Ok(())
    }));
    tried.map(drop)
}

/// What replays without a feature, left out alone this way, come to.
fn alone(
    asker: &mut Asker<'_>,
    baseline: &Baseline<'_>,
    feature: &Feature,
    action: Action,
) -> Result<Trial, Stop> {
    let policy = Policy::single(feature.clone(), action);
    let ruling = asker.ask(&policy, baseline.rule, Alone(feature, action))?;
    Ok(Finding::alone(ruling).trial(feature, baseline))
}
