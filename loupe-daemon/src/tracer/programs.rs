//! The in-kernel programs by name: which tracepoint each belongs to, which are attached together,
//! and for how long.

use aya::Ebpf;
use aya::programs::BtfTracePoint;

use super::TracerError;
use super::btf::{self, IoUring};
use super::refusal::program_error;

/// A group of programs that are attached while somebody holds them.
pub struct Attached {
    names: Vec<&'static str>,
    holders: usize,
    links: Vec<(&'static str, aya::programs::tp_btf::BtfTracePointLinkId)>,
}

pub const EXIT_PROGRAMS: [&str; 5] = [
    "sys_exit",
    "process_exec",
    "process_fork",
    "process_exit",
    "signal_generate",
];
pub const ENTER_PROGRAMS: [&str; 1] = ["sys_enter"];

/// The program for io_uring and its tracepoint; which one, depends on the kernel.
pub fn io_uring_program(told: IoUring) -> Option<(&'static str, &'static str)> {
    match told {
        IoUring::Request { tracepoint, .. } => Some(("io_uring_submit", tracepoint)),
        IoUring::Argument(2) => Some(("io_uring_submit_third", "io_uring_submit_sqe")),
        IoUring::Argument(3) => Some(("io_uring_submit_fourth", "io_uring_submit_sqe")),
        IoUring::Argument(_) | IoUring::Untold => None,
    }
}

/// Whether operations of io_uring are counted on this kernel; `None`: its type information
/// cannot be read.
pub fn counts_io_uring() -> Option<bool> {
    let offsets = btf::TaskOffsets::of_running_kernel().ok()?;
    Some(io_uring_program(offsets.io_uring).is_some())
}

/// The tracepoint that each program belongs to.
pub const TRACEPOINTS: &[(&str, &str)] = &[
    ("sys_exit", "sys_exit"),
    ("process_exec", "sched_process_exec"),
    ("process_fork", "sched_process_fork"),
    ("process_exit", "sched_process_exit"),
    ("signal_generate", "signal_generate"),
    ("sys_enter", "sys_enter"),
];

pub fn btf_program<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut BtfTracePoint, TracerError> {
    // The object is ours: a program that is not in it means that there is no object.
    let program = ebpf.program_mut(name).ok_or(TracerError::NotEmbedded)?;
    program.try_into().map_err(program_error(name))
}

impl Attached {
    pub fn new(names: impl IntoIterator<Item = &'static str>) -> Attached {
        Attached {
            names: names.into_iter().collect(),
            holders: 0,
            links: Vec::new(),
        }
    }

    pub fn hold(&mut self, ebpf: &mut Ebpf) -> Result<(), TracerError> {
        if self.holders == 0 {
            for &name in &self.names {
                match btf_program(ebpf, name)?.attach() {
                    Ok(link) => self.links.push((name, link)),
                    Err(error) => {
                        self.detach(ebpf);
                        return Err(program_error(name)(error));
                    }
                }
            }
        }
        self.holders += 1;
        Ok(())
    }

    pub fn release(&mut self, ebpf: &mut Ebpf) {
        self.holders = self.holders.saturating_sub(1);
        if self.holders == 0 {
            self.detach(ebpf);
        }
    }

    fn detach(&mut self, ebpf: &mut Ebpf) {
        for (name, link) in self.links.drain(..) {
            let detached = btf_program(ebpf, name)
                .and_then(|program| program.detach(link).map_err(program_error(name)));
            if let Err(error) = detached {
                tracing::warn!("cannot detach: {error}");
            }
        }
    }
}
