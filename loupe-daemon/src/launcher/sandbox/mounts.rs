//! The host's mount table: which mounts the sandbox must show besides the root. Reads only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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

struct Mount {
    path: PathBuf,
    is_directory: bool,
}

/// The mounts below the root that hold files.
pub struct Mounts(Vec<Mount>);

impl Mounts {
    pub fn read() -> io::Result<Mounts> {
        let table = fs::read_to_string("/proc/self/mountinfo")?;
        let mut mounts: Vec<Mount> = parse(&table)
            .into_iter()
            .filter_map(|path| {
                // A mount that cannot be looked at (another one covers it) is not shown.
                let is_directory = fs::metadata(&path).ok()?.is_dir();
                Some(Mount { path, is_directory })
            })
            .collect();
        // Outer ones first. The same place twice: one mount covers the other.
        mounts.sort_by(|a, b| a.path.cmp(&b.path));
        mounts.dedup_by(|a, b| a.path == b.path);
        Ok(Mounts(mounts))
    }

    pub fn to_overlay(&self) -> impl Iterator<Item = &Path> {
        self.0
            .iter()
            .filter(|mount| mount.is_directory)
            .map(|mount| mount.path.as_path())
    }

    /// Single files, such as a container's `/etc/hosts`.
    pub fn to_bind(&self) -> impl Iterator<Item = &Path> {
        self.0
            .iter()
            .filter(|mount| !mount.is_directory)
            .map(|mount| mount.path.as_path())
    }
}

/// Mount points of a `mountinfo` that the sandbox has to show.
fn parse(table: &str) -> Vec<PathBuf> {
    table
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let path = PathBuf::from(unescape(left.split(' ').nth(4)?));
            let kind = right.split(' ').next()?;
            let replaced = REPLACED.iter().any(|top| path.starts_with(top));
            let wanted = !replaced && path != Path::new("/") && !KERNEL_STATE.contains(&kind);
            wanted.then_some(path)
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
            [PathBuf::from("/home"), PathBuf::from("/srv/with blank")]
        );
    }
}
