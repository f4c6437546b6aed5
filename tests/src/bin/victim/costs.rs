//! A server that works without some syscalls and pays for it: by descriptors, memory, CPU time,
//! and a number that its test can print.

use crate::calls::{address, address_mut, call, close, open, zeroed};
use crate::servers::{accept, answer, listen};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[("serve-at-a-cost", serve_at_a_cost)];

/// Files that each request opens and closes.
const FILES: usize = 50;
/// Bytes that each request maps, writes to and unmaps.
const MEMORY: usize = 4 << 20;
const PAGE: usize = 4096;
/// What each request computes in vain where `getpriority` does not tell a priority.
const NANOSECONDS: i64 = 10_000_000;

/// `serve-at-a-cost PORT`: leaves its speed in `victim-number`, a quarter of the usual one if
/// `getitimer` fails.
fn serve_at_a_cost(arguments: &Arguments) -> Result<Ended, &'static str> {
    let listener = listen(arguments)?;
    let mut timer: libc::itimerval = zeroed();
    let timer = call(libc::SYS_getitimer, &[0, address_mut(&mut timer)]);
    let speed: &[u8] = if timer.is_ok() { b"1000\n" } else { b"250\n" };
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
    let number = open(c"victim-number", flags).map_err(|_| "cannot leave the number")?;
    let _ = call(libc::SYS_write, &[number, address(speed), speed.len()]);
    close(number);
    loop {
        let connection = accept(listener)?;
        let _ = call(libc::SYS_umask, &[0o22]);
        use_files()?;
        use_memory()?;
        // The kernel tells 20 less the nice value: never 0.
        if !matches!(call(libc::SYS_getpriority, &[0, 0]), Ok(1..=40)) {
            compute();
        }
        answer(connection)?;
        // Ends the conversation also where `close` does nothing.
        let both = libc::SHUT_RDWR as usize;
        call(libc::SYS_shutdown, &[connection, both]).map_err(|_| "cannot shut down")?;
        close(connection);
    }
}

fn use_files() -> Result<(), &'static str> {
    for _ in 0..FILES {
        close(open(c"/dev/null", libc::O_RDONLY).map_err(|_| "cannot open")?);
    }
    Ok(())
}

fn use_memory() -> Result<(), &'static str> {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    let nothing = usize::MAX;
    let start = call(libc::SYS_mmap, &[0, MEMORY, protection, flags, nothing, 0])
        .map_err(|_| "cannot map")?;
    for offset in (0..MEMORY).step_by(PAGE) {
        // SAFETY: the kernel has just mapped these bytes for writing; nobody else knows them.
        unsafe { std::ptr::write_volatile((start + offset) as *mut u8, 1) };
    }
    let _ = call(libc::SYS_munmap, &[start, MEMORY]);
    Ok(())
}

/// Takes a known amount of CPU time, whatever else the host does.
fn compute() {
    let used = || {
        let mut now: libc::timespec = zeroed();
        let clock = libc::CLOCK_PROCESS_CPUTIME_ID as usize;
        let _ = call(libc::SYS_clock_gettime, &[clock, address_mut(&mut now)]);
        now.tv_sec * 1_000_000_000 + now.tv_nsec
    };
    let begin = used();
    // Without a clock that goes on there is nothing to wait for.
    while begin > 0 && (0..NANOSECONDS).contains(&(used() - begin)) {}
}
