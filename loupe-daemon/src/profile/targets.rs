//! What somebody asks for, checked before it is kept: what can never fit anything is refused, and a
//! process stands for the cgroup that it is in.

use std::fs;
use std::io;
use std::path::Path;

use loupe_common::profile::{SubjectKind, Target};

use super::naming;
use super::tree::Tree;

/// Why a target is refused.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("there is no process {pid}: {source}")]
    NoProcess { pid: u32, source: io::Error },
    #[error(
        "process {0} is in the root of the hierarchy of cgroups, as all others that nobody has put elsewhere"
    )]
    InRoot(u32),
    #[error("the cgroup {path} of process {pid} cannot be seen from here")]
    NotSeen { pid: u32, path: String },
    #[error("there is no cgroup {path} below {mount}")]
    NoCgroup { path: String, mount: String },
    #[error("`{0}` is no absolute path")]
    Relative(String),
    #[error("there is no executable {path}: {source}")]
    NoExecutable { path: String, source: io::Error },
}

impl TargetError {
    pub fn hint(&self) -> Option<String> {
        match self {
            TargetError::InRoot(pid) => Some(format!(
                "name its executable instead: `loupe profile add --executable \"$(readlink \
                 /proc/{pid}/exe)\"`"
            )),
            TargetError::NoCgroup { mount, .. } => {
                Some(format!("`find {mount} -type d` lists those that there are"))
            }
            _ => None,
        }
    }
}

/// The target as it is kept.
pub fn settle(target: Target, tree: &Tree) -> Result<Target, TargetError> {
    match target {
        Target::Process(pid) => of_process(pid, tree),
        Target::Cgroup(path) => {
            let mount = tree.mount().display().to_string();
            let below = path.strip_prefix(&mount).unwrap_or(&path);
            let below = format!("/{}", below.trim_matches('/'));
            match tree.at(&below) {
                Some(_) => Ok(Target::Cgroup(below)),
                None => Err(TargetError::NoCgroup { path, mount }),
            }
        }
        Target::Executable(path) => {
            if !path.starts_with('/') {
                return Err(TargetError::Relative(path));
            }
            // As the kernel names it: links are followed once, here.
            match fs::canonicalize(Path::new(&path)) {
                Ok(found) => Ok(Target::Executable(found.to_string_lossy().into_owned())),
                Err(source) => Err(TargetError::NoExecutable { path, source }),
            }
        }
        other => Ok(other),
    }
}

fn of_process(pid: u32, tree: &Tree) -> Result<Target, TargetError> {
    let told = fs::read_to_string(format!("/proc/{pid}/cgroup"))
        .map_err(|source| TargetError::NoProcess { pid, source })?;
    let path = told
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or("/");
    if path == "/" {
        return Err(TargetError::InRoot(pid));
    }
    match naming::owner_of(path) {
        Some(named) if named.kind == SubjectKind::Unit => Ok(Target::Unit(named.name)),
        Some(named) => Ok(Target::Container(named.name)),
        None if tree.at(path).is_some() => Ok(Target::Cgroup(path.to_owned())),
        None => Err(TargetError::NotSeen {
            pid,
            path: path.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, Tree) {
        let place = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(place.path().join("jobs/1")).expect("made");
        let tree = Tree::walk(place.path()).expect("walked");
        (place, tree)
    }

    #[test]
    fn cgroups_are_named_below_the_root_or_absolutely() {
        let (place, tree) = tree();
        let absolute = place.path().join("jobs/1").display().to_string();
        for path in ["jobs/1", "/jobs/1/", &absolute] {
            let settled = settle(Target::Cgroup(path.to_owned()), &tree).expect("it is there");
            assert_eq!(settled, Target::Cgroup("/jobs/1".to_owned()));
        }
        let absent = settle(Target::Cgroup("jobs/2".to_owned()), &tree).expect_err("absent");
        assert!(absent.hint().is_some());
    }

    #[test]
    fn executables_are_named_by_where_they_are() {
        let (_place, tree) = tree();
        let settled = settle(Target::Executable("/bin/sh".to_owned()), &tree).expect("there");
        let path = fs::canonicalize("/bin/sh").expect("there");
        assert_eq!(settled, Target::Executable(path.display().to_string()));
        for wrong in ["bin/sh", "/nowhere/sh"] {
            assert!(settle(Target::Executable(wrong.to_owned()), &tree).is_err());
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_told() {
        let (_place, tree) = tree();
        let error = settle(Target::Process(u32::MAX - 7), &tree).expect_err("no such process");
        assert!(matches!(error, TargetError::NoProcess { .. }), "{error}");
    }
}
