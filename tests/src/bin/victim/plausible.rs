//! Calls whose success is more than 0: a fake that returns 0 breaks them, a plausible one does
//! not. And what the vDSO answers.

use crate::calls::{address, address_mut, call, close, open, zeroed};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[("believes", believes), ("tells-time", tells_time)];

/// Believes every success, and looks no further.
fn believes(_: &Arguments) -> Result<Ended, &'static str> {
    let own = call(libc::SYS_getpid, &[]).unwrap_or(0);
    if own == 0 {
        return Err("no pid");
    }
    let mut name: libc::utsname = zeroed();
    let named = call(libc::SYS_uname, &[address_mut(&mut name)]);
    if named.is_err() || name.sysname[0] == 0 {
        return Err("a system without a name");
    }
    let mut info: libc::sysinfo = zeroed();
    if call(libc::SYS_sysinfo, &[address_mut(&mut info)]).is_err() || info.totalram == 0 {
        return Err("no memory");
    }
    let mut limit: libc::rlimit = zeroed();
    let resource = libc::RLIMIT_NOFILE as usize;
    let asked = call(libc::SYS_getrlimit, &[resource, address_mut(&mut limit)]);
    if asked.is_err() || limit.rlim_cur == 0 {
        return Err("no descriptors allowed");
    }
    descriptors()?;
    written()
}

/// Descriptors must be new ones, and of something.
fn descriptors() -> Result<(), &'static str> {
    let Ok(epoll) = call(libc::SYS_epoll_create1, &[libc::EPOLL_CLOEXEC as usize]) else {
        return Err("no epoll");
    };
    let Ok(event) = call(libc::SYS_eventfd2, &[0, libc::EFD_CLOEXEC as usize]) else {
        return Err("no event");
    };
    let mut interest: libc::epoll_event = zeroed();
    let add = libc::EPOLL_CTL_ADD as usize;
    let added = [epoll, add, event, address_mut(&mut interest)];
    if call(libc::SYS_epoll_ctl, &added).is_err() {
        return Err("the event cannot be waited for");
    }
    let flags = call(libc::SYS_fcntl, &[event, libc::F_GETFD as usize]);
    if flags != Ok(libc::FD_CLOEXEC as usize) {
        return Err("the event stays open at an exec");
    }
    let kind = libc::SOCK_STREAM as usize;
    match call(libc::SYS_socket, &[libc::AF_UNIX as usize, kind, 0]) {
        Ok(socket) if socket > event => {}
        _ => return Err("no socket"),
    }
    close(epoll);
    Ok(())
}

/// All that was asked for must be written.
fn written() -> Result<Ended, &'static str> {
    let Ok(null) = open(c"/dev/null", libc::O_WRONLY) else {
        return Err("no /dev/null");
    };
    let text = "0123456789";
    let parts = [
        libc::iovec {
            iov_base: address(text) as *mut libc::c_void,
            iov_len: 4,
        },
        libc::iovec {
            iov_base: address(text) as *mut libc::c_void,
            iov_len: 3,
        },
    ];
    if call(libc::SYS_writev, &[null, address(&parts), 2]) != Ok(7) {
        return Err("not all parts were written");
    }
    if call(libc::SYS_pwrite64, &[null, address(text), 10, 0]) != Ok(10) {
        return Err("not all was written");
    }
    Ok(Ended::Works)
}

/// Asks for the time so often by the C library, which has it from the vDSO where there is one.
fn tells_time(arguments: &Arguments) -> Result<Ended, &'static str> {
    for _ in 0..arguments.number(1, 10) {
        let mut time: libc::timespec = zeroed();
        // SAFETY: the C library writes one `timespec`, which outlives the call.
        if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) } != 0 {
            return Err("no time");
        }
    }
    Ok(Ended::Works)
}
