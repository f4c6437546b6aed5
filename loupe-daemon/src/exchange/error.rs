//! What can go wrong with a fleet over a server, told by cause, with the cure apart. That the server is
//! away is no error.

use std::io;
use std::path::PathBuf;

use crate::fleet::FleetError;
use crate::nats::NatsError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error("{} is the directory of a fleet already", path.display())]
    Founded { path: PathBuf },
    #[error("{} is no directory of a fleet ({what})", path.display())]
    NotFounded { path: PathBuf, what: String },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("`{name}` is no name for {what}")]
    Name { name: String, what: &'static str },
    #[error("`{name}` is in this fleet already")]
    Enrolled { name: String },
    #[error("`{id}` is no machine id: 32 hexadecimal digits")]
    MachineId { id: String },
    #[error("cannot make the certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("another hub already writes into {}", path.display())]
    Doubled { path: PathBuf },
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error(transparent)]
    Nats(#[from] NatsError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ExchangeError {
    /// The cure, where there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            ExchangeError::Founded { .. } => {
                "`loupe fleet add-host DIR NAME…` adds hosts to it; another fleet wants another \
                 directory"
                    .to_owned()
            }
            ExchangeError::NotFounded { .. } => "`loupe fleet init DIR` makes one".to_owned(),
            ExchangeError::Name { .. } => {
                "up to 64 letters, digits, dots, dashes and underscores, the first a letter or digit"
                    .to_owned()
            }
            ExchangeError::Enrolled { .. } => {
                "`--renew` gives it another key and makes the one that it has worthless".to_owned()
            }
            ExchangeError::MachineId { .. } => {
                "`ssh HOST cat /etc/machine-id` prints it".to_owned()
            }
            ExchangeError::Doubled { path } => format!(
                "one is enough; `fuser {}.hub` names its process",
                path.display()
            ),
            ExchangeError::Fleet(error) => return error.hint().map(str::to_owned),
            ExchangeError::Nats(error) => return error.hint(),
            ExchangeError::Store(error) => return error.hint(),
            ExchangeError::Write { .. } | ExchangeError::Certificate(_) => return None,
        })
    }

    /// Whether what was asked for is wrong, rather than the world.
    pub fn is_usage(&self) -> bool {
        match self {
            ExchangeError::Founded { .. }
            | ExchangeError::NotFounded { .. }
            | ExchangeError::Name { .. }
            | ExchangeError::Enrolled { .. }
            | ExchangeError::MachineId { .. } => true,
            ExchangeError::Nats(error) => !matches!(error, NatsError::Connect { .. }),
            _ => false,
        }
    }
}
