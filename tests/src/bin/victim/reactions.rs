//! One process, one thread: every way of reacting to a syscall's result at once.

use crate::calls::{
    abort, address, address_mut, call, close, exit_now, hang_in_futex, hang_in_pause, hang_napping,
    hang_spinning, open, say_hanging, segfault, user_ids_are_told, zeroed,
};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("needs-result", needs_result),
    ("ignores-errors", ignores_errors),
    ("accepts-enosys", accepts_enosys),
    ("accepts-eperm", accepts_eperm),
    ("accepts-eperm-or-zero", accepts_eperm_or_zero),
    ("accepts-zero-only", accepts_zero_only),
    ("must-fail", must_fail),
    ("falls-back", falls_back),
    ("falls-back-twice", falls_back_twice),
    ("segfaults-on-error", segfaults_on_error),
    ("aborts-on-error", aborts_on_error),
    ("pauses-on-error", pauses_on_error),
    ("spins-on-error", spins_on_error),
    ("naps-on-error", naps_on_error),
    ("waits-on-futex", waits_on_futex),
    ("retries-for-ever", retries_for_ever),
    ("at-exit", at_exit),
    ("other-path", other_path),
];

/// Checks what the calls returned, not only that they did.
fn needs_result(_: &Arguments) -> Result<Ended, &'static str> {
    let mut name: libc::utsname = zeroed();
    if call(libc::SYS_uname, &[address_mut(&mut name)]).is_err() {
        return Err("uname failed");
    }
    if name.sysname[..5] != b"Linux".map(|byte| byte as libc::c_char) {
        return Err("uname said nothing");
    }
    // Ticks since an arbitrary point, never 0 in practice.
    match call(libc::SYS_times, &[0]) {
        Ok(ticks) if ticks > 0 => Ok(Ended::Works),
        _ => Err("no time has passed"),
    }
}

fn ignores_errors(_: &Arguments) -> Result<Ended, &'static str> {
    let _ = call(libc::SYS_personality, &[0xffff_ffff]);
    let _ = call(libc::SYS_umask, &[0o22]);
    let _ = call(libc::SYS_sched_yield, &[]);
    let mut timer: libc::itimerval = zeroed();
    let _ = call(
        libc::SYS_getitimer,
        &[libc::ITIMER_REAL as usize, address_mut(&mut timer)],
    );
    Ok(Ended::Works)
}

/// ENOSYS is an answer that it is prepared for; any other error, and a result that cannot be
/// (the raw call returns 20 minus the nice value), is not.
fn accepts_enosys(_: &Arguments) -> Result<Ended, &'static str> {
    match call(libc::SYS_getpriority, &[libc::PRIO_PROCESS as usize, 0]) {
        Ok(1..=40) | Err(libc::ENOSYS) => Ok(Ended::Works),
        Ok(_) => Err("no such priority"),
        Err(_) => Err("getpriority failed in an unexpected way"),
    }
}

fn accepts_eperm(_: &Arguments) -> Result<Ended, &'static str> {
    let mut info: libc::sysinfo = zeroed();
    match call(libc::SYS_sysinfo, &[address_mut(&mut info)]) {
        Ok(_) if info.totalram > 0 => Ok(Ended::Works),
        Ok(_) => Err("no memory at all"),
        Err(libc::EPERM) => Ok(Ended::Works),
        Err(_) => Err("sysinfo failed in an unexpected way"),
    }
}

fn accepts_eperm_or_zero(_: &Arguments) -> Result<Ended, &'static str> {
    match call(libc::SYS_getpgid, &[0]) {
        Ok(_) | Err(libc::EPERM) => Ok(Ended::Works),
        Err(_) => Err("getpgid failed in an unexpected way"),
    }
}

fn accepts_zero_only(_: &Arguments) -> Result<Ended, &'static str> {
    // No alarm was pending, so 0 seconds were left.
    match call(libc::SYS_alarm, &[0]) {
        Ok(0) => Ok(Ended::Works),
        _ => Err("alarm did not return 0"),
    }
}

/// A probe for a feature that must be refused: success is what breaks it.
fn must_fail(_: &Arguments) -> Result<Ended, &'static str> {
    match call(libc::SYS_setns, &[usize::MAX, 0]) {
        Err(_) => Ok(Ended::Works),
        Ok(_) => Err("setns of no descriptor worked"),
    }
}

/// `eventfd2`, else a pipe; either must carry eight bytes.
fn falls_back(_: &Arguments) -> Result<Ended, &'static str> {
    let (from, to) = match call(libc::SYS_eventfd2, &[0, 0]) {
        Ok(event) => (event, event),
        Err(_) => {
            let mut ends = [0i32; 2];
            if call(libc::SYS_pipe2, &[address_mut(&mut ends), 0]).is_err() {
                return Err("neither eventfd2 nor pipe2");
            }
            (ends[0] as usize, ends[1] as usize)
        }
    };
    let sent = 7u64;
    let mut received = 0u64;
    if call(libc::SYS_write, &[to, address(&sent), 8]) != Ok(8)
        || call(libc::SYS_read, &[from, address_mut(&mut received), 8]) != Ok(8)
        || received != sent
    {
        return Err("the event did not come through");
    }
    Ok(Ended::Works)
}

