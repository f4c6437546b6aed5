//! Copies the workload's files into the sandbox, in a process that has taken on the caller's identity
//! and stands in the sandbox. Knows nothing of where they come from.
//!
//! A copy has the mode of its source. Its owner is the caller, as of anything that the caller
//! makes; root's copies have the owner and the group of the source. A directory that was there
//! before stays as it is. Links in a directory are copied as links.

use std::ffi::CString;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, UnlinkatFlags, fchown, fchownat, geteuid, pipe2, symlinkat, unlinkat, write,
};

use super::child;
use super::places::{READING, kind};
use super::protocol::Identity;
use super::sandbox::{SetupError, Source};
use crate::sys::process;

/// What could not be copied, and why.
#[derive(Debug, PartialEq, Eq)]
struct NotCopied {
    path: PathBuf,
    errno: Errno,
}

fn at(path: &Path) -> impl FnOnce(Errno) -> NotCopied {
    let path = path.to_owned();
    move |errno| NotCopied { path, errno }
}

/// The place of a copy: a name, and where it is looked up.
#[derive(Clone, Copy)]
struct To<'a> {
    directory: BorrowedFd<'a>,
    name: &'a Path,
}

/// Copies the workload's files, by a child with the caller's rights: what the caller may not
/// read or write must stay so.
pub fn all(files: Vec<Source>, identity: &Identity) -> Result<(), SetupError> {
    if files.is_empty() {
        return Ok(());
    }
    const STEP: &str = "copy the workload's files (key `files`)";
    let failed = |errno| SetupError {
        step: STEP.to_owned(),
        errno,
    };
    let (told, report) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    let child = match process::fork_alone().map_err(failed)? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let path = PathBuf::from("the caller's rights");
            let copied = child::assume(identity)
                .map_err(|errno| NotCopied { path, errno })
                .and_then(|()| files.iter().try_for_each(copy));
            let code = copied.err().map_or(0, |NotCopied { path, errno }| {
                // The longest path fits into a pipe. Where it is not told, the errno still is.
                let _ = write(&report, path.as_os_str().as_bytes());
                errno as i32
            });
            process::end(code)
        }
    };
    drop((report, files));
    let status = waitpid(child, None).map_err(failed)?;
    let errno = match status {
        WaitStatus::Exited(_, 0) => return Ok(()),
        WaitStatus::Exited(_, errno) => Errno::from_raw(errno),
        _ => Errno::EINTR,
    };
    let path = io::read_to_string(File::from(told)).unwrap_or_default();
    let what = match errno {
        Errno::ENOTSUP => " is neither a file nor a directory",
        _ => "",
    };
    Err(SetupError {
        step: format!("{STEP}: {path}{what}"),
        errno,
    })
}

/// Copies one file or directory.
fn copy(source: &Source) -> Result<(), NotCopied> {
    if let Some(parent) = source.to.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(parent);
        made.map_err(|error| at(parent)(errno_of(&error)))?;
    }
    let seen = fstat(&source.file).map_err(at(&source.path))?;
    let to = To {
        directory: AT_FDCWD,
        name: &source.to,
    };
    if kind(seen.st_mode) != SFlag::S_IFDIR {
        return copy_file(&source.file, &seen, to).map_err(at(&source.to));
    }
    let from = openat(&source.file, ".", DIRECTORY, Mode::empty());
    copy_directory(from.map_err(at(&source.path))?, &seen, &source.path, to)
}

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC);

fn copy_directory(
    from: OwnedFd,
    seen: &FileStat,
    path: &Path,
    to: To<'_>,
) -> Result<(), NotCopied> {
    let made = match mkdirat(to.directory, to.name, Mode::S_IRWXU) {
        Ok(()) => true,
        Err(Errno::EEXIST) => false,
        Err(errno) => return Err(at(to.name)(errno)),
    };
    let into = openat(to.directory, to.name, DIRECTORY, Mode::empty()).map_err(at(to.name))?;
    for name in names(&from).map_err(at(path))? {
        let name = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let path = path.join(name);
        let to = To {
            directory: into.as_fd(),
            name,
        };
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        let seen = fstatat(&from, name, flags).map_err(at(&path))?;
        match kind(seen.st_mode) {
            SFlag::S_IFDIR => {
                let below = openat(&from, name, DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty());
                copy_directory(below.map_err(at(&path))?, &seen, &path, to)?;
            }
            SFlag::S_IFREG => {
                let file = openat(&from, name, READING | OFlag::O_NOFOLLOW, Mode::empty());
                copy_file(&file.map_err(at(&path))?, &seen, to).map_err(at(&path))?;
            }
            SFlag::S_IFLNK => copy_link(&from, &seen, to).map_err(at(&path))?,
            // It would block, or never end.
            _ => return Err(at(&path)(Errno::ENOTSUP)),
        }
    }
    match made {
        true => give(&into, seen).map_err(at(to.name)),
        false => Ok(()),
    }
}

