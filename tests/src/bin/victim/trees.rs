//! More than one process: who makes the call, and who has to say that it worked.

use std::ffi::{CStr, c_char, c_int};

use crate::calls::{
    address_mut, call, close, exit_now, last_errno, say_error, write_result, zeroed,
};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("child-calls", child_calls),
    ("child-kills-parent", child_kills_parent),
    ("late-grandchild", late_grandchild),
    ("shell-child", shell_child),
    ("exec-again", exec_again),
    ("uname", uname),
    ("run", run),
];

/// 0 in the child, the child's pid in the parent.
pub fn fork() -> Result<usize, &'static str> {
    // SAFETY: behaviours fork while they have one thread, so the child may go on as it likes.
    let child = unsafe { libc::fork() };
    usize::try_from(child).map_err(|_| "cannot fork")
}

/// The child's exit code, or 128 and the signal that killed it.
pub fn wait_for(child: usize) -> c_int {
    let mut status: c_int = 0;
    match call(libc::SYS_wait4, &[child, address_mut(&mut status), 0, 0]) {
        Ok(_) if libc::WIFEXITED(status) => libc::WEXITSTATUS(status),
        Ok(_) => 128 + libc::WTERMSIG(status),
        Err(_) => 255,
    }
}

/// The group ids, or an error if the call only pretended.
fn group_ids() -> Result<[u32; 3], &'static str> {
    const NOBODYS: u32 = 0x5ea1_ed00;
    let mut ids = [NOBODYS; 3];
    let [real, effective, saved] = &mut ids;
    let result = call(
        libc::SYS_getresgid,
        &[
            address_mut(real),
            address_mut(effective),
            address_mut(saved),
        ],
    );
    if result.is_err() || ids.contains(&NOBODYS) {
        return Err("getresgid said nothing");
    }
    Ok(ids)
}

/// Only the child makes the calls; its exit code is what counts.
fn child_calls(_: &Arguments) -> Result<Ended, &'static str> {
    let child = fork()?;
    if child == 0 {
        let _ = call(libc::SYS_sync, &[]);
        exit_now(c_int::from(group_ids().is_err()));
    }
    match wait_for(child) {
        0 => Ok(Ended::Works),
        _ => Err("the child failed"),
    }
}

fn child_kills_parent(_: &Arguments) -> Result<Ended, &'static str> {
    let parent = call(libc::SYS_getpid, &[]).map_err(|_| "no pid")?;
    let child = fork()?;
    if child == 0 {
        if group_ids().is_err() {
            let _ = call(libc::SYS_kill, &[parent, libc::SIGKILL as usize]);
        }
        exit_now(0);
    }
    wait_for(child);
    Ok(Ended::Works)
}

/// Parent and child are gone when the grandchild makes the call and writes the result.
fn late_grandchild(_: &Arguments) -> Result<Ended, &'static str> {
    let mut ends = [0i32; 2];
    call(libc::SYS_pipe2, &[address_mut(&mut ends), 0]).map_err(|_| "no pipe")?;
    let [alive, held] = ends.map(|end| end as usize);
    let child = fork()?;
    if child != 0 {
        // The other end of the pipe closes when the last of the two has ended.
        return Ok(Ended::Quietly);
    }
    if fork()? != 0 {
        return Ok(Ended::Quietly);
    }
    close(held);
    let mut byte = 0u8;
    let _ = call(libc::SYS_read, &[alive, address_mut(&mut byte), 1]);
    let mut name: libc::utsname = zeroed();
    let result = call(libc::SYS_uname, &[address_mut(&mut name)]);
    if result.is_err() || name.sysname[0] == 0 {
        return Err("uname said nothing");
    }
    Ok(Ended::Works)
}

/// Runs another program by way of a shell, which the policy covers too.
fn shell_child(_: &Arguments) -> Result<Ended, &'static str> {
    let script = c"test \"$(/bin/uname -s)\" = Linux";
    // SAFETY: the string lives across the call.
    match unsafe { libc::system(script.as_ptr()) } {
        0 => Ok(Ended::Works),
        _ => Err("the shell or its child failed"),
    }
}

/// Replaces itself by itself, and makes the call only then.
fn exec_again(arguments: &Arguments) -> Result<Ended, &'static str> {
    let again = [c"victim", c"uname", arguments.word(0)];
    Err(exec(c"/proc/self/exe", &again))
}

/// Returns only if it fails.
pub fn exec(program: &CStr, words: &[&CStr]) -> &'static str {
    let mut pointers: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: a NULL-terminated vector of strings that live across the call.
    unsafe { libc::execv(program.as_ptr(), pointers.as_ptr()) };
    "cannot execute"
}

/// One `uname`, whose result it needs.
fn uname(_: &Arguments) -> Result<Ended, &'static str> {
    let mut name: libc::utsname = zeroed();
    match call(libc::SYS_uname, &[address_mut(&mut name)]) {
        Ok(_) if name.sysname[0] != 0 => Ok(Ended::Works),
        _ => Err("uname said nothing"),
    }
}

/// `run PROGRAM WORD…`: forks, executes, waits, and ends as the program did. For being the
/// *starter* of a target, where the target's own binary must be another.
fn run(arguments: &Arguments) -> Result<Ended, &'static str> {
    let child = fork()?;
    if child == 0 {
        let words: Vec<&CStr> = (0..16)
            .map(|index| arguments.word(index))
            .take_while(|word| !word.is_empty())
            .collect();
        say_error(exec(arguments.word(0), &words));
        exit_now(if last_errno() == libc::ENOENT {
            127
        } else {
            126
        });
    }
    Ok(Ended::Code(wait_for(child)))
}

/// Where a process of the tree, not `main`, has the last word.
pub fn end_with_result(path: &CStr) -> ! {
    exit_now(write_result(path))
}
