//! Mount points in the new root: reached name by name from its descriptor, never through a link,
//! and made only where the sandbox' own memory is. Mounts nothing.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{fchown, symlinkat};

use crate::launcher::places::{Attributes, step, steps};

/// What is there already.
pub fn reach(root: impl AsFd, path: &Path) -> nix::Result<OwnedFd> {
    let mut file = root.as_fd().try_clone_to_owned().map_err(errno)?;
    for name in steps(path)? {
        file = step(&file, name)?;
    }
    Ok(file)
}

/// The same, with what is missing made first, with these attributes of each part of the path.
pub fn make(root: impl AsFd, path: &Path, way: &[Attributes]) -> nix::Result<OwnedFd> {
    let mut file = root.as_fd().try_clone_to_owned().map_err(errno)?;
    let names = steps(path)?;
    if names.len() != way.len() {
        return Err(Errno::EINVAL);
    }
    for (name, attributes) in names.into_iter().zip(way) {
        file = match step(&file, name) {
            Err(Errno::ENOENT) => {
                create(&file, name, attributes)?;
                step(&file, name)?
            }
            found => found?,
        };
    }
    Ok(file)
}

fn create(directory: &OwnedFd, name: &OsStr, attributes: &Attributes) -> nix::Result<()> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = if attributes.is_directory() {
        mkdirat(directory, name, Mode::S_IRWXU)?;
        openat(directory, name, flags | OFlag::O_DIRECTORY, Mode::empty())?
    } else {
        let flags = flags | OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        openat(directory, name, flags, Mode::S_IRUSR)?
    };
    fchown(
        &file,
        Some(attributes.uid.into()),
        Some(attributes.gid.into()),
    )?;
    fchmod(&file, Mode::from_bits_truncate(attributes.mode))
}

/// Makes a link, unless something of that name is there.
pub fn link(directory: impl AsFd, name: &Path, content: &Path) -> nix::Result<()> {
    match symlinkat(content, directory, name) {
        Err(Errno::EEXIST) => Ok(()),
        made => made,
    }
}

fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    const DIRECTORY: Attributes = Attributes {
        uid: 0,
        gid: 0,
        mode: libc::S_IFDIR | 0o751,
    };
    const FILE: Attributes = Attributes {
        uid: 0,
        gid: 0,
        mode: libc::S_IFREG | 0o640,
    };

    /// Attributes that everybody may give.
    fn own(attributes: Attributes) -> Attributes {
        Attributes {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            ..attributes
        }
    }

    struct Root {
        outside: tempfile::TempDir,
        file: fs::File,
    }

    impl Root {
        /// A root in a directory that has more in it.
        fn new() -> Root {
            let outside = tempfile::tempdir().expect("a directory");
            for name in ["root", "elsewhere"] {
                fs::create_dir(outside.path().join(name)).expect("made");
            }
            let file = fs::File::open(outside.path().join("root")).expect("opened");
            Root { outside, file }
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.outside.path().join("root").join(name)
        }
    }

    #[test]
    fn what_is_missing_is_made_with_its_attributes() {
        let root = Root::new();
        let way = [DIRECTORY, DIRECTORY, FILE].map(own);
        make(&root.file, Path::new("/a/b/c"), &way).expect("made");
        let mode = |name| fs::metadata(root.path(name)).expect("there").mode();
        assert_eq!(mode("a"), DIRECTORY.mode);
        assert_eq!(mode("a/b"), DIRECTORY.mode);
        assert_eq!(mode("a/b/c"), FILE.mode);
        // What is there stays as it is.
        fs::write(root.path("a/b/c"), "kept").expect("written");
        make(&root.file, Path::new("/a/b/c"), &way).expect("reached");
        assert_eq!(fs::read(root.path("a/b/c")).expect("read"), b"kept");
        assert!(reach(&root.file, Path::new("/a/b/c")).is_ok());
        let missing = reach(&root.file, Path::new("/a/x")).expect_err("missing");
        assert_eq!(missing, Errno::ENOENT);
    }

    #[test]
    fn a_link_in_the_way_is_refused_and_nothing_is_made_behind_it() {
        let root = Root::new();
        let elsewhere = root.outside.path().join("elsewhere");
        symlink(&elsewhere, root.path("absolute")).expect("a link");
        symlink("../elsewhere", root.path("relative")).expect("a link");
        symlink("nowhere", root.path("dangling")).expect("a link");
        for name in ["absolute", "relative", "dangling"] {
            let below = Path::new("/").join(name).join("made");
            let way = [DIRECTORY, DIRECTORY].map(own);
            let error = make(&root.file, &below, &way).expect_err("refused");
            assert_eq!(error, Errno::ELOOP, "{name}");
            let last = Path::new("/").join(name);
            let error = make(&root.file, &last, &way[..1]).expect_err("refused");
            assert_eq!(error, Errno::ELOOP, "{name}");
        }
        assert_eq!(fs::read_dir(&elsewhere).expect("read").count(), 0);
    }

    #[test]
    fn no_way_leads_out_of_the_root() {
        let root = Root::new();
        let way = [DIRECTORY, DIRECTORY].map(own);
        for path in ["/../made", "../made", "made"] {
            let error = make(&root.file, Path::new(path), &way).expect_err("refused");
            assert_eq!(error, Errno::EINVAL, "{path}");
        }
        let outside = fs::read_dir(root.outside.path()).expect("read").count();
        assert_eq!(outside, 2);
    }

    #[test]
    fn a_link_is_made_once_and_replaces_nothing() {
        let root = Root::new();
        let name = Path::new("name");
        link(&root.file, name, Path::new("first")).expect("made");
        link(&root.file, name, Path::new("second")).expect("there already");
        let content = fs::read_link(root.path("name")).expect("a link");
        assert_eq!(content, Path::new("first"));
    }
}
