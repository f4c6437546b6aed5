//! What is known of an executable file: its build-id, the package that it came with and that package's
//! version, the C library that it is linked to, its digest. Opens nothing that somebody could make it
//! follow elsewhere, and starts no other program.

mod digest;
mod libc_version;

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use loupe_common::profile::Executable;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use object::read::{Object as _, ReadCache};

pub use digest::Digest;
pub use libc_version::c_library;

/// Bytes of one file of a package's list; the largest in Debian 12 has 1.6 MB.
const MOST_LIST_BYTES: u64 = 16 << 20;
/// Bytes of dpkg's status file; that of a desktop has 6 MB.
const MOST_STATUS_BYTES: u64 = 64 << 20;
/// Where dpkg keeps what is installed, below the root.
const DPKG_LISTS: &str = "var/lib/dpkg/info";
const DPKG_STATUS: &str = "var/lib/dpkg/status";
/// Directories that are links to the same below `/usr` since Debian 12; package lists name either.
const MERGED: [&str; 4] = ["/bin", "/sbin", "/lib", "/lib64"];
/// Types of file systems that somebody else answers for.
const SERVED: [&str; 7] = ["fuse", "nfs", "cifs", "smb3", "9p", "ceph", "afs"];
/// What is known of a file that has this path below that root. `None` for the root: its package is not
/// looked for.
pub fn facts(file: File, path: String, root: Option<BorrowedFd<'_>>) -> Executable {
    let package = root.and_then(|root| package_of(root, &path));
    let version = package.as_ref().zip(root);
    Executable {
        version: version.and_then(|(package, root)| version_of(root, package)),
        build_id: build_id(file),
        package,
        path,
    }
}

/// The number of the mount that a file was opened in.
pub fn mount_of(file: &File) -> io::Result<String> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    let mount = text.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    let mount = mount.ok_or(io::ErrorKind::Unsupported)?;
    Ok(mount.trim().to_owned())
}

/// Opens a regular file that a process sees, if it is on no file system that a server answers for, who can keep us waiting (FUSE, network). Which one it is on is known without asking it.
pub fn open_local(process: &Path, path: &Path) -> Option<File> {
    let held = File::options()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)
        .ok()?;
    let mount = mount_of(&held).ok()?;
    let mounts = fs::read_to_string(process.join("mountinfo")).ok()?;
    let kind = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        (left.split(' ').next()? == mount).then(|| right.split(' ').next())?
    })?;
    if SERVED.iter().any(|served| kind.starts_with(served)) {
        return None;
    }
    if !held.metadata().ok()?.is_file() {
        return None;
    }
    File::open(format!("/proc/self/fd/{}", held.as_raw_fd())).ok()
}

/// Opens a file below the root, by no link that leads out of it and by none of `/proc`.
fn open_below(root: impl AsFd, path: &Path) -> io::Result<File> {
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .mode(Mode::empty())
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = File::from(openat2(root, path, how)?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    }
}

/// The GNU build-id of an ELF file, in hexadecimal.
fn build_id(file: File) -> Option<String> {
    let cache = ReadCache::new(file);
    let parsed = object::File::parse(&cache).ok()?;
    let id = parsed.build_id().ok()??;
    Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The name under which a list may have it.
fn spellings(path: &str) -> Vec<String> {
    let mut all = vec![path.to_owned()];
    for top in MERGED {
        let merged = format!("/usr{top}");
        if let Some(rest) = path
            .strip_prefix(&merged)
            .filter(|rest| rest.starts_with('/'))
        {
            all.push(format!("{top}{rest}"));
        }
    }
    all
}

/// The Debian package that a file came with.
fn package_of(root: impl AsFd, path: &str) -> Option<String> {
    let spellings = spellings(path);
    let directory = open_directory(&root, Path::new(DPKG_LISTS)).ok()?;
    let mut directory = nix::dir::Dir::from_fd(directory).ok()?;
    let names: Vec<String> = directory
        .iter()
        .filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned))
        .filter(|name| name.ends_with(".list"))
        .collect();
    names.into_iter().find_map(|name| {
        let list = open_below(&root, &Path::new(DPKG_LISTS).join(&name)).ok()?;
        let package = name.strip_suffix(".list")?;
        // `libc6:amd64`
        let package = package.split(':').next().unwrap_or(package);
        has_line(list, &spellings).then(|| package.to_owned())
    })
}

fn open_directory(root: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    Ok(openat2(root, path, how)?)
}

fn has_line(file: File, wanted: &[String]) -> bool {
    let mut text = Vec::new();
    if file.take(MOST_LIST_BYTES).read_to_end(&mut text).is_err() {
        return false;
    }
    text.split(|byte| *byte == b'\n')
        .any(|line| wanted.iter().any(|path| path.as_bytes() == line))
}

/// The version of an installed package.
fn version_of(root: impl AsFd, package: &str) -> Option<String> {
    let status = open_below(root, Path::new(DPKG_STATUS)).ok()?;
    let mut is_it = false;
    for line in BufReader::new(status.take(MOST_STATUS_BYTES)).lines() {
        let line = line.ok()?;
        if let Some(name) = line.strip_prefix("Package: ") {
            is_it = name == package;
        } else if let Some(version) = line.strip_prefix("Version: ")
            && is_it
        {
            return Some(version.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_of_a_file_is_found_under_either_spelling() {
        let place = tempfile::tempdir().expect("a directory");
        let lists = place.path().join(DPKG_LISTS);
        fs::create_dir_all(&lists).expect("made");
        fs::write(lists.join("other.list"), "/.\n/usr/bin/shell2\n").expect("written");
        fs::write(lists.join("dash:amd64.list"), "/.\n/bin/shell\n").expect("written");
        let status = "Package: other\nVersion: 1\n\nPackage: dash\nStatus: ok\nVersion: 0.5-2\n";
        fs::write(place.path().join(DPKG_STATUS), status).expect("written");
        let root = File::open(place.path()).expect("opened");
        assert_eq!(package_of(&root, "/usr/bin/shell").as_deref(), Some("dash"));
        assert_eq!(package_of(&root, "/usr/bin/absent"), None);
        assert_eq!(version_of(&root, "dash").as_deref(), Some("0.5-2"));
        assert_eq!(version_of(&root, "absent"), None);
    }

    #[test]
    fn no_link_leads_out_of_the_root() {
        let place = tempfile::tempdir().expect("a directory");
        let outside = tempfile::tempdir().expect("a directory");
        fs::write(outside.path().join("status"), "Package: x\nVersion: 1\n").expect("written");
        fs::create_dir_all(place.path().join("var/lib")).expect("made");
        std::os::unix::fs::symlink(outside.path(), place.path().join("var/lib/dpkg"))
            .expect("linked");
        let root = File::open(place.path()).expect("opened");
        assert_eq!(version_of(&root, "x"), None);
    }

    #[test]
    fn a_shell_of_the_system_has_a_build_id() {
        let file = File::open("/bin/sh").expect("a shell");
        let id = build_id(file).expect("Debian's programs have one");
        assert_eq!(id.len(), 40, "{id}");
    }
}
