//! The memory of a sandbox: one file system that all it writes is in, so that one limit binds
//! all of it.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use nix::sys::statvfs::fstatvfs;

use super::{SetupError, at, io_at};
use crate::sys::mounts;

/// Covered in this namespace by the memory; never part of a workload's own tree, and always
/// there.
const PLACE: &str = "/proc";
/// Files at most. Each takes about 1 KiB of the kernel's memory beside its content.
const MOST_FILES: u64 = 1 << 20;

/// With fewer blocks left it is full: what did not fit may have left a rest.
const FULL_BLOCKS: u64 = 16;

/// Where it is before the change of the root.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Mounts memory of at most so many bytes.
    pub fn new(bytes: u64) -> Result<Scratch, SetupError> {
        let options = format!("mode=0755,size={bytes},nr_inodes={MOST_FILES}");
        mount(
            Some("loupe"),
            PLACE,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .map_err(at("mount the sandbox's memory"))?;
        Ok(Scratch(PathBuf::from(PLACE)))
    }

    /// A descriptor by which it can be looked at from anywhere.
    pub fn handle(&self) -> Result<OwnedFd, SetupError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        open(&self.0, flags, Mode::empty()).map_err(at("open the sandbox's memory"))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Shows an empty directory of the memory at `inside`.
    pub fn show(&self, name: &str, mode: u32, inside: &Path) -> Result<(), SetupError> {
        let step = || format!("mount memory at {}", inside.display());
        let directory = self.0.join(name.replace('/', "-"));
        let nothing = None::<&str>;
        fs::create_dir(&directory)
            .and_then(|()| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)))
            .map_err(io_at(step()))?;
        mount(Some(&directory), inside, nothing, MsFlags::MS_BIND, nothing).map_err(at(step()))
    }
}

/// The size in MiB of the memory behind this descriptor, if nothing more can be written to it.
pub fn full_mib(handle: &OwnedFd) -> Option<u64> {
    let status = fstatvfs(handle).ok()?;
    let is_full = status.blocks_available() < FULL_BLOCKS || status.files_available() == 0;
    is_full.then(|| (status.blocks() * status.fragment_size()) >> 20)
}

/// Mount options of an overlay over `lower`, beyond its directories: the directories that the
/// host has can be renamed, and what is written by one name of a file is read by its others.
///
/// `xino` would also show one device number for all files of an overlay. It is not used: the
/// kernel notes each such mount in its log, and the inode numbers no longer fit what a 32-bit
/// program has room for.
pub fn overlay_options(lower: &OwnedFd) -> &'static str {
    match mounts::has_file_handles(lower) {
        true => "volatile,metacopy=off,redirect_dir=on,index=on",
        // The kernel would note in its log that it does without.
        false => "volatile,metacopy=off,redirect_dir=on,index=off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_links_are_indexed_where_the_file_system_can() {
        let open = |path: &Path| OwnedFd::from(fs::File::open(path).expect("a directory"));
        // The kernel finds no file of `/proc` again.
        assert!(overlay_options(&open(Path::new("/proc"))).ends_with("index=off"));
        let here = tempfile::tempdir_in("/dev/shm").expect("a directory");
        assert!(overlay_options(&open(here.path())).ends_with("index=on"));
    }
}
