//! The workload that arguments name: read from a file or standard input, or made of the command
//! line. Read here, with the rights of the caller, also when the daemon does the work.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use loupe_common::exit;
use loupe_common::wire::Failure;
use serde::Serialize;

use super::args::Source;
use super::output::note;
use crate::replay::{Workload, WorkloadError};

/// What a workload is called that has no other name.
const UNNAMED: &str = "default";
/// The file that stands for standard input.
const STDIN: &str = "-";

/// What a command line says, in the order of a workload file.
#[derive(Serialize)]
struct Written<'a> {
    application: &'a str,
    workload: &'a str,
    mode: &'static str,
    command: &'a [String],
    test: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<&'a Path>,
}

/// The workload; where it is asked for, it has been written to a file then.
pub fn workload(source: &Source) -> Result<Workload, Failure> {
    match &source.file {
        Some(path) if path == Path::new(STDIN) => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| {
                    Failure::usage("cannot read the workload from standard input")
                        .because(Some(&error))
                })?;
            let name = Path::new("standard input");
            Workload::parse(&text, name, working_directory()?).map_err(|error| no_good(&error))
        }
        Some(path) => of_file(path),
        None => of_the_command_line(source),
    }
}

/// A workload file.
pub fn of_file(path: &Path) -> Result<Workload, Failure> {
    Workload::load(path).map_err(|error| no_good(&error))
}

fn no_good(error: &WorkloadError) -> Failure {
    let failure =
        Failure::from_error(exit::USAGE, error).hint("docs/workloads.md describes workload files");
    match error {
        WorkloadError::Syntax(wrong) => failure.explained(None, Some(wrong.picture())),
        _ => failure,
    }
}

fn working_directory() -> Result<PathBuf, Failure> {
    std::env::current_dir()
        .map_err(|error| Failure::usage("cannot tell the working directory").because(Some(&error)))
}

fn of_the_command_line(source: &Source) -> Result<Workload, Failure> {
    let (Some(program), Some(test)) = (source.command.first(), &source.test) else {
        return Err(Failure::usage(
            "there is neither a workload file nor a command with its test",
        ));
    };
    let own = Path::new(program).file_name().unwrap_or_default();
    let own = own.to_string_lossy();
    let name = source.name.as_deref().unwrap_or(&own);
    let (application, workload) = name.split_once('/').unwrap_or((name, UNNAMED));
    let base = working_directory()?;
    let elsewhere = source.save.as_deref().is_some_and(|path| {
        let absolute = std::path::absolute(path).unwrap_or_default();
        absolute.parent() != Some(&base)
    });
    let written = Written {
        application,
        workload,
        mode: if source.batch { "batch" } else { "server" },
        command: &source.command,
        test,
        directory: elsewhere.then_some(&base),
    };
    let text = toml::to_string(&written).map_err(|error| {
        Failure::internal("the workload cannot be written").because(Some(&error))
    })?;
    // Through the text, so that what is kept is what is run.
    let name = Path::new("the command line");
    let workload = Workload::parse(&text, name, base).map_err(|error| no_good(&error))?;
    if let Some(path) = &source.save {
        save(path, &text)?;
        note(&format!("the workload is in {}", path.display()));
    }
    Ok(workload)
}

fn save(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::usage(format!("cannot write {}", path.display())).because(Some(&error))
    };
    let mut file = File::create_new(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::Mode;

    fn source(save: Option<PathBuf>) -> Source {
        Source {
            name: Some("redis".to_owned()),
            test: Some("redis-cli ping | grep -q 'PONG'".to_owned()),
            command: ["redis-server", "--port", "6379"]
                .map(str::to_owned)
                .to_vec(),
            save,
            ..Source::default()
        }
    }

    #[test]
    fn a_command_line_is_a_workload_and_what_is_saved_is_the_same() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("redis.toml");
        let made = workload(&source(Some(path.clone()))).expect("a workload");
        assert_eq!(
            (made.application.as_str(), made.mode),
            ("redis", Mode::Server)
        );
        assert_eq!(made.workload, UNNAMED);
        let read = Workload::load(&path).expect("a workload file");
        assert_eq!(read.working_directory(), made.working_directory());
        assert_eq!((&read.command, &read.test), (&made.command, &made.test));
        let refused = workload(&source(Some(path))).expect_err("it is there");
        assert!(refused.message.contains("redis.toml"), "{refused}");
    }

    #[test]
    fn the_command_names_the_application_where_nobody_else_does() {
        let batch = Source {
            name: None,
            test: Some("true".to_owned()),
            command: vec!["/usr/bin/sort".to_owned(), "-n".to_owned()],
            batch: true,
            ..Source::default()
        };
        let made = workload(&batch).expect("a workload");
        assert_eq!(
            (made.application.as_str(), made.mode),
            ("sort", Mode::Batch)
        );
        let named = Source {
            name: Some("coreutils/sort".to_owned()),
            ..batch
        };
        let made = workload(&named).expect("a workload");
        assert_eq!(
            (made.application.as_str(), made.workload.as_str()),
            ("coreutils", "sort")
        );
    }
}
