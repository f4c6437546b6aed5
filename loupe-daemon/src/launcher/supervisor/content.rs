//! What a call gets that is answered with more than a number: the bytes of a structure, a
//! descriptor of something inert. Layouts are those of the C library's headers.

use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{InitFlags, Inotify};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};

use crate::inject::notify::plausible::{Content, Inert};

/// The bytes of a plain structure of the C library.
fn bytes<T>(value: T) -> Vec<u8> {
    let length = size_of::<T>();
    let start = (&raw const value).cast::<u8>();
    // SAFETY: the structures here come from `zeroed`, so that no byte, padding included, is
    // undefined; `value` lives until the copy is made.
    unsafe { std::slice::from_raw_parts(start, length) }.to_vec()
}

fn zeroed<T>() -> T {
    // SAFETY: only used for the C library's plain structures of integers, of which all-zero is
    // valid.
    unsafe { std::mem::zeroed() }
}

/// What the kernel would have written, of something that means nothing.
pub fn structure(content: Content, args: &[u64; 6]) -> Vec<u8> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    match content {
        Content::Stat => stat(libc::S_IFREG | 0o644, 0),
        Content::Statx => statx(libc::S_IFREG | 0o644, 0),
        Content::ResourceLimit { resource } => {
            // Limits that programs count up to must be small.
            let limit = match args[resource] as u32 {
                libc::RLIMIT_NOFILE => 1024,
                libc::RLIMIT_STACK => 8 << 20,
                _ => libc::RLIM64_INFINITY,
            };
            bytes(libc::rlimit64 {
                rlim_cur: limit,
                rlim_max: limit,
            })
        }
        Content::SystemInfo => {
            let mut info: libc::sysinfo = zeroed();
            info.uptime = 3600;
            (info.totalram, info.freeram) = (1 << 30, 1 << 29);
            (info.procs, info.mem_unit) = (1, 1);
            bytes(info)
        }
        Content::SystemName => {
            let mut name: libc::utsname = zeroed();
            for (field, text) in [
                (&mut name.sysname, "Linux"),
                (&mut name.nodename, "loupe"),
                (&mut name.release, "6.1.0"),
                (&mut name.version, "#1"),
                (&mut name.machine, std::env::consts::ARCH),
            ] {
                for (place, byte) in field.iter_mut().zip(text.bytes()) {
                    *place = byte as libc::c_char;
                }
            }
            bytes(name)
        }
        Content::Timespec => bytes(libc::timespec {
            tv_sec: now.as_secs() as i64,
            tv_nsec: i64::from(now.subsec_nanos()),
        }),
        Content::Timeval => bytes(libc::timeval {
            tv_sec: now.as_secs() as i64,
            tv_usec: i64::from(now.subsec_micros()),
        }),
        Content::Usage => bytes(zeroed::<libc::rusage>()),
    }
}

/// An empty file of this type and mode; of a device, `device` is its number.
pub fn stat(mode: u32, device: u64) -> Vec<u8> {
    let mut stat: libc::stat = zeroed();
    (stat.st_ino, stat.st_nlink) = (1, 1);
    (stat.st_mode, stat.st_rdev, stat.st_blksize) = (mode, device, 4096);
    bytes(stat)
}

/// As [`stat`].
pub fn statx(mode: u32, device: u64) -> Vec<u8> {
    let mut stat: libc::statx = zeroed();
    (stat.stx_mask, stat.stx_blksize) = (libc::STATX_BASIC_STATS, 4096);
    (stat.stx_ino, stat.stx_nlink, stat.stx_mode) = (1, 1, mode as u16);
    stat.stx_rdev_major = libc::major(device);
    stat.stx_rdev_minor = libc::minor(device);
    bytes(stat)
}

/// A descriptor of something that nothing will ever happen to.
pub fn inert(inert: Inert) -> nix::Result<OwnedFd> {
    Ok(match inert {
        Inert::File => memfd_create("empty", MFdFlags::MFD_CLOEXEC)?,
        Inert::Socket => socket(
            AddressFamily::Unix,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?,
        Inert::Epoll => Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?.0,
        Inert::Event => EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?.into(),
        Inert::Timer => TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?.into(),
        Inert::Inotify => {
            use std::os::fd::AsFd;
            let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
            let clone = inotify.as_fd().try_clone_to_owned();
            clone.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?
        }
    })
}
