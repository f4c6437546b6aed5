//! Loads the programs of a profile, with offsets and bounds, and attaches those that run rarely; or
//! takes over what an earlier process has loaded.

use aya::maps::{Map, MapData, RingBuf};
use aya::{Btf, Ebpf, EbpfLoader};
use loupe_common::profile_abi::{Settings, SlotUse};

use super::maps::{Found, Maps, set_shapes, take};
use super::pins::{self, Pins};
use super::programs::{Group, Programs};
use super::{ExecutableId, Kernel, ProfilerBounds, events, offsets, shapes};
use crate::tracer::TracerError;
use crate::tracer::btf::{self, IoUring, Structures, TaskOffsets};
use crate::tracer::maps::Plain;
use crate::tracer::programs::{btf_program, io_uring_program};
use crate::tracer::refusal::program_error;

/// The in-kernel programs, as built; empty where the build had no BPF toolchain.
pub static EMBEDDED: &[u8] = aya::include_bytes_aligned!(env!("LOUPE_PROFILE_EBPF_OBJECT"));

/// Bytes of the ring buffer: 7,000 new cgroups or 6,000 new executables at once.
pub const RING_BYTES: u32 = 2 << 20;
/// Pairs of slot and call of another ABI.
pub const FOREIGN_CALLS: u32 = 1 << 12;
/// Executables that are watched wherever they run.
pub const EXECUTABLES: u32 = 1 << 10;
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
/// Those by name.
const ATTACHED_ALWAYS: [&str; 5] = [
    RARE_PROGRAMS[0].0,
    RARE_PROGRAMS[1].0,
    RARE_PROGRAMS[2].0,
    RARE_PROGRAMS[3].0,
    RARE_PROGRAMS[4].0,
];

/// Loads everything anew; with pins, everything is pinned there.
pub fn load(
    bounds: &ProfilerBounds,
    pins: Option<Pins>,
) -> Result<(Kernel, events::Consumer), TracerError> {
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
    let slots = bounds.slots();
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
    let counting = counting(tasks.io_uring);
    if let Some(pins) = &pins {
        pin(&mut ebpf, pins, bounds, &counting)?;
    }
    let mut found = Found::new();
    for (name, _) in pins::maps(bounds) {
        found.insert(name, ebpf.take_map(name).ok_or(TracerError::NotEmbedded)?);
    }
    let ring: RingBuf<MapData> = take(&mut found, "EVENTS")?;
    let mut maps = Maps::take(&mut found)?;
    for slot in 0..slots {
        maps.free_slot(slot)?;
    }
    let (consumer, receiver) = events::Consumer::start(ring, pins.is_none())?;
    let mut programs = Programs::loaded(ebpf, pins);
    let mut always = Group::new(ATTACHED_ALWAYS);
    always.hold(&mut programs)?;
    let kernel = Kernel {
        programs,
        maps,
        settings: Settings::default(),
        always,
        counting: Group::new(counting),
        windows: 0,
        is_left: false,
        blind_to_io_uring: is_blind(tasks.io_uring, &structures),
        receiver: Some(receiver),
        executables: Default::default(),
        process_owners: Default::default(),
    };
    Ok((kernel, consumer))
}

/// The programs that count.
fn counting(io_uring: IoUring) -> Vec<&'static str> {
    let io_uring = io_uring_program(io_uring).map(|(name, _)| name);
    [COUNT_PROGRAM.0].into_iter().chain(io_uring).collect()
}

fn is_blind(io_uring: IoUring, structures: &Structures<'_>) -> bool {
    io_uring_program(io_uring).is_none() && structures.size("io_kiocb").is_some()
}

fn pin(
    ebpf: &mut Ebpf,
    pins: &Pins,
    bounds: &ProfilerBounds,
    counting: &[&'static str],
) -> Result<(), TracerError> {
    let failed = |error: aya::pin::PinError| TracerError::Pin(std::io::Error::other(error));
    for (name, attributes) in pins::maps(bounds) {
        let map = ebpf.map(name).ok_or(TracerError::NotEmbedded)?;
        map.pin(pins.map(name)).map_err(failed)?;
        // What this process makes, the next one must be able to take.
        pins.open_map(name, attributes)?;
    }
    for name in ATTACHED_ALWAYS.iter().chain(counting) {
        let program = btf_program(ebpf, name)?;
        program.pin(pins.program(name)).map_err(failed)?;
    }
    Ok(())
}

/// Takes over what is pinned, which goes on meanwhile.
pub fn take_over(
    bounds: &ProfilerBounds,
    pins: Pins,
) -> Result<(Kernel, events::Consumer), TracerError> {
    let tasks = TaskOffsets::of_running_kernel()?;
    let data = btf::running_kernel()?;
    let structures = Structures::parse(&data).ok_or(TracerError::BtfField("valid header"))?;
    let mut found = Found::new();
    for (name, attributes) in pins::maps(bounds) {
        let map = pins.open_map(name, attributes)?;
        let map = Map::from_map_data(map).map_err(crate::tracer::maps::map_error(name))?;
        found.insert(name, map);
    }
    let ring: RingBuf<MapData> = take(&mut found, "EVENTS")?;
    let maps = Maps::take(&mut found)?;
    let counting = counting(tasks.io_uring);
    let names = ATTACHED_ALWAYS.into_iter().chain(counting.iter().copied());
    let mut programs = Programs::pinned(pins, names)?;
    let mut always = Group::new(ATTACHED_ALWAYS);
    if !always.hold_pinned(&mut programs)? {
        return Err(TracerError::Pins(
            "not all programs of it are attached".to_owned(),
        ));
    }
    let mut counting = Group::new(counting);
    let is_counting = counting.hold_pinned(&mut programs)?;
    let executables = maps.executables()?.into_iter();
    let mut kernel = Kernel {
        settings: maps.settings()?,
        executables: executables
            .map(|(key, _)| ExecutableId::from_key(key))
            .collect(),
        programs,
        maps,
        always,
        counting,
        windows: usize::from(is_counting),
        is_left: false,
        blind_to_io_uring: is_blind(tasks.io_uring, &structures),
        receiver: None,
        process_owners: Default::default(),
    };
    kernel.tell_settings()?;
    let (consumer, receiver) = events::Consumer::start(ring, false)?;
    kernel.receiver = Some(receiver);
    Ok((kernel, consumer))
}
