//! Files and directories of the host that a caller names: found once, and opened again for each
//! sandbox, by whoever has the caller's rights. Opens for looking only; mounts nothing.
//!
//! A path is walked one name at a time, each from the descriptor of the directory before it, so
//! what stands at the end was reached with the rights of the walker whatever changes meanwhile.
//! What was found has a path without links, and from then on no link is followed any more.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use serde::{Deserialize, Serialize};

/// As many links as the kernel follows (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// The same file as long as both are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    device: u64,
    inode: u64,
}

impl Object {
    fn of(file: &FileStat) -> Object {
        Object {
            device: file.st_dev,
            inode: file.st_ino,
        }
    }
}

/// A file or directory of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Absolute, and no part of it is a link.
    pub path: PathBuf,
    /// What must be there; `None`: whatever is.
    pub object: Option<Object>,
}

/// A symbolic link that leads to a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub directory: Place,
    pub name: PathBuf,
    pub content: PathBuf,
}

impl Link {
    pub fn path(&self) -> PathBuf {
        self.directory.path.join(&self.name)
    }
}

/// Where a path leads.
#[derive(Debug)]
pub struct Found {
    pub place: Place,
    /// The links on the way.
    pub links: Vec<Link>,
    /// In bytes.
    pub length: i64,
    /// When its content was changed: seconds and nanoseconds.
    pub changed: (i64, i64),
    mode: u32,
    /// The place and the directories of the links. As long as they are open, no other file can have
    /// their numbers, and no file system gives them new ones.
    pub held: Vec<OwnedFd>,
}

impl Found {
    pub fn is_directory(&self) -> bool {
        kind(self.mode) == SFlag::S_IFDIR
    }

    pub fn is_file(&self) -> bool {
        kind(self.mode) == SFlag::S_IFREG
    }

    /// A file that at least somebody may execute.
    pub fn is_program(&self) -> bool {
        self.is_file() && self.mode & 0o111 != 0
    }
}

/// The file type of a mode.
pub fn kind(mode: u32) -> SFlag {
    SFlag::from_bits_truncate(mode) & SFlag::S_IFMT
}

/// An absolute path as the kernel finds it for this thread: with its rights, and without the
/// links of `/proc` that lead into other processes.
pub fn find(path: &Path) -> io::Result<Found> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    // The kernel's word on links that are not to be followed (`fs.protected_symlinks`).
    let object = Object::of(&fstat(openat2(AT_FDCWD, path, how)?)?);
    let found = walk(path)?;
    match found.place.object == Some(object) {
        true => Ok(found),
        false => Err(Errno::ESTALE.into()),
    }
}

fn walk(path: &Path) -> io::Result<Found> {
    let mut rest: VecDeque<OsString> = names(path)?.collect();
    // The directories from the root to here, and the names of all but the first.
    let mut way = vec![root()?];
    let mut at: Vec<OsString> = Vec::new();
    let (mut links, mut held) = (Vec::new(), Vec::new());
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            at.pop();
            way.truncate(at.len() + 1);
            continue;
        }
        let directory = &way[at.len()];
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(directory, name.as_os_str(), flags, Mode::empty())?;
        if kind(fstat(&file)?.st_mode) != SFlag::S_IFLNK {
            at.push(name);
            way.push(file);
            continue;
        }
        if links.len() == MOST_LINKS {
            return Err(Errno::ELOOP.into());
        }
        let content = PathBuf::from(readlinkat(&file, "")?);
        links.push(Link {
            directory: Place {
                path: joined(&at),
                object: Some(Object::of(&fstat(directory)?)),
            },
            name: name.into(),
            content: content.clone(),
        });
        held.push(directory.try_clone()?);
        if content.is_absolute() {
            at.clear();
            way.truncate(1);
        }
        for name in names(&content)?.rev() {
            rest.push_front(name);
        }
    }
    let file = way.swap_remove(at.len());
    let end = fstat(&file)?;
    held.push(file);
    Ok(Found {
        place: Place {
            path: joined(&at),
            object: Some(Object::of(&end)),
        },
        links,
        length: end.st_size,
        changed: (end.st_mtime, end.st_mtime_nsec),
        mode: end.st_mode,
        held,
    })
}

