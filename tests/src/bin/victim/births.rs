//! Every way to make a task, each a known number of times, beside each other.

use std::arch::asm;
use std::ffi::c_void;

use crate::calls::{address, call, exit_now};
use crate::threads::{join, start};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[("births", births)];

const FORKS: usize = 4;
const CLONES: usize = 5;
const CLONE3S: usize = 6;

/// `struct clone_args` of the first release (`include/uapi/linux/sched.h`).
#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

extern "C" fn nothing(argument: *mut c_void) -> *mut c_void {
    argument
}

/// `births RESULT THREADS`: threads, then forks, clones, clone3s, and one vfork at the end. An
/// answer of 0 without a child is not taken for one.
fn births(arguments: &Arguments) -> Result<Ended, &'static str> {
    for _ in 0..arguments.number(1, 0) {
        join(start(nothing, std::ptr::null_mut())?);
    }
    let own = call(libc::SYS_getpid, &[]).map_err(|_| "no pid")?;
    let leave_if_child = || {
        if call(libc::SYS_getpid, &[]) != Ok(own) {
            exit_now(0);
        }
    };
    let signal = libc::SIGCHLD as usize;
    for _ in 0..FORKS {
        let _ = call(libc::SYS_fork, &[]);
        leave_if_child();
    }
    for _ in 0..CLONES {
        let _ = call(libc::SYS_clone, &[signal, 0, 0, 0, 0]);
        leave_if_child();
    }
    let clone3 = CloneArguments {
        exit_signal: signal as u64,
        ..CloneArguments::default()
    };
    for _ in 0..CLONE3S {
        let size = size_of::<CloneArguments>();
        let _ = call(libc::SYS_clone3, &[address(&clone3), size]);
        leave_if_child();
    }
    while call(libc::SYS_wait4, &[usize::MAX, 0, 0, 0]).is_ok() {}
    // The child shares this very stack: it ends without a step out of these instructions. Where
    // the answer is only pretended, this process does.
    // SAFETY: `vfork` and `exit_group` touch no memory of ours; registers that the system call
    // instruction changes are named.
    unsafe {
        asm!(
            "syscall",
            "test eax, eax",
            "jnz 2f",
            "mov eax, {exit_group}",
            "xor edi, edi",
            "syscall",
            "2:",
            exit_group = const libc::SYS_exit_group,
            inout("rax") libc::SYS_vfork => _,
            out("rdi") _,
            out("rcx") _,
            out("r11") _,
        );
    }
    Ok(Ended::Works)
}
