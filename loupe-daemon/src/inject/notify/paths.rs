//! The syscalls that look a file up by its path, and where their arguments are.

use loupe_common::syscalls::Syscall;

/// What a call wants of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// A descriptor; the flags are this argument.
    Open { flags: usize },
    /// The same, with the flags in a `struct open_how` that this argument points at.
    OpenHow { how: usize },
    /// The same, to write to a new file.
    Create,
    /// A `struct stat` at this argument.
    Stat { buffer: usize },
    /// A `struct statx` at this argument.
    Statx { buffer: usize },
    /// Whether it is there.
    Access,
    /// The content of a link.
    Link,
}

/// How a call's last component is looked up if it is a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    Always,
    Never,
    /// Unless this argument has `AT_SYMLINK_NOFOLLOW`.
    UnlessAt(usize),
    /// Unless the flags to open with have `O_NOFOLLOW`.
    UnlessOpen,
}

/// One syscall that takes a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathCall {
    pub name: &'static str,
    /// The argument with the directory that a relative path starts from.
    pub directory: Option<usize>,
    pub path: usize,
    pub want: Want,
    pub follow: Follow,
}

const fn at_cwd(name: &'static str, want: Want, follow: Follow) -> PathCall {
    PathCall {
        name,
        directory: None,
        path: 0,
        want,
        follow,
    }
}

const fn at(name: &'static str, want: Want, follow: Follow) -> PathCall {
    PathCall {
        name,
        directory: Some(0),
        path: 1,
        want,
        follow,
    }
}

/// Argument positions: the manual page of each, section 2.
pub const PATH_CALLS: [PathCall; 13] = [
    at_cwd("access", Want::Access, Follow::Always),
    at_cwd("creat", Want::Create, Follow::Always),
    // The syscall has no flags: those of the library are handled there.
    at("faccessat", Want::Access, Follow::Always),
    at("faccessat2", Want::Access, Follow::UnlessAt(3)),
    at_cwd("lstat", Want::Stat { buffer: 1 }, Follow::Never),
    at("newfstatat", Want::Stat { buffer: 2 }, Follow::UnlessAt(3)),
    at_cwd("open", Want::Open { flags: 1 }, Follow::UnlessOpen),
    at("openat", Want::Open { flags: 2 }, Follow::UnlessOpen),
    at("openat2", Want::OpenHow { how: 2 }, Follow::UnlessOpen),
    at_cwd("readlink", Want::Link, Follow::Never),
    at("readlinkat", Want::Link, Follow::Never),
    at_cwd("stat", Want::Stat { buffer: 1 }, Follow::Always),
    at("statx", Want::Statx { buffer: 4 }, Follow::UnlessAt(2)),
];

/// Yields the calls that this architecture has, by number.
pub fn by_number() -> impl Iterator<Item = (u32, PathCall)> {
    PATH_CALLS.into_iter().filter_map(|call| {
        let number = Syscall::from_name(call.name)?.number()?;
        Some((number, call))
    })
}

pub fn numbers() -> impl Iterator<Item = u32> {
    by_number().map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_syscall() {
        for call in PATH_CALLS {
            assert!(Syscall::from_name(call.name).is_some(), "{}", call.name);
        }
    }
}