/// The parts of a path that move; they must be text, as they are written down.
fn names(path: &Path) -> io::Result<impl DoubleEndedIterator<Item = OsString>> {
    if path.to_str().is_none() {
        return Err(Errno::EILSEQ.into());
    }
    Ok(path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    }))
}

fn joined(names: &[OsString]) -> PathBuf {
    let mut path = PathBuf::from("/");
    path.extend(names);
    path
}

/// Owner and mode of a file, its type included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

impl Attributes {
    pub fn of(file: impl AsFd) -> nix::Result<Attributes> {
        let file = fstat(file)?;
        Ok(Attributes {
            uid: file.st_uid,
            gid: file.st_gid,
            mode: file.st_mode,
        })
    }

    pub fn is_directory(&self) -> bool {
        kind(self.mode) == SFlag::S_IFDIR
    }
}

/// A place that is held open, to look at (`O_PATH`).
#[derive(Debug)]
pub struct Opened {
    pub path: PathBuf,
    pub file: OwnedFd,
    /// Of each part of the path, from the root's child to the place itself.
    pub way: Vec<Attributes>,
}

/// Opens a place that was found before, if it is the same still.
pub fn open(place: &Place) -> nix::Result<Opened> {
    descend(place).map(|(opened, _)| opened)
}

/// Opens what may be copied: a directory to look at, a file to read. Anything else would block or
/// never end, and is refused (`ENOTSUP`).
pub fn open_to_copy(place: &Place) -> nix::Result<OwnedFd> {
    let (Opened { file, .. }, directory) = descend(place)?;
    let seen = fstat(&file)?;
    match (kind(seen.st_mode), directory, place.path.file_name()) {
        (SFlag::S_IFDIR, ..) => Ok(file),
        (SFlag::S_IFREG, Some(directory), Some(name)) => {
            let readable = openat2(&directory, name, straight(READING))?;
            match Object::of(&fstat(&readable)?) == Object::of(&seen) {
                true => Ok(readable),
                false => Err(Errno::ESTALE),
            }
        }
        _ => Err(Errno::ENOTSUP),
    }
}

/// How files are opened to be read: even what has become a FIFO meanwhile does not block.
pub const READING: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

/// The place, and the directory that it is in.
fn descend(place: &Place) -> nix::Result<(Opened, Option<OwnedFd>)> {
    let mut file = root()?;
    let mut directory = None;
    let mut way = Vec::new();
    for name in steps(&place.path)? {
        let next = step(&file, name)?;
        directory = Some(std::mem::replace(&mut file, next));
        way.push(Attributes::of(&file)?);
    }
    let object = Object::of(&fstat(&file)?);
    if place.object.is_some_and(|expected| expected != object) {
        return Err(Errno::ESTALE);
    }
    let path = place.path.clone();
    Ok((Opened { path, file, way }, directory))
}

fn root() -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    openat(AT_FDCWD, "/", flags, Mode::empty())
}

/// The names of a path that goes straight down from the root; any other is refused.
pub fn steps(path: &Path) -> nix::Result<Vec<&OsStr>> {
    let mut parts = path.components();
    if parts.next() != Some(Component::RootDir) {
        return Err(Errno::EINVAL);
    }
    parts
        .map(|part| match part {
            Component::Normal(name) => Ok(name),
            _ => Err(Errno::EINVAL),
        })
        .collect()
}

/// From a directory to what has this name in it, which must not be a link (`ELOOP`).
pub fn step(directory: impl AsFd, name: &OsStr) -> nix::Result<OwnedFd> {
    openat2(directory, name, straight(OFlag::O_PATH | OFlag::O_CLOEXEC))
}

