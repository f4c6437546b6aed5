//! A workload made ready to run: command lines, environment and target looked up once.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::shown::{self, NotShown};
use super::workload::{BringFile, Workload};
use crate::launcher::places::find;
use crate::launcher::protocol::{CommandSpec, Identity, SandboxSpec};
use crate::launcher::{search_path, with_rights_of};

/// The environment of every workload, before its own `env`. Fixed, so that a workload means
/// the same whoever runs it.
const ENVIRONMENT: [(&str, &str); 3] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", "/tmp"),
    ("LANG", "C.UTF-8"),
];

/// A workload that cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("the {what} `{program}` was not found")]
    NotFound { what: &'static str, program: String },
    #[error("the {what} {} cannot be executed (no execute permission)", path.display())]
    NotExecutable { what: &'static str, path: PathBuf },
    #[error(transparent)]
    NotShown(#[from] NotShown),
    #[error("cannot look at files with the caller's rights: {0}")]
    Rights(#[source] io::Error),
}

/// What the replays of a workload have in common.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub workload: Workload,
    pub command: CommandSpec,
    pub test: CommandSpec,
    /// The binary that is measured.
    pub target: PathBuf,
    pub sandbox: SandboxSpec,
    /// What `sandbox` names: open, it cannot become another file with the same numbers.
    _held: Arc<Vec<OwnedFd>>,
}

impl Prepared {
    /// Looks the files up with the rights of `identity`.
    pub fn new(workload: &Workload, identity: &Identity) -> Result<Prepared, PrepareError> {
        with_rights_of(identity, || Prepared::look_up(workload, identity))
            .map_err(PrepareError::Rights)?
    }

    fn look_up(workload: &Workload, identity: &Identity) -> Result<Prepared, PrepareError> {
        let directory = shown::directory(workload)?;
        let mut environment: BTreeMap<String, String> = ENVIRONMENT
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        environment.extend(workload.environment.clone());
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        let spec = |words: Vec<String>| CommandSpec {
            argv: words,
            environment: environment.clone(),
            directory: directory.clone(),
            identity: identity.clone(),
            new_session: true,
            ignored_signals: 0,
        };
        let command = spec(workload.command.words());
        let test = spec(workload.test.words());
        let look_up = |what, program: &str| {
            find_program(program, &command, &workload.files).map_err(|missing| match missing {
                Missing::NotExecutable(path) => PrepareError::NotExecutable { what, path },
                Missing::NotFound => PrepareError::NotFound {
                    what,
                    program: program.to_owned(),
                },
            })
        };
        let first = look_up("command", &command.argv[0])?;
        look_up("test", &test.argv[0])?;
        let target = match &workload.target {
            Some(target) => look_up("target", &target.to_string_lossy())?,
            None => first,
        };
        let (sandbox, held) = shown::sandbox(workload, &directory, &target, identity)?;
        Ok(Prepared {
            workload: workload.clone(),
            command,
            test,
            target,
            sandbox,
            _held: Arc::new(held),
        })
    }
}

/// Why a program cannot be started.
#[derive(Debug)]
pub enum Missing {
    NotFound,
    NotExecutable(PathBuf),
}

impl From<Missing> for io::Error {
    fn from(missing: Missing) -> io::Error {
        match missing {
            Missing::NotFound => io::ErrorKind::NotFound.into(),
            Missing::NotExecutable(_) => io::ErrorKind::PermissionDenied.into(),
        }
    }
}

/// The path of a program, as the command would find it. One that only `files` will bring is
/// not checked.
pub fn find_program(
    program: &str,
    command: &CommandSpec,
    files: &[BringFile],
) -> Result<PathBuf, Missing> {
    let mut refused = None;
    for candidate in search_path(program, &command.environment) {
        let path = command.directory.join(candidate);
        if files.iter().any(|file| path.starts_with(&file.to)) {
            return Ok(path);
        }
        match find(&path) {
            Ok(found) if found.is_program() => return Ok(path),
            Ok(_) => refused = Some(path),
            Err(_) => {}
        }
    }
    Err(refused.map_or(Missing::NotFound, Missing::NotExecutable))
}
