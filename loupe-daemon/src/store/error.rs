//! What can go wrong with the database, told by cause, with the cure apart. Decides nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loupe_common::exit;
use rusqlite::ErrorCode;

/// How long a statement waits for another process before it gives up.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The database could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the database {}: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{} is not a database", path.display())]
    NotADatabase { path: PathBuf },
    #[error("{} is a database, but not one of Loupe's", path.display())]
    Foreign { path: PathBuf },
    #[error(
        "the database {} has version {found}{}; this program knows versions up to {known}",
        path.display(), by(.writer.as_deref())
    )]
    Newer {
        path: PathBuf,
        found: i64,
        known: i64,
        /// The program that wrote it, where it says so.
        writer: Option<String>,
    },
    #[error("the database {} cannot be written to", path.display())]
    ReadOnly { path: PathBuf },
    #[error("the disk is full: cannot write to the database {}", path.display())]
    Full { path: PathBuf },
    #[error(
        "the database {} is locked: another process has held it for over {} s",
        path.display(), BUSY_TIMEOUT.as_secs()
    )]
    Locked { path: PathBuf },
    /// The file was removed or replaced under a process that goes on using the old one.
    #[error(
        "another process still works on analysis {analysis} of an earlier database at {}",
        path.display()
    )]
    Replaced { path: PathBuf, analysis: i64 },
    /// Jobs are for one daemon: two would both do them.
    #[error("another louped already keeps the jobs of the database {}", path.display())]
    JobsKept { path: PathBuf },
    #[error("the database {} is damaged ({message})", path.display())]
    Damaged { path: PathBuf, message: String },
    /// A JSON column that does not hold what this version writes there.
    #[error("the database {}: cannot decode {what}: {source}", path.display())]
    Decode {
        path: PathBuf,
        what: String,
        source: serde_json::Error,
    },
    #[error("cannot encode {what} for the database: {source}")]
    Encode {
        what: &'static str,
        source: serde_json::Error,
    },
    /// Its evidence must not change any more, or it never existed.
    #[error("analysis {analysis} is not (or no longer) in progress")]
    NotInProgress { analysis: i64 },
    #[error("analysis {analysis} already has replay {replica} of the policy `{policy}`")]
    AlreadyRecorded {
        analysis: i64,
        policy: String,
        replica: u32,
    },
    #[error("analysis {analysis} is in progress: somebody works on it")]
    InProgress { analysis: i64 },
    #[error("the database {}: {source}", path.display())]
    Sqlite {
        path: PathBuf,
        source: rusqlite::Error,
    },
}

fn by(writer: Option<&str>) -> String {
    writer.map_or_else(String::new, |writer| format!(" (written by {writer})"))
}

impl StoreError {
    /// Sorts an error of SQLite by what its reader can do about it.
    pub fn from_sqlite(path: &Path, error: rusqlite::Error) -> StoreError {
        let path = path.to_owned();
        let rusqlite::Error::SqliteFailure(failure, message) = &error else {
            return StoreError::Sqlite {
                path,
                source: error,
            };
        };
        match failure.code {
            ErrorCode::DiskFull => StoreError::Full { path },
            // The index of the write-ahead log is mapped memory; a full disk shows there as
            // a failure to make that file longer.
            ErrorCode::SystemIoFailure
                if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE =>
            {
                StoreError::Full { path }
            }
            ErrorCode::CannotOpen => StoreError::Open {
                path,
                source: io::Error::other(error),
            },
            ErrorCode::ReadOnly => StoreError::ReadOnly { path },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Locked { path },
            ErrorCode::NotADatabase => StoreError::NotADatabase { path },
            ErrorCode::DatabaseCorrupt => StoreError::Damaged {
                path,
                message: message.clone().unwrap_or_else(|| failure.to_string()),
            },
            _ => StoreError::Sqlite {
                path,
                source: error,
            },
        }
    }

    /// The cure, where there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            StoreError::Open { .. } | StoreError::ReadOnly { .. } => {
                "check the permissions of the file and of its directory, or choose another \
                 database with --db PATH"
                    .to_owned()
            }
            StoreError::NotADatabase { .. } | StoreError::Foreign { .. } => {
                "choose another file with --db PATH".to_owned()
            }
            StoreError::Newer { .. } => {
                "update Loupe, or choose another database with --db PATH".to_owned()
            }
            StoreError::Full { path } => format!(
                "make room on the file system of {} and run the same command again: finished \
                 replays are kept",
                path.display()
            ),
            StoreError::Locked { path } => format!(
                "see who holds it with `fuser {}`, and run the same command again: finished \
                 replays are kept",
                path.display()
            ),
            StoreError::Replaced { path, .. } => format!(
                "end that process (`fuser {}-claims` names it) and run the same command again",
                path.display()
            ),
            StoreError::JobsKept { path } => format!(
                "stop that one first (`fuser {}-claims` names it), or choose another database with \
                 --db PATH",
                path.display()
            ),
            StoreError::Damaged { path, .. } => format!(
                "save what can be read with `sqlite3 {0} .recover | sqlite3 new.db`, or move \
                 {0} away to begin anew",
                path.display()
            ),
            StoreError::Decode { .. } => {
                "it was written by another version of Loupe: use that one, or analyse again"
                    .to_owned()
            }
            StoreError::InProgress { .. } => {
                "let it end first, or stop it (`loupe cancel JOB`, Ctrl-C)".to_owned()
            }
            StoreError::Encode { .. }
            | StoreError::NotInProgress { .. }
            | StoreError::AlreadyRecorded { .. }
            | StoreError::Sqlite { .. } => return None,
        })
    }

    /// The exit code of a command that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            StoreError::InProgress { .. } => exit::USAGE,
            _ => exit::LOUPE_FAILED,
        }
    }
}
