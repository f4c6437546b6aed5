//! The sandbox: namespaces, and a file system that is the host's to read and nobody's to write.
//!
//! Every file system of the host is the lower layer of an overlay whose upper layer is memory
//! that goes with the sandbox; `/tmp`, `/run`, `/dev` and `/dev/shm` are new and empty, and in
//! the same memory (see `scratch`). All mounts live in the sandbox's own mount namespace, so they
//! vanish with its last process. `/proc` is mounted by the sandbox's process 1 (see `init`).

mod callers;
mod mounts;
mod points;
pub mod proc;
mod scratch;

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{chdir, chown, fchdir, pivot_root, sethostname};

use super::places::{Attributes, Opened};
use super::protocol::SandboxSpec;
use crate::sys::mounts::Tree;
use crate::sys::network;
use callers::Callers;
pub use callers::Source;
use scratch::Scratch;
pub use scratch::full_mib;

/// A step of the set-up that failed.
#[derive(Debug)]
pub struct SetupError {
    pub step: String,
    pub errno: Errno,
}

fn at(step: impl Into<String>) -> impl FnOnce(Errno) -> SetupError {
    let step = step.into();
    move |errno| SetupError { step, errno }
}

fn io_at(step: impl Into<String>) -> impl FnOnce(io::Error) -> SetupError {
    let step = step.into();
    move |error| SetupError {
        step,
        errno: error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
    }
}

const NO_DATA: Option<&str> = None;

/// Puts this process into new namespaces (its children into a new process namespace; the cgroup
/// namespace is the keeper's to make) with the sandbox's file system as root. Returns what is to
/// be copied into it, and what [`full_mib`] looks at.
pub fn enter(spec: &SandboxSpec) -> Result<(Vec<Source>, OwnedFd), SetupError> {
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWPID,
    )
    .map_err(at("new namespaces"))?;
    mount(
        Some("none"),
        "/",
        NO_DATA,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        NO_DATA,
    )
    .map_err(at("make the mounts private"))?;
    sethostname("loupe").map_err(at("set the host name"))?;
    network::raise_loopback().map_err(at("raise loopback"))?;
    // From here on nothing of the host is looked up by a name that somebody else may change.
    let callers = Callers::open(spec)?;
    let host = mounts::open_all().map_err(io_at("read the mount table"))?;
    let top = look_at(Path::new("/"))?;
    let sys = look_at(Path::new("/sys"))?;
    let scratch = Scratch::new(spec.scratch_bytes)?;
    let handle = scratch.handle()?;
    let mut root = Root::new(scratch, &top)?;
    root.build(&host, &sys)?;
    let files = root.show(callers)?;
    chdir(&root.path).map_err(at("enter the new root"))?;
    pivot_root(".", ".").map_err(at("change the root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(at("let go of the old root"))?;
    chdir("/").map_err(at("enter the new root"))?;
    Ok((files, handle))
}

/// A directory of the host's own, as root names it.
fn look_at(path: &Path) -> Result<OwnedFd, SetupError> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).map_err(at(format!("open {}", path.display())))
}

/// The new root while it is built. Memory, devices and links of its own are named by path: what is
/// above them is Loupe's or root's. All else is mounted on descriptors.
struct Root {
    scratch: Scratch,
    path: PathBuf,
    /// Its top directory.
    top: OwnedFd,
    /// Overlays so far.
    layers: usize,
}

impl Root {
    /// An overlay over the host's root directory.
    fn new(scratch: Scratch, host: &OwnedFd) -> Result<Root, SetupError> {
        let path = scratch.path().join("root");
        fs::create_dir(&path).map_err(io_at("create the new root"))?;
        overlay(host, &scratch.path().join("layer"), &path)?;
        Ok(Root {
            scratch,
            top: look_at(&path)?,
            path,
            layers: 0,
        })
    }

    fn build(&mut self, host: &[mounts::Mount], sys: &OwnedFd) -> Result<(), SetupError> {
        for mount in host {
            let step = || format!("show {}", mount.path.display());
            // Where the way to it has become another meanwhile, it is not shown.
            let Ok(point) = points::reach(&self.top, &mount.path) else {
                continue;
            };
            // What cannot be a lower layer (single files, some network and FUSE file systems) is
            // shown as it is, read-only.
            if !mount.is_directory || self.overlay(&mount.file, &point).is_err() {
                show_read_only(&mount.file, &point).map_err(at(step()))?;
            }
        }
        points::reach(&self.top, Path::new("/sys"))
            .and_then(|point| show_read_only(sys, &point))
            .map_err(at("show /sys"))?;
        for (name, mode) in [("tmp", 0o1777), ("run", 0o755)] {
            self.memory(name, mode)?;
        }
        let lock = self.path.join("run/lock");
        fs::create_dir(&lock)
            .and_then(|()| fs::set_permissions(&lock, fs::Permissions::from_mode(0o1777)))
            .map_err(io_at("create /run/lock"))?;
        self.devices()
    }

