//! Where in the tree of cgroups runs may be made: the mounts of cgroup v2, and the cgroup that a
//! service manager has handed to this process. Looks only; makes nothing but a daemon's leaf.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{CgroupError, at, create_all, move_process};
use crate::sys::descriptors;

/// The cgroup that a daemon with a cgroup of its own moves to: a cgroup that hands controllers on
/// may hold no process itself.
const LEAF: &str = "louped";
/// Extended attributes by which systemd says that a cgroup below its unit's is the unit's own
/// to manage (`Delegate=`); the second is that of older releases.
const DELEGATED: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// One line of `mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    /// What of the tree it shows, as seen from this process's cgroup namespace.
    root: String,
    path: PathBuf,
    writable: bool,
}

/// The place that was seen to work; see [`settle`].
static SETTLED: OnceLock<PathBuf> = OnceLock::new();

/// Runs are made here from now on, in this process.
pub fn settle(place: PathBuf) {
    // A second answer, found at the same time, is as good.
    drop(SETTLED.set(place));
}

/// The cgroup that runs are made in.
pub fn place() -> Result<PathBuf, CgroupError> {
    match SETTLED.get() {
        Some(place) => Ok(place.clone()),
        None => candidates()?
            .into_iter()
            .next()
            .ok_or(CgroupError::NotMounted),
    }
}

/// Every place where runs could be made, the best first: below the cgroup that is delegated to
/// this process, at the root of the tree, where another part of it is mounted.
pub fn candidates() -> Result<Vec<PathBuf>, CgroupError> {
    let mounts = mounts()?;
    if mounts.is_empty() {
        return Err(CgroupError::NotMounted);
    }
    let mut writable: Vec<&Mount> = mounts.iter().filter(|mount| mount.writable).collect();
    if writable.is_empty() {
        let path = mounts[0].path.display().to_string();
        return Err(CgroupError::ReadOnly(path));
    }
    // The root that this process's namespace shows is its own; what is above belongs to others,
    // and what is beside it may be anybody's. A stable order: the first mount wins.
    writable.sort_by_key(|mount| match mount.root.as_str() {
        "/" => 0,
        root if is_above(root) => 1,
        _ => 2,
    });
    let own = own_in(&mounts);
    let delegated = own.as_deref().and_then(delegated).into_iter();
    Ok(delegated
        .chain(writable.into_iter().map(|mount| mount.path.clone()))
        .collect())
}

/// The cgroup that this process is in, where a mount shows it.
pub fn own() -> Result<Option<PathBuf>, CgroupError> {
    Ok(own_in(&mounts()?))
}

/// Where the whole hierarchy, as far as this process's namespace shows it, is seen.
pub fn hierarchy() -> Result<PathBuf, CgroupError> {
    let mut mounts = mounts()?;
    mounts.sort_by_key(|mount| match mount.root.as_str() {
        "/" => 0,
        root if is_above(root) => 1,
        _ => 2,
    });
    let first = mounts.into_iter().next().ok_or(CgroupError::NotMounted)?;
    Ok(first.path)
}

/// Moves this process out of the cgroup that is delegated to it, into a leaf below. Does nothing
/// where none is.
pub fn enter_leaf() -> Result<(), CgroupError> {
    let Some(own) = own()?.filter(|own| is_delegated(own)) else {
        return Ok(());
    };
    let leaf = own.join(LEAF);
    create_all(&leaf).map_err(at("create", &leaf))?;
    move_process(std::process::id() as i32, &leaf)
}

fn mounts() -> Result<Vec<Mount>, CgroupError> {
    let path = Path::new("/proc/self/mountinfo");
    Ok(parse(&fs::read_to_string(path).map_err(at("read", path))?))
}

