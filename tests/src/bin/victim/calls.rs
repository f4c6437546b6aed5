//! The few primitives that every behaviour is made of: a raw syscall, ways to speak, ways to
//! hang. No behaviour of its own.

use std::ffi::{CStr, c_int, c_long};

/// Makes a native syscall; the error is the errno.
pub fn call(number: c_long, arguments: &[usize]) -> Result<usize, c_int> {
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: the kernel checks every argument; pointers among them come from `address` and
    // `address_mut` of values that the calling behaviour keeps alive across the call.
    let result = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) };
    usize::try_from(result).map_err(|_| last_errno())
}

/// The C library's errno, read right after a failed call.
pub fn last_errno() -> c_int {
    // SAFETY: the C library guarantees a valid thread-local location.
    unsafe { *libc::__errno_location() }
}

pub fn address<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).cast::<u8>() as usize
}

pub fn address_mut<T: ?Sized>(value: &mut T) -> usize {
    std::ptr::from_mut(value).cast::<u8>() as usize
}

/// A value of a C structure with every byte zero.
pub fn zeroed<T: Copy>() -> T {
    // SAFETY: used only for plain C structures of integers and arrays of them.
    unsafe { std::mem::zeroed() }
}

pub fn say(text: &str) {
    let _ = call(libc::SYS_write, &[1, address(text), text.len()]);
}

pub fn say_error(text: &str) {
    let _ = call(libc::SYS_write, &[2, address(text), text.len()]);
}

/// Leaves `ok` in the result file; the value is `main`'s exit code.
pub fn write_result(path: &CStr) -> c_int {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
    let Ok(file) = open(path, flags) else {
        say_error("victim: cannot create the result file\n");
        return 2;
    };
    if call(libc::SYS_write, &[file, address(b"ok\n"), 3]) != Ok(3) {
        say_error("victim: cannot write the result file\n");
        return 2;
    }
    close(file);
    0
}

pub fn open(path: &CStr, flags: c_int) -> Result<usize, c_int> {
    let cwd = libc::AT_FDCWD as isize as usize;
    call(
        libc::SYS_openat,
        &[cwd, path.as_ptr() as usize, flags as usize, 0o644],
    )
}

pub fn close(file: usize) {
    let _ = call(libc::SYS_close, &[file]);
}

/// Said before every hang, so that a watcher need not guess from time.
const HANGING: &str = "hanging\n";

/// Whether `getresuid` works and fills in all three ids.
pub fn user_ids_are_told() -> bool {
    /// Nobody's id.
    const UNTOUCHED: u32 = 0x5ea1_ed00;
    let mut ids = [UNTOUCHED; 3];
    let [real, effective, saved] = &mut ids;
    let result = call(
        libc::SYS_getresuid,
        &[
            address_mut(real),
            address_mut(effective),
            address_mut(saved),
        ],
    );
    result.is_ok() && !ids.contains(&UNTOUCHED)
}

pub fn hang_in_pause() -> ! {
    say(HANGING);
    loop {
        let _ = call(libc::SYS_pause, &[]);
    }
}

pub fn hang_in_futex() -> ! {
    say(HANGING);
    let word: u32 = 0;
    loop {
        let wait = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as usize;
        let _ = call(libc::SYS_futex, &[address(&word), wait, 0, 0]);
    }
}

pub fn hang_spinning() -> ! {
    say(HANGING);
    loop {
        std::hint::spin_loop();
    }
}

/// Sleeps a millisecond at a time, for ever: never quiet, never done.
pub fn hang_napping() -> ! {
    say(HANGING);
    let nap = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000,
    };
    loop {
        let _ = call(libc::SYS_nanosleep, &[address(&nap), 0]);
    }
}

/// Said once, before a loop that never ends but keeps calling.
pub fn say_hanging() {
    say(HANGING);
}

pub fn segfault() -> ! {
    // Not a null pointer written in Rust: the compiler may assume that never happens.
    let _ = call(
        libc::SYS_kill,
        &[
            call(libc::SYS_getpid, &[]).unwrap_or(0),
            libc::SIGSEGV as usize,
        ],
    );
    exit_now(1)
}

pub fn abort() -> ! {
    std::process::abort()
}

/// Ends the process without exit handlers.
pub fn exit_now(code: c_int) -> ! {
    // SAFETY: ends the process; nothing of it is used afterwards.
    unsafe { libc::_exit(code) }
}