/// `copy_file_range`, else `sendfile`, else `pread64` and `pwrite64`.
fn falls_back_twice(_: &Arguments) -> Result<Ended, &'static str> {
    let source = open(c"/proc/self/exe", libc::O_RDONLY).map_err(|_| "no source")?;
    let target =
        call(libc::SYS_memfd_create, &[c"copy".as_ptr() as usize, 0]).map_err(|_| "no target")?;
    let copied = call(libc::SYS_copy_file_range, &[source, 0, target, 0, 64, 0])
        // From another file system than the target's, as always here.
        .or_else(|_| call(libc::SYS_sendfile, &[target, source, 0, 64]))
        .or_else(|_| {
            let mut bytes = [0u8; 64];
            let read = call(libc::SYS_pread64, &[source, address_mut(&mut bytes), 64, 0])?;
            call(libc::SYS_pwrite64, &[target, address(&bytes), read, 0])
        });
    close(source);
    let mut magic = [0u8; 4];
    let read = call(libc::SYS_pread64, &[target, address_mut(&mut magic), 4, 0]);
    if copied != Ok(64) || read != Ok(4) || magic != *b"\x7fELF" {
        return Err("the copy is not the original");
    }
    Ok(Ended::Works)
}

fn segfaults_on_error(_: &Arguments) -> Result<Ended, &'static str> {
    let mut timer: libc::itimerval = zeroed();
    let which = libc::ITIMER_REAL as usize;
    match call(libc::SYS_getitimer, &[which, address_mut(&mut timer)]) {
        Ok(_) => Ok(Ended::Works),
        Err(_) => segfault(),
    }
}

fn aborts_on_error(_: &Arguments) -> Result<Ended, &'static str> {
    if !user_ids_are_told() {
        abort();
    }
    Ok(Ended::Works)
}

fn pauses_on_error(_: &Arguments) -> Result<Ended, &'static str> {
    let mut parameter: libc::c_int = 0;
    match call(libc::SYS_sched_getparam, &[0, address_mut(&mut parameter)]) {
        Ok(_) => Ok(Ended::Works),
        Err(_) => hang_in_pause(),
    }
}

fn spins_on_error(_: &Arguments) -> Result<Ended, &'static str> {
    match call(libc::SYS_sched_getscheduler, &[0]) {
        Ok(_) => Ok(Ended::Works),
        Err(_) => hang_spinning(),
    }
}

fn naps_on_error(_: &Arguments) -> Result<Ended, &'static str> {
    match call(libc::SYS_getsid, &[0]) {
        Ok(_) => Ok(Ended::Works),
        Err(_) => hang_napping(),
    }
}

fn waits_on_futex(_: &Arguments) -> Result<Ended, &'static str> {
    let fifo = libc::SCHED_FIFO as usize;
    match call(libc::SYS_sched_get_priority_max, &[fifo]) {
        Ok(99) => Ok(Ended::Works),
        _ => hang_in_futex(),
    }
}

fn retries_for_ever(arguments: &Arguments) -> Result<Ended, &'static str> {
    let flags = libc::O_RDWR | libc::O_CREAT;
    let file = open(arguments.word(0), flags).map_err(|_| "no file to lock")?;
    let lock = || call(libc::SYS_flock, &[file, libc::LOCK_EX as usize]);
    if lock().is_err() {
        say_hanging();
        while lock().is_err() {}
    }
    Ok(Ended::Works)
}

extern "C" fn needs_usage_at_exit() {
    let mut usage: libc::rusage = zeroed();
    let own = libc::RUSAGE_SELF as usize;
    let result = call(libc::SYS_getrusage, &[own, address_mut(&mut usage)]);
    if result.is_err() || usage.ru_maxrss == 0 {
        exit_now(1);
    }
}

/// The result is long written when the call is made; only the exit status shows its failure.
fn at_exit(_: &Arguments) -> Result<Ended, &'static str> {
    // SAFETY: the handler is a plain function that lives as long as the program.
    if unsafe { libc::atexit(needs_usage_at_exit) } != 0 {
        return Err("no exit handler");
    }
    Ok(Ended::Works)
}

/// The program has the call; this workload never reaches it.
fn other_path(arguments: &Arguments) -> Result<Ended, &'static str> {
    if arguments.word(1) == c"other" && call(libc::SYS_acct, &[0]).is_err() {
        return Err("acct failed");
    }
    Ok(Ended::Works)
}
