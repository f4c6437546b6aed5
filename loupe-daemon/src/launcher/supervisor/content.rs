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
use crate::sys::plain::bytes;

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
            bytes::<libc::rlimit64>(|limits| {
                (limits.rlim_cur, limits.rlim_max) = (limit, limit);
            })
        }
        Content::SystemInfo => bytes::<libc::sysinfo>(|info| {
            info.uptime = 3600;
            (info.totalram, info.freeram) = (1 << 30, 1 << 29);
            (info.procs, info.mem_unit) = (1, 1);
        }),
        Content::SystemName => bytes::<libc::utsname>(|name| {
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
        }),
        Content::Timespec => bytes::<libc::timespec>(|time| {
            time.tv_sec = now.as_secs() as i64;
            time.tv_nsec = i64::from(now.subsec_nanos());
        }),
        Content::Timeval => bytes::<libc::timeval>(|time| {
            time.tv_sec = now.as_secs() as i64;
            time.tv_usec = i64::from(now.subsec_micros());
        }),
        Content::Usage => bytes::<libc::rusage>(|_| ()),
    }
}

/// An empty file of this type and mode; of a device, `device` is its number.
pub fn stat(mode: u32, device: u64) -> Vec<u8> {
    bytes::<libc::stat>(|stat| {
        (stat.st_ino, stat.st_nlink) = (1, 1);
        (stat.st_mode, stat.st_rdev, stat.st_blksize) = (mode, device, 4096);
    })
}

/// As [`stat`].
pub fn statx(mode: u32, device: u64) -> Vec<u8> {
    bytes::<libc::statx>(|stat| {
        (stat.stx_mask, stat.stx_blksize) = (libc::STATX_BASIC_STATS, 4096);
        (stat.stx_ino, stat.stx_nlink, stat.stx_mode) = (1, 1, mode as u16);
        stat.stx_rdev_major = libc::major(device);
        stat.stx_rdev_minor = libc::minor(device);
    })
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
            use std::os::fd::AsFd as _;
            let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
            let clone = inotify.as_fd().try_clone_to_owned();
            clone.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?
        }
    })
}
