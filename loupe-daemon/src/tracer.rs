//! The tracer: loads and attaches the in-kernel programs, opens a trace per cgroup, drains the
//! ring buffer. It returns what was seen and decides nothing.
//!
//! Nothing stays attached when nothing is traced: an attached program costs every process of
//! the host. An [`Attachment`] keeps the programs attached over many traces.

mod btf;
mod collect;
mod events;
mod kernel_log;
mod level;
mod maps;
mod operations;
pub mod profiler;
mod programs;
mod refusal;

use std::sync::{Arc, Mutex};

use aya::programs::{ProgramError, RawTracePoint};
use aya::{Btf, Ebpf, EbpfLoader};
use loupe_common::scope::{SCOPE_COUNT, SCOPE_LATENCY, SCOPE_STREAM, SLOTS, Scope, scope_index};
use loupe_common::stats::LATENCY_SLOTS;
use loupe_common::trace::Trace;

use btf::IoUring;
pub use collect::{abi_name, feature as syscall_feature};
pub use events::{Event, EventQueue};
pub use programs::counts_io_uring;
use programs::{
    Attached, ENTER_PROGRAMS, EXIT_PROGRAMS, TRACEPOINTS, btf_program, io_uring_program,
};

use crate::cgroup::{CgroupError, ReplayCgroup};
use crate::lock;
use refusal::program_error;

/// The in-kernel programs, as built; empty where the build had no BPF toolchain.
pub static EMBEDDED: &[u8] = aya::include_bytes_aligned!(env!("LOUPE_EBPF_OBJECT"));

/// Bytes of the ring buffer: 80,000 streamed calls.
const RING_BYTES: u32 = 8 << 20;