/// The mounts of cgroup v2 (on hybrid hosts at a place of their own, such as
/// `/sys/fs/cgroup/unified`).
fn parse(mountinfo: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut fields = left.split(' ').skip(3);
        let (root, path, options) = (fields.next()?, fields.next()?, fields.next()?);
        let super_options = right.rsplit(' ').next().unwrap_or_default();
        let writable = [options, super_options]
            .iter()
            .all(|options| options.split(',').all(|option| option != "ro"));
        right.starts_with("cgroup2 ").then(|| Mount {
            root: unescape(root),
            path: PathBuf::from(unescape(path)),
            writable,
        })
    };
    mountinfo.lines().filter_map(mount).collect()
}

/// Spaces and the like are in octal there.
fn unescape(field: &str) -> String {
    let codes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    codes.iter().fold(field.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    })
}

/// `/..`, `/../..`: a mount that was there before the cgroup namespace.
fn is_above(root: &str) -> bool {
    root.split('/').skip(1).all(|part| part == "..")
}

fn own_in(mounts: &[Mount]) -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    seen_at(mounts, Path::new(path))
}

/// Where a cgroup is seen. Its path and the roots of the mounts begin at the root of the namespace;
/// what is above or beside that has `..` in it.
fn seen_at(mounts: &[Mount], cgroup: &Path) -> Option<PathBuf> {
    mounts.iter().find_map(|mount| {
        let below = cgroup.strip_prefix(&mount.root).ok()?;
        let is_below = !below.components().any(|part| part.as_os_str() == "..");
        is_below.then(|| mount.path.join(below))
    })
}

/// The cgroup itself if it is delegated; or the one above, if this is the leaf where a service
/// manager (`DelegateSubgroup=`) or [`enter_leaf`] has put the process.
fn delegated(own: &Path) -> Option<PathBuf> {
    let places = [Some(own), own.parent()];
    let found = places
        .into_iter()
        .flatten()
        .find(|place| is_delegated(place));
    found.map(Path::to_owned)
}

fn is_delegated(directory: &Path) -> bool {
    DELEGATED
        .iter()
        .any(|name| attribute(directory, name).is_some_and(|value| value == b"1"))
}

/// A short extended attribute.
fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let name = CString::new(name).ok()?;
    descriptors::attribute(&path, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_cgroup_v2_are_read_with_what_they_show() {
        let found = parse(
            "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
             41 31 0:38 /../.. /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
             42 31 0:38 /docker/1 /a\\040b ro,relatime - cgroup2 cgroup2 rw\n\
             43 31 0:38 / /c rw - cgroup2 cgroup2 rw\n\
             broken line\n",
        );
        let mount = |root: &str, path: &str, writable| Mount {
            root: root.to_owned(),
            path: path.into(),
            writable,
        };
        assert_eq!(
            found,
            [
                mount("/../..", "/sys/fs/cgroup", true),
                mount("/docker/1", "/a b", false),
                mount("/", "/c", true),
            ]
        );
        assert!(is_above("/.."));
        assert!(is_above("/../.."));
        assert!(!is_above("/docker/1"));
    }

    #[test]
    fn a_cgroup_is_seen_where_a_mount_shows_it() {
        let mounts = |root: &str| {
            vec![Mount {
                root: root.to_owned(),
                path: PathBuf::from("/sys/fs/cgroup"),
                writable: true,
            }]
        };
        let seen = |root, cgroup| seen_at(&mounts(root), Path::new(cgroup));
        let at = |path| Some(PathBuf::from(path));
        assert_eq!(seen("/", "/a/b"), at("/sys/fs/cgroup/a/b"));
        // In a namespace, by a mount that was there before: beside what the namespace shows, and
        // at its root, of which the name is not known.
        assert_eq!(seen("/..", "/../a/b"), at("/sys/fs/cgroup/a/b"));
        assert_eq!(seen("/..", "/"), None);
        assert_eq!(seen("/", "/../a"), None);
        assert_eq!(seen("/..", "/../../a"), None);
    }

    #[test]
    fn a_directory_that_nobody_delegated_is_not_delegated() {
        assert_eq!(delegated(Path::new("/proc/self")), None);
    }
}
