//! Requests of `ptrace` that nix does not have. A task that is not ours to trace, or gone, gives
//! an error.
#![expect(unsafe_code, reason = "requests of ptrace")]

use nix::errno::Errno;
use nix::unistd::Pid;

/// Bytes of the kernel's signal set.
const SIGNAL_SET_BYTES: usize = size_of::<u64>();

/// The signals that a stopped task blocks; bit `n - 1` is signal `n`.
pub fn blocked_signals(task: Pid) -> nix::Result<u64> {
    let mut signals = 0;
    signal_mask(libc::PTRACE_GETSIGMASK, task, &raw mut signals)?;
    Ok(signals)
}

/// Has a stopped task block these signals and no others.
pub fn block_signals(task: Pid, mut signals: u64) -> nix::Result<()> {
    signal_mask(libc::PTRACE_SETSIGMASK, task, &raw mut signals)
}

fn signal_mask(request: libc::c_uint, task: Pid, signals: *mut u64) -> nix::Result<()> {
    // SAFETY: the kernel reads or writes `SIGNAL_SET_BYTES` bytes at `signals`; both callers pass
    // a pointer to a live `u64`.
    let result = unsafe { libc::ptrace(request, task.as_raw(), SIGNAL_SET_BYTES, signals) };
    Errno::result(result).map(drop)
}

/// Leaves a task in its group stop without hiding later events.
pub fn listen(task: Pid) -> nix::Result<()> {
    // SAFETY: takes no memory.
    let result = unsafe { libc::ptrace(libc::PTRACE_LISTEN, task.as_raw(), 0, 0) };
    Errno::result(result).map(drop)
}

/// Lets a task go on with a signal by its number, which may be one that nix has no name for.
pub fn continue_with(task: Pid, signal: i32) -> nix::Result<()> {
    // SAFETY: takes no memory.
    let result = unsafe { libc::ptrace(libc::PTRACE_CONT, task.as_raw(), 0, signal) };
    Errno::result(result).map(drop)
}

/// The general registers of a stopped task, as this machine's programs have them, and how many
/// bytes of them the kernel filled: fewer of a 32-bit program, whose registers are others.
#[cfg(target_arch = "aarch64")]
pub fn general_registers(task: Pid) -> nix::Result<(libc::user_regs_struct, usize)> {
    // SAFETY: all-zero is a valid set of registers.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let mut place = libc::iovec {
        iov_base: (&raw mut registers).cast(),
        iov_len: size_of_val(&registers),
    };
    // SAFETY: the kernel writes at most `iov_len` bytes to `registers`, and the length that it
    // wrote to `place`; both outlive the call.
    let result = unsafe {
        libc::ptrace(
            libc::PTRACE_GETREGSET,
            task.as_raw(),
            libc::NT_PRSTATUS,
            &raw mut place,
        )
    };
    Errno::result(result)?;
    Ok((registers, place.iov_len))
}
