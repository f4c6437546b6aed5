//! Whose a run is. Its owner holds a lock on the run's directory, which the kernel lets go of
//! when the owner is gone, however that happens; and everybody who sees the directory can ask,
//! from whichever namespaces. A process id says nothing to those in another process namespace.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{CgroupError, PARENT, ReplayCgroup, at, candidates, create_all};

/// Makes names unique in this process.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// How long what was killed may take to leave its cgroup.
const END_LIMIT: Duration = Duration::from_secs(1);

/// The names of this process's runs are `<process>-<number>-<process namespace>`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    process: u32,
    /// Absent in those of releases that knew no lock.
    namespace: Option<u64>,
}

impl Name {
    fn parse(name: &str) -> Option<Name> {
        let mut parts = name.split('-');
        let process = parts.next()?.parse().ok()?;
        parts.next()?.parse::<u64>().ok()?;
        let namespace = match parts.next() {
            Some(part) => Some(part.parse().ok()?),
            None => None,
        };
        parts
            .next()
            .is_none()
            .then_some(Name { process, namespace })
    }
}

fn process_namespace() -> Result<u64, CgroupError> {
    let path = Path::new("/proc/self/ns/pid");
    Ok(fs::metadata(path).map_err(at("stat", path))?.ino())
}

/// Makes a new directory below `parent`, with children of these names, and takes the lock on it.
pub fn create(parent: &Path, children: &[&str]) -> Result<(PathBuf, Arc<File>), CgroupError> {
    const MAX_TRIES: usize = 100;
    let (process, namespace) = (std::process::id(), process_namespace()?);
    let mut last = None;
    for _ in 0..MAX_TRIES {
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        let directory = parent.join(format!("{process}-{number}-{namespace}"));
        match try_create(parent, &directory, children) {
            Ok(lock) => return Ok((directory, Arc::new(lock))),
            // Left by an earlier process of this id; or another Loupe has taken it for an orphan
            // before it was locked.
            Err(error) => last = Some(at("create", &directory)(error)),
        }
    }
    Err(last.unwrap_or(CgroupError::NotMounted))
}

fn try_create(parent: &Path, directory: &Path, children: &[&str]) -> io::Result<File> {
    create_all(parent)?;
    fs::create_dir(directory)?;
    let lock = File::open(directory)?;
    lock.try_lock().map_err(io::Error::from)?;
    for child in children {
        fs::create_dir(directory.join(child))?;
    }
    Ok(lock)
}

/// Clears away what a Loupe that was killed left behind: runs whose owner is gone.
pub fn remove_orphans() -> Result<(), CgroupError> {
    for directory in runs()? {
        let Some(name) = name_of(&directory) else {
            continue;
        };
        match name.namespace {
            Some(_) => remove_if_unowned(directory),
            None => remove_if_empty(&name, &directory),
        }
    }
    Ok(())
}

/// Ends and clears away every run of this process, which is in our process namespace and gone.
pub fn remove_runs_of(process: u32) -> Result<(), CgroupError> {
    let namespace = Some(process_namespace()?);
    let wanted = Name { process, namespace };
    for directory in runs()? {
        if name_of(&directory).as_ref() == Some(&wanted) {
            end(&ReplayCgroup::of(directory));
        }
    }
    Ok(())
}

fn remove_if_unowned(directory: PathBuf) {
    // What is gone is gone: another Loupe may be clearing away the same.
    let Ok(lock) = File::open(&directory) else {
        return;
    };
    match lock.try_lock() {
        Ok(()) => end(&ReplayCgroup::of(directory)),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => {
            tracing::warn!("cannot ask whose {} is: {error}", directory.display());
        }
    }
}

/// The owner of such a run holds no lock. Whether it lives cannot be told from another process
/// namespace, so nothing is killed.
fn remove_if_empty(name: &Name, directory: &Path) {
    let run = ReplayCgroup::of(directory.to_owned());
    let gone = !Path::new("/proc").join(name.process.to_string()).exists();
    if gone && run.is_populated().is_ok_and(|populated| !populated) {
        // Somebody may have entered it meanwhile: then it stays.
        drop(run.remove());
    }
}

/// Kills what is in it, and removes it as soon as that is gone.
fn end(run: &ReplayCgroup) {
    let pause = Duration::from_millis(1);
    // Gone already, or removed below.
    drop(run.kill());
    for _ in 0..END_LIMIT.as_millis() / pause.as_millis() {
        if run.remove().is_ok() {
            return;
        }
        std::thread::sleep(pause);
    }
    tracing::warn!("cannot clear away {}", run.directory.display());
}

fn name_of(directory: &Path) -> Option<Name> {
    Name::parse(directory.file_name()?.to_str()?)
}

/// Every directory below the places where runs may be.
fn runs() -> Result<Vec<PathBuf>, CgroupError> {
    let mut found = Vec::new();
    for place in candidates()? {
        let parent = place.join(PARENT);
        match fs::read_dir(&parent) {
            Ok(entries) => found.extend(entries.flatten().map(|entry| entry.path())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at("list", &parent)(error)),
        }
    }
    found.retain(|path| path.is_dir());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_who_made_a_run_and_in_which_process_namespace() {
        let name = |process, namespace| Some(Name { process, namespace });
        assert_eq!(
            Name::parse("12-3-4026531836"),
            name(12, Some(4_026_531_836))
        );
        assert_eq!(Name::parse("12-3"), name(12, None));
        for other in ["", "12", "a-3", "12-b", "12-3-c", "12-3-4-5", "init.scope"] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    /// Locks are the file system's business, so any will do.
    #[test]
    fn what_is_held_is_nobody_elses_until_it_is_let_go() {
        let parent = tempfile::tempdir().expect("a directory");
        let (directory, lock) = create(parent.path(), &["a"]).expect("created");
        assert!(directory.join("a").is_dir());
        remove_if_unowned(directory.clone());
        assert!(directory.is_dir());
        drop(lock);
        remove_if_unowned(directory.clone());
        assert!(!directory.exists());
    }
}
