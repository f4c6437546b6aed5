//! A workload's target with a filter, on an OS that nothing of Loupe's reaches into: what starts it by
//! its name finds a script that puts the filter on first. Starts nothing, and decides no filter.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Workload;
use super::elsewhere::quoted;
use super::prepared::ENVIRONMENT;
use crate::launcher::filtered;

/// A directory with the filter, the script, and a place for the sign that the filter was put on. It
/// goes with this.
#[derive(Debug)]
pub struct Cut {
    directory: PathBuf,
}

impl Cut {
    /// A filter for this workload's target. `loupe` is this program, which the other OS has, too.
    pub fn of(workload: &Workload, loupe: &Path, filter: &[(u16, u8, u8, u32)]) -> io::Result<Cut> {
        let usual = ENVIRONMENT.iter().find(|(name, _)| *name == "PATH");
        let own = workload.environment.get("PATH").map(String::as_str);
        let path = own.or(usual.map(|(_, path)| *path)).unwrap_or_default();
        let words = workload.command.words();
        let named = match &workload.target {
            Some(target) => target.clone(),
            None => words.first().map(PathBuf::from).unwrap_or_default(),
        };
        // An absolute one stays what it is.
        let mut places = match named.components().count() {
            1 => path
                .split(':')
                .map(|place| Path::new(place).join(&named))
                .collect(),
            _ => vec![workload.working_directory().join(&named)],
        };
        places.retain(|place| place.is_file());
        match places.first() {
            Some(target) => Cut::new(loupe, target, path, filter),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{} was not found", named.display()),
            )),
        }
    }

    /// `target` gets the filter, by each name that it has in `path`.
    fn new(
        loupe: &Path,
        target: &Path,
        path: &str,
        filter: &[(u16, u8, u8, u32)],
    ) -> io::Result<Cut> {
        let moment = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let name_of_own = format!("loupe-cut-{}-{moment}", std::process::id());
        let directory = std::env::temp_dir().join(name_of_own);
        // A workload's user only reads it. Fails where it is there already.
        DirBuilder::new().mode(0o755).create(&directory)?;
        let cut = Cut { directory };
        fs::create_dir(cut.programs())?;
        fs::create_dir(cut.signs())?;
        fs::set_permissions(cut.signs(), Permissions::from_mode(0o1777))?;
        let file = cut.directory.join("filter");
        fs::write(&file, filtered::written(filter))?;
        let words = [
            loupe,
            Path::new(filtered::ARGUMENT),
            &file,
            &cut.sign(),
            target,
        ];
        let words = words.map(|word| quoted(&word.display().to_string()));
        for name in names(target, path)? {
            let called = quoted(&name.to_string_lossy());
            let script = cut.programs().join(&name);
            let text = format!("#!/bin/sh\nexec {} {called} \"$@\"\n", words.join(" "));
            fs::write(&script, text)?;
            fs::set_permissions(&script, Permissions::from_mode(0o755))?;
        }
        Ok(cut)
    }

    /// To be first in `PATH`.
    pub fn programs(&self) -> PathBuf {
        self.directory.join("programs")
    }

    /// Is there, on that OS, once the filter was put on.
    pub fn sign(&self) -> PathBuf {
        self.signs().join("on")
    }

    fn signs(&self) -> PathBuf {
        self.directory.join("signs")
    }
}

/// Its own name, and those of links to it.
fn names(target: &Path, path: &str) -> io::Result<BTreeSet<OsString>> {
    let own = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let whole = target.canonicalize()?;
    let mut names = BTreeSet::from([own.to_owned()]);
    for directory in path.split(':') {
        // What is in `PATH` need not be there.
        let Ok(entries) = fs::read_dir(directory) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_symlink()
                && entry
                    .path()
                    .canonicalize()
                    .is_ok_and(|leads| leads == whole)
            {
                names.insert(entry.file_name());
            }
        }
    }
    Ok(names)
}

impl Drop for Cut {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            tracing::warn!(%error, directory = %self.directory.display(), "a filter is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_that_name_is_started_by_loupe_with_the_filter() {
        let place = tempfile::tempdir().expect("a directory");
        let target = place.path().join("it's");
        fs::write(&target, "").expect("writable");
        std::os::unix::fs::symlink(&target, place.path().join("link")).expect("a link");
        let directory = {
            let path = format!("/nonexistent:{}", place.path().display());
            let cut = Cut::new(Path::new("/bin/echo"), &target, &path, &[(6, 0, 0, 0)]);
            let cut = cut.expect("a directory");
            assert!(cut.programs().join("it's").is_file());
            let script = cut.programs().join("link");
            let ran = std::process::Command::new(&script).arg("a b").output();
            let said = String::from_utf8(ran.expect("started").stdout).expect("text");
            let wanted = format!(
                "__filtered {0}/filter {0}/signs/on {1} link a b\n",
                cut.directory.display(),
                target.display()
            );
            assert_eq!(said, wanted);
            cut.directory.clone()
        };
        assert!(!directory.exists());
    }
}
