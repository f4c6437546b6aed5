//! The sandbox: namespaces, and a file system that is the host's to read and nobody's to write.
//!
//! Every file system of the host is the lower layer of an overlay whose upper layer is memory
//! that goes with the sandbox; `/tmp`, `/run`, `/dev` and `/dev/shm` are new and empty. All
//! mounts live in the sandbox's own mount namespace, so they vanish with its last process.
//! `/proc` is mounted by the sandbox's process 1 (see `init`).

mod mounts;

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{chdir, chown, pivot_root, sethostname};

use super::protocol::SandboxSpec;

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

/// Covered in this namespace by the memory that holds the upper layers; never part of a
/// workload's own tree, and always there.
const SCRATCH: &str = "/proc";
const NO_DATA: Option<&str> = None;

/// Puts this process into new namespaces (its children into a new process namespace) with the
/// sandbox's file system as root.
pub fn enter(spec: &SandboxSpec) -> Result<(), SetupError> {
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWCGROUP,
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
    raise_loopback()?;
    let host = mounts::Mounts::read().map_err(io_at("read the mount table"))?;
    let scratch = Path::new(SCRATCH);
    let options = format!("mode=0755,size={}", spec.scratch_bytes);
    mount(
        Some("loupe"),
        scratch,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .map_err(at("mount the upper layer's memory"))?;
    let root = Root {
        scratch: scratch.to_owned(),
        path: scratch.join("root"),
    };
    root.build(spec, &host)?;
    chdir(&root.path).map_err(at("enter the new root"))?;
    pivot_root(".", ".").map_err(at("change the root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(at("let go of the old root"))?;
    chdir("/").map_err(at("enter the new root"))
}

fn raise_loopback() -> Result<(), SetupError> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .map_err(at("open a socket for loopback"))?;
    // SAFETY: all-zero is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the kernel reads one `ifreq`, which outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    Errno::result(result).map_err(at("raise loopback"))?;
    Ok(())
}

/// The new root while it is built.
struct Root {
    scratch: PathBuf,
    path: PathBuf,
}

impl Root {
    fn build(&self, spec: &SandboxSpec, host: &mounts::Mounts) -> Result<(), SetupError> {
        fs::create_dir(&self.path).map_err(io_at("create the new root"))?;
        self.overlay(Path::new("/"), 0)?;
        for (index, mount) in host.to_overlay().enumerate() {
            // What cannot be a lower layer (some network and FUSE file systems) is shown as
            // it is, read-only.
            if self.overlay(mount, index + 1).is_err() {
                self.bind(mount, true)?;
            }
        }
        for path in host.to_bind() {
            self.bind(path, true)?;
        }
        self.bind(Path::new("/sys"), true)?;
        for (name, mode) in [("tmp", "mode=1777"), ("run", "mode=0755")] {
            self.memory(name, mode)?;
        }
        let lock = self.path.join("run/lock");
        fs::create_dir(&lock)
            .and_then(|()| fs::set_permissions(&lock, fs::Permissions::from_mode(0o1777)))
            .map_err(io_at("create /run/lock"))?;
        self.devices()?;
        for (index, path) in spec.visible.iter().enumerate() {
            self.create_like_host(path)?;
            self.overlay(path, 1000 + index)?;
        }
        for path in &spec.writable {
            self.create_like_host(path)?;
            self.bind(path, false)?;
        }
        Ok(())
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.path.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Mounts an overlay over the host's `path` at the same place in the new root.
    fn overlay(&self, path: &Path, number: usize) -> Result<(), SetupError> {
        let step = || format!("overlay over {}", path.display());
        let layers = self.scratch.join(format!("layer{number}"));
        let (upper, work) = (layers.join("upper"), layers.join("work"));
        for directory in [&upper, &work] {
            fs::create_dir_all(directory).map_err(io_at(step()))?;
        }
        // The upper layer's top directory shows as the mounted one: it must look the same.
        copy_attributes(path, &upper).map_err(io_at(step()))?;
        let data = format!(
            "lowerdir={},upperdir={},workdir={},volatile",
            escape(path),
            escape(&upper),
            escape(&work)
        );
        mount(
            Some("loupe"),
            &self.inside(path),
            Some("overlay"),
            MsFlags::empty(),
            Some(data.as_str()),
        )
        .map_err(at(step()))
    }

    fn bind(&self, path: &Path, read_only: bool) -> Result<(), SetupError> {
        let step = || format!("show {}", path.display());
        let inside = self.inside(path);
        mount(Some(path), &inside, NO_DATA, MsFlags::MS_BIND, NO_DATA).map_err(at(step()))?;
        if read_only {
            let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount(Some(path), &inside, NO_DATA, flags, NO_DATA).map_err(at(step()))?;
        }
        Ok(())
    }

    fn memory(&self, name: &str, options: &str) -> Result<(), SetupError> {
        let path = self.path.join(name);
        let step = || format!("mount memory at /{name}");
        if !path.is_dir() {
            fs::create_dir_all(&path).map_err(io_at(step()))?;
        }
        mount(
            Some("loupe"),
            &path,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(options),
        )
        .map_err(at(step()))
    }

    /// A `/dev` with the devices that every program may expect, and no others.
    fn devices(&self) -> Result<(), SetupError> {
        self.memory("dev", "mode=0755")?;
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
        self.memory("dev/shm", "mode=1777")?;
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

    /// Makes `path` in the new root where it is not there yet, each directory on the way with
    /// the host's owner and mode.
    fn create_like_host(&self, path: &Path) -> Result<(), SetupError> {
        let step = || format!("create {}", path.display());
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        for ancestor in ancestors {
            let inside = self.inside(ancestor);
            if inside.symlink_metadata().is_ok() {
                continue;
            }
            if fs::metadata(ancestor).map_err(io_at(step()))?.is_dir() {
                fs::create_dir(&inside).map_err(io_at(step()))?;
            } else {
                fs::write(&inside, []).map_err(io_at(step()))?;
            }
            copy_attributes(ancestor, &inside).map_err(io_at(step()))?;
        }
        Ok(())
    }
}

fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    let from = fs::metadata(from)?;
    chown(to, Some(from.uid().into()), Some(from.gid().into()))?;
    fs::set_permissions(to, from.permissions())
}

/// Commas and backslashes separate mount options; colons separate lower layers.
fn escape(path: &Path) -> String {
    let mut text = String::new();
    for character in path.to_string_lossy().chars() {
        if matches!(character, ',' | ':' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}
