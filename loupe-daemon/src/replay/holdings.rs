//! What the processes of a cgroup hold at one moment: memory and descriptors, as `/proc` says.
//! Reads only; judges nothing.

use std::fs;
use std::path::Path;

use loupe_common::replay::Usage;

use super::workload::Mode;
use crate::cgroup::{self, CgroupError};

/// Of all processes together. Absent where no process could be asked, which is not zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// The most that each ever had resident since its last `execve`, added up, in KiB. Pages
    /// that processes share count for each of them.
    pub peak_memory_kib: Option<u64>,
    /// Open descriptors.
    pub descriptors: Option<u64>,
}

impl Holdings {
    pub fn of(cgroup: &Path) -> Result<Holdings, CgroupError> {
        let mut holdings = Holdings::default();
        for pid in cgroup::members(cgroup, "cgroup.procs")? {
            // One that has ended, or is about to, holds nothing and is not asked.
            let process = Path::new("/proc").join(pid.to_string());
            let Some(peak) = peak_memory_kib(&process) else {
                continue;
            };
            *holdings.peak_memory_kib.get_or_insert(0) += peak;
            if let Some(open) = descriptors(&process) {
                *holdings.descriptors.get_or_insert(0) += open;
            }
        }
        Ok(holdings)
    }

    /// A batch application holds nothing any more when its test is over; what is known of it is
    /// the largest of its processes.
    pub fn note(&self, usage: &mut Usage, mode: Mode) {
        usage.peak_memory_kib = match mode {
            Mode::Server => self.peak_memory_kib,
            Mode::Batch => Some(usage.max_rss_kib).filter(|kib| *kib > 0),
        };
        // Said of every command; only a batch application's peak rests on it.
        if mode == Mode::Server {
            usage.start_rss_kib = None;
        }
        usage.descriptors = match mode {
            Mode::Server => self.descriptors,
            Mode::Batch => None,
        };
    }
}

fn peak_memory_kib(process: &Path) -> Option<u64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Since Linux 6.2 the directory's size is the number of its entries, before that it was 0:
/// <https://docs.kernel.org/filesystems/proc.html>, `/proc/<pid>/fd`.
fn descriptors(process: &Path) -> Option<u64> {
    let directory = process.join("fd");
    match fs::metadata(&directory).ok()?.len() {
        0 => Some(fs::read_dir(&directory).ok()?.count() as u64),
        open => Some(open),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_holds_its_memory_and_its_descriptors() {
        let ourselves = Path::new("/proc/self");
        let before = descriptors(ourselves).expect("our own are visible");
        let files: Vec<fs::File> = (0..100)
            .map(|_| fs::File::open("/dev/null").expect("it is there"))
            .collect();
        let with = descriptors(ourselves).expect("our own are visible");
        drop(files);
        // Other tests run beside this one.
        assert!(
            with >= 100 && with > before.saturating_sub(50),
            "{before} {with}"
        );
        assert!(peak_memory_kib(ourselves).is_some_and(|kib| kib > 100));
    }

    #[test]
    fn a_process_that_is_gone_holds_nothing() {
        let nobody = Path::new("/proc/4194305");
        assert_eq!((peak_memory_kib(nobody), descriptors(nobody)), (None, None));
    }
}
