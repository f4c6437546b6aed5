//! Which unfinished analyses somebody works on right now, who keeps the jobs, and who makes the
//! database.
//!
//! A claim is a lock on one byte (at the analysis's id) of a file beside the database. The
//! kernel drops it when its holder dies, however it dies, so an analysis that is unfinished and
//! unclaimed was interrupted. The lock belongs to the open file, not to the process: two jobs
//! of one daemon exclude each other too. Knows nothing of SQLite, whose own locks are on other
//! files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// The byte for the making of the database; the ids of analyses begin above it.
const MAKING: i64 = 0;

/// The byte for the jobs: far above the id of any analysis.
const JOBS: i64 = i64::MAX - 1;

/// The claims on a database's analyses.
#[derive(Debug)]
pub(super) struct Claims {
    path: PathBuf,
}

/// The right to do one thing alone. It ends with this value, or with the process.
#[derive(Debug)]
pub(super) struct Claim {
    _file: File,
}

impl Claims {
    pub(super) fn beside(database: &Path) -> Claims {
        let mut path = database.as_os_str().to_owned();
        path.push("-claims");
        Claims { path: path.into() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The right to make the database itself; waits while another makes it.
    pub(super) fn making(&self) -> io::Result<Claim> {
        let file = self.open()?;
        loop {
            match fcntl(&file, FcntlArg::F_OFD_SETLKW(&byte(MAKING))) {
                Ok(_) => return Ok(Claim { _file: file }),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// The right to keep the jobs. `None`: another daemon does.
    pub(super) fn jobs(&self) -> io::Result<Option<Claim>> {
        self.claim(JOBS)
    }

    /// `None`: somebody else works on it.
    pub(super) fn claim(&self, analysis: i64) -> io::Result<Option<Claim>> {
        let file = self.open()?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&byte(analysis))) {
            Ok(_) => Ok(Some(Claim { _file: file })),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Does anybody work on it?
    pub(super) fn is_claimed(&self, analysis: i64) -> io::Result<bool> {
        let mut lock = byte(analysis);
        fcntl(&self.open()?, FcntlArg::F_OFD_GETLK(&mut lock))?;
        Ok(i32::from(lock.l_type) != libc::F_UNLCK)
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)
    }
}

/// An exclusive lock on the byte of this analysis.
fn byte(analysis: i64) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: analysis,
        l_len: 1,
        l_pid: 0,
    }
}
