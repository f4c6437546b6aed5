//! What a process could not record before its end, because the disk was full: a file in memory that
//! somebody keeps for the next process. What becomes of it there is the outbox's.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::ProfileError;
use super::pinning::{Keeper, Left};
use crate::store::ProfileBatch;

/// Why batches were not left for anybody.
#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    #[error("nobody keeps it for the next louped, for this one was not started by systemd")]
    Alone,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Leaves these batches for the next process, in the place of what was left before.
pub fn leave(keeper: Option<&dyn Keeper>, batches: &[ProfileBatch]) -> Result<(), LeaveError> {
    let keeper = keeper.ok_or(LeaveError::Alone)?;
    let file = in_memory(batches)?;
    keeper.release(Left::Unrecorded)?;
    keeper.keep(Left::Unrecorded, file.as_fd())?;
    Ok(())
}

fn in_memory(batches: &[ProfileBatch]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"loupe-unrecorded", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&serde_json::to_vec(batches)?)?;
    Ok(file)
}

/// What the process before has left.
pub fn take(left: OwnedFd) -> Result<Vec<ProfileBatch>, ProfileError> {
    let mut file = File::from(left);
    let mut text = Vec::new();
    // Whoever wrote it stands at its end, and shares the place with this process.
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_to_end(&mut text))
        .map_err(ProfileError::Unrecorded)?;
    serde_json::from_slice(&text).map_err(ProfileError::Record)
}

#[cfg(test)]
mod tests {
    use loupe_common::trace::CallCounts;

    use super::super::pending::other;
    use super::*;
    use crate::store::{Kept, SubjectDelta};

    #[test]
    fn batches_are_read_as_they_were_left() {
        let mut delta = SubjectDelta::new(other());
        let counts = CallCounts {
            calls: 5,
            errors: [("ENOENT".parse().expect("an errno"), 2)].into(),
            latency: None,
        };
        for feature in ["openat", "/proc/self/maps"] {
            let feature = feature.parse().expect("a feature");
            delta.calls.insert(feature, counts.clone());
        }
        let operation = "fcntl:F_GETFL".parse().expect("an operation");
        delta.operations.insert(operation, counts);
        let batch = ProfileBatch {
            run: "a boot/1/2".to_owned(),
            sequence: 7,
            subjects: vec![delta],
            kept: Some(Kept {
                set: "s".to_owned(),
                slots: [(1, None), (2, Some("{}".to_owned()))].into(),
                ..Kept::default()
            }),
            ..ProfileBatch::default()
        };
        let file = in_memory(std::slice::from_ref(&batch)).expect("written");
        assert_eq!(take(file.into()).expect("readable"), [batch]);
    }
}
