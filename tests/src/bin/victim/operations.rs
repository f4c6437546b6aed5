//! Vectored syscalls of which not every operation is needed. What of them is true is written in
//! `loupe_tests::operations`.

use crate::calls::{address, address_mut, call, close, open};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("parts-of-fcntl", parts_of_fcntl),
    ("parts-of-ioctl", parts_of_ioctl),
    ("parts-of-socket", parts_of_socket),
    ("parts-of-lseek", parts_of_lseek),
    ("plan-b-of-fcntl", plan_b_of_fcntl),
    ("parts-that-conflict", parts_that_conflict),
    ("flags-of-mmap", flags_of_mmap),
    ("takes-refusals", takes_refusals),
];

fn fcntl(file: usize, command: i32, argument: usize) -> Result<usize, i32> {
    call(libc::SYS_fcntl, &[file, command as usize, argument])
}

fn some_file() -> Result<usize, &'static str> {
    open(c"/dev/null", libc::O_RDWR).map_err(|_| "cannot open /dev/null")
}

/// Two operations are checked by each other, one only for success, one not at all.
fn parts_of_fcntl(_: &Arguments) -> Result<Ended, &'static str> {
    let file = some_file()?;
    let non_blocking = libc::O_NONBLOCK as usize;
    if fcntl(file, libc::F_SETFL, non_blocking).is_err() {
        return Err("F_SETFL failed");
    }
    match fcntl(file, libc::F_GETFL, 0) {
        Ok(flags) if flags & non_blocking != 0 => {}
        _ => return Err("the flag is not set"),
    }
    for _ in 0..3 {
        if fcntl(file, libc::F_SETFD, libc::FD_CLOEXEC as usize).is_err() {
            return Err("F_SETFD failed");
        }
    }
    let _ = fcntl(file, libc::F_GETOWN, 0);
    Ok(Ended::Works)
}

/// What is in a pipe must be told; an unknown request must fail.
fn parts_of_ioctl(_: &Arguments) -> Result<Ended, &'static str> {
    let mut ends = [0i32; 2];
    if call(libc::SYS_pipe2, &[address_mut(&mut ends), 0]).is_err() {
        return Err("no pipe");
    }
    let [reading, writing] = ends.map(|end| end as usize);
    let _ = call(libc::SYS_write, &[writing, address(b"abc"), 3]);
    let ioctl =
        |request: usize, argument: usize| call(libc::SYS_ioctl, &[reading, request, argument]);
    let mut waiting = 0i32;
    if ioctl(libc::FIONREAD as usize, address_mut(&mut waiting)).is_err() || waiting != 3 {
        return Err("three bytes wait");
    }
    let on = 1i32;
    if ioctl(libc::FIONBIO as usize, address(&on)).is_err() {
        return Err("FIONBIO failed");
    }
    match ioctl(0xdead, 0) {
        Err(_) => Ok(Ended::Works),
        Ok(_) => Err("a request that nobody knows worked"),
    }
}

/// One kind of socket is used, another only tried.
fn parts_of_socket(_: &Arguments) -> Result<Ended, &'static str> {
    let socket =
        |family: i32, kind: i32| call(libc::SYS_socket, &[family as usize, kind as usize, 0]);
    let stream = socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC);
    let Ok(stream @ 3..) = stream else {
        return Err("no socket");
    };
    close(stream);
    if let Ok(datagrams @ 3..) = socket(libc::AF_INET, libc::SOCK_DGRAM) {
        close(datagrams);
    }
    Ok(Ended::Works)
}

fn parts_of_lseek(_: &Arguments) -> Result<Ended, &'static str> {
    let Ok(file) = call(libc::SYS_memfd_create, &[c"victim".as_ptr() as usize, 0]) else {
        return Err("no file");
    };
    let lseek =
        |offset: usize, whence: i32| call(libc::SYS_lseek, &[file, offset, whence as usize]);
    if lseek(7, libc::SEEK_SET) != Ok(7) {
        return Err("SEEK_SET went elsewhere");
    }
    if lseek(0, libc::SEEK_END).is_err() {
        return Err("SEEK_END failed");
    }
    Ok(Ended::Works)
}

/// Duplicates in the old way where the new one is unknown.
fn plan_b_of_fcntl(_: &Arguments) -> Result<Ended, &'static str> {
    let file = some_file()?;
    let copy = match fcntl(file, libc::F_DUPFD_CLOEXEC, 10) {
        Err(libc::ENOSYS) => fcntl(file, libc::F_DUPFD, 10),
        other => other,
    };
    match copy {
        Ok(copy @ 10..) => {
            close(copy);
            Ok(Ended::Works)
        }
        _ => Err("no copy"),
    }
}

/// Either of two advices may be refused, not both; a third must be taken.
fn parts_that_conflict(_: &Arguments) -> Result<Ended, &'static str> {
    let page = call(
        libc::SYS_mmap,
        &[
            0,
            4096,
            (libc::PROT_READ | libc::PROT_WRITE) as usize,
            (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize,
            usize::MAX,
            0,
        ],
    );
    let Ok(page) = page else {
        return Err("no page");
    };
    let advise = |advice: i32| call(libc::SYS_madvise, &[page, 4096, advice as usize]).is_ok();
    let (sequential, random) = (advise(libc::MADV_SEQUENTIAL), advise(libc::MADV_RANDOM));
    if !sequential && !random {
        return Err("no advice was taken");
    }
    // SAFETY: the page was just mapped readable and writable and is nobody else's.
    let byte = unsafe { &mut *(page as *mut u8) };
    *byte = 1;
    let dropped = advise(libc::MADV_DONTNEED);
    // SAFETY: as above; volatile, because the kernel changes it.
    match (dropped, unsafe {
        std::ptr::read_volatile(page as *const u8)
    }) {
        (true, 0) => Ok(Ended::Works),
        _ => Err("MADV_DONTNEED kept the page"),
    }
}

/// Does without one flag where the kernel refuses it.
fn flags_of_mmap(_: &Arguments) -> Result<Ended, &'static str> {
    let map = |flags: i32| {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | flags) as usize;
        call(
            libc::SYS_mmap,
            &[0, 4096, protection as usize, flags, usize::MAX, 0],
        )
    };
    let page = match map(libc::MAP_POPULATE) {
        Err(_) => map(0),
        page => page,
    };
    match page {
        Ok(1..) => Ok(Ended::Works),
        _ => Err("no page"),
    }
}

/// `/dev/null` is no terminal, and any other answer is a surprise; a file must be there, and
/// something in it, unless it may not be looked at.
fn takes_refusals(_: &Arguments) -> Result<Ended, &'static str> {
    let file = some_file()?;
    let mut buffer = [0u8; 64];
    let arguments = [file, libc::TCGETS as usize, address_mut(&mut buffer)];
    if call(libc::SYS_ioctl, &arguments) != Err(libc::ENOTTY) {
        return Err("neither a terminal nor none");
    }
    match open(c"/proc/uptime", libc::O_RDONLY) {
        Ok(file) => match call(libc::SYS_read, &[file, address_mut(&mut buffer), 64]) {
            Ok(1..) => Ok(Ended::Works),
            _ => Err("a file without text"),
        },
        Err(libc::EACCES) => Ok(Ended::Works),
        Err(_) => Err("no file"),
    }
}
