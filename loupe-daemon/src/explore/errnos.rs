//! Which errno an application takes where it does not take ENOSYS.

use loupe_common::analysis::FeatureVerdict;
use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};

use super::baseline::Baseline;
use super::judge::Finding;
use super::ledger::{Asker, Stop, all};
use super::purpose::Alone;

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
pub(super) fn measure(
    asker: &mut Asker<'_>,
    baseline: &Baseline<'_>,
    verdicts: &mut [FeatureVerdict],
) -> Result<(), Stop> {
    asker.phase = "errnos";
    let cannot = verdicts
        .iter_mut()
        .filter(|row| row.stub.works == Some(false));
    all(cannot.map(|row| {
        let tried = all(candidates(&row.feature).map(|errno| {
            let action = Action::Stub(errno);
            let policy = Policy::single(row.feature.clone(), action);
            let ruling = asker.ask(&policy, baseline.rule, Alone(&row.feature, action))?;
            let trial = Finding::alone(ruling).trial(&row.feature, baseline);
            Ok((errno, trial))
        }))?;
        row.errnos.extend(tried);
        Ok(())
    }))?;
    Ok(())
}