/// What is in a directory.
fn names(directory: &OwnedFd) -> nix::Result<Vec<CString>> {
    let directory = directory.try_clone().map_err(|error| errno_of(&error))?;
    let mut names = Vec::new();
    for entry in Dir::from_fd(directory)?.iter() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.as_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

fn copy_file(from: &OwnedFd, seen: &FileStat, to: To<'_>) -> nix::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_CLOEXEC;
    let open = |more| openat(to.directory, to.name, flags | more, Mode::S_IRWXU);
    let (copy, made) = match open(OFlag::O_EXCL) {
        Ok(copy) => (copy, true),
        // A FIFO without a reader is an error then, and no reason to wait for one.
        Err(Errno::EEXIST) => (open(OFlag::O_TRUNC | OFlag::O_NONBLOCK)?, false),
        Err(errno) => return Err(errno),
    };
    let before = fstat(&copy)?;
    if kind(before.st_mode) != SFlag::S_IFREG {
        return Err(Errno::ENOTSUP);
    }
    let [mut source, mut copied] = [from, &copy].map(|file| file.try_clone().map(File::from));
    let (Ok(source), Ok(copied)) = (&mut source, &mut copied) else {
        return Err(Errno::EMFILE);
    };
    io::copy(source, copied).map_err(|error| errno_of(&error))?;
    // Another's file that everybody may write stays that other's.
    let own = geteuid();
    match made || own.is_root() || own.as_raw() == before.st_uid {
        true => give(&copy, seen),
        false => Ok(()),
    }
}

fn copy_link(from: &OwnedFd, seen: &FileStat, to: To<'_>) -> nix::Result<()> {
    let content = readlinkat(from, to.name)?;
    let make = || symlinkat(content.as_os_str(), to.directory, to.name);
    match make() {
        Err(Errno::EEXIST) => {
            unlinkat(to.directory, to.name, UnlinkatFlags::NoRemoveDir)?;
            make()?;
        }
        made => made?,
    }
    match geteuid().is_root() {
        true => fchownat(
            to.directory,
            to.name,
            Some(seen.st_uid.into()),
            Some(seen.st_gid.into()),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        ),
        false => Ok(()),
    }
}

/// Gives a copy the attributes of its source. The owner first: it takes set-user-ID away.
fn give(copy: impl AsFd, seen: &FileStat) -> nix::Result<()> {
    if geteuid().is_root() {
        fchown(&copy, Some(seen.st_uid.into()), Some(seen.st_gid.into()))?;
    }
    fchmod(&copy, Mode::from_bits_truncate(seen.st_mode))
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    use nix::unistd::mkfifo;

    use super::*;
    use crate::launcher::places;

    struct Ground(tempfile::TempDir);

    impl Ground {
        fn new() -> Ground {
            Ground(tempfile::tempdir().expect("a directory"))
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn copy(&self, from: &str, to: &str) -> Result<(), NotCopied> {
            let place = places::find(&self.path(from)).expect("found").place;
            copy(&Source {
                file: places::open_to_copy(&place).expect("opened"),
                path: place.path,
                to: self.path(to),
            })
        }

        fn mode(&self, name: &str) -> u32 {
            fs::symlink_metadata(self.path(name)).expect("there").mode() & 0o7777
        }

        fn set_mode(&self, name: &str, mode: u32) {
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("set");
        }
    }

    #[test]
    fn a_tree_is_copied_with_its_modes_and_links() {
        let ground = Ground::new();
        fs::create_dir_all(ground.path("from/inner")).expect("made");
        fs::write(ground.path("from/inner/file"), "content").expect("written");
        symlink("inner", ground.path("from/link")).expect("a link");
        symlink(".", ground.path("from/circle")).expect("a link");
        ground.set_mode("from/inner/file", 0o640);
        ground.set_mode("from/inner", 0o711);
        ground.set_mode("from", 0o2750);
        ground.copy("from", "new/parents/to").expect("copied");
        assert_eq!(ground.mode("new/parents/to"), 0o2750);
        assert_eq!(ground.mode("new/parents/to/inner"), 0o711);
        assert_eq!(ground.mode("new/parents/to/inner/file"), 0o640);
        let copied = fs::read(ground.path("new/parents/to/inner/file")).expect("read");
        assert_eq!(copied, b"content");
        for (name, content) in [("link", "inner"), ("circle", ".")] {
            let path = ground.path("new/parents/to").join(name);
            assert_eq!(fs::read_link(path).expect("a link"), Path::new(content));
        }
        // Once more: what is there is replaced, but for the directories.
        ground.set_mode("new/parents/to", 0o700);
        ground.set_mode("new/parents/to/inner/file", 0o600);
        ground.copy("from", "new/parents/to").expect("copied");
        assert_eq!(ground.mode("new/parents/to"), 0o700);
        assert_eq!(ground.mode("new/parents/to/inner/file"), 0o640);
    }

    #[test]
    fn roots_copies_keep_the_owner_and_the_mode_of_their_source() {
        if !geteuid().is_root() {
            return;
        }
        let ground = Ground::new();
        fs::create_dir(ground.path("from")).expect("made");
        fs::write(ground.path("from/file"), "x").expect("written");
        for name in ["from", "from/file"] {
            chown(ground.path(name), Some(12), Some(34)).expect("given away");
        }
        ground.set_mode("from/file", 0o4755);
        ground.copy("from", "to").expect("copied");
        for name in ["to", "to/file"] {
            let file = fs::metadata(ground.path(name)).expect("there");
            assert_eq!((file.uid(), file.gid()), (12, 34), "{name}");
        }
        assert_eq!(ground.mode("to/file"), 0o4755);
    }

    #[test]
    fn what_is_no_file_is_refused_wherever_it_is() {
        let ground = Ground::new();
        fs::create_dir(ground.path("from")).expect("made");
        fs::write(ground.path("file"), "x").expect("written");
        mkfifo(&ground.path("from/fifo"), Mode::S_IRWXU).expect("made");
        let refused = ground.copy("from", "to").expect_err("a FIFO");
        assert_eq!(refused, at(&ground.path("from/fifo"))(Errno::ENOTSUP));
        // Nobody reads from it, and nobody will.
        let refused = ground.copy("file", "from/fifo").expect_err("a FIFO");
        assert_eq!(refused, at(&ground.path("from/fifo"))(Errno::ENXIO));
        let device = places::find(Path::new("/dev/zero")).expect("found").place;
        let refused = places::open_to_copy(&device).expect_err("a device");
        assert_eq!(refused, Errno::ENOTSUP);
    }
}
