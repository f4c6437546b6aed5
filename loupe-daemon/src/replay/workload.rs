//! The workload file: how to start an application, how to test that it works, how to isolate
//! it. Reads and checks; runs nothing. `docs/workloads.md` is the manual.

mod check;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use loupe_common::word::Word;
use serde::{Deserialize, Serialize};

use super::metric::Metric;
use super::ready::Ready;
use crate::text::Wrong;

pub use check::MOST_REPLICAS;

/// Each is held open while a sandbox is made, and a process has 1024 descriptors where nobody says
/// otherwise.
const MOST_FILES: usize = 512;
const MOST_WRITABLE: usize = 64;
/// Less would not do for what keeps the sandbox.
const LEAST_MEMORY_MIB: u64 = 32;
const LEAST_PROCESSES: u64 = 8;

/// Whether the workload is a benchmark or a test suite (the paper's two kinds).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Benchmark,
    Suite,
}

/// How the application runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Start, wait until ready, test, stop.
    Server,
    /// Run to the end, then test.
    Batch,
}

/// How a server is ended after its test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopWith {
    /// At once (SIGKILL): what an application does while it shuts down is not measured.
    #[default]
    Kill,
    /// SIGTERM, then SIGKILL after `limits.stop`: the shutdown is traced and injected too.
    Term,
}

/// A command line: a list of words, or one string for `sh -c`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CommandLine {
    Words(Vec<String>),
    Shell(String),
}

impl CommandLine {
    /// The words to execute.
    pub fn words(&self) -> Vec<String> {
        match self {
            CommandLine::Words(words) => words.clone(),
            CommandLine::Shell(script) => {
                vec!["/bin/sh".to_owned(), "-c".to_owned(), script.clone()]
            }
        }
    }
}

/// A file or directory copied into the sandbox before the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BringFile {
    /// Relative to the workload file.
    pub from: PathBuf,
    /// Absolute, in the sandbox.
    pub to: PathBuf,
}

/// Limits: times in seconds; what is absent of these is derived from the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Until a server is ready.
    pub start: Option<f64>,
    /// For a batch application's whole run.
    pub run: Option<f64>,
    /// For the test.
    pub test: Option<f64>,
    /// Between SIGTERM and SIGKILL at the end of a server.
    pub stop: Option<f64>,
    /// CPU time of a replay that takes over twice as long as the baseline did.
    pub cpu: Option<f64>,
    /// Memory of all processes of a replay, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Processes and threads of a replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u64>,
}

/// A workload file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    pub application: String,
    /// The workload's name; an application can have several.
    pub workload: String,
    #[serde(default)]
    pub kind: Kind,
    pub mode: Mode,
    pub command: CommandLine,
    /// Exit status 0 means that the application works.
    pub test: CommandLine,
    /// When a server is ready (default: when it waits for clients).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// Finds a number in what the test prints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// Added to a small fixed environment.
    #[serde(default, rename = "env")]
    pub environment: BTreeMap<String, String>,
    /// Working directory of command and test, relative to the workload file (default: its own).
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// The binary whose syscalls are traced and injected into (default: the command's).
    #[serde(default)]
    pub target: Option<PathBuf>,
    /// Whose rights all of it runs with (default: the caller's).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Replays of each policy (default 3).
    #[serde(default)]
    pub replicas: Option<u32>,
    #[serde(default)]
    pub files: Vec<BringFile>,
    /// Host paths that the application may really write to (default: none).
    #[serde(default)]
    pub writable: Vec<PathBuf>,
    /// How a server is ended (default: kill).
    #[serde(default)]
    pub stop: StopWith,
    #[serde(default)]
    pub limits: Limits,
    /// The directory that relative paths of the file start from; not part of the file.
    #[serde(skip)]
    pub base: PathBuf,
}

/// A workload file that cannot be used, with the place where that shows.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    #[error("cannot read the workload file {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{0}")]
    Syntax(Box<Wrong>),
    #[error("{}: {message}", path.display())]
    Invalid { path: PathBuf, message: String },
}

impl Workload {
    /// Reads and checks a workload file.
    pub fn load(path: &Path) -> Result<Workload, WorkloadError> {
        let text = std::fs::read_to_string(path).map_err(|source| WorkloadError::Read {
            path: path.to_owned(),
            source,
        })?;
        let absolute = std::path::absolute(path).map_err(|source| WorkloadError::Read {
            path: path.to_owned(),
            source,
        })?;
        let base = absolute.parent().unwrap_or(Path::new("/")).to_owned();
        Workload::parse(&text, path, base)
    }

    /// Checks the text of a workload file; `path` only names it in errors.
    pub fn parse(text: &str, path: &Path, base: PathBuf) -> Result<Workload, WorkloadError> {
        let mut workload: Workload = toml::from_str(text)
            .map_err(|error| WorkloadError::Syntax(Box::new(Wrong::new(text, path, &error))))?;
        workload.base = base;
        workload.check().map_err(|message| WorkloadError::Invalid {
            path: path.to_owned(),
            message,
        })?;
        Ok(workload)
    }

    /// What the types cannot say; for a workload that did not come from [`Workload::parse`].
    pub fn check(&self) -> Result<(), String> {
        check::names(self)?;
        for (key, command) in [("command", &self.command), ("test", &self.test)] {
            if command.words().first().is_none_or(String::is_empty) {
                return Err(format!("`{key}` is empty"));
            }
        }
        if matches!(self.command, CommandLine::Shell(_)) && self.target.is_none() {
            return Err(
                "`command` is a shell script, so Loupe cannot know which binary to \
                 measure: set `target` to its path"
                    .to_owned(),
            );
        }
        if self.ready.is_some() && self.mode == Mode::Batch {
            return Err("`ready` is of servers; a batch application runs to its end".to_owned());
        }
        check::numbers(self)?;
        check::words(self)?;
        check::paths(self)?;
        for (key, count, most) in [
            ("files", self.files.len(), MOST_FILES),
            ("writable", self.writable.len(), MOST_WRITABLE),
        ] {
            if count > most {
                return Err(format!(
                    "`{key}` has {count} entries, and {most} at most are possible: name the \
                     directory that they are in"
                ));
            }
        }
        let copies = self.files.iter().map(|file| ("`files`: `to`", &file.to));
        let written = self.writable.iter().map(|path| ("`writable` paths", path));
        for (what, path) in copies.chain(written) {
            let path_shown = path.display();
            if !path.is_absolute() {
                return Err(format!("{what} must be absolute: {path_shown}"));
            }
            if path.components().any(|part| part == Component::ParentDir) {
                return Err(format!("{what} must be without `..`: {path_shown}"));
            }
        }
        Ok(())
    }

    /// Where command and test run.
    pub fn working_directory(&self) -> PathBuf {
        match &self.directory {
            Some(directory) => self.base.join(directory),
            None => self.base.clone(),
        }
    }

    /// The words of the command that asks whether the application is ready.
    pub fn probe(&self) -> Option<Vec<Word>> {
        let command = self.ready.as_ref()?.command.as_ref()?;
        Some(command.words().into_iter().map(Word::from).collect())
    }

    /// Replays of each policy.
    pub fn replica_count(&self) -> u32 {
        self.replicas.unwrap_or(3)
    }
}

#[cfg(test)]
mod tests;
