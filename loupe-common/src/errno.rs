//! Error numbers by name, for policies and for printing. Linux numbers of the generic table
//! (x86-64 and aarch64 share it); source: `include/uapi/asm-generic/errno*.h`, by way of `libc`.

use std::fmt;

use crate::text::as_text;

/// A Linux error number, 1 to 4095.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Errno(u16);

/// The largest value that the kernel treats as an error (`MAX_ERRNO`).
pub const MAX_ERRNO: u16 = 4095;

macro_rules! names {
    ($($name:ident)*) => {
        const NAMES: &[(i32, &str)] = &[$((libc::$name, stringify!($name))),*];
    };
}

names! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT
    ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG
    ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY
    ELOOP ENOMSG EIDRM ENOSTR ENODATA ETIME ENOSR ENOLINK EPROTO EBADMSG EOVERFLOW EILSEQ
    EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT
    ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN
    ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN
    ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE
    EDQUOT ENOMEDIUM ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD
    ENOTRECOVERABLE ERFKILL EHWPOISON
}

/// Values that the kernel uses inside and that a tracer sees before the restart logic
/// turns them into EINTR or a repeated call; source: `include/linux/errno.h`.
const INTERNAL: &[(u16, &str)] = &[
    (512, "ERESTARTSYS"),
    (513, "ERESTARTNOINTR"),
    (514, "ERESTARTNOHAND"),
    (516, "ERESTART_RESTARTBLOCK"),
];

impl Errno {
    pub const ENOSYS: Errno = Errno(libc::ENOSYS as u16);
    pub const EIO: Errno = Errno(libc::EIO as u16);

    /// `None` outside 1..=4095.
    pub fn new(number: i64) -> Option<Errno> {
        let number = u16::try_from(number).ok()?;
        (1..=MAX_ERRNO).contains(&number).then_some(Errno(number))
    }

    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = NAMES
            .iter()
            .find(|(number, _)| *number == i32::from(self.0))
            .map(|(_, name)| *name);
        let internal = || {
            INTERNAL
                .iter()
                .find(|(n, _)| *n == self.0)
                .map(|(_, name)| *name)
        };
        match known.or_else(internal) {
            Some(name) => f.pad(name),
            None => f.pad(&format!("E{}", self.0)),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Not the name or number of an error.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown errno `{0}` (a name such as EPERM, or a number from 1 to 4095)")]
pub struct UnknownErrno(String);

impl std::str::FromStr for Errno {
    type Err = UnknownErrno;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let by_name = NAMES.iter().find(|(_, name)| *name == text);
        let internal = INTERNAL.iter().find(|(_, name)| *name == text);
        by_name
            .map(|(number, _)| i64::from(*number))
            .or(internal.map(|(number, _)| i64::from(*number)))
            .or_else(|| text.parse().ok())
            .or_else(|| {
                text.strip_prefix('E')
                    .and_then(|digits| digits.parse().ok())
            })
            .and_then(Errno::new)
            .ok_or_else(|| UnknownErrno(text.to_owned()))
    }
}

as_text!(Errno);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_both_understood() {
        assert_eq!("EPERM".parse::<Errno>().map(Errno::number), Ok(1));
        assert_eq!("38".parse::<Errno>(), Ok(Errno::ENOSYS));
        assert_eq!(
            "E4000".parse::<Errno>().map(|e| e.to_string()),
            Ok("E4000".into())
        );
    }

    #[test]
    fn zero_and_too_large_are_refused() {
        for bad in ["0", "4096", "-1", "EWHAT", ""] {
            assert!(bad.parse::<Errno>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_name_comes_back() {
        for (_, name) in NAMES {
            assert_eq!(
                name.parse::<Errno>().map(|e| e.to_string()),
                Ok((*name).into())
            );
        }
    }
}