    /// Mounts what the caller has named. Returns what is to be copied.
    fn show(&mut self, callers: Callers) -> Result<Vec<Source>, SetupError> {
        for opened in &callers.visible {
            let point = self.point(opened)?;
            self.overlay(&opened.file, &point)?;
        }
        for (directory, link) in &callers.links {
            let point = self.point(directory)?;
            points::link(&point, &link.name, &link.content)
                .map_err(at(format!("create the link {}", link.path().display())))?;
        }
        let mut written: Vec<&Path> = Vec::new();
        for (opened, tree) in &callers.writable {
            let step = || format!("show {}", opened.path.display());
            // Below a place of the host's own nothing is made.
            let point = match written.iter().any(|top| opened.path.starts_with(top)) {
                true => points::reach(&self.top, &opened.path).map_err(at(step()))?,
                false => self.point(opened)?,
            };
            tree.attach(&point).map_err(at(step()))?;
            written.push(&opened.path);
        }
        Ok(callers.files)
    }

    /// Where the sandbox has the same path, made where it is missing.
    fn point(&self, opened: &Opened) -> Result<OwnedFd, SetupError> {
        points::make(&self.top, &opened.path, &opened.way)
            .map_err(at(format!("create {}", opened.path.display())))
    }

    /// Mounts an overlay over `lower` at `point`.
    fn overlay(&mut self, lower: &OwnedFd, point: &OwnedFd) -> Result<(), SetupError> {
        self.layers += 1;
        let layer = self.scratch.path().join(format!("layer{}", self.layers));
        let shown = layer.join("shown");
        fs::create_dir_all(&shown).map_err(io_at("create the place of an overlay"))?;
        overlay(lower, &layer, &shown)?;
        Tree::at(&shown)
            .and_then(|tree| tree.attach(point))
            .map_err(at("put an overlay in its place"))
    }

    fn memory(&self, name: &str, mode: u32) -> Result<(), SetupError> {
        let path = self.path.join(name);
        if !path.is_dir() {
            let step = format!("create /{name}");
            fs::create_dir_all(&path).map_err(io_at(step))?;
        }
        self.scratch.show(name, mode, &path)
    }

    /// A `/dev` with the devices that every program may expect, and no others.
    fn devices(&self) -> Result<(), SetupError> {
        self.memory("dev", 0o755)?;
        let dev = self.path.join("dev");
        // Numbers: Documentation/admin-guide/devices.txt of the kernel.
        for (name, major, minor) in [
            ("null", 1, 3),
            ("zero", 1, 5),
            ("full", 1, 7),
            ("random", 1, 8),
            ("urandom", 1, 9),
            ("tty", 5, 0),
        ] {
            let path = dev.join(name);
            mknod(&path, SFlag::S_IFCHR, Mode::empty(), makedev(major, minor))
                .map_err(at(format!("create /dev/{name}")))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666))
                .map_err(io_at(format!("create /dev/{name}")))?;
        }
        for (link, to) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("ptmx", "pts/ptmx"),
        ] {
            symlink(to, dev.join(link)).map_err(io_at(format!("create /dev/{link}")))?;
        }
        self.memory("dev/shm", 0o1777)?;
        let terminals = dev.join("pts");
        fs::create_dir(&terminals).map_err(io_at("create /dev/pts"))?;
        let options = Some("newinstance,ptmxmode=0666,mode=0620");
        mount(
            Some("devpts"),
            &terminals,
            Some("devpts"),
            MsFlags::empty(),
            options,
        )
        .map_err(at("mount /dev/pts"))
    }
}

/// Mounts an overlay over `lower`, with its upper layer below `layer`, at `shown`: both are
/// Loupe's own.
fn overlay(lower: &OwnedFd, layer: &Path, shown: &Path) -> Result<(), SetupError> {
    let step = || format!("make the overlay {}", shown.display());
    let (upper, work) = (layer.join("upper"), layer.join("work"));
    for directory in [&upper, &work] {
        fs::create_dir_all(directory).map_err(io_at(step()))?;
    }
    // The upper layer's top directory shows as the mounted one: it must look the same.
    let attributes = Attributes::of(lower).map_err(at(step()))?;
    chown(
        &upper,
        Some(attributes.uid.into()),
        Some(attributes.gid.into()),
    )
    .map_err(at(step()))?;
    let mode = fs::Permissions::from_mode(attributes.mode & 0o7777);
    fs::set_permissions(&upper, mode).map_err(io_at(step()))?;
    // The overlay is named by what it stands on: a path could lead elsewhere by now.
    fchdir(lower).map_err(at(step()))?;
    let data = format!(
        "lowerdir=.,upperdir={},workdir={},{}",
        upper.display(),
        work.display(),
        scratch::overlay_options(lower)
    );
    let mounted = mount(
        Some("loupe"),
        shown,
        Some("overlay"),
        restrictions(lower).map_err(at(step()))?,
        Some(data.as_str()),
    );
    chdir("/").map_err(at(step()))?;
    mounted.map_err(at(step()))
}

/// What the host does not let the files of a file system do (a user's own, a memory stick) they
/// must not do in a sandbox.
fn restrictions(file: &OwnedFd) -> nix::Result<MsFlags> {
    let flags = fstatvfs(file)?.flags();
    let mut kept = MsFlags::empty();
    kept.set(MsFlags::MS_NOSUID, flags.contains(FsFlags::ST_NOSUID));
    kept.set(MsFlags::MS_NODEV, flags.contains(FsFlags::ST_NODEV));
    Ok(kept)
}

/// Mounts what the host has there, for reading only.
fn show_read_only(file: &OwnedFd, point: impl AsFd) -> nix::Result<()> {
    let tree = Tree::copy_one(file)?;
    tree.make_read_only()?;
    tree.attach(point)
}
