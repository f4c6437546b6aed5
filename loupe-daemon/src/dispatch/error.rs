//! What can go wrong before replays can be spread, told by cause, with the cure apart. That a server is
//! away later is no error: it is waited for.

use std::io;
use std::path::PathBuf;

use crate::nats::NatsError;

#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    #[error(transparent)]
    Nats(#[from] NatsError),
    #[error("the server at {url} cannot be reached{}", told(.what.as_deref()))]
    Unreachable { url: String, what: Option<String> },
    #[error("the credentials {} sign no jobs", path.display())]
    NoSignature { path: PathBuf },
    #[error("the credentials {} name nobody whose jobs are to be run", path.display())]
    TrustsNobody { path: PathBuf },
    #[error("cannot read {}, which the workload brings: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} cannot go to workers: {what}", path.display())]
    Unfit { path: PathBuf, what: String },
    #[error("the workload is too large for workers: {0}")]
    TooLarge(String),
    #[error("the server does not take the workload's files: {0}")]
    Refused(String),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("another worker with the same credentials works in {}", path.display())]
    Doubled { path: PathBuf },
    #[error("there is no user {name:?} here")]
    NoUser { name: String },
}

fn told(what: Option<&str>) -> String {
    what.map_or_else(String::new, |what| format!(" ({what})"))
}

impl DispatchError {
    /// The cure, where there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            DispatchError::Nats(error) => return error.hint(),
            DispatchError::Unreachable { .. } => {
                "start it with `nats-server -c DIR/server/nats-server.conf`; a server that runs reads \
                 of new workers at `nats-server --signal reload`"
                    .to_owned()
            }
            DispatchError::NoSignature { .. } | DispatchError::TrustsNobody { .. } => {
                "`loupe fleet add-host DIR --worker NAME` makes those of workers and of the \
                 coordinator"
                    .to_owned()
            }
            DispatchError::TooLarge(_) => {
                "install what it needs on the workers, and name it by an absolute path".to_owned()
            }
            DispatchError::Doubled { .. } => {
                "each worker has credentials of its own: `loupe fleet add-host DIR --worker NAME`"
                    .to_owned()
            }
            DispatchError::NoUser { .. } => {
                "`user` below [worker] names whom workloads run as".to_owned()
            }
            DispatchError::Read { .. }
            | DispatchError::Unfit { .. }
            | DispatchError::Refused(_)
            | DispatchError::Write { .. } => return None,
        })
    }

    /// Whether what was asked for is wrong, rather than the world.
    pub fn is_usage(&self) -> bool {
        match self {
            DispatchError::Nats(error) => !matches!(error, NatsError::Connect { .. }),
            DispatchError::NoSignature { .. }
            | DispatchError::TrustsNobody { .. }
            | DispatchError::NoUser { .. } => true,
            _ => false,
        }
    }
}
