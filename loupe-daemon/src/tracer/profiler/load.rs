//! Loads the programs of a profile, with offsets and bounds, and attaches those that run rarely.

use aya::{Btf, EbpfLoader};
use loupe_common::profile_abi::{Settings, SlotUse};

use super::maps::{Maps, set_shapes};
use super::{Kernel, ProfilerBounds, events, offsets, shapes};
use crate::tracer::TracerError;
use crate::tracer::btf::{self, IoUring, Structures, TaskOffsets};
use crate::tracer::maps::{Plain, take_ring};
use crate::tracer::programs::{Attached, btf_program, io_uring_program};
use crate::tracer::refusal::program_error;

/// The in-kernel programs, as built; empty where the build had no BPF toolchain.
static EMBEDDED: &[u8] = aya::include_bytes_aligned!(env!("LOUPE_PROFILE_EBPF_OBJECT"));

/// Bytes of the ring buffer: 7,000 new cgroups or 6,000 new executables at once.
const RING_BYTES: u32 = 2 << 20;
/// Pairs of slot and call of another ABI.
const FOREIGN_CALLS: u32 = 1 << 12;
/// Executables that are watched wherever they run.
const EXECUTABLES: u32 = 1 << 10;
/// The part of a map that one slot may fill, so that no service takes the room of all others.
const SLOT_PART: u32 = 8;
/// A slot may always have this many keys of a kind.
const SLOT_LEAST: u32 = 1 << 9;

const COUNT_PROGRAM: (&str, &str) = ("profile_call", "sys_exit");
/// Programs and their tracepoints.
const RARE_PROGRAMS: [(&str, &str); 5] = [
    ("profile_cgroup_made", "cgroup_mkdir"),
    ("profile_cgroup_gone", "cgroup_rmdir"),
    ("profile_exec", "sched_process_exec"),
    ("profile_fork", "sched_process_fork"),
    ("profile_exit", "sched_process_exit"),
];
/// By name.
pub const ATTACHED_ALWAYS: [&str; 5] = [
    RARE_PROGRAMS[0].0,
    RARE_PROGRAMS[1].0,
    RARE_PROGRAMS[2].0,
    RARE_PROGRAMS[3].0,
    RARE_PROGRAMS[4].0,
];

pub fn load(bounds: &ProfilerBounds) -> Result<(Kernel, events::Consumer), TracerError> {
    if EMBEDDED.is_empty() {
        return Err(TracerError::NotEmbedded);
    }
    let tasks = TaskOffsets::of_running_kernel()?;
    let data = btf::running_kernel()?;
    let structures = Structures::parse(&data).ok_or(TracerError::BtfField("valid header"))?;
    let offsets = Plain(offsets::of(&structures)?);
    let kernel_btf = Btf::from_sys_fs().map_err(TracerError::Btf)?;
    let io_uring = io_uring_program(tasks.io_uring);
    let io_uring_opcode = match tasks.io_uring {
        IoUring::Request { opcode, .. } => opcode,
        IoUring::Argument(_) | IoUring::Untold => 0,
    };
    let part = |size: u32| (size / SLOT_PART).max(SLOT_LEAST);
    let limits = Plain(SlotUse {
        errors: part(bounds.errors),
        operations: part(bounds.operations),
        foreign: part(FOREIGN_CALLS),
        files: part(bounds.files),
    });
    // Their numbers are kept in 16 bits.
    let slots = bounds.slots.clamp(1, u32::from(u16::MAX));
    let mut ebpf = EbpfLoader::new()
        .btf(Some(&kernel_btf))
        .override_global("TASK_STATUS_OFFSET", &tasks.status, true)
        .override_global("TASK_EXIT_CODE_OFFSET", &tasks.exit_code, true)
        .override_global("TASK_FLAGS_OFFSET", &tasks.flags, true)
        .override_global("IO_KIOCB_OPCODE_OFFSET", &io_uring_opcode, true)
        .override_global("OFFSETS", &offsets, true)
        .override_global("SLOT_LIMITS", &limits, true)
        .map_max_entries("CGROUPS", bounds.cgroups)
        .map_max_entries("PROCESSES", bounds.processes)
        .map_max_entries("EXECUTABLES", EXECUTABLES)
        .map_max_entries("SLOTS", slots)
        .map_max_entries("FREE_SLOTS", slots)
        .map_max_entries("NOTES", slots)
        .map_max_entries("USES", slots)
        .map_max_entries("CALLS", bounds.calls)
        .map_max_entries("ERRORS", bounds.errors)
        .map_max_entries("OPERATIONS", bounds.operations)
        .map_max_entries("FOREIGN", FOREIGN_CALLS)
        .map_max_entries("FILES", bounds.files)
        .map_max_entries("EVENTS", RING_BYTES)
        .load(EMBEDDED)
        .map_err(|error| TracerError::Load(Box::new(error)))?;
    for (name, tracepoint) in RARE_PROGRAMS
        .into_iter()
        .chain([COUNT_PROGRAM])
        .chain(io_uring)
    {
        let program = btf_program(&mut ebpf, name)?;
        program
            .load(tracepoint, &kernel_btf)
            .map_err(program_error(name))?;
        if let Ok(info) = program.info() {
            let instructions = info.verified_instruction_count();
            tracing::debug!(
                name,
                instructions,
                "the verifier has gone through a program"
            );
        }
    }
    set_shapes(&mut ebpf, &shapes::shapes())?;
    let mut maps = Maps::take(&mut ebpf)?;
    for slot in 0..slots {
        maps.free_slot(slot)?;
    }
    let (consumer, receiver) = events::Consumer::start(take_ring(&mut ebpf)?)?;
    // They stay as long as the programs do.
    Attached::new(ATTACHED_ALWAYS).hold(&mut ebpf)?;
    let counting = [COUNT_PROGRAM.0];
    let counting = Attached::new(counting.into_iter().chain(io_uring.map(|(name, _)| name)));
    let kernel = Kernel {
        ebpf,
        maps,
        settings: Settings::default(),
        counting,
        windows: 0,
        blind_to_io_uring: io_uring.is_none() && structures.size("io_kiocb").is_some(),
        receiver: Some(receiver),
        executables: Default::default(),
        process_owners: Default::default(),
    };
    Ok((kernel, consumer))
}
