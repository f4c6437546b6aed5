//! Whose rights a workload runs with: its caller's, or those of the user that it names. Looks up;
//! changes nothing.

use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, User, getgrouplist};

use super::prepared::PrepareError;
use crate::launcher::protocol::Identity;

/// The caller's own, unless the workload names a user: root may run one as anybody, everybody
/// else as themselves.
pub fn identity(user: Option<&str>, caller: &Identity) -> Result<Identity, PrepareError> {
    let Some(name) = user else {
        return Ok(caller.clone());
    };
    let refused = |source: io::Error| PrepareError::User {
        name: name.to_owned(),
        source,
    };
    let found = User::from_name(name).map_err(|error| refused(error.into()))?;
    let user = found.ok_or_else(|| PrepareError::NoUser(name.to_owned()))?;
    if user.uid.as_raw() == caller.uid {
        return Ok(caller.clone());
    }
    if caller.uid != 0 {
        return Err(PrepareError::NotYourself(name.to_owned()));
    }
    let c_name = CString::new(name).map_err(|error| refused(error.into()))?;
    let groups = getgrouplist(&c_name, user.gid).map_err(|error| refused(error.into()))?;
    Ok(Identity {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
        groups: groups.into_iter().map(Gid::as_raw).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32) -> Identity {
        Identity {
            uid,
            gid: uid,
            groups: vec![],
        }
    }

    #[test]
    fn root_runs_a_workload_as_anybody_and_others_as_themselves() {
        // Both are in every Linux system's list of users.
        let nobody = User::from_name("nobody").expect("readable").expect("there");
        let uid = nobody.uid.as_raw();
        assert_eq!(identity(None, &caller(7)).expect("its own"), caller(7));
        let as_nobody = identity(Some("nobody"), &caller(0)).expect("allowed");
        assert_eq!((as_nobody.uid, as_nobody.gid), (uid, nobody.gid.as_raw()));
        assert_eq!(as_nobody.groups, [nobody.gid.as_raw()]);
        assert_eq!(
            identity(Some("nobody"), &caller(uid)).expect("itself"),
            caller(uid)
        );
        assert_eq!(
            identity(Some("root"), &caller(0)).expect("itself"),
            caller(0)
        );
        for (name, uid) in [("root", 7), ("no-such-user", 0), ("a\0b", 0)] {
            assert!(identity(Some(name), &caller(uid)).is_err(), "{name:?}");
        }
    }
}
