//! A workload made ready to run: command lines, environment and target looked up once.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use loupe_common::word::Word;

use super::shown::{self, NotShown};
use super::user;
use super::workload::{BringFile, Workload};
use crate::launcher::places::find;
use crate::launcher::protocol::{CommandSpec, Identity, SandboxSpec};
use crate::launcher::{is_in_memory, search_path, with_rights_of};

/// The environment of every workload, before its own `env`. Fixed, so that a workload means
/// the same whoever runs it.
pub(super) const ENVIRONMENT: [(&str, &str); 3] = [
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
    #[error("`user`: there is no user {0:?} here")]
    NoUser(String),
    #[error("`user`: only root can run a workload as somebody else ({0})")]
    NotYourself(String),
    #[error("`user`: cannot look up {name:?}: {source}")]
    User { name: String, source: io::Error },
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
    /// Looks the files up with the rights of `identity`, or of the user whom the workload names.
    pub fn new(workload: &Workload, identity: &Identity) -> Result<Prepared, PrepareError> {
        let identity = &user::identity(workload.user.as_deref(), identity)?;
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
        let environment: Vec<(Word, Word)> = environment
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let spec = |words: Vec<String>| CommandSpec {
            argv: words.into_iter().map(Word::from).collect(),
            environment: environment.clone(),
            directory: directory.clone(),
            identity: identity.clone(),
            new_session: true,
            ignored_signals: 0,
        };
        let command = spec(workload.command.words());
        let test = spec(workload.test.words());
        let look_up = |what, program: &OsStr| {
            find_program(program, &command, &workload.files).map_err(|missing| match missing {
                Missing::NotExecutable(path) => PrepareError::NotExecutable { what, path },
                Missing::NotFound => PrepareError::NotFound {
                    what,
                    program: program.to_string_lossy().into_owned(),
                },
            })
        };
        let first = look_up("command", command.argv[0].as_os_str())?;
        look_up("test", test.argv[0].as_os_str())?;
        let target = match &workload.target {
            Some(target) => match later(target, &command) {
                Some(later) => later,
                None => look_up("target", target.as_os_str())?,
            },
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

/// A target that is yet to be made, by the command: a path at which nothing is, or the name of
/// a program in memory. It is looked for when something is executed.
pub fn later(target: &Path, command: &CommandSpec) -> Option<PathBuf> {
    if is_in_memory(target) {
        return Some(target.to_owned());
    }
    let path = command.directory.join(target);
    let is_path = target.as_os_str().as_bytes().contains(&b'/');
    let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    (is_path && find(&path).is_err_and(is_missing)).then_some(path)
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
    program: &OsStr,
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
