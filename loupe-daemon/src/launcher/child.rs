//! Forks one child and makes it what a [`CommandSpec`] says, up to its `execve`.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::{
    ForkResult, Gid, Pid, Uid, chdir, dup2_raw, execve, fork, pipe2, read, setgid, setgroups,
    setsid, setuid, write,
};

use super::protocol::{CommandSpec, Identity};

/// Has `command` find a copy of `descriptor` at the number `at`.
pub fn pass_descriptor(command: &mut Command, descriptor: BorrowedFd<'_>, at: i32) {
    let raw = descriptor.as_raw_fd();
    // SAFETY: between fork and exec only `dup2` runs, which is async-signal-safe. The
    // descriptor outlives the spawn: the caller borrows it to us and spawns at once.
    unsafe {
        command.pre_exec(move || {
            let result = if raw == at {
                // Same number: only the close-on-exec flag has to go.
                libc::fcntl(raw, libc::F_SETFD, 0)
            } else {
                libc::dup2(raw, at)
            };
            if result < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// A child that stands before its `execve` until it is released.
pub struct Held {
    pub pid: Pid,
    release: OwnedFd,
    /// Four bytes come out if the execution failed; nothing if it worked.
    failure: OwnedFd,
}

impl Held {
    /// Lets it execute. The rest tells, once the child has ended, why it could not.
    pub fn release(self) -> nix::Result<ExecFailure> {
        write(&self.release, &[1])?;
        Ok(ExecFailure(self.failure))
    }
}

/// Where a child says why it could not be executed.
pub struct ExecFailure(OwnedFd);

impl ExecFailure {
    /// The error, if the execution failed. Only after the child's end, else it may block.
    pub fn errno(&self) -> Option<i32> {
        let mut bytes = [0; 4];
        match read(&self.0, &mut bytes) {
            Ok(4) => Some(i32::from_ne_bytes(bytes)),
            _ => None,
        }
    }
}

/// Forks a child for `command` that waits to be released.
pub fn fork_held(command: &CommandSpec, stdio: &[OwnedFd; 3]) -> nix::Result<Held> {
    let (wait, release) = pipe2(OFlag::O_CLOEXEC)?;
    let (failure, report) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: the keeper has one thread, so its child may run any code.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Held {
            pid: child,
            release,
            failure,
        }),
        ForkResult::Child => {
            drop((release, failure));
            let errno = become_command(command, stdio, &wait);
            // Whoever reads it is our parent; if that is gone, nobody needs to know.
            let _ = write(&report, &(errno as i32).to_ne_bytes());
            // SAFETY: ends the process, which is always sound.
            unsafe { libc::_exit(127) }
        }
    }
}

/// Returns only if the command cannot be executed.
fn become_command(command: &CommandSpec, stdio: &[OwnedFd; 3], wait: &OwnedFd) -> Errno {
    let prepared = prepare(command, stdio).and_then(|()| {
        // Held until our parent has decided about tracing. If it is gone, so are we.
        match read(wait, &mut [0]) {
            Ok(1) => Ok(()),
            _ => Err(Errno::ECANCELED),
        }
    });
    match prepared.and_then(|()| execute(command)) {
        Ok(never) => match never {},
        Err(errno) => errno,
    }
}

fn prepare(command: &CommandSpec, stdio: &[OwnedFd; 3]) -> nix::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    if command.new_session {
        setsid()?;
    }
    set_signals(command.ignored_signals)?;
    for (number, descriptor) in stdio.iter().enumerate() {
        // SAFETY: 0, 1 and 2 belong to the command from here on.
        let duplicate = unsafe { dup2_raw(descriptor.as_fd(), number as i32) }?;
        std::mem::forget(duplicate);
    }
    keep_only_stdio()?;
    assume(&command.identity)?;
    chdir(&command.directory)
}

/// Marks every other descriptor to be closed at the exec: the launcher's socket and whatever
/// Loupe itself was started with are not the command's.
fn keep_only_stdio() -> nix::Result<()> {
    let (first, last, flags) = (3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    // SAFETY: only marks descriptors of this process; what it still needs it uses before.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    Errno::result(result).map(drop)
}

/// Loupe's own handling of signals is not the command's.
fn set_signals(ignored: u64) -> nix::Result<()> {
    for number in Signal::iterator() {
        if !matches!(number, Signal::SIGKILL | Signal::SIGSTOP) {
            let handler = match ignored & 1 << (number as i32 - 1) {
                0 => SigHandler::SigDfl,
                _ => SigHandler::SigIgn,
            };
            // SAFETY: neither the default nor ignoring installs a handler.
            unsafe { signal(number, handler) }?;
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

fn execute(command: &CommandSpec) -> nix::Result<std::convert::Infallible> {
    let c_string = |text: &str| CString::new(text).map_err(|_| Errno::EINVAL);
    let arguments: Vec<CString> = command
        .argv
        .iter()
        .map(|word| c_string(word))
        .collect::<nix::Result<_>>()?;
    let environment: Vec<CString> = command
        .environment
        .iter()
        .map(|(name, value)| c_string(&format!("{name}={value}")))
        .collect::<nix::Result<_>>()?;
    let program = command.argv.first().ok_or(Errno::ENOENT)?;
    let mut last = Errno::ENOENT;
    for candidate in candidates(program, &command.environment) {
        let path = CString::new(candidate.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
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
pub fn candidates(program: &str, environment: &[(String, String)]) -> Vec<PathBuf> {
    if program.contains('/') {
        return vec![PathBuf::from(program)];
    }
    let path = environment
        .iter()
        .find(|(name, _)| name == "PATH")
        .map_or("/usr/local/bin:/usr/bin:/bin", |(_, value)| value.as_str());
    path.split(':')
        .map(|directory| Path::new(if directory.is_empty() { "." } else { directory }))
        .map(|directory| directory.join(program))
        .collect()
}
