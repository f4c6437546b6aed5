//! The configuration in force, and another reading of its file. A file that is wrong changes
//! nothing.

use std::path::PathBuf;

use tokio::sync::watch;

use super::{Config, ConfigError};

/// What is in force now, and whether its file is another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InForce {
    pub config: Config,
    /// Why the file that there is now is not in force, in one line.
    pub refused: Option<String>,
}

/// Reads the file, and tells everybody who wants to know.
#[derive(Debug)]
pub struct Reloader {
    named: Option<PathBuf>,
    told: watch::Sender<InForce>,
}

impl Reloader {
    /// Reads it for the first time; then it has to be right.
    pub fn start(named: Option<PathBuf>) -> Result<Reloader, ConfigError> {
        let config = Config::load(named.as_deref())?;
        let (told, _) = watch::channel(InForce {
            config,
            refused: None,
        });
        Ok(Reloader { named, told })
    }

    pub fn config(&self) -> Config {
        self.told.borrow().config.clone()
    }

    /// Whoever does something about it watches this.
    pub fn watch(&self) -> watch::Receiver<InForce> {
        self.told.subscribe()
    }

    /// Reads it once more. What is wrong is told, and the configuration stays as it was.
    pub fn reload(&self) -> Result<(), ConfigError> {
        match Config::load(self.named.as_deref()) {
            Ok(config) => {
                self.told.send_replace(InForce {
                    config,
                    refused: None,
                });
                Ok(())
            }
            Err(error) => {
                let line = error.to_string();
                self.told.send_modify(|now| now.refused = Some(line));
                Err(error)
            }
        }
    }
}
