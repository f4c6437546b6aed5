//! Cgroups that are made and removed: what is below a watched one is watched at once, before a
//! process can enter it. Attached for as long as a profile is.

use aya_ebpf::{
    helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use loupe_common::profile_abi::{
    CGROUP_NAME_BYTES, CgroupEvent, EVENT_CGROUP_GONE, EVENT_CGROUP_MADE, NO_SLOT, SLICE_SUFFIX,
    WATCH_CHILDREN_ARE_OWNERS, WATCH_COUNT, WatchedCgroup,
};

use crate::{
    kernel::{offset, read_u32, read_u64},
    maps::{CGROUPS, EVENTS, Loss, SCRATCH, count_loss},
};

/// The hierarchy of cgroup v2 in the kernel (`cgrp_dfl_root`): the first one that it sets up. Those
/// of cgroup v1 fire the same tracepoints.
const UNIFIED_HIERARCHY_ID: u32 = 0;

#[btf_tracepoint(function = "cgroup_mkdir")]
pub fn profile_cgroup_made(ctx: BtfTracePointContext) -> i32 {
    let cgroup: *const u8 = ctx.arg(0);
    let cgroup = cgroup as u64;
    if is_unified(cgroup) {
        made(cgroup);
    }
    0
}

#[btf_tracepoint(function = "cgroup_rmdir")]
pub fn profile_cgroup_gone(ctx: BtfTracePointContext) -> i32 {
    let cgroup: *const u8 = ctx.arg(0);
    let cgroup = cgroup as u64;
    if !is_unified(cgroup) {
        return 0;
    }
    let id = id_of(cgroup);
    // Most are not watched.
    let _ = CGROUPS.remove(id);
    let Some(mut entry) = EVENTS.reserve::<CgroupEvent>(0) else {
        count_loss(NO_SLOT, Loss::Event);
        return 0;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: the record is reserved and this program's own until it is submitted; nobody reads its
    // name behind the NUL.
    unsafe {
        (*event).kind = EVENT_CGROUP_GONE;
        (*event).flags = 0;
        (*event).id = id;
        (*event).parent = 0;
        (*event).owner = 0;
        (*event).name[0] = 0;
    }
    entry.submit(0);
    0
}

#[inline(always)]
fn is_unified(cgroup: u64) -> bool {
    let root = read_u64(cgroup, offset!(cgroup_root));
    root != 0 && read_u32(root, offset!(hierarchy_id)) == UNIFIED_HIERARCHY_ID
}

#[inline(always)]
fn id_of(cgroup: u64) -> u64 {
    read_u64(read_u64(cgroup, offset!(cgroup_node)), offset!(node_id))
}

/// 0: it is the root.
#[inline(always)]
fn parent_of(cgroup: u64) -> u64 {
    let state = offset!(cgroup_self);
    let parent = read_u64(cgroup, state + offset!(state_parent));
    parent.saturating_sub(state)
}

#[inline(always)]
fn made(cgroup: u64) {
    let Some(scratch) = SCRATCH.get_ptr_mut(0) else {
        return;
    };
    let id = id_of(cgroup);
    let parent = id_of(parent_of(cgroup));
    let name = read_u64(read_u64(cgroup, offset!(cgroup_node)), offset!(node_name));
    // SAFETY: the text is this CPU's own and has more room; the helper checks the other address and
    // copies, or fails.
    let length = unsafe {
        let text = &raw mut (*scratch).text;
        bpf_probe_read_kernel_str(text.cast(), CGROUP_NAME_BYTES as u32, name as *const _)
    };
    let inherited = inherit(id, parent, name, length);
    let Some(mut entry) = EVENTS.reserve::<CgroupEvent>(0) else {
        count_loss(NO_SLOT, Loss::Event);
        return;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: the record is reserved and this program's own until it is submitted; all its fields
    // are written here.
    unsafe {
        (*event).kind = EVENT_CGROUP_MADE;
        (*event).flags = inherited.flags;
        (*event).id = id;
        (*event).parent = parent;
        (*event).owner = inherited.owner;
        bpf_probe_read_kernel(
            (&raw mut (*event).name).cast(),
            CGROUP_NAME_BYTES as u32,
            (&raw const (*scratch).text).cast(),
        );
        if length < 1 {
            (*event).name[0] = 0;
        }
    }
    entry.submit(0);
}

/// Watches the new cgroup as its parent wants; the default where it does not.
#[inline(always)]
fn inherit(id: u64, parent: u64, name: u64, length: i64) -> WatchedCgroup {
    let none = WatchedCgroup {
        owner: 0,
        flags: 0,
        pad: 0,
    };
    let Some(watched) = CGROUPS.get_ptr(parent) else {
        return none;
    };
    // SAFETY: non-null by the look-up; whole entries are written and removed.
    let watched = unsafe { *watched };
    let new = if watched.flags & WATCH_CHILDREN_ARE_OWNERS == 0 {
        watched
    } else if is_slice(name, length) {
        WatchedCgroup {
            owner: id,
            flags: WATCH_CHILDREN_ARE_OWNERS,
            pad: 0,
        }
    } else {
        WatchedCgroup {
            owner: id,
            flags: WATCH_COUNT,
            pad: 0,
        }
    };
    if CGROUPS.insert(id, new, 0).is_err() {
        count_loss(NO_SLOT, Loss::Executable);
        return none;
    }
    new
}

/// Whether a name of this length, the NUL included, ends as those of slices do.
#[inline(always)]
fn is_slice(name: u64, length: i64) -> bool {
    let behind = SLICE_SUFFIX.len() as i64 + 1;
    if length <= behind {
        return false;
    }
    let mut end = [0u8; SLICE_SUFFIX.len()];
    let from = name.wrapping_add((length - behind) as u64);
    // SAFETY: the array is on the stack and as long as it says; the helper checks the other address
    // and copies, or fails.
    let failed = unsafe {
        bpf_probe_read_kernel(end.as_mut_ptr().cast(), end.len() as u32, from as *const _)
    };
    failed == 0 && end == SLICE_SUFFIX
}
