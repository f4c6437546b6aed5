//! Why a connection cannot even be tried. A server that is away is no error: it is waited for.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum NatsError {
    #[error("cannot read the credentials {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} holds no credentials of a fleet ({what})", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error("others than its owner can read the credentials {}", path.display())]
    Exposed { path: PathBuf },
    #[error("the credentials {} are those of {found}, not of {wanted}", path.display())]
    OtherPart {
        path: PathBuf,
        found: &'static str,
        wanted: &'static str,
    },
    #[error("`{url}` is no address of a NATS server ({what})")]
    Address { url: String, what: String },
    #[error("cannot connect to {url}: {source}")]
    Connect {
        url: String,
        source: async_nats::ConnectError,
    },
    #[error("cannot make a key: {0}")]
    Key(String),
}

impl NatsError {
    /// The cure, where there is one.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            NatsError::Read { .. } => {
                "copy the host's file from where `loupe fleet init` was run: DIR/hosts/NAME.credentials"
                    .to_owned()
            }
            NatsError::Damaged { .. } => {
                "copy it again from where `loupe fleet init` was run".to_owned()
            }
            NatsError::Exposed { path } => format!("`chmod 600 {}`", path.display()),
            NatsError::OtherPart { .. } => {
                "hosts take DIR/hosts/NAME.credentials, the hub DIR/hub.credentials, workers \
                 DIR/workers/NAME.credentials, and `loupe study --on` DIR/coordinator.credentials"
                    .to_owned()
            }
            NatsError::Address { .. } => "write it like tls://hub.example.org:4222".to_owned(),
            NatsError::Connect { .. } | NatsError::Key(_) => return None,
        })
    }
}