/// Why tracing does not work here.
#[derive(Debug, thiserror::Error)]
pub enum TracerError {
    #[error(
        "this Loupe was built without its in-kernel programs, because the BPF toolchain was \
         missing (cargo xtask setup installs it; then build again)"
    )]
    NotEmbedded,
    #[error("cannot read the kernel's type information (BTF) at /sys/kernel/btf/vmlinux: {0}")]
    Btf(#[source] aya::BtfError),
    #[error("the kernel's type information has no {0}")]
    BtfField(&'static str),
    #[error("cannot load the in-kernel programs: {0}")]
    Load(#[source] Box<aya::EbpfError>),
    #[error("the kernel refused the program `{name}`: {source}")]
    Program {
        name: &'static str,
        source: Box<ProgramError>,
    },
    #[error("the kernel refused the program `{name}`: its verifier said: {reason}")]
    Refused {
        name: &'static str,
        reason: String,
        source: std::io::Error,
    },
    #[error("cannot read what the in-kernel programs log: {0}")]
    Log(#[source] aya_log::Error),
    #[error("map `{name}`: {source}")]
    Map {
        name: &'static str,
        source: Box<aya::maps::MapError>,
    },
    #[error(
        "the in-kernel programs do not see the processes of {0}: what runs there would be traced \
         as silent"
    )]
    Blind(std::path::PathBuf),
    #[error("map `{name}` cannot be read: {source}")]
    ReadMap {
        name: &'static str,
        source: std::io::Error,
    },
    #[error("the processes cannot be listed: {0}")]
    Processes(#[source] std::io::Error),
    #[error("the kernel does not measure what programs cost: {0}")]
    Statistics(#[source] aya::sys::SyscallError),
    #[error("cannot pin what is loaded: {0}")]
    Pin(#[source] std::io::Error),
    #[error("what an earlier process has pinned is not taken over: {0}")]
    Pins(String),
    #[error("too many traces are open ({LATENCY_SLOTS} with times, {SLOTS} in all)")]
    NoFreeSlot,
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error("cannot start the thread that reads the ring buffer: {0}")]
    Thread(#[source] std::io::Error),
}

/// What a trace records beyond counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceOptions {
    /// Time in each call; attaches the enter program while the trace is open.
    pub latency: bool,
    /// Every call as an event.
    pub stream: bool,
}

/// The loaded programs. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct Tracer {
    shared: Arc<Shared>,
}

struct Shared {
    kernel: Mutex<Kernel>,
    events: events::Consumer,
}

/// What needs exclusive access: program handles and maps.
struct Kernel {
    ebpf: Ebpf,
    maps: maps::Maps,
    traces_io_uring: bool,
    /// Slots in use.
    slots: [bool; SLOTS as usize],
    exit_programs: Attached,
    enter_program: Attached,
}

impl Tracer {
    /// Loads the programs into the kernel, attaching none, and settles where runs are made.
    pub fn load() -> Result<Tracer, TracerError> {
        if EMBEDDED.is_empty() {
            return Err(TracerError::NotEmbedded);
        }
        let offsets = btf::TaskOffsets::of_running_kernel()?;
        let kernel_btf = Btf::from_sys_fs().map_err(TracerError::Btf)?;
        let log_level = kernel_log::level();
        let io_uring = io_uring_program(offsets.io_uring);
        let io_uring_opcode = match offsets.io_uring {
            IoUring::Request { opcode, .. } => opcode,
            IoUring::Argument(_) | IoUring::Untold => 0,
        };
        let [cgroups, cgroup, node, id] = offsets.cgroup;
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&kernel_btf))
            .override_global(aya_log::LEVEL, &log_level, true)
            .override_global("TASK_STATUS_OFFSET", &offsets.status, true)
            .override_global("TASK_EXIT_CODE_OFFSET", &offsets.exit_code, true)
            .override_global("TASK_PID_OFFSET", &offsets.pid, true)
            .override_global("TASK_FLAGS_OFFSET", &offsets.flags, true)
            .override_global("TASK_CGROUPS_OFFSET", &cgroups, true)
            .override_global("CSS_SET_CGROUP_OFFSET", &cgroup, true)
            .override_global("CGROUP_NODE_OFFSET", &node, true)
            .override_global("NODE_ID_OFFSET", &id, true)
            .override_global("IO_KIOCB_OPCODE_OFFSET", &io_uring_opcode, true)
            .map_max_entries("EVENTS", RING_BYTES)
            .load(EMBEDDED)
            .map_err(|error| TracerError::Load(Box::new(error)))?;
        for &(name, tracepoint) in TRACEPOINTS {
            let program = btf_program(&mut ebpf, name)?;
            program
                .load(tracepoint, &kernel_btf)
                .map_err(program_error(name))?;
        }
        if let Some((name, tracepoint)) = io_uring {
            btf_program(&mut ebpf, name)?
                .load(tracepoint, &kernel_btf)
                .map_err(program_error(name))?;
        }
        level::learn(&mut ebpf, &kernel_btf)?;
        maps::set_selectors(&mut ebpf, operations::selectors_with_paths())?;
        let maps = maps::Maps::take(&mut ebpf)?;
        let log = kernel_log::KernelLog::take(&mut ebpf)?;
        let events = events::Consumer::start(maps::take_ring(&mut ebpf)?, log)?;
        Ok(Tracer {
            shared: Arc::new(Shared {
                kernel: Mutex::new(Kernel {
                    ebpf,
                    maps,
                    traces_io_uring: io_uring.is_some(),
                    slots: [false; SLOTS as usize],
                    exit_programs: Attached::new(
                        EXIT_PROGRAMS
                            .into_iter()
                            .chain(io_uring.map(|(name, _)| name)),
                    ),
                    enter_program: Attached::new(ENTER_PROGRAMS),
                }),
                events,
            }),
        })
    }

    /// Keeps the programs attached until it is dropped.
    pub fn attach(&self) -> Result<Attachment, TracerError> {
        let mut kernel = lock(&self.shared.kernel);
        let Kernel {
            ebpf,
            exit_programs,
            ..
        } = &mut *kernel;
        exit_programs.hold(ebpf)?;
        Ok(Attachment {
            tracer: self.clone(),
        })
    }

    /// Opens a trace of the target cgroup. May replace that cgroup by a fresh one, so no
    /// process may be in it yet.
    pub fn open(
        &self,
        cgroup: &ReplayCgroup,
        options: TraceOptions,
    ) -> Result<OpenTrace, TracerError> {
        let attachment = self.attach()?;
        let mut kernel = lock(&self.shared.kernel);
        let kernel = &mut *kernel;
        let slot = kernel.free_slot(options.latency)?;
        let mut cgroup_id = cgroup.target_id()?;
        while kernel.maps.scope(scope_index(cgroup_id))?.cgroup_id != 0 {
            cgroup.renew_target()?;
            cgroup_id = cgroup.target_id()?;
        }
        let slot_number = slot as u32;
        kernel.maps.clear_slot(slot_number)?;
        let queue = self
            .shared
            .events
            .register(slot_number, cgroup_id, options.stream)?;
        let mut flags = SCOPE_COUNT;
        if options.latency {
            flags |= SCOPE_LATENCY;
        }
        if options.stream {
            flags |= SCOPE_STREAM;
        }
        let needs_enter = options.latency || options.stream;
        if needs_enter {
            kernel.enter_program.hold(&mut kernel.ebpf)?;
        }
        kernel.slots[slot] = true;
        let open = OpenTrace {
            attachment,
            slot: slot_number,
            cgroup_id,
            run_ids: cgroup.ids()?,
            needs_enter,
            latency: options.latency,
            queue,
        };
        let scope = Scope {
            cgroup_id,
            slot: slot_number,
            flags,
        };
        kernel.maps.set_run(&open.run_ids, scope)?;
        kernel.maps.set_scope(scope_index(cgroup_id), scope)?;
        Ok(open)
    }

    /// Attaches the pair of programs that do nothing, for benchmarks: the least that a tracer can
    /// cost. They stay attached until the tracer is dropped.
    pub fn attach_empty_pair(&self) -> Result<(), TracerError> {
        let mut kernel = lock(&self.shared.kernel);
        for (name, tracepoint) in [("empty_enter", "sys_enter"), ("empty_exit", "sys_exit")] {
            let program: &mut RawTracePoint = kernel
                .ebpf
                .program_mut(name)
                .ok_or(TracerError::NotEmbedded)?
                .try_into()
                .map_err(program_error(name))?;
            program.load().map_err(program_error(name))?;
            program.attach(tracepoint).map_err(program_error(name))?;
        }
        Ok(())
    }
}

