//! Why there is no configuration.

use std::io;
use std::path::PathBuf;

use loupe_common::exit;
use loupe_common::wire::Failure;

use crate::text::Wrong;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Wrong(Box<Wrong>),
}

impl ConfigError {
    /// For people, with the line that is wrong.
    pub fn failure(&self) -> Failure {
        let failure = Failure::from_error(exit::USAGE, self);
        match self {
            ConfigError::Read { .. } => failure,
            ConfigError::Wrong(wrong) => failure.explained(None, Some(wrong.picture())),
        }
    }
}
