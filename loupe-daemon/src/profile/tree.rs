//! The hierarchy of cgroups: one walk at the start, then kept by what the kernel tells. A cgroup's
//! name is known from its birth and kept as long as anybody speaks of it; nobody walks because of a
//! miss.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// One cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// The inode number of its directory, as the in-kernel programs see it.
    pub id: u64,
    /// Below the root of the hierarchy that is seen here; `/` is that root.
    pub path: String,
    /// The owner of its directory.
    pub uid: u32,
}

/// What is known of the hierarchy.
#[derive(Debug)]
pub struct Tree {
    mount: PathBuf,
    by_id: BTreeMap<u64, Cgroup>,
    /// A path can be made anew before the removal of the old is told.
    by_path: BTreeMap<String, u64>,
}

impl Tree {
    /// Walks the hierarchy that is mounted here.
    pub fn walk(mount: &Path) -> io::Result<Tree> {
        let mut tree = Tree {
            mount: mount.to_owned(),
            by_id: BTreeMap::new(),
            by_path: BTreeMap::new(),
        };
        let root = fs::metadata(mount)?;
        tree.insert(Cgroup {
            id: root.ino(),
            path: "/".to_owned(),
            uid: root.uid(),
        });
        tree.walk_below("/")?;
        Ok(tree)
    }

    /// Cgroups come and go while this looks: what is gone is left out.
    fn walk_below(&mut self, path: &str) -> io::Result<()> {
        let mut left = vec![path.to_owned()];
        while let Some(path) = left.pop() {
            let entries = match fs::read_dir(self.directory(&path)) {
                Ok(entries) => entries,
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) if is_gone(&error) => continue,
                    Err(error) => return Err(error),
                };
                let is_directory = match entry.file_type() {
                    Ok(kind) => kind.is_dir(),
                    Err(error) if is_gone(&error) => continue,
                    Err(error) => return Err(error),
                };
                if !is_directory {
                    continue;
                }
                let child = join(&path, &entry.file_name().to_string_lossy());
                let uid = self.uid_of(&child);
                self.insert(Cgroup {
                    id: entry.ino(),
                    path: child.clone(),
                    uid,
                });
                left.push(child);
            }
        }
        Ok(())
    }

    /// Takes up a cgroup that was just made. `None`: its parent is not seen here.
    pub fn made(&mut self, id: u64, parent: u64, name: &str) -> Option<&Cgroup> {
        let path = join(&self.by_id.get(&parent)?.path, name);
        let uid = self.uid_of(&path);
        self.insert(Cgroup { id, path, uid });
        self.by_id.get(&id)
    }

    fn insert(&mut self, cgroup: Cgroup) {
        self.by_path.insert(cgroup.path.clone(), cgroup.id);
        self.by_id.insert(cgroup.id, cgroup);
    }

    /// Forgets a cgroup that nobody speaks of any more.
    pub fn forget(&mut self, id: u64) {
        if let Some(gone) = self.by_id.remove(&id)
            && self.by_path.get(&gone.path) == Some(&id)
        {
            self.by_path.remove(&gone.path);
        }
    }

    pub fn get(&self, id: u64) -> Option<&Cgroup> {
        self.by_id.get(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Cgroup> {
        self.by_id.values()
    }

    /// The cgroup of this path.
    pub fn at(&self, path: &str) -> Option<&Cgroup> {
        self.by_id.get(self.by_path.get(path)?)
    }

    /// Where a cgroup's files are.
    pub fn directory(&self, path: &str) -> PathBuf {
        self.mount.join(path.trim_start_matches('/'))
    }

    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// Root's, where it is gone already: nobody else is told of it.
    fn uid_of(&self, path: &str) -> u32 {
        fs::metadata(self.directory(path)).map_or(0, |found| found.uid())
    }
}

/// Whether a cgroup's files tell that the cgroup is not there any more.
fn is_gone(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    error.kind() == io::ErrorKind::NotFound || code == Some(libc::ENODEV)
}

fn join(parent: &str, name: &str) -> String {
    format!("{}/{name}", parent.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_and_what_is_told_later_give_one_tree() {
        let place = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(place.path().join("system.slice/a.service/inner")).expect("made");
        fs::write(place.path().join("cgroup.procs"), "").expect("written");
        let mut tree = Tree::walk(place.path()).expect("walked");
        let paths: Vec<&str> = tree.iter().map(|cgroup| cgroup.path.as_str()).collect();
        let mut sorted = paths.clone();
        sorted.sort_unstable();
        assert_eq!(
            sorted,
            [
                "/",
                "/system.slice",
                "/system.slice/a.service",
                "/system.slice/a.service/inner"
            ]
        );

        let slice = tree.at("/system.slice").expect("there").id;
        let made = tree
            .made(7_000_000, slice, "b.service")
            .expect("its parent is known");
        assert_eq!(made.path, "/system.slice/b.service");
        assert_eq!(tree.made(7_000_001, 6_999_999, "c.service"), None);
        tree.forget(7_000_000);
        assert_eq!(tree.get(7_000_000), None);
    }
}