fn straight(flags: OFlag) -> OpenHow {
    OpenHow::new().flags(flags).resolve(
        ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS,
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        /// `real/inner/file`, `link -> real`, `up -> real/inner/..`, `loop -> loop`.
        fn new() -> Tree {
            let tree = Tree(tempfile::tempdir().expect("a directory"));
            fs::create_dir_all(tree.path("real/inner")).expect("made");
            fs::write(tree.path("real/inner/file"), "x").expect("written");
            for (content, name) in [("real", "link"), ("real/inner/..", "up"), ("loop", "loop")] {
                symlink(content, tree.path(name)).expect("a link");
            }
            tree
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }
    }

    #[test]
    fn a_path_is_found_without_its_links_and_they_are_told() {
        let tree = Tree::new();
        for (named, real, links) in [
            ("real/inner", "real/inner", &[][..]),
            ("link/inner/file", "real/inner/file", &["link"][..]),
            ("up/inner/../inner", "real/inner", &["up"][..]),
            ("link/../link/.", "real", &["link", "link"][..]),
        ] {
            let found = find(&tree.path(named)).expect("found");
            assert_eq!(found.place.path, tree.path(real), "{named}");
            let told: Vec<PathBuf> = found.links.iter().map(Link::path).collect();
            let links: Vec<PathBuf> = links.iter().map(|link| tree.path(link)).collect();
            assert_eq!(told, links, "{named}");
            assert!(open(&found.place).is_ok(), "{named}");
        }
    }

    #[test]
    fn what_leads_nowhere_or_into_a_process_is_not_found() {
        let tree = Tree::new();
        for (path, errno) in [
            (tree.path("loop"), libc::ELOOP),
            (tree.path("real/none"), libc::ENOENT),
            (tree.path("real/inner/file/x"), libc::ENOTDIR),
            (PathBuf::from("/proc/self/cwd"), libc::ELOOP),
            (PathBuf::from("/proc/self/root/etc"), libc::ELOOP),
        ] {
            let error = find(&path).expect_err("not found");
            assert_eq!(error.raw_os_error(), Some(errno), "{}", path.display());
        }
    }

    #[test]
    fn another_file_of_the_same_name_is_refused_unless_any_will_do() {
        let tree = Tree::new();
        let found = find(&tree.path("real/inner")).expect("found").place;
        fs::rename(tree.path("real/inner"), tree.path("real/old")).expect("moved");
        fs::create_dir(tree.path("real/inner")).expect("made");
        assert_eq!(open(&found).expect_err("another"), Errno::ESTALE);
        let any = Place {
            object: None,
            ..found
        };
        assert!(open(&any).is_ok());
    }

    #[test]
    fn a_link_that_has_come_since_is_not_followed() {
        let tree = Tree::new();
        let found = find(&tree.path("real/inner/file")).expect("found").place;
        fs::rename(tree.path("real/inner"), tree.path("inner")).expect("moved");
        symlink("../inner", tree.path("real/inner")).expect("a link");
        // The very same file, but by another way.
        assert_eq!(open(&found).expect_err("a link"), Errno::ELOOP);
    }

    #[test]
    fn steps_go_down_only() {
        for path in ["relative", "/a/../b", ""] {
            assert_eq!(steps(Path::new(path)), Err(Errno::EINVAL), "{path:?}");
        }
        assert_eq!(steps(Path::new("/")), Ok(vec![]));
        let tree = Tree::new();
        let top = fs::File::open(tree.path("")).expect("opened");
        assert!(step(&top, OsStr::new("real")).is_ok());
        let errno = |name: &str| step(&top, OsStr::new(name)).expect_err("refused");
        assert_eq!(errno(".."), Errno::EXDEV);
        assert_eq!(errno("link"), Errno::ELOOP);
        assert_eq!(errno("/etc"), Errno::EXDEV);
    }
}
