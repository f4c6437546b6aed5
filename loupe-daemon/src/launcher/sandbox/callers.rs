//! What of the host a caller has named, held open for one sandbox. Opened with the caller's
//! rights, so that the mounts that are made of it show nothing that the caller could not reach.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::errno::Errno;

use super::{SetupError, at, io_at};
use crate::launcher::places::{self, Attributes, Opened, Place};
use crate::launcher::protocol::{Link, SandboxSpec};
use crate::launcher::rights::within_rights_of;
use crate::sys::mounts::Tree;

/// A file to read from, or a directory that has no other place.
pub struct Source {
    pub file: OwnedFd,
    /// On the host.
    pub path: PathBuf,
    /// In the sandbox.
    pub to: PathBuf,
}

pub struct Callers {
    pub visible: Vec<Opened>,
    /// The directory of each link.
    pub links: Vec<(Opened, Link)>,
    pub writable: Vec<(Opened, Tree)>,
    pub files: Vec<Source>,
}

impl Callers {
    /// While the host's files are still the root.
    pub fn open(spec: &SandboxSpec) -> Result<Callers, SetupError> {
        let looked_up = within_rights_of(&spec.identity, || LookedUp::new(spec));
        let mut found = looked_up.map_err(io_at("take on the caller's rights"))??;
        // The host's tree is taken apart before they are read.
        for source in &mut found.files {
            let step = || format!("show {}", source.path.display());
            let attributes = Attributes::of(&source.file).map_err(at(step()))?;
            if attributes.is_directory() {
                source.file = Tree::copy(&source.file).map_err(at(step()))?.into();
            }
        }
        let mut writable = Vec::new();
        for opened in found.writable {
            let tree = Tree::copy(&opened.file);
            let step = || format!("show {}", opened.path.display());
            let tree = tree.map_err(at(step()))?;
            writable.push((opened, tree));
        }
        Ok(Callers {
            visible: found.visible,
            links: found.links,
            writable,
            files: found.files,
        })
    }
}

/// The same before anything is made of it.
struct LookedUp {
    visible: Vec<Opened>,
    links: Vec<(Opened, Link)>,
    writable: Vec<Opened>,
    files: Vec<Source>,
}

impl LookedUp {
    fn new(spec: &SandboxSpec) -> Result<LookedUp, SetupError> {
        let links = spec.links.iter();
        let files = spec.files.iter();
        Ok(LookedUp {
            visible: all(&spec.visible)?,
            links: links
                .map(|link| Ok((open(&link.directory)?, link.clone())))
                .collect::<Result<_, SetupError>>()?,
            writable: all(&spec.writable)?,
            files: files
                .map(|file| {
                    let opened = places::open_to_copy(&file.from);
                    Ok(Source {
                        file: opened.map_err(|errno| explained(&file.from, errno))?,
                        path: file.from.path.clone(),
                        to: file.to.clone(),
                    })
                })
                .collect::<Result<_, SetupError>>()?,
        })
    }
}

fn all(places: &[Place]) -> Result<Vec<Opened>, SetupError> {
    places.iter().map(open).collect()
}

fn open(place: &Place) -> Result<Opened, SetupError> {
    places::open(place).map_err(|errno| explained(place, errno))
}

fn explained(place: &Place, errno: Errno) -> SetupError {
    let path = place.path.display();
    let (step, errno) = match errno {
        // Gone, or another thing by now: a link, a file instead of a directory.
        Errno::ESTALE | Errno::ELOOP | Errno::ENOENT | Errno::ENOTDIR => (
            format!("{path} is not what it was when the analysis began"),
            Errno::ESTALE,
        ),
        Errno::ENOTSUP => (format!("{path} is neither a file nor a directory"), errno),
        _ => (format!("open {path} with the caller's rights"), errno),
    };
    SetupError { step, errno }
}
