//! The session keyring of a run: a new one, so that what runs neither sees nor changes the keys
//! that Loupe itself was started with. Puts no key anywhere.

use nix::errno::Errno;

use super::protocol::Identity;

/// Puts this process, and what it forks from now on, into a new and empty session keyring that
/// belongs to `identity`. It has no link to any other keyring.
pub fn renew(identity: &Identity) -> nix::Result<()> {
    match join_new() {
        Ok(()) => give_to(identity),
        // A kernel without keys, or a container that may not use them: there are none to share.
        Err(Errno::ENOSYS | Errno::EPERM) => Ok(()),
        Err(error) => Err(error),
    }
}

fn join_new() -> nix::Result<()> {
    let anonymous = std::ptr::null::<libc::c_char>();
    // SAFETY: the kernel reads a name where there is one; a null pointer asks for none.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            anonymous,
        )
    };
    Errno::result(result).map(drop)
}

/// As on a machine of one's own, where the keyring is made by a login as that user.
fn give_to(identity: &Identity) -> nix::Result<()> {
    let session = libc::KEY_SPEC_SESSION_KEYRING;
    // SAFETY: plain numbers, no memory.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_CHOWN,
            session,
            identity.uid,
            identity.gid,
        )
    };
    match Errno::result(result) {
        // The user's own quota of keys is used up: one who possesses a keyring may use it,
        // whoever owns it.
        Ok(_) | Err(Errno::EDQUOT | Errno::EACCES) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    use super::*;

    fn serial_of_session() -> i64 {
        // SAFETY: plain numbers, no memory.
        unsafe {
            libc::syscall(
                libc::SYS_keyctl,
                libc::KEYCTL_GET_KEYRING_ID,
                libc::KEY_SPEC_SESSION_KEYRING,
                0,
            )
        }
    }

    #[test]
    fn a_renewed_session_keyring_is_another_and_empty() {
        let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
        let identity = Identity {
            uid: uid.as_raw(),
            gid: gid.as_raw(),
            groups: vec![],
        };
        // SAFETY: the child makes plain system calls only, and ends by `_exit`.
        match unsafe { fork() }.expect("a child") {
            ForkResult::Child => {
                let before = serial_of_session();
                let renewed = renew(&identity).is_ok();
                let mut content = [0u8; 64];
                // SAFETY: the kernel writes at most the length of the live buffer.
                let length = unsafe {
                    libc::syscall(
                        libc::SYS_keyctl,
                        libc::KEYCTL_READ,
                        libc::KEY_SPEC_SESSION_KEYRING,
                        content.as_mut_ptr(),
                        content.len(),
                    )
                };
                let good = renewed && serial_of_session() != before && length == 0;
                // SAFETY: ends the process, which is always sound.
                unsafe { libc::_exit(i32::from(!good)) }
            }
            ForkResult::Parent { child } => {
                let status = waitpid(child, None).expect("it ends");
                assert!(matches!(status, WaitStatus::Exited(_, 0)), "{status:?}");
            }
        }
    }
}