impl Kernel {
    /// The first slots are for those that need room for latencies.
    fn free_slot(&self, latency: bool) -> Result<usize, TracerError> {
        let split = LATENCY_SLOTS as usize;
        let range = if latency {
            0..split
        } else {
            split..self.slots.len()
        };
        range
            .into_iter()
            .find(|slot| !self.slots[*slot])
            .ok_or(TracerError::NoFreeSlot)
    }
}

/// Keeps the programs attached.
pub struct Attachment {
    tracer: Tracer,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut kernel = lock(&self.tracer.shared.kernel);
        let Kernel {
            ebpf,
            exit_programs,
            ..
        } = &mut *kernel;
        exit_programs.release(ebpf);
    }
}

/// A trace in progress.
pub struct OpenTrace {
    attachment: Attachment,
    slot: u32,
    cgroup_id: u64,
    /// Every cgroup of the run.
    run_ids: [u64; 3],
    needs_enter: bool,
    latency: bool,
    queue: Arc<EventQueue>,
}

impl OpenTrace {
    /// Live events: `listen`, exec, exit, and calls of a stream.
    pub fn events(&self) -> &Arc<EventQueue> {
        &self.queue
    }

    /// Hands out the events that are still in the ring buffer.
    pub fn flush(&self) {
        self.attachment.tracer.shared.events.drain();
    }

    /// Whether a process outside the run has sent a signal to one inside so far.
    pub fn is_disturbed(&self) -> bool {
        self.flush();
        self.queue.seen().disturbed.is_some()
    }

    /// All calls counted so far; grows while anything in the target runs.
    pub fn calls_so_far(&self) -> Result<u64, TracerError> {
        let kernel = lock(&self.attachment.tracer.shared.kernel);
        Ok(collect::total_calls(&kernel.maps.stats(self.slot)?))
    }

    /// The calls counted so far, by syscall number.
    pub fn counts_so_far(&self) -> Result<Vec<u64>, TracerError> {
        let kernel = lock(&self.attachment.tracer.shared.kernel);
        Ok(collect::calls_by_number(&kernel.maps.stats(self.slot)?))
    }

    /// Takes the counts. Complete once no process is left in the cgroup.
    pub fn finish(self) -> Result<Trace, TracerError> {
        let shared = &self.attachment.tracer.shared;
        let mut kernel = lock(&shared.kernel);
        kernel.maps.close_scope(self.cgroup_id)?;
        shared.events.drain();
        let seen = self.queue.seen();
        kernel.maps.forget_newborn(self.cgroup_id)?;
        let mut trace = collect::trace(&mut kernel.maps, self.slot, &seen, self.latency)?;
        trace.io_uring = kernel.traces_io_uring;
        Ok(trace)
    }
}

impl Drop for OpenTrace {
    fn drop(&mut self) {
        let shared = &self.attachment.tracer.shared;
        shared.events.unregister(self.slot);
        let mut kernel = lock(&shared.kernel);
        let kernel = &mut *kernel;
        let closed = kernel.maps.close_scope(self.cgroup_id);
        if let Err(error) = closed.and_then(|()| kernel.maps.close_run(&self.run_ids)) {
            tracing::warn!("cannot close a trace: {error}");
        }
        if self.needs_enter {
            kernel.enter_program.release(&mut kernel.ebpf);
        }
        kernel.slots[self.slot as usize] = false;
    }
}
