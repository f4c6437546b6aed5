//! The workload files of a study: found, read and checked, all of them before any is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use loupe_common::wire::Failure;

use crate::client::source;
use crate::replay::Workload;

/// How a directory's workload files end.
const EXTENSION: &str = "toml";

/// A file, and the workload in it.
#[derive(Debug)]
pub struct Read {
    pub path: PathBuf,
    pub workload: Result<Workload, Failure>,
}

/// Reads all files, and those of all directories by their names. A file that is no good is one of
/// them; a directory without any is an error.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Read>, Failure> {
    let (mut files, mut seen) = (Vec::new(), BTreeSet::new());
    for path in paths {
        let found = match path.is_dir() {
            true => of_directory(path)?,
            false => vec![path.clone()],
        };
        for path in found {
            // What cannot be resolved cannot be read either, and is told then.
            let own = path.canonicalize().unwrap_or_else(|_| path.clone());
            if seen.insert(own) {
                files.push(path);
            }
        }
    }
    let mut names: BTreeMap<(String, String), PathBuf> = BTreeMap::new();
    let read = files.into_iter().map(|path| {
        let workload = source::of_file(&path).and_then(|workload| {
            let name = (workload.application.clone(), workload.workload.clone());
            match names.get(&name) {
                Some(first) => Err(same_name(&path, &workload, first)),
                None => {
                    names.insert(name, path.clone());
                    Ok(workload)
                }
            }
        });
        Read { path, workload }
    });
    Ok(read.collect())
}

fn of_directory(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("cannot read the directory {}", directory.display()))
            .because(Some(&error))
    };
    let mut files = Vec::new();
    for entry in directory.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_workload = path.extension().is_some_and(|end| end == EXTENSION);
        if is_workload && !is_hidden && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Failure::usage(format!(
            "there is no workload file (*.{EXTENSION}) in {}",
            directory.display()
        ))
        .hint(
            "directories below it are not looked into: name them too; `loupe try --save FILE` \
             writes a workload file",
        ));
    }
    files.sort();
    Ok(files)
}

fn same_name(path: &Path, workload: &Workload, first: &Path) -> Failure {
    Failure::usage(format!(
        "{}: {}/{} is what {} is called, too",
        path.display(),
        workload.application,
        workload.workload,
        first.display()
    ))
    .hint("give one of them another `workload` name, so that their results can be told apart")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(directory: &Path, name: &str, application: &str) -> PathBuf {
        let path = directory.join(name);
        let text = format!(
            "application = {application:?}\nworkload = \"w\"\nmode = \"batch\"\n\
             command = [\"true\"]\ntest = [\"true\"]\n"
        );
        std::fs::write(&path, text).expect("written");
        path
    }

    #[test]
    fn a_directory_gives_its_workload_files_by_name_and_each_file_is_taken_once() {
        let place = tempfile::tempdir().expect("a directory");
        let of = |name, application| written(place.path(), name, application);
        let b = of("b.toml", "b");
        let a = of("a.toml", "a");
        of(".hidden.toml", "hidden");
        of("a.conf", "conf");
        std::fs::create_dir(place.path().join("d.toml")).expect("made");
        let read = read(&[b.clone(), place.path().to_owned()]).expect("files");
        let paths: Vec<&PathBuf> = read.iter().map(|read| &read.path).collect();
        assert_eq!(paths, [&b, &a]);
        assert!(read.iter().all(|read| read.workload.is_ok()));
    }

    #[test]
    fn a_file_that_is_no_workload_and_one_whose_name_is_taken_leave_the_others_alone() {
        let place = tempfile::tempdir().expect("a directory");
        written(place.path(), "a.toml", "same");
        written(place.path(), "b.toml", "same");
        written(place.path(), "c.toml", "other");
        std::fs::write(place.path().join("d.toml"), "applicatoin = 1\n").expect("written");
        let read = read(&[place.path().to_owned()]).expect("files");
        let good: Vec<bool> = read.iter().map(|read| read.workload.is_ok()).collect();
        assert_eq!(good, [true, false, true, false]);
        let told = |index: usize| read[index].workload.as_ref().expect_err("no good");
        assert!(told(1).message.contains("a.toml"), "{}", told(1));
        assert!(told(3).message.contains("d.toml:1:1"), "{}", told(3));
    }

    #[test]
    fn a_directory_without_workload_files_is_an_error_with_a_cure() {
        let place = tempfile::tempdir().expect("a directory");
        let refused = read(&[place.path().to_owned()]).expect_err("empty");
        assert_eq!(refused.exit_code, 2);
        assert!(refused.message.contains("*.toml"), "{refused}");
        assert!(refused.hint.is_some());
    }
}
