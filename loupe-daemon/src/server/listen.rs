//! The listening socket: from systemd, or made here for root and the group `loupe` only.
//! Who connects is somebody else's question.

mod sys;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use loupe_common::wire::GROUP;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, socket};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Group};

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("another louped already serves {}", path.display())]
    Live { path: PathBuf },
    #[error("{} exists and is not a socket", path.display())]
    NotASocket { path: PathBuf },
    #[error("cannot {what} {}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("what the service manager passed is no listening Unix stream socket: {why}")]
    Activation { why: String },
}

impl ListenError {
    /// The cure, where there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            ListenError::Live { .. } => {
                "stop it first (`systemctl stop louped.service louped.socket`), or choose \
                 another socket with --socket PATH"
                    .to_owned()
            }
            ListenError::NotASocket { .. } => "choose another path with --socket PATH".to_owned(),
            ListenError::Io { .. } => "louped needs root; --socket PATH and --db PATH choose \
                                       where its files are"
                .to_owned(),
            ListenError::Activation { .. } => {
                "check louped.socket: one ListenStream= with a path, Accept=no".to_owned()
            }
        })
    }
}

/// A socket that listens, and what was made for it. Dropping it removes the socket file.
#[derive(Debug)]
pub struct Listening {
    /// Nonblocking; taken by the server.
    pub listener: UnixListener,
    /// Where; `None`: at the socket that systemd passed.
    pub path: Option<PathBuf>,
    /// What the administrator should know.
    pub warnings: Vec<String>,
    /// Absent when the socket came from systemd, which keeps it.
    _own: Option<OwnSocket>,
}

/// The socket file, removed at the end.
#[derive(Debug)]
struct OwnSocket {
    path: PathBuf,
    /// Device and inode of the socket's file: another file of its name is not removed.
    identity: (u64, u64),
}

impl Drop for OwnSocket {
    fn drop(&mut self) {
        let own = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if own && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

/// The socket that systemd passed, or else a new one at `path`.
pub fn listen(path: &Path) -> Result<Listening, ListenError> {
    match sys::activated()? {
        Some(listener) => {
            set_nonblocking(&listener, path)?;
            Ok(Listening {
                listener,
                path: None,
                warnings: Vec::new(),
                _own: None,
            })
        }
        None => bind(path, GROUP),
    }
}

fn bind(path: &Path, group: &str) -> Result<Listening, ListenError> {
    let failed = |what| {
        let path = path.to_owned();
        move |source| ListenError::Io { what, path, source }
    };
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // Clients need to pass through it, not to read it.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(directory)
        .map_err(failed("make the directory of"))?;
    let _lock = lock_directory(directory)?;
    remove_stale(path)?;

    let listener = bind_private(path)
        .map_err(io::Error::from)
        .map_err(failed("bind a socket at"))?;
    let metadata = std::fs::symlink_metadata(path).map_err(failed("look at the socket"))?;
    let own = OwnSocket {
        path: path.to_owned(),
        identity: (metadata.dev(), metadata.ino()),
    };
    let warnings = open_to_group(path, group)?.into_iter().collect();
    set_nonblocking(&listener, path)?;
    Ok(Listening {
        listener,
        path: Some(path.to_owned()),
        warnings,
        _own: Some(own),
    })
}

/// Binds a socket that only its owner can use: nobody gets in before the group is set. The
/// kernel gives the file the mode of the socket (`unix_bind_bsd` in net/unix/af_unix.c), which
/// needs no change of the whole process's umask.
fn bind_private(path: &Path) -> nix::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    nix::sys::socket::bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    nix::sys::socket::listen(&socket, Backlog::MAXCONN)?;
    Ok(UnixListener::from(socket))
}

fn set_nonblocking(listener: &UnixListener, path: &Path) -> Result<(), ListenError> {
    listener
        .set_nonblocking(true)
        .map_err(|source| ListenError::Io {
            what: "set up the socket at",
            path: path.to_owned(),
            source,
        })
}

/// Two daemons that start at once must not both replace a stale socket. The lock is on the
/// directory, so that it leaves nothing behind, and is held only until the new socket listens.
fn lock_directory(directory: &Path) -> Result<Flock<File>, ListenError> {
    let failed = |source| ListenError::Io {
        what: "lock the directory",
        path: directory.to_owned(),
        source,
    };
    let file = File::open(directory).map_err(failed)?;
    let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(locked) => return Ok(locked),
        Err((file, Errno::EWOULDBLOCK)) => file,
        Err((_, errno)) => return Err(failed(errno.into())),
    };
    tracing::info!(directory = %directory.display(), "waiting for another louped that starts");
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno.into()))
}

