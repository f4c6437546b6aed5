//! Pseudo-files: named in every way there is, and needed in every way there is.

use std::ffi::{CStr, CString};

use crate::calls::{address, address_mut, call, close, open, zeroed};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("pseudo-files", pseudo_files),
    ("turns-to-files", turns_to_files),
    ("reads-file", reads_file),
    ("opens-blindly", opens_blindly),
    ("opens-once", opens_once),
    ("opens-forever", opens_forever),
    ("asks-blindly", asks_blindly),
];

const CWD: usize = libc::AT_FDCWD as isize as usize;

/// The number of bytes that one read of an open file gives.
fn length(file: usize) -> usize {
    let mut buffer = [0u8; 64];
    let read = call(libc::SYS_read, &[file, address_mut(&mut buffer), 64]).unwrap_or(0);
    close(file);
    read
}

/// Whether the file is there and has something in it.
fn has_content(path: &CStr) -> bool {
    open(path, libc::O_RDONLY).is_ok_and(|file| length(file) > 0)
}

/// `opens-once RESULT FILE`: 3, if the file cannot be opened.
fn opens_once(arguments: &Arguments) -> Result<Ended, &'static str> {
    match open(arguments.word(1), libc::O_RDONLY) {
        Ok(_) => Ok(Ended::Quietly),
        Err(_) => Ok(Ended::Code(3)),
    }
}

fn pseudo_files(arguments: &Arguments) -> Result<Ended, &'static str> {
    by_name()?;
    by_other_names(arguments)?;
    by_other_calls()
}

/// Absolute paths, needed in each of the ways.
fn by_name() -> Result<(), &'static str> {
    // Required: its content.
    if !has_content(c"/proc/cpuinfo") {
        return Err("no processor");
    }
    // Stub: there it must be something, but it need not be there.
    if let Ok(file) = open(c"/proc/version", libc::O_RDONLY)
        && length(file) == 0
    {
        return Err("a version without text");
    }
    // Fake: it must be there, whatever is in it.
    let Ok(file) = open(c"/proc/meminfo", libc::O_RDONLY) else {
        return Err("no memory");
    };
    close(file);
    // Any: not looked at.
    if let Ok(file) = open(c"/proc/loadavg", libc::O_RDONLY) {
        close(file);
    }
    // A device: random bytes are required, and something to write to may be `/dev/null`.
    if !has_content(c"/dev/urandom") {
        return Err("nothing random");
    }
    let Ok(file) = open(c"/dev/full", libc::O_WRONLY) else {
        return Err("no /dev/full");
    };
    close(file);
    Ok(())
}

/// Links, relative paths, numbers.
fn by_other_names(arguments: &Arguments) -> Result<(), &'static str> {
    let own = call(libc::SYS_getpid, &[]).unwrap_or(0);
    let comm = CString::new(format!("/proc/{own}/comm")).expect("no NUL");
    if !has_content(&comm) {
        return Err("no name of its own");
    }
    if !has_content(c"/proc/1/comm") {
        return Err("no name of process 1");
    }
    // A link of its own making, beside the result file.
    let mut link = arguments.word(0).to_bytes().to_vec();
    link.extend(b".link");
    let link = CString::new(link).expect("no NUL");
    let _ = call(libc::SYS_unlink, &[link.as_ptr() as usize]);
    let to = c"/proc/uptime".as_ptr() as usize;
    let made = call(libc::SYS_symlink, &[to, link.as_ptr() as usize]);
    if made.is_err() || !has_content(&link) {
        return Err("no uptime by a link");
    }
    let _ = call(libc::SYS_unlink, &[link.as_ptr() as usize]);
    // Relative to a directory, and to the working directory.
    let Ok(directory) = open(c"/proc/sys", libc::O_RDONLY | libc::O_DIRECTORY) else {
        return Err("no /proc/sys");
    };
    let name = c"vm/../kernel/ostype".as_ptr() as usize;
    let relative = call(libc::SYS_openat, &[directory, name, 0, 0]);
    if !relative.is_ok_and(|file| length(file) > 0) {
        return Err("no system name");
    }
    let moved = call(libc::SYS_fchdir, &[directory]);
    if moved.is_err() || !has_content(c"kernel/pid_max") {
        return Err("no largest pid");
    }
    close(directory);
    Ok(())
}

