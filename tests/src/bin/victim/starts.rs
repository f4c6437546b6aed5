//! Unusual ways to start a program: from memory, and as a child that no tracer follows.

use std::ffi::{CStr, c_char};

use crate::calls::{address, address_mut, call, close, exit_now, open, zeroed};
use crate::trees::{fork, wait_for};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("executes-memory", executes_memory),
    ("clones-untraced", clones_untraced),
    ("executes-trapped", executes_trapped),
    ("waits-for-trap", waits_for_trap),
];

/// The words from `first` on, as `execve` wants them.
pub fn argument_vector(arguments: &Arguments, first: usize) -> Vec<*const c_char> {
    let words = (first..arguments.count()).map(|index| arguments.word(index).as_ptr());
    words.chain([std::ptr::null()]).collect()
}

pub fn execute(file: usize, path: &CStr, words: &[*const c_char], flags: usize) -> &'static str {
    let environment: [*const c_char; 1] = [std::ptr::null()];
    let _ = call(
        libc::SYS_execveat,
        &[
            file,
            path.as_ptr() as usize,
            words.as_ptr() as usize,
            environment.as_ptr() as usize,
            flags,
        ],
    );
    "cannot execute"
}

/// Executes a copy of the program at word 1 that is in memory only, and is named `copy` there.
fn executes_memory(arguments: &Arguments) -> Result<Ended, &'static str> {
    let from = open(arguments.word(1), libc::O_RDONLY).map_err(|_| "no program")?;
    let mut status: libc::stat = zeroed();
    call(libc::SYS_fstat, &[from, address_mut(&mut status)]).map_err(|_| "no size")?;
    let name = c"copy".as_ptr() as usize;
    let flags = libc::MFD_CLOEXEC as usize;
    let to = call(libc::SYS_memfd_create, &[name, flags]).map_err(|_| "no memory file")?;
    let mut left = status.st_size as usize;
    while left > 0 {
        let sent = call(libc::SYS_sendfile, &[to, from, 0, left]).map_err(|_| "no copy")?;
        left -= sent;
    }
    close(from);
    let words = argument_vector(arguments, 1);
    Err(execute(to, c"", &words, libc::AT_EMPTY_PATH as usize))
}

/// Executes the program at word 1 in a child that is cloned so that no tracer follows.
fn clones_untraced(arguments: &Arguments) -> Result<Ended, &'static str> {
    let flags = libc::CLONE_UNTRACED | libc::SIGCHLD;
    // A copy of this process, as `fork` makes one: it has one thread.
    let child = call(libc::SYS_clone, &[flags as usize]).map_err(|_| "cannot clone")?;
    if child == 0 {
        let words = argument_vector(arguments, 1);
        execute(
            libc::AT_FDCWD as isize as usize,
            arguments.word(1),
            &words,
            0,
        );
        exit_now(127);
    }
    Ok(Ended::Code(wait_for(child)))
}

/// A signal set with SIGTRAP in it.
const TRAPS: u64 = 1 << (libc::SIGTRAP - 1);

/// Executes the program at word 1, with SIGTRAP blocked, while a child sends it some.
fn executes_trapped(arguments: &Arguments) -> Result<Ended, &'static str> {
    let set = [libc::SIG_BLOCK as usize, address(&TRAPS), 0, 8];
    call(libc::SYS_rt_sigprocmask, &set).map_err(|_| "cannot block a signal")?;
    let parent = call(libc::SYS_getpid, &[]).map_err(|_| "no pid")?;
    if fork()? == 0 {
        for _ in 0..200 {
            let _ = call(libc::SYS_kill, &[parent, libc::SIGTRAP as usize]);
        }
        exit_now(0);
    }
    let words = argument_vector(arguments, 1);
    Err(execute(
        libc::AT_FDCWD as usize,
        arguments.word(1),
        &words,
        0,
    ))
}

/// Waits for a SIGTRAP that another process has sent.
fn waits_for_trap(_: &Arguments) -> Result<Ended, &'static str> {
    let mut info: libc::siginfo_t = zeroed();
    let limit = libc::timespec {
        tv_sec: 20,
        tv_nsec: 0,
    };
    let wait = [address(&TRAPS), address_mut(&mut info), address(&limit), 8];
    call(libc::SYS_rt_sigtimedwait, &wait).map_err(|_| "no signal came")?;
    // SAFETY: a signal that was sent by `kill` has a sender.
    let sender = unsafe { info.si_pid() };
    match (info.si_code, sender) {
        (libc::SI_USER, 1..) => Ok(Ended::Quietly),
        _ => Err("not the signal that was sent"),
    }
}