/// Removes a socket that no process listens on. Needs the lock.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |what| {
        let path = path.to_owned();
        move |source| ListenError::Io { what, path, source }
    };
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket {
            path: path.to_owned(),
        });
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ListenError::Live {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            tracing::info!(path = %path.display(), "replacing a socket at which nobody answers");
            std::fs::remove_file(path).map_err(failed("remove the stale socket"))
        }
        Err(error) => Err(failed("connect to the socket found at")(error)),
    }
}

/// Mode 0660 for root and the group; without the group it stays the owner's (0600), and the
/// warning says so.
fn open_to_group(path: &Path, group: &str) -> Result<Option<String>, ListenError> {
    let gid: Option<Gid> = Group::from_name(group)
        .map_err(|errno| ListenError::Io {
            what: "look up the group for",
            path: path.to_owned(),
            source: errno.into(),
        })?
        .map(|group| group.gid);
    let Some(gid) = gid else {
        return Ok(Some(format!(
            "there is no group `{group}`, so only root can use {}; make one with \
             `groupadd --system {group}`",
            path.display()
        )));
    };
    std::os::unix::fs::chown(path, None, Some(gid.as_raw()))
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)))
        .map_err(|source| ListenError::Io {
            what: "give the group access to",
            path: path.to_owned(),
            source,
        })?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        let metadata = std::fs::symlink_metadata(path).expect("it exists");
        metadata.permissions().mode() & 0o7777
    }

    /// A group that certainly exists, and that the test may give the socket to.
    fn own_group() -> String {
        Group::from_gid(nix::unistd::getegid())
            .expect("readable")
            .expect("the group has a name")
            .name
    }

    #[test]
    fn the_socket_is_for_the_group_and_goes_with_the_daemon() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("deep/er/louped.sock");
        let listening = bind(&path, &own_group()).expect("bound");
        assert_eq!(mode(&path), 0o660);
        assert!(listening.warnings.is_empty());
        drop(listening);
        assert!(!path.exists());
    }

    #[test]
    fn without_the_group_the_socket_is_the_owners_and_a_warning_says_so() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("louped.sock");
        let listening = bind(&path, "no-such-group-here").expect("bound");
        assert_eq!(mode(&path), 0o600);
        assert!(listening.warnings[0].contains("groupadd"));
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("louped.sock");
        drop(UnixListener::bind(&path).expect("bound"));
        assert!(path.exists(), "its owner died without removing it");
        bind(&path, "no-such-group-here").expect("replaced");
    }

    #[test]
    fn a_live_socket_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("louped.sock");
        let first = bind(&path, "no-such-group-here").expect("bound");
        let second = bind(&path, "no-such-group-here").expect_err("it is taken");
        assert!(matches!(second, ListenError::Live { .. }), "{second}");
        UnixStream::connect(&path).expect("the first still listens");
        drop(first);
        bind(&path, "no-such-group-here").expect("it is free again");
    }

    #[test]
    fn of_many_that_start_at_once_at_a_stale_socket_one_wins() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("louped.sock");
        drop(UnixListener::bind(&path).expect("bound"));
        let results: Vec<_> = std::thread::scope(|scope| {
            let start = || bind(&path, "no-such-group-here");
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.map(|result| result.expect("no panic")).collect()
        });
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
        UnixStream::connect(&path).expect("the winner listens");
        drop(results);
        let left = std::fs::read_dir(directory.path())
            .expect("readable")
            .count();
        assert_eq!(left, 0, "nothing stays behind");
    }

    #[test]
    fn a_file_that_is_no_socket_is_never_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("louped.sock");
        std::fs::write(&path, "precious").expect("written");
        let refused = bind(&path, "no-such-group-here").expect_err("not a socket");
        assert!(
            matches!(refused, ListenError::NotASocket { .. }),
            "{refused}"
        );
        assert_eq!(std::fs::read(&path).expect("still there"), b"precious");
    }

    #[test]
    fn a_successors_socket_is_not_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("louped.sock");
        let first = bind(&path, "no-such-group-here").expect("bound");
        std::fs::remove_file(&path).expect("somebody cleaned up");
        let _successor = UnixListener::bind(&path).expect("bound");
        drop(first);
        assert!(path.exists());
    }
}
