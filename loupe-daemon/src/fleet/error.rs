//! What can go wrong with bundles, told by cause, with the cure apart. Errors of the database are
//! the store's.

use std::io;
use std::path::PathBuf;

use super::bundle::VERSION;

#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} is no bundle of a host", path.display())]
    Foreign { path: PathBuf },
    #[error("the bundle {} is cut off or damaged ({what})", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error(
        "the bundle {} has version {found}; this program knows versions up to {VERSION}",
        path.display()
    )]
    Newer { path: PathBuf, found: u64 },
    #[error("this host has no machine id: {} {what}", path.display())]
    NoMachineId { path: PathBuf, what: String },
    #[error("the salt {} has {bytes} bytes, which is fewer than {least}", path.display())]
    ShortSalt {
        path: PathBuf,
        bytes: usize,
        least: usize,
    },
}

impl FleetError {
    /// The cure, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            FleetError::Foreign { .. } => "`loupe profile export --bundle FILE` makes one",
            FleetError::Damaged { .. } => {
                "copy it again from its host, or make it again there: `loupe profile export \
                 --bundle FILE`"
            }
            FleetError::Newer { .. } => "update Loupe here",
            FleetError::NoMachineId { .. } => "`systemd-machine-id-setup` makes one, as root",
            FleetError::ShortSalt { .. } => {
                "make one that nobody guesses: `head -c 32 /dev/urandom > FILE`, once for all \
                 hosts of the fleet"
            }
            FleetError::Read { .. } | FleetError::Write { .. } => return None,
        })
    }
}
