//! Executable files as the kernel knows them, and who runs them.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use loupe_common::profile_abi::ExecutableKey;
use serde::{Deserialize, Serialize};

use crate::executable::mount_of;

/// Bits of the minor number in the kernel's own device numbers (`include/linux/kdev_t.h`).
const MINOR_BITS: u32 = 20;

/// A file as the kernel knows it. Some file systems (overlayfs, btrfs) tell `stat` another device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExecutableId {
    /// As `makedev` composes it.
    pub device: u64,
    pub inode: u64,
}

impl ExecutableId {
    /// Of a file, as the kernel knows it.
    pub fn of_path(path: &Path) -> io::Result<ExecutableId> {
        ExecutableId::of(path, Path::new("/proc/self/mountinfo"))
    }

    /// Of what a process executes.
    pub fn of_process(pid: u32) -> io::Result<ExecutableId> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let link = process.join("exe");
        // The file may lie in a mount that only the process sees.
        ExecutableId::of(&link, &process.join("mountinfo"))
    }

    /// `stat` tells no device that could be trusted, so the mount is asked for it.
    fn of(path: &Path, mounts: &Path) -> io::Result<ExecutableId> {
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open(path)?;
        let metadata = file.metadata()?;
        let mount = mount_of(&file)?;
        let found = BufReader::new(File::open(mounts)?)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| device_in(&line, &mount));
        Ok(ExecutableId {
            // A mount that is in no list is a detached one.
            device: found.unwrap_or_else(|| metadata.dev()),
            inode: metadata.ino(),
        })
    }

    pub(super) fn key(self) -> ExecutableKey {
        let (major, minor) = (libc::major(self.device), libc::minor(self.device));
        ExecutableKey {
            inode: self.inode,
            device: major << MINOR_BITS | minor,
            pad: 0,
        }
    }

    pub(super) fn from_key(key: ExecutableKey) -> ExecutableId {
        let minor = key.device & ((1 << MINOR_BITS) - 1);
        ExecutableId {
            device: libc::makedev(key.device >> MINOR_BITS, minor),
            inode: key.inode,
        }
    }
}

/// The device in a line of `mountinfo`, if it is that of this mount.
fn device_in(line: &str, mount: &str) -> Option<u64> {
    let mut words = line.split(' ');
    if words.next() != Some(mount) {
        return None;
    }
    let (major, minor) = words.nth(1)?.split_once(':')?;
    Some(libc::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// Every process that there is now.
pub fn processes() -> io::Result<Vec<u32>> {
    let entries = std::fs::read_dir("/proc")?;
    let pid = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    Ok(entries.filter_map(Result::ok).filter_map(pid).collect())
}

/// The processes that one has forked, with all their threads, and that are still its children.
pub fn children_of(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        // It has ended, and its children are another's.
        return Vec::new();
    };
    let children = tasks.filter_map(Result::ok).filter_map(|task| {
        // As above.
        std::fs::read_to_string(task.path().join("children")).ok()
    });
    let numbers = |text: String| -> Vec<u32> {
        text.split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect()
    };
    children.flat_map(numbers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_come_back_from_the_kernels_own() {
        let id = ExecutableId {
            device: libc::makedev(259, 70_001),
            inode: 12,
        };
        assert_eq!(id.key().device, 259 << 20 | 70_001);
        assert_eq!(ExecutableId::from_key(id.key()), id);
    }

    #[test]
    fn the_device_of_a_mount_is_in_its_line() {
        let line = "36 25 0:32 / /mnt rw,relatime shared:1 - btrfs /dev/sda rw";
        assert_eq!(device_in(line, "36"), Some(libc::makedev(0, 32)));
        assert_eq!(device_in(line, "25"), None);
        assert_eq!(device_in("36", "36"), None);
    }
}
