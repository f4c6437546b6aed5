//! Is the current process traced, and into which slot?

use aya_ebpf::helpers::generated::bpf_get_current_ancestor_cgroup_id;
use loupe_common::scope::{Scope, scope_index};

use crate::maps::SCOPES;

/// Depth below the cgroup root at which traced cgroups lie; set by user space at load. A
/// process in a cgroup below a traced one is found by its ancestor at this depth, so a
/// workload that makes cgroups of its own does not escape.
#[unsafe(no_mangle)]
static CGROUP_LEVEL: u32 = 0;

/// The scope of the current process; `None`, after one look-up, if nobody traces it.
#[inline(always)]
pub fn current() -> Option<&'static Scope> {
    // SAFETY: a plain read of a constant in read-only data; volatile, because user space
    // sets it after compilation.
    let level = unsafe { core::ptr::read_volatile(&raw const CGROUP_LEVEL) };
    // SAFETY: the helper takes any level and returns 0 where the process has no such ancestor.
    let id = unsafe { bpf_get_current_ancestor_cgroup_id(level as i32) };
    if id == 0 {
        return None;
    }
    let scope = SCOPES.get(scope_index(id))?;
    (scope.cgroup_id == id).then_some(scope)
}
