//! Looking at files with the rights of another user: what the caller of the daemon could not
//! see, the daemon does not tell. Changes one thread that ends with it, never the process.

use std::io;

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

use crate::launcher::protocol::Identity;

/// Runs `look` as `identity` would: in a thread of its own, with that user's rights to files.
pub fn with_rights_of<T: Send>(
    identity: &Identity,
    look: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    if identity.uid == nix::unistd::geteuid().as_raw() {
        return Ok(look());
    }
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            assume(identity)?;
            Ok(look())
        });
        looking
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Changes this thread only; becoming another file system user also takes away root's power to
/// pass by permissions.
fn assume(identity: &Identity) -> io::Result<()> {
    // SAFETY: the pointer and the length are one live slice's; the call changes no memory. The
    // plain syscall is per thread, where the C library's function would change all of them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_setgroups,
            identity.groups.len(),
            identity.groups.as_ptr(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
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
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
}
