//! The host's mount table: which mounts the sandbox must show besides the root. Reads only.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::points;
use crate::launcher::places::Attributes;
use crate::sys::mounts::mount_id;

/// What the sandbox replaces with its own.
const REPLACED: [&str; 5] = ["/proc", "/sys", "/dev", "/tmp", "/run"];
/// File systems that show the kernel's state rather than files.
const KERNEL_STATE: [&str; 14] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "devtmpfs",
    "devpts",
    "mqueue",
    "debugfs",
    "tracefs",
    "securityfs",
    "bpf",
    "fusectl",
    "configfs",
    "pstore",
];

/// A mount that holds files.
pub struct Mount {
    pub path: PathBuf,
    pub file: OwnedFd,
    /// Else it is a single file, such as a container's `/etc/hosts`.
    pub is_directory: bool,
}

/// The mounts below the root that the sandbox has to show, outer ones first.
pub fn open_all() -> io::Result<Vec<Mount>> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let root = open("/", flags, Mode::empty())?;
    let mut mounts: Vec<Mount> = parse(&table)
        .into_iter()
        .filter_map(|(id, path)| {
            // One that cannot be looked at is not shown, nor one that another covers. Users may
            // own the directories on the way (to a FUSE file system): it must be the very mount.
            let file = points::reach(&root, &path).ok()?;
            let is_directory = Attributes::of(&file).ok()?.is_directory();
            (mount_id(file.as_fd()).ok()? == id).then_some(Mount {
                path,
                file,
                is_directory,
            })
        })
        .collect();
    mounts.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(mounts)
}

/// Mounts of a `mountinfo` that the sandbox has to show: number and place.
fn parse(table: &str) -> Vec<(u64, PathBuf)> {
    table
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let mut fields = left.split(' ');
            let id = fields.next()?.parse().ok()?;
            let path = PathBuf::from(unescape(fields.nth(3)?));
            let kind = right.split(' ').next()?;
            let replaced = REPLACED.iter().any(|top| path.starts_with(top));
            let wanted = !replaced && path != Path::new("/") && !KERNEL_STATE.contains(&kind);
            wanted.then_some((id, path))
        })
        .collect()
}

/// The kernel writes blanks and backslashes as octal numbers.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_file_systems_with_files_outside_replaced_places_are_shown() {
        let table = "\
22 27 0:21 / /proc rw - proc proc rw
27 1 254:0 / / rw - ext4 /dev/vda rw
28 27 8:1 / /home rw - ext4 /dev/sda1 rw
29 27 8:2 / /srv/with\\040blank rw - xfs /dev/sdb rw
30 27 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 27 0:29 / /run/user/0 rw - tmpfs tmpfs rw
32 27 0:30 / /mnt/bpf rw - bpf bpf rw
";
        let shown = parse(table);
        assert_eq!(
            shown,
            [
                (28, PathBuf::from("/home")),
                (29, PathBuf::from("/srv/with blank"))
            ]
        );
    }
}
