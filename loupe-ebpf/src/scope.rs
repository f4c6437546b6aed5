//! Is the current process traced, and into which slot?

use aya_ebpf::{
    helpers::generated::{bpf_get_current_ancestor_cgroup_id, bpf_get_current_cgroup_id},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use loupe_common::scope::{Scope, scope_index};

use crate::maps::{LEVEL, SCOPES};

/// No tree of cgroups is deeper than this; the verifier wants a bound.
const DEEPEST: u32 = 128;

/// The id of the cgroup that the current process is in, at the depth at which traced cgroups
/// lie: a workload that makes cgroups of its own below does not escape. 0: not that deep.
#[inline(always)]
pub fn current_cgroup() -> u64 {
    let Some(level) = LEVEL.get(0) else {
        return 0;
    };
    // SAFETY: the helper takes any level and returns 0 where the process has no such ancestor.
    unsafe { bpf_get_current_ancestor_cgroup_id(level.level as i32) }
}

/// The scope of the current process; `None`, after one look-up, if nobody traces it.
#[inline(always)]
pub fn current() -> Option<&'static Scope> {
    let id = current_cgroup();
    if id == 0 {
        return None;
    }
    let scope = SCOPES.get(scope_index(id))?;
    (scope.cgroup_id == id).then_some(scope)
}

/// Notes how deep the cgroup that user space asks about lies, as soon as a process in it ends a
/// call. Attached only until the answer is there.
#[btf_tracepoint(function = "sys_exit")]
pub fn learn_level(_: BtfTracePointContext) -> i32 {
    let Some(asked) = LEVEL.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: non-null by the look-up; user space writes it before the program is attached.
    let id = unsafe { (*asked).cgroup_id };
    // SAFETY: the helper has no precondition.
    if unsafe { bpf_get_current_cgroup_id() } != id {
        return 0;
    }
    for level in 1..DEEPEST {
        // SAFETY: as above; any level may be asked for.
        if unsafe { bpf_get_current_ancestor_cgroup_id(level as i32) } == id {
            // SAFETY: non-null; every process that comes here writes the same.
            unsafe { (*asked).level = level };
            return 0;
        }
    }
    0
}
