//! Counting in hash maps of one value per CPU, so that no count needs an atomic.

use aya_ebpf::{bindings::BPF_NOEXIST, maps::PerCpuHashMap};

/// Adds one to this CPU's counter of a key that is there.
#[inline(always)]
pub fn again<K>(map: &PerCpuHashMap<K, u64>, key: &K) -> bool {
    let Some(count) = map.get_ptr_mut(key) else {
        return false;
    };
    // SAFETY: the value stays allocated while the program runs and is this CPU's own.
    unsafe { *count += 1 };
    true
}

/// Makes the key, with this CPU's counter at one and the others' at zero. `false`: there is no
/// room, or another CPU was first.
#[inline(always)]
pub fn first<K>(map: &PerCpuHashMap<K, u64>, key: &K) -> bool {
    map.insert(key, 1, BPF_NOEXIST.into()).is_ok()
}

/// Adds one to this CPU's counter; `false` if the map is full.
#[inline(always)]
pub fn increment<K>(map: &PerCpuHashMap<K, u64>, key: &K) -> bool {
    // Two CPUs that make one key at once: the second counts in its own value.
    again(map, key) || first(map, key) || again(map, key)
}