/// `stat`, `access`, `readlink`.
fn by_other_calls() -> Result<Ended, &'static str> {
    // Fake: only that it is there.
    let path = c"/sys/devices/system/cpu/online".as_ptr() as usize;
    let mut file: libc::stat = zeroed();
    if call(libc::SYS_stat, &[path, address_mut(&mut file)]).is_err() || file.st_nlink == 0 {
        return Err("no processors online");
    }
    // Required: its size is not that of an empty file (sysfs says 4096).
    let path = c"/sys/kernel/mm/transparent_hugepage/enabled".as_ptr() as usize;
    let arguments = [CWD, path, address_mut(&mut file), 0];
    if call(libc::SYS_newfstatat, &arguments).is_err() || file.st_size == 0 {
        return Err("no huge pages");
    }
    // Stub: a regular file of this name is a surprise (it is none).
    let path = c"/dev/no-such-device".as_ptr() as usize;
    if call(libc::SYS_access, &[path, 0]).is_ok() {
        return Err("an impossible device");
    }
    // Required: the name of the program.
    let mut name = [0u8; 256];
    let arguments = [
        c"/proc/self/exe".as_ptr() as usize,
        address_mut(&mut name),
        name.len(),
    ];
    match call(libc::SYS_readlink, &arguments) {
        Ok(length) if length > 0 => Ok(Ended::Works),
        _ => Err("no name of the program"),
    }
}

/// Asks the kernel by a syscall, and where that does not say, by a file; each of the files in
/// another way.
fn turns_to_files(_: &Arguments) -> Result<Ended, &'static str> {
    let mut bytes = [0u8; 16];
    let random = call(libc::SYS_getrandom, &[address_mut(&mut bytes), 16, 0]);
    // Required then: its content.
    if random != Ok(16) && !has_content(c"/dev/urandom") {
        return Err("nothing random");
    }
    let mut info: libc::sysinfo = zeroed();
    let told = call(libc::SYS_sysinfo, &[address_mut(&mut info)]);
    // It need not be there then, but there it must be something.
    if (told.is_err() || info.totalram == 0)
        && let Ok(file) = open(c"/proc/meminfo", libc::O_RDONLY)
        && length(file) == 0
    {
        return Err("no memory");
    }
    let mut set = [0u64; 128];
    let length = size_of_val(&set);
    let told = call(
        libc::SYS_sched_getaffinity,
        &[0, length, address_mut(&mut set)],
    );
    // It must be there then, whatever is in it.
    if !told.is_ok_and(|length| length > 0) {
        match open(c"/sys/devices/system/cpu/online", libc::O_RDONLY) {
            Ok(file) => close(file),
            Err(_) => return Err("no processors"),
        }
    }
    Ok(Ended::Works)
}

/// Opens the file of its second argument and reads it to its end; with a third one, that often.
fn reads_file(arguments: &Arguments) -> Result<Ended, &'static str> {
    for _ in 0..arguments.number(2, 1) {
        let Ok(file) = open(arguments.word(1), libc::O_RDONLY) else {
            return Err("cannot open it");
        };
        close(file);
    }
    Ok(Ended::Works)
}

/// Opens the file of its second argument so often, whatever comes of it.
fn opens_blindly(arguments: &Arguments) -> Result<Ended, &'static str> {
    for _ in 0..arguments.number(2, 0) {
        if let Ok(file) = open(arguments.word(1), libc::O_RDONLY) {
            close(file);
        }
    }
    Ok(Ended::Works)
}

/// Makes one of the cheapest calls so often, whatever comes of it.
fn asks_blindly(arguments: &Arguments) -> Result<Ended, &'static str> {
    for _ in 0..arguments.number(1, 0) {
        let _ = call(libc::SYS_umask, &[0o22]);
    }
    Ok(Ended::Works)
}

/// Opens `/proc/uptime` until it cannot, telling when it has begun.
fn opens_forever(_: &Arguments) -> Result<Ended, &'static str> {
    let line = "opening\n";
    let _ = call(libc::SYS_write, &[1, address(line), line.len()]);
    while let Ok(file) = open(c"/proc/uptime", libc::O_RDONLY) {
        close(file);
    }
    Err("cannot open it any more")
}
