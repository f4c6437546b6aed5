//! What a sandbox shows of the host, looked up with the caller's rights: the places that a workload
//! names, without the links on the way to them. Mounts and opens nothing for good.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::workload::Workload;
use crate::launcher::places::{Found, Link, Place, find, open_to_copy};
use crate::launcher::protocol::{Copied, Identity, SandboxSpec};

/// Where the sandbox shows its own directory instead of the host's.
const HIDDEN: [&str; 3] = ["/tmp", "/run", "/dev/shm"];
/// Of the host's memory, what one sandbox may write at most.
const SCRATCH_BYTES: u64 = 2 << 30;

/// A path of a workload's that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotShown {
    #[error("{what} {}: {source}", path.display())]
    NotFound {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{what} {} is not a directory", path.display())]
    NoDirectory { what: &'static str, path: PathBuf },
    #[error("{what} {} is neither a file nor a directory", path.display())]
    NotCopyable { what: &'static str, path: PathBuf },
}

const DIRECTORY: &str = "the working directory";
const FILES: &str = "`files`:";
const WRITABLE: &str = "`writable`:";

fn look_up(what: &'static str, path: &Path) -> Result<Found, NotShown> {
    find(path).map_err(|source| NotShown::NotFound {
        what,
        path: path.to_owned(),
        source,
    })
}

/// The directory that command and test run in, by the workload's own name for it.
pub fn directory(workload: &Workload) -> Result<PathBuf, NotShown> {
    let directory = workload.working_directory();
    let path = std::path::absolute(&directory).unwrap_or(directory);
    match look_up(DIRECTORY, &path)?.is_directory() {
        true => Ok(path),
        false => Err(NotShown::NoDirectory {
            what: DIRECTORY,
            path,
        }),
    }
}

fn is_hidden(path: &Path) -> bool {
    HIDDEN
        .iter()
        .any(|top| path.starts_with(top) && path != Path::new(top))
}

/// What is shown of the hidden directories.
#[derive(Default)]
struct Shown {
    places: Vec<Place>,
    links: Vec<Link>,
    held: Vec<OwnedFd>,
}

impl Shown {
    fn add(&mut self, found: Found) {
        self.held.extend(found.held);
        let links = found.links.into_iter();
        self.links
            .extend(links.filter(|link| is_hidden(&link.path())));
        if is_hidden(&found.place.path) {
            self.places.push(found.place);
        }
    }

    fn sort(&mut self) {
        self.places.sort_by(|a, b| a.path.cmp(&b.path));
        // A directory shows what is below it too.
        self.places
            .dedup_by(|inner, outer| inner.path.starts_with(&outer.path));
        self.links.sort_by_key(Link::path);
        self.links.dedup();
    }
}

/// The sandbox of a workload whose `directory` and `target` are known, and what must stay open as
/// long as sandboxes are made like it.
pub fn sandbox(
    workload: &Workload,
    directory: &Path,
    target: &Path,
    identity: &Identity,
) -> Result<(SandboxSpec, Vec<OwnedFd>), NotShown> {
    let mut shown = Shown::default();
    shown.add(look_up(DIRECTORY, directory)?);
    // What the caller cannot reach is not shown: neither needs to be there, where `files` brings
    // the target, or all paths are absolute.
    let real_target = find(target).map(|found| found.place.path);
    for path in [Some(&*workload.base), target.parent()]
        .into_iter()
        .chain([real_target.as_deref().ok().and_then(Path::parent)])
        .flatten()
    {
        if let Ok(found) = find(path) {
            shown.add(found);
        }
    }
    shown.sort();
    let mut writable = Vec::new();
    for path in &workload.writable {
        let found = look_up(WRITABLE, path)?;
        shown.held.extend(found.held);
        let links = found.links.into_iter();
        shown
            .links
            .extend(links.filter(|link| is_hidden(&link.path())));
        writable.push(found.place);
    }
    writable.sort_by(|a, b| a.path.cmp(&b.path));
    writable.dedup();
    let mut files = Vec::new();
    for file in &workload.files {
        let path = workload.base.join(&file.from);
        let found = look_up(FILES, &path)?;
        match open_to_copy(&found.place) {
            Ok(_) => {}
            Err(Errno::ENOTSUP) => return Err(NotShown::NotCopyable { what: FILES, path }),
            Err(errno) => {
                return Err(NotShown::NotFound {
                    what: FILES,
                    path,
                    source: errno.into(),
                });
            }
        }
        shown.held.extend(found.held);
        files.push(Copied {
            from: found.place,
            to: file.to.clone(),
        });
    }
    let Shown {
        mut places,
        mut links,
        held,
    } = shown;
    // What replays write to they may also replace.
    let replaced = |place: &Place| {
        let below = |top: &Place| place.path != top.path && place.path.starts_with(&top.path);
        writable.iter().any(below)
    };
    for place in places
        .iter_mut()
        .chain(links.iter_mut().map(|link| &mut link.directory))
        .chain(files.iter_mut().map(|file| &mut file.from))
    {
        if replaced(place) {
            place.object = None;
        }
    }
    let spec = SandboxSpec {
        visible: places,
        links,
        writable,
        files,
        identity: identity.clone(),
        scratch_bytes: SCRATCH_BYTES,
    };
    Ok((spec, held))
}
