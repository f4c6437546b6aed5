//! Amounts: known numbers of calls, known exit statuses, much output, full disks, chance.

use std::ffi::{CStr, c_int, c_void};

use crate::calls::{address, address_mut, call, close, exit_now, hang_in_pause, open, say, zeroed};
use crate::threads::{join, start};
use crate::trees::{fork, wait_for};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("counts", counts),
    ("exits", exits),
    ("dies", dies),
    ("hangs", hangs),
    ("prints", prints),
    ("fills-disk", fills_disk),
    ("alternates", alternates),
    ("records", records),
    ("refused", refused),
    ("identity", identity),
    ("copies", copies),
    ("finds-key", finds_key),
];

/// Calls by the program itself; every thread and every child makes as many.
extern "C" fn known_calls(count: *mut c_void) -> *mut c_void {
    let own = libc::PRIO_PROCESS as usize;
    for index in 0..count as usize {
        let _ = call(libc::SYS_getpriority, &[own, 0]);
        // Every tenth call has an error of its own.
        if index.is_multiple_of(10) {
            let _ = call(libc::SYS_getpriority, &[99, 0]);
        }
    }
    std::ptr::null_mut()
}

/// `counts RESULT CALLS THREADS CHILDREN`: (1 + THREADS + CHILDREN) × CALLS calls of
/// `getpriority`, and a tenth as many again that fail with EINVAL.
fn counts(arguments: &Arguments) -> Result<Ended, &'static str> {
    let per_task = arguments.number(1, 1000) as *mut c_void;
    let mut threads = Vec::new();
    for _ in 0..arguments.number(2, 0) {
        threads.push(start(known_calls, per_task)?);
    }
    known_calls(per_task);
    for thread in threads {
        join(thread);
    }
    let mut children = Vec::new();
    for _ in 0..arguments.number(3, 0) {
        let child = fork()?;
        if child == 0 {
            known_calls(per_task);
            exit_now(0);
        }
        children.push(child);
    }
    if children.into_iter().any(|child| wait_for(child) != 0) {
        return Err("a child failed");
    }
    Ok(Ended::Works)
}

/// `exits RESULT CODE`
fn exits(arguments: &Arguments) -> Result<Ended, &'static str> {
    Ok(Ended::Code(arguments.number(1, 0) as c_int))
}

/// `dies RESULT SIGNAL`
fn dies(arguments: &Arguments) -> Result<Ended, &'static str> {
    let own = call(libc::SYS_getpid, &[]).map_err(|_| "no pid")?;
    let _ = call(libc::SYS_kill, &[own, arguments.number(1, 9)]);
    Err("survived")
}

fn hangs(_: &Arguments) -> Result<Ended, &'static str> {
    hang_in_pause()
}

/// `prints RESULT MEGABYTES`, and a last line that a bounded tail must still hold.
fn prints(arguments: &Arguments) -> Result<Ended, &'static str> {
    let mut block = vec![b'x'; 1 << 20];
    for line in block.chunks_mut(64) {
        line[63] = b'\n';
    }
    for _ in 0..arguments.number(1, 1) {
        let mut rest: &[u8] = &block;
        while !rest.is_empty() {
            let written = call(libc::SYS_write, &[1, address(rest), rest.len()])
                .map_err(|_| "cannot print")?;
            rest = &rest[written..];
        }
    }
    say("the last line\n");
    Ok(Ended::Works)
}

/// `fills-disk RESULT LIMIT-IN-MEGABYTES`: writes until nothing more fits, says how much that
/// was, then makes room again. Reaching the limit is an error: nothing bounded it.
fn fills_disk(arguments: &Arguments) -> Result<Ended, &'static str> {
    let name = c"victim-fill";
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
    let file = open(name, flags).map_err(|_| "cannot create the file")?;
    let block = vec![b'x'; 1 << 20];
    let mut full = false;
    for _ in 0..arguments.number(1, 65536) {
        match call(
            libc::SYS_write,
            &[file, address(block.as_slice()), block.len()],
        ) {
            Ok(_) => {}
            Err(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => {
                full = true;
                break;
            }
            Err(_) => return Err("another error than a full disk"),
        }
    }
    close(file);
    let _ = call(libc::SYS_unlink, &[name.as_ptr() as usize]);
    if !full {
        return Err("the disk never was full");
    }
    say("the disk was full\n");
    Ok(Ended::Works)
}

/// Adds a byte to a file that outlives the replay; the number of bytes comes back.
fn count_start(counter: &CStr) -> Result<i64, &'static str> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND;
    let file = open(counter, flags).map_err(|_| "cannot open the counter")?;
    let _ = call(libc::SYS_write, &[file, address(b"."), 1]);
    let mut status: libc::stat = zeroed();
    call(libc::SYS_fstat, &[file, address_mut(&mut status)]).map_err(|_| "no counter")?;
    close(file);
    Ok(status.st_size)
}

/// `alternates RESULT COUNTER-FILE`: works at every second start.
fn alternates(arguments: &Arguments) -> Result<Ended, &'static str> {
    match count_start(arguments.word(1))? % 2 {
        1 => Ok(Ended::Works),
        _ => Err("fails at every second start"),
    }
}

/// `records RESULT COUNTER-FILE`: leaves a byte for every start, and always works.
fn records(arguments: &Arguments) -> Result<Ended, &'static str> {
    count_start(arguments.word(1))?;
    Ok(Ended::Works)
}

/// `refused RESULT NUMBER…`: each of these syscalls must give ENOSYS. The arguments are such
/// that the kernel refuses them in another way, should one get through.
fn refused(arguments: &Arguments) -> Result<Ended, &'static str> {
    for index in 1..arguments.count() {
        let number = arguments.number(index, 0) as libc::c_long;
        if call(number, &[usize::MAX; 6]) != Err(libc::ENOSYS) {
            say(&format!("{number} was not refused\n"));
            return Err("a call was not refused");
        }
    }
    Ok(Ended::Works)
}

/// Says who it runs as, on standard output: uid, gid.
fn identity(_: &Arguments) -> Result<Ended, &'static str> {
    let uid = call(libc::SYS_getuid, &[]).map_err(|_| "no uid")?;
    let gid = call(libc::SYS_getgid, &[]).map_err(|_| "no gid")?;
    say(&format!("uid={uid} gid={gid}\n"));
    Ok(Ended::Works)
}

/// `copies RESULT FILE`: the first bytes of a file to standard output.
fn copies(arguments: &Arguments) -> Result<Ended, &'static str> {
    let file = open(arguments.word(1), libc::O_RDONLY).map_err(|_| "cannot open the file")?;
    let mut bytes = [0u8; 256];
    let size = bytes.len();
    let read = call(libc::SYS_read, &[file, address_mut(&mut bytes), size])
        .map_err(|_| "cannot read the file")?;
    let _ = call(libc::SYS_write, &[1, address(&bytes), read]);
    Ok(Ended::Works)
}

/// `finds-key RESULT NAME`: says whether its session keyring leads to a key of that name.
fn finds_key(arguments: &Arguments) -> Result<Ended, &'static str> {
    let session = libc::KEY_SPEC_SESSION_KEYRING as usize;
    let (kind, name) = (
        c"user".as_ptr() as usize,
        arguments.word(1).as_ptr() as usize,
    );
    let search = libc::KEYCTL_SEARCH as usize;
    let found = call(libc::SYS_keyctl, &[search, session, kind, name, 0]);
    say(match found {
        Ok(_) => "a key\n",
        Err(_) => "no key\n",
    });
    Ok(Ended::Works)
}
