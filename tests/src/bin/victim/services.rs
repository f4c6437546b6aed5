//! Behaviours of services that are watched for what they really do: known calls, known children,
//! known pseudo-files, for as long as systemd lets them.

use crate::calls::{address, call, close, exit_now, hang_in_pause, open, write_result};
use crate::trees::{exec, fork, wait_for};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("ceaseless", ceaseless),
    ("children", children),
    ("looks-around", looks_around),
    ("stays", stays),
];

/// `children RESULT COUNT EXECS PATH`: COUNT children, one after the other, that call `getppid` once
/// each; then EXECS that execute PATH.
fn children(arguments: &Arguments) -> Result<Ended, &'static str> {
    for _ in 0..arguments.number(1, 100) {
        let child = fork()?;
        if child == 0 {
            let _ = call(libc::SYS_getppid, &[]);
            exit_now(0);
        }
        if wait_for(child) != 0 {
            return Err("a child failed");
        }
    }
    for _ in 0..arguments.number(2, 0) {
        let child = fork()?;
        if child == 0 {
            let program = arguments.word(3);
            exec(program, &[program]);
            exit_now(127);
        }
        if wait_for(child) != 0 {
            return Err("an executed child failed");
        }
    }
    Ok(Ended::Works)
}

/// `looks-around RESULT`: seven looks at a file of its own in `/proc`, three at the parent's, five at
/// one that is not there, two at a device, and four questions for the flags of a descriptor.
fn looks_around(_: &Arguments) -> Result<Ended, &'static str> {
    let look = |path, times| {
        for _ in 0..times {
            if let Ok(file) = open(path, libc::O_RDONLY) {
                close(file);
            }
        }
    };
    look(c"/proc/self/limits", 7);
    look(c"/proc/1/limits", 3);
    look(c"/proc/loupe-is-not-there", 5);
    look(c"/dev/zero", 2);
    look(c"/etc/hostname", 9);
    for _ in 0..4 {
        let _ = call(libc::SYS_fcntl, &[1, libc::F_GETFL as usize]);
    }
    Ok(Ended::Works)
}

/// `ceaseless RESULT STOP`: calls of `getpriority` without a pause until there is a file STOP; RESULT
/// then says how many.
fn ceaseless(arguments: &Arguments) -> Result<Ended, &'static str> {
    const BETWEEN_LOOKS: u64 = 1000;
    let own = libc::PRIO_PROCESS as usize;
    let mut calls = 0u64;
    loop {
        for _ in 0..BETWEEN_LOOKS {
            let _ = call(libc::SYS_getpriority, &[own, 0]);
        }
        calls += BETWEEN_LOOKS;
        if let Ok(stop) = open(arguments.word(1), libc::O_RDONLY) {
            close(stop);
            break;
        }
    }
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
    let Ok(result) = open(arguments.word(0), flags) else {
        return Err("the result cannot be written");
    };
    let text = calls.to_string();
    let written = call(
        libc::SYS_write,
        &[result, address(text.as_bytes()), text.len()],
    );
    close(result);
    match written {
        Ok(_) => Ok(Ended::Quietly),
        Err(_) => Err("the result cannot be written"),
    }
}

/// `stays RESULT CALLS`: CALLS calls of `getpriority`, then nothing until it is ended.
fn stays(arguments: &Arguments) -> Result<Ended, &'static str> {
    let own = libc::PRIO_PROCESS as usize;
    for _ in 0..arguments.number(1, 1000) {
        let _ = call(libc::SYS_getpriority, &[own, 0]);
    }
    // For whoever waits until the calls are made.
    write_result(arguments.word(0));
    hang_in_pause()
}
