//! More than one thread in a process.

use std::ffi::{CStr, c_void};

use crate::calls::{address_mut, call, close, exit_now, hang_in_pause, open, user_ids_are_told};
use crate::trees::{end_with_result, exec};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("threads-call", threads_call),
    ("thread-never-answers", thread_never_answers),
    ("exec-from-thread", exec_from_thread),
    ("main-thread-leaves", main_thread_leaves),
];

pub type Body = extern "C" fn(*mut c_void) -> *mut c_void;

/// Starts a thread.
pub fn start(body: Body, argument: *mut c_void) -> Result<libc::pthread_t, &'static str> {
    let mut thread: libc::pthread_t = 0;
    // SAFETY: the body is a plain function; callers pass it what outlives the thread.
    match unsafe { libc::pthread_create(&mut thread, std::ptr::null(), body, argument) } {
        0 => Ok(thread),
        _ => Err("cannot start a thread"),
    }
}

/// Waits for a thread and takes what it returned.
pub fn join(thread: libc::pthread_t) -> *mut c_void {
    let mut result = std::ptr::null_mut();
    // SAFETY: every thread is joined once, by the one who started it.
    unsafe { libc::pthread_join(thread, &mut result) };
    result
}

const CALLS_PER_THREAD: usize = 100;
const THREADS: usize = 8;

/// Returns how many of its calls did not give a priority (or ENOSYS).
extern "C" fn ask_priorities(_: *mut c_void) -> *mut c_void {
    let own = libc::PRIO_PROCESS as usize;
    let bad = (0..CALLS_PER_THREAD)
        .filter(|_| {
            !matches!(
                call(libc::SYS_getpriority, &[own, 0]),
                Ok(1..=40) | Err(libc::ENOSYS)
            )
        })
        .count();
    bad as *mut c_void
}

fn threads_call(_: &Arguments) -> Result<Ended, &'static str> {
    let mut threads = [0; THREADS];
    for thread in &mut threads {
        *thread = start(ask_priorities, std::ptr::null_mut())?;
    }
    if threads.into_iter().any(|thread| !join(thread).is_null()) {
        return Err("a thread got a wrong priority");
    }
    Ok(Ended::Works)
}

/// Goes on only with a right answer, for which everybody else waits.
extern "C" fn answer_or_hang(_: *mut c_void) -> *mut c_void {
    if !user_ids_are_told() {
        hang_in_pause();
    }
    std::ptr::null_mut()
}

fn thread_never_answers(_: &Arguments) -> Result<Ended, &'static str> {
    join(start(answer_or_hang, std::ptr::null_mut())?);
    Ok(Ended::Works)
}

/// The path is the thread's argument, which the process's argument vector keeps alive.
extern "C" fn become_uname(path: *mut c_void) -> *mut c_void {
    // SAFETY: it is the pointer of a word of the argument vector.
    let path = unsafe { CStr::from_ptr(path.cast_const().cast()) };
    exec(c"/proc/self/exe", &[c"victim", c"uname", path]);
    exit_now(1)
}

/// A thread that is not the first replaces the process.
fn exec_from_thread(arguments: &Arguments) -> Result<Ended, &'static str> {
    let path = arguments.word(0).as_ptr().cast_mut().cast();
    join(start(become_uname, path)?);
    Err("the thread came back from its exec")
}

extern "C" fn call_alone(path: *mut c_void) -> *mut c_void {
    while !leader_is_dead() {
        let _ = call(libc::SYS_sched_yield, &[]);
    }
    let own = libc::PRIO_PROCESS as usize;
    if !matches!(call(libc::SYS_getpriority, &[own, 0]), Ok(1..=40)) {
        exit_now(1);
    }
    // SAFETY: it is the pointer of a word of the argument vector.
    end_with_result(unsafe { CStr::from_ptr(path.cast_const().cast()) })
}

/// Whether the process's first thread has ended while others go on.
fn leader_is_dead() -> bool {
    let mut text = [0u8; 256];
    let Ok(file) = open(c"/proc/self/stat", libc::O_RDONLY) else {
        return false;
    };
    let size = text.len();
    let read = call(libc::SYS_read, &[file, address_mut(&mut text), size]).unwrap_or(0);
    close(file);
    text[..read].windows(3).any(|bytes| bytes == b") Z")
}

/// The first thread ends before the others, so the process has a dead leader.
fn main_thread_leaves(arguments: &Arguments) -> Result<Ended, &'static str> {
    let path = arguments.word(0).as_ptr().cast_mut().cast();
    start(call_alone, path)?;
    let _ = call(libc::SYS_exit, &[0]);
    Err("the first thread did not end")
}
