//! Calls whose return value is believed, or not even looked at, and whose effect is needed
//! later: what a fake cannot give.

use std::ffi::CStr;

use crate::calls::{address, address_mut, call, open, zeroed};
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("effect-unchecked", effect_unchecked),
    ("effect-checked", effect_checked),
    ("effect-or-plan-b", effect_or_plan_b),
    ("effect-unnoticed", effect_unnoticed),
];

const WORK_FILE: &CStr = c"victim-work";
const WORK_DIRECTORY: &CStr = c"victim-directory";

fn work_file() -> Result<usize, &'static str> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
    open(WORK_FILE, flags).map_err(|_| "cannot create the work file")
}

/// Never looks at `ftruncate`'s and `pwrite64`'s results, but at the file afterwards.
fn effect_unchecked(_: &Arguments) -> Result<Ended, &'static str> {
    let file = work_file()?;
    let _ = call(libc::SYS_pwrite64, &[file, address(b"data"), 4, 0]);
    let _ = call(libc::SYS_ftruncate, &[file, 1000]);
    let mut bytes = [0u8; 4];
    if call(libc::SYS_pread64, &[file, address_mut(&mut bytes), 4, 0]) != Ok(4) || bytes != *b"data"
    {
        return Err("the data is not there");
    }
    match call(libc::SYS_lseek, &[file, 0, libc::SEEK_END as usize]) {
        Ok(1000) => Ok(Ended::Works),
        _ => Err("the file has another size"),
    }
}

/// Stops at an error of `linkat`; believes a success, and stumbles later if it was none.
fn effect_checked(_: &Arguments) -> Result<Ended, &'static str> {
    work_file()?;
    let here = libc::AT_FDCWD as isize as usize;
    let (old, new) = (
        WORK_FILE.as_ptr() as usize,
        c"victim-link".as_ptr() as usize,
    );
    let _ = call(libc::SYS_unlink, &[new]);
    if call(libc::SYS_linkat, &[here, old, here, new, 0]).is_err() {
        return Err("linkat failed");
    }
    open(c"victim-link", libc::O_RDONLY)
        .map(|_| Ended::Works)
        .map_err(|_| "the link is not there")
}

/// Does without a directory of its own if `mkdir` fails; uses it if `mkdir` says that it is there.
fn effect_or_plan_b(_: &Arguments) -> Result<Ended, &'static str> {
    let _ = call(libc::SYS_rmdir, &[WORK_DIRECTORY.as_ptr() as usize]);
    let made = call(libc::SYS_mkdir, &[WORK_DIRECTORY.as_ptr() as usize, 0o755]);
    let path = match made {
        Ok(_) => WORK_DIRECTORY,
        Err(_) => c".",
    };
    let mut status: libc::stat = zeroed();
    call(
        libc::SYS_stat,
        &[path.as_ptr() as usize, address_mut(&mut status)],
    )
    .map_err(|_| "the directory is not there")?;
    Ok(Ended::Works)
}

/// Takes an error seriously, but nothing ever shows whether the data reached a disk.
fn effect_unnoticed(_: &Arguments) -> Result<Ended, &'static str> {
    let file = work_file()?;
    if call(libc::SYS_fsync, &[file]).is_err() || call(libc::SYS_fdatasync, &[file]).is_err() {
        return Err("cannot sync");
    }
    Ok(Ended::Works)
}
