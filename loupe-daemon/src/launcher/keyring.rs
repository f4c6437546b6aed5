//! The session keyring of a run: a new one, so that what runs neither sees nor changes the keys
//! that Loupe itself was started with. Puts no key anywhere.

use nix::errno::Errno;

use super::protocol::Identity;
use crate::sys::credentials;

/// Puts this process, and what it forks from now on, into a new and empty session keyring that
/// belongs to `identity`. It has no link to any other keyring.
pub fn renew(identity: &Identity) -> nix::Result<()> {
    match credentials::join_new_keyring() {
        Ok(()) => give_to(identity),
        // A kernel without keys, or a container that may not use them: there are none to share.
        Err(Errno::ENOSYS | Errno::EPERM) => Ok(()),
        Err(error) => Err(error),
    }
}

/// As on a machine of one's own, where the keyring is made by a login as that user.
fn give_to(identity: &Identity) -> nix::Result<()> {
    match credentials::give_keyring(identity.uid, identity.gid) {
        // The user's own quota of keys is used up: one who possesses a keyring may use it,
        // whoever owns it.
        Ok(_) | Err(Errno::EDQUOT | Errno::EACCES) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[expect(unsafe_code, reason = "forks, so that the keyring of the tests stays")]
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
