//! Forks one child and makes it what a [`CommandSpec`] says, up to its `execve`.

use std::ffi::{CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use loupe_common::exit;
use loupe_common::word::Word;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{
    ForkResult, Gid, Pid, Uid, chdir, execve, pipe2, read, setgid, setgroups, setsid, setuid, write,
};

use super::protocol::{CommandSpec, Identity};
use crate::sys::{descriptors, process, signals};

/// The first descriptor that is none of standard input, output and error.
const FIRST_AFTER_STDIO: u32 = 3;

/// A child that stands before its `execve` until it is released.
pub struct Held {
    pub pid: Pid,
    release: OwnedFd,
    /// See [`Report`].
    report: OwnedFd,
}

impl Held {
    /// Lets it execute. The rest is read once the child has ended.
    pub fn release(self) -> nix::Result<Report> {
        write(&self.release, &[1])?;
        Ok(Report(self.report))
    }
}

/// What a child says of itself before it is the command, in words of eight bytes: before each
/// attempt to execute it, the largest resident set so far in KiB; when all have failed, the
/// error, negative.
pub struct Report(OwnedFd);

/// What came of a [`Report`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub max_rss_kib: Option<u64>,
    /// Why it could not be executed.
    pub errno: Option<i32>,
}

impl Report {
    /// Only after the child's end, else it may block.
    pub fn read(&self) -> Told {
        // Each directory of a `PATH` is an attempt; what would not fit says nothing new.
        let mut bytes = [0; 4096];
        let length = read(&self.0, &mut bytes).unwrap_or(0);
        let mut told = Told::default();
        for word in bytes[..length].as_chunks().0 {
            match i64::from_ne_bytes(*word) {
                error @ ..0 => told.errno = i32::try_from(-error).ok(),
                kib => told.max_rss_kib = Some(kib.unsigned_abs()),
            }
        }
        told
    }
}

/// Whoever reads it is our parent; if that is gone, nobody needs to know.
fn tell(reporter: &OwnedFd, word: i64) {
    let _ = write(reporter, &word.to_ne_bytes());
}

/// Forks a child for `command` that waits to be released.
pub fn fork_held(command: &CommandSpec, stdio: &[OwnedFd; 3]) -> nix::Result<Held> {
    let (wait, release) = pipe2(OFlag::O_CLOEXEC)?;
    let (report, reporter) = pipe2(OFlag::O_CLOEXEC)?;
    match process::fork_alone()? {
        ForkResult::Parent { child } => Ok(Held {
            pid: child,
            release,
            report,
        }),
        ForkResult::Child => {
            drop((release, report));
            let errno = become_command(command, stdio, &wait, &reporter);
            tell(&reporter, -i64::from(errno as i32));
            process::end(exit::NOT_FOUND.into())
        }
    }
}

/// Returns only if the command cannot be executed.
fn become_command(
    command: &CommandSpec,
    stdio: &[OwnedFd; 3],
    wait: &OwnedFd,
    reporter: &OwnedFd,
) -> Errno {
    let prepared = prepare(command, stdio).and_then(|()| {
        // Held until our parent has decided about tracing. If it is gone, so are we.
        match read(wait, &mut [0]) {
            Ok(1) => Ok(()),
            _ => Err(Errno::ECANCELED),
        }
    });
    match prepared.and_then(|()| execute(command, reporter)) {
        Ok(never) => match never {},
        Err(errno) => errno,
    }
}

/// The kernel counts what this process ever had as the command's.
fn max_rss_kib() -> nix::Result<i64> {
    Ok(getrusage(UsageWho::RUSAGE_SELF)?.max_rss())
}

fn prepare(command: &CommandSpec, stdio: &[OwnedFd; 3]) -> nix::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    if command.new_session {
        setsid()?;
    }
    set_signals(command.ignored_signals)?;
    for (number, descriptor) in stdio.iter().enumerate() {
        descriptors::become_standard(descriptor, number as i32)?;
    }
    // The launcher's socket and whatever Loupe itself was started with are not the command's.
    descriptors::close_at_exec_from(FIRST_AFTER_STDIO)?;
    assume(&command.identity)?;
    chdir(&command.directory)
}

/// Loupe's own handling of signals is not the command's.
fn set_signals(ignored: u64) -> nix::Result<()> {
    for number in Signal::iterator() {
        if !matches!(number, Signal::SIGKILL | Signal::SIGSTOP) {
            match ignored & 1 << (number as i32 - 1) {
                0 => signals::set_default(number)?,
                _ => signals::ignore(number)?,
            }
        }
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// Takes on the caller's rights, for good.
pub fn assume(identity: &Identity) -> nix::Result<()> {
    // A caller without special rights already has its own; only root can change them.
    if nix::unistd::geteuid().is_root() {
        let groups: Vec<Gid> = identity
            .groups
            .iter()
            .map(|gid| Gid::from_raw(*gid))
            .collect();
        setgroups(&groups)?;
        setgid(Gid::from_raw(identity.gid))?;
        setuid(Uid::from_raw(identity.uid))?;
    }
    if identity.uid != 0 {
        // The sandbox holds files of the caller's making; a set-uid program among the host's
        // must not be led by them. It also lets the filter be installed.
        nix::sys::prctl::set_no_new_privs()?;
        // Changing the user clears it.
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    }
    Ok(())
}

fn execute(command: &CommandSpec, reporter: &OwnedFd) -> nix::Result<std::convert::Infallible> {
    let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::EINVAL);
    let arguments: Vec<CString> = command
        .argv
        .iter()
        .map(|word| c_string(word.as_bytes()))
        .collect::<nix::Result<_>>()?;
    let environment: Vec<CString> = command
        .environment
        .iter()
        .map(|(name, value)| c_string(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect::<nix::Result<_>>()?;
    let program = command.argv.first().ok_or(Errno::ENOENT)?;
    let mut last = Errno::ENOENT;
    for candidate in candidates(program.as_os_str(), &command.environment) {
        let path = CString::new(candidate.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
        tell(reporter, max_rss_kib()?);
        let Err(error) = execve(&path, &arguments, &environment);
        // As the shell does: a hit that may not be executed is remembered over a miss.
        if error != Errno::ENOENT && error != Errno::ENOTDIR {
            last = error;
            if error != Errno::EACCES {
                break;
            }
        }
    }
    Err(last)
}

/// Where a program may be: itself if it has a slash, else in each directory of `PATH`.
pub fn candidates(program: &OsStr, environment: &[(Word, Word)]) -> Vec<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(program)];
    }
    let path = environment
        .iter()
        .find(|(name, _)| name == "PATH")
        .map_or(&b"/usr/local/bin:/usr/bin:/bin"[..], |(_, value)| {
            value.as_bytes()
        });
    path.split(|byte| *byte == b':')
        .map(|directory| {
            if directory.is_empty() {
                b"."
            } else {
                directory
            }
        })
        .map(|directory| Path::new(OsStr::from_bytes(directory)))
        .map(|directory| directory.join(program))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &[i64]) -> Told {
        let (report, reporter) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        for word in words {
            tell(&reporter, *word);
        }
        drop(reporter);
        Report(report).read()
    }

    #[test]
    fn a_report_is_read_however_far_the_child_came() {
        let error = -i64::from(libc::ENOENT);
        for (words, max_rss_kib, errno) in [
            (&[][..], None, None),
            (&[error][..], None, Some(libc::ENOENT)),
            (&[6800, 6812][..], Some(6812), None),
            (&[6812, error][..], Some(6812), Some(libc::ENOENT)),
        ] {
            assert_eq!(told(words), Told { max_rss_kib, errno });
        }
    }
}
