//! A workload made ready to run: command lines, environment and target looked up once.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::rights::with_rights_of;
use super::workload::{BringFile, Workload};
use crate::launcher::protocol::{CommandSpec, Identity, SandboxSpec};
use crate::launcher::search_path;

/// Where the sandbox shows its own directory instead of the host's.
const HIDDEN: [&str; 3] = ["/tmp", "/run", "/dev/shm"];
/// Of the host's memory, what one sandbox may write at most.
const SCRATCH_BYTES: u64 = 2 << 30;

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
    #[error("the working directory {} does not exist", .0.display())]
    NoDirectory(PathBuf),
    #[error("`files`: {} does not exist", .0.display())]
    NoFile(PathBuf),
    #[error("`writable`: {} does not exist", .0.display())]
    NoWritable(PathBuf),
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
}

impl Prepared {
    /// Looks the files up with the rights of `identity`.
    pub fn new(workload: &Workload, identity: &Identity) -> Result<Prepared, PrepareError> {
        with_rights_of(identity, || Prepared::look_up(workload, identity))
            .map_err(PrepareError::Rights)?
    }

    fn look_up(workload: &Workload, identity: &Identity) -> Result<Prepared, PrepareError> {
        let directory = workload.working_directory();
        if !directory.is_dir() {
            return Err(PrepareError::NoDirectory(directory));
        }
        let directory = std::path::absolute(&directory).unwrap_or(directory);
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
        let sandbox = sandbox(workload, &directory, &target, identity)?;
        Ok(Prepared {
            workload: workload.clone(),
            command,
            test,
            target,
            sandbox,
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
        match std::fs::metadata(&path) {
            Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => {
                return Ok(path);
            }
            Ok(_) => refused = Some(path),
            Err(_) => {}
        }
    }
    Err(refused.map_or(Missing::NotFound, Missing::NotExecutable))
}

fn sandbox(
    workload: &Workload,
    directory: &Path,
    target: &Path,
    identity: &Identity,
) -> Result<SandboxSpec, PrepareError> {
    let hidden = |path: &Path| {
        HIDDEN
            .iter()
            .any(|top| path.starts_with(top) && path != Path::new(top))
    };
    let mut visible: Vec<PathBuf> = [Some(directory), Some(&workload.base), target.parent()]
        .into_iter()
        .flatten()
        .filter(|path| hidden(path))
        .map(Path::to_owned)
        .collect();
    visible.sort();
    // A directory shows what is below it too.
    visible.dedup_by(|inner, outer| inner.starts_with(outer));
    let files = workload
        .files
        .iter()
        .map(|file| (workload.base.join(&file.from), file.to.clone()))
        .collect::<Vec<_>>();
    if let Some((missing, _)) = files.iter().find(|(from, _)| !from.exists()) {
        return Err(PrepareError::NoFile(missing.clone()));
    }
    if let Some(missing) = workload.writable.iter().find(|path| !path.exists()) {
        return Err(PrepareError::NoWritable(missing.clone()));
    }
    // The sandbox hides them, so their sources are read where they show.
    for (from, _) in &files {
        if let Some(parent) = from.parent().filter(|parent| hidden(parent))
            && !visible.iter().any(|shown| parent.starts_with(shown))
        {
            visible.push(parent.to_owned());
        }
    }
    Ok(SandboxSpec {
        visible,
        writable: workload.writable.clone(),
        files,
        identity: identity.clone(),
        scratch_bytes: SCRATCH_BYTES,
    })
}
