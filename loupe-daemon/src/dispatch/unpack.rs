//! Packages as a worker gets them: asked for by their digest, checked, and unpacked where whom it runs
//! workloads as can read them.

use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use super::ship::{digest_of, is_below};
use super::{DispatchError, WorkerLink, envelope};
use crate::engine::{Content, Identity, Package, Packages, Shipped};

/// While something is unpacked nobody else looks into it.
const OWN: u32 = 0o700;
/// Done, whoever runs it passes.
const OPEN: u32 = 0o755;

/// See the module.
pub struct Unpacked {
    link: WorkerLink,
    /// This worker's alone; it is empty when it begins.
    directory: PathBuf,
    owner: Identity,
    _alone: File,
}

impl Unpacked {
    /// Clears the worker's directory below `place`.
    pub fn new(link: WorkerLink, place: &Path, owner: Identity) -> Result<Unpacked, DispatchError> {
        let directory = place.join(link.name());
        let failed = |source| DispatchError::Write {
            path: directory.clone(),
            source,
        };
        make(place, OPEN).map_err(failed)?;
        let alone = File::create(place.join(format!("{}.lock", link.name()))).map_err(failed)?;
        match alone.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(DispatchError::Doubled { path: directory });
            }
            Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(failed)?;
        }
        make(&directory, OPEN).map_err(failed)?;
        Ok(Unpacked {
            link,
            directory,
            owner,
            _alone: alone,
        })
    }

    fn place_of(&self, subject: &str) -> PathBuf {
        self.directory.join(subject.trim_start_matches("sha256:"))
    }

    async fn unpack(&self, files: &[Shipped], place: &Path) -> Result<(), String> {
        let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        if place.exists() {
            fs::remove_dir_all(place).map_err(|error| failed(place, error))?;
        }
        make(place, OWN).map_err(|error| failed(place, error))?;
        // Links come last: nothing is written through one.
        let is_link = |file: &&Shipped| matches!(file.content, Content::Link { .. });
        let (links, others): (Vec<_>, Vec<_>) = files.iter().partition(is_link);
        for file in others.iter().chain(&links) {
            if !is_below(&file.path) {
                return Err(format!("a file of it is called {}", file.path.display()));
            }
            let path = place.join(&file.path);
            self.put(&path, &file.content).await?;
        }
        // Directories may forbid what was just done in them, so they get their modes at the end.
        for file in others.iter().rev() {
            if let Content::Directory { mode } = file.content {
                let path = place.join(&file.path);
                set_mode(&path, mode).map_err(|error| failed(&path, error))?;
            }
        }
        set_mode(place, OPEN).map_err(|error| failed(place, error))
    }

    async fn put(&self, path: &Path, content: &Content) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let (uid, gid) = (Some(self.owner.uid), Some(self.owner.gid));
        match content {
            Content::Directory { .. } => {
                make(path, OWN).map_err(failed)?;
                chown(path, uid, gid).map_err(failed)
            }
            Content::Link { target } => {
                symlink(target, path).map_err(failed)?;
                lchown(path, uid, gid).map_err(failed)
            }
            Content::File { mode, parts } => {
                let mut file = File::create_new(path).map_err(failed)?;
                for digest in parts {
                    let part = self.link.get(digest).await?;
                    if digest_of(&part) != *digest {
                        return Err("a file of it is damaged".to_owned());
                    }
                    file.write_all(&part).map_err(failed)?;
                }
                chown(path, uid, gid).map_err(failed)?;
                set_mode(path, *mode).map_err(failed)
            }
        }
    }
}

fn make(path: &Path, mode: u32) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

impl Packages for Unpacked {
    async fn get(&self, subject: &str) -> Result<Package, String> {
        let packed = self.link.get(subject).await;
        let packed = packed.map_err(|what| format!("its workload cannot be had: {what}"))?;
        let package: Package = envelope::unpack(&packed)
            .map_err(|error| format!("its workload cannot be read: {error}"))?;
        if package.subject() != subject {
            return Err(
                "its workload is not the one that was meant (another version of Loupe?)".to_owned(),
            );
        }
        let place = self.place_of(subject);
        self.unpack(&package.files, &place)
            .await
            .map_err(|what| format!("its files cannot be had: {what}"))?;
        Ok(Package {
            base: place,
            ..package
        })
    }

    fn forget(&self, subject: &str) {
        let place = self.place_of(subject);
        if let Err(error) = fs::remove_dir_all(&place) {
            tracing::warn!("cannot remove {}: {error}", place.display());
        }
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::warn!("cannot remove {}: {error}", self.directory.display());
        }
    }
}
