//! Looking at files with the rights of another user: what the caller of the daemon could not
//! see, the daemon does not tell. Knows nothing of what is looked at.

use std::io;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, getgroups, getppid, setfsgid, setfsuid};

use super::protocol::Identity;
use crate::sys::{capabilities, credentials};

/// Runs `look` as `identity` would: in a thread of its own, with that user's rights to files and
/// no capability. The thread ends with it; the process stays as it is.
pub fn with_rights_of<T: Send>(
    identity: &Identity,
    look: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    if is_own(identity) {
        return Ok(look());
    }
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            assume(identity)?;
            capabilities::set(capabilities::Sets::default())?;
            Ok(look())
        });
        looking
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The same in a process that has one thread and takes its rights back.
pub fn within_rights_of<T>(identity: &Identity, look: impl FnOnce() -> T) -> io::Result<T> {
    if is_own(identity) {
        return Ok(look());
    }
    let own = Identity {
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        groups: getgroups()?.into_iter().map(Gid::as_raw).collect(),
    };
    let (parent, death_signal) = (getppid(), nix::sys::prctl::get_pdeathsig()?);
    let sets = capabilities::get()?;
    assume(identity)?;
    capabilities::set(sets.without_effect())?;
    let seen = look();
    capabilities::set(sets)?;
    assume(&own)?;
    // Becoming another file system user gives capabilities back, but perhaps not all of them.
    capabilities::set(sets)?;
    // The kernel has forgotten it with the change of user.
    nix::sys::prctl::set_pdeathsig(death_signal)?;
    match getppid() == parent {
        true => Ok(seen),
        // The signal was missed.
        false => Err(Errno::EOWNERDEAD.into()),
    }
}

/// Whether these rights are the process' own. Without root's they cannot be changed.
fn is_own(identity: &Identity) -> bool {
    identity.uid == nix::unistd::geteuid().as_raw()
}

/// Changes this thread only. Capabilities that have nothing to do with files stay.
fn assume(identity: &Identity) -> io::Result<()> {
    credentials::set_groups_of_thread(&identity.groups)?;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    setfsgid(gid);
    setfsuid(uid);
    // These calls say what was there before, so a second one says whether the first did it.
    if setfsgid(gid) != gid || setfsuid(uid) != uid {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

#[cfg(test)]
#[expect(unsafe_code, reason = "forks, so that the rights of the tests stay")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    use super::*;

    fn nobody() -> Identity {
        Identity {
            uid: 65534,
            gid: 65534,
            groups: vec![],
        }
    }

    #[test]
    fn what_only_root_sees_is_not_seen() {
        if !nix::unistd::geteuid().is_root() {
            let error = with_rights_of(&nobody(), || ()).expect_err("only root may become others");
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let secret = directory.path().join("secret");
        std::fs::write(&secret, "x").expect("written");
        let hide = |mode| {
            std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode))
                .expect("changed");
        };
        let seen = || with_rights_of(&nobody(), || secret.exists()).expect("a thread");
        hide(0o700);
        assert!(!seen());
        hide(0o755);
        assert!(seen());
        assert!(secret.exists());
    }

    #[test]
    fn no_capability_opens_another_process() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let parent = format!("/proc/{}/cwd", getppid());
        assert!(std::fs::metadata(&parent).is_ok());
        let seen = || std::fs::metadata(&parent).is_ok();
        assert!(!with_rights_of(&nobody(), seen).expect("a thread"));
    }

    #[test]
    fn a_process_takes_its_own_rights_back() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        // What root alone can do, and whether the thread's end was asked for all the same.
        let check = || {
            let closed = directory.path().join("closed");
            std::fs::create_dir(&closed).ok()?;
            std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700))
                .ok()?;
            let signal = nix::sys::signal::Signal::SIGKILL;
            nix::sys::prctl::set_pdeathsig(signal).ok()?;
            let sets = capabilities::get().ok()?;
            let seen = within_rights_of(&nobody(), || closed.exists()).ok()?;
            let same = capabilities::get().ok()? == sets
                && nix::sys::prctl::get_pdeathsig().ok()? == Some(signal);
            Some(!seen && same && closed.exists())
        };
        // In a process of its own: this one has more threads.
        // SAFETY: the child calls the kernel and allocates, which the allocator's own handlers
        // make safe after a fork, and ends without returning.
        match unsafe { fork() }.expect("forked") {
            ForkResult::Child => {
                let code = i32::from(check() != Some(true));
                // SAFETY: ends the process, which is always sound.
                unsafe { libc::_exit(code) }
            }
            ForkResult::Parent { child } => {
                let status = waitpid(child, None).expect("ended");
                assert_eq!(status, WaitStatus::Exited(child, 0));
            }
        }
    }
}
