//! What can go wrong in the engine, sorted by whose problem it is: exit code and cure.

use std::io;

use loupe_common::exit;
use loupe_common::replay::Control;

use crate::cgroup::CgroupError;
use crate::explore::{ExploreError, ReplayError};
use crate::inject::CompileError;
use crate::launcher::LauncherError;
use crate::replay::{PrepareError, ReplayFailure};
use crate::run::RunError;
use crate::store::StoreError;
use crate::tracer::TracerError;

const NO_ANSWER: &str = "leave Loupe's own processes alone while it works (SIGSTOP, a debugger), and \
                         try again when the host has time for them";

/// The engine, or a command that it was to run, could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the filter could not be installed, so the command was ended: {0}")]
    Refused(String),
    #[error("a worker thread of the engine panicked: {0}")]
    Panicked(String),
}

impl From<TracerError> for EngineError {
    fn from(error: TracerError) -> EngineError {
        EngineError::Run(error.into())
    }
}

impl From<LauncherError> for EngineError {
    fn from(error: LauncherError) -> EngineError {
        EngineError::Run(error.into())
    }
}

impl From<CgroupError> for EngineError {
    fn from(error: CgroupError) -> EngineError {
        EngineError::Run(error.into())
    }
}

impl From<CompileError> for EngineError {
    fn from(error: CompileError) -> EngineError {
        EngineError::Run(error.into())
    }
}

/// An analysis that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error(transparent)]
    Explore(ExploreError),
    #[error(transparent)]
    Replay(#[from] ReplayFailure),
    #[error("the test passes although the application was never started, so it proves nothing")]
    TestIgnoresApplication { output: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cancelled; what is finished is kept, and the next analysis goes on from there")]
    Cancelled,
}

impl From<ReplayFailure> for ReplayError {
    fn from(failure: ReplayFailure) -> ReplayError {
        AnalyzeError::Replay(failure).into()
    }
}

impl From<AnalyzeError> for ReplayError {
    fn from(error: AnalyzeError) -> ReplayError {
        match error.may_be_overload() {
            true => ReplayError::Lost(Box::new(error)),
            false => ReplayError::Broken(Box::new(error)),
        }
    }
}

impl From<ExploreError> for AnalyzeError {
    fn from(error: ExploreError) -> AnalyzeError {
        let ExploreError::Replay(error) = error else {
            return AnalyzeError::Explore(error);
        };
        match error.into_cause().downcast::<AnalyzeError>() {
            Ok(ours) => match *ours {
                cancelled if cancelled.is_cancelled() => AnalyzeError::Cancelled,
                other => other,
            },
            Err(inner) => AnalyzeError::Explore(ReplayError::Broken(inner).into()),
        }
    }
}

fn exec_code(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::NotFound => exit::NOT_FOUND,
        _ => exit::NOT_EXECUTABLE,
    }
}

fn tracer_hint(error: &TracerError) -> Option<String> {
    match error {
        TracerError::NotEmbedded => Some("cargo xtask setup && cargo xtask build".to_owned()),
        TracerError::Btf(_) | TracerError::BtfField(_) => Some(
            "the kernel must be built with CONFIG_DEBUG_INFO_BTF; `loupe doctor` tells what else \
             it lacks"
                .to_owned(),
        ),
        TracerError::Refused { .. } => Some(
            "`loupe doctor` tells what this host lacks; LOUPE_LOG=debug shows all that the verifier \
             said"
                .to_owned(),
        ),
        TracerError::Load(_) | TracerError::Program { .. } | TracerError::Map { .. } => {
            Some("loading needs root (CAP_BPF, CAP_PERFMON); `loupe doctor` tells more".to_owned())
        }
        TracerError::Blind(_) => Some("`loupe doctor` tells what this host lacks".to_owned()),
        _ => None,
    }
}

fn run_code(error: &RunError) -> u8 {
    match error {
        RunError::Exec { source, .. } => exec_code(source),
        RunError::Compile(_) => exit::USAGE,
        _ => exit::LOUPE_FAILED,
    }
}

fn run_hint(error: &RunError) -> Option<String> {
    let hint = match error {
        RunError::Tracer(error) => return tracer_hint(error),
        RunError::Launcher(LauncherError::NoAnswer { .. }) => NO_ANSWER,
        RunError::Launcher(LauncherError::Sandbox { source, .. })
            if source.raw_os_error() == Some(libc::ESTALE) =>
        {
            "leave what the workload names as it is while it is analysed, then analyse it again"
        }
        error if error.may_be_overload() => {
            "the host may be too busy, or have no room for more processes: ask for fewer replays \
             with --jobs, and leave it to itself meanwhile"
        }
        RunError::Launcher(LauncherError::Sandbox { .. }) | RunError::Cgroup(_) => {
            "`loupe doctor` tells what this host lacks"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

impl EngineError {
    pub fn exit_code(&self) -> u8 {
        match self {
            EngineError::Run(error) => run_code(error),
            EngineError::Refused(_) | EngineError::Panicked(_) => exit::LOUPE_FAILED,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            EngineError::Run(error) => run_hint(error),
            _ => None,
        }
    }
}

impl AnalyzeError {
    pub fn exit_code(&self) -> u8 {
        match self {
            AnalyzeError::Engine(error) => error.exit_code(),
            AnalyzeError::Prepare(PrepareError::NotFound { .. }) => exit::NOT_FOUND,
            AnalyzeError::Prepare(PrepareError::NotExecutable { .. }) => exit::NOT_EXECUTABLE,
            AnalyzeError::Prepare(_) => exit::USAGE,
            AnalyzeError::Explore(ExploreError::Replay(_)) => exit::LOUPE_FAILED,
            AnalyzeError::Explore(_) | AnalyzeError::TestIgnoresApplication { .. } => exit::INVALID,
            AnalyzeError::Replay(ReplayFailure::Run(error)) => run_code(error),
            AnalyzeError::Replay(
                ReplayFailure::TargetNeverStarted(_) | ReplayFailure::ThirtyTwoBit(_),
            ) => exit::INVALID,
            AnalyzeError::Store(error) => error.exit_code(),
            AnalyzeError::Cancelled => exit::INTERRUPTED,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            AnalyzeError::Engine(error) => return error.hint(),
            AnalyzeError::Replay(ReplayFailure::Run(error)) => return run_hint(error),
            AnalyzeError::Store(error) => return error.hint(),
            AnalyzeError::Prepare(PrepareError::NotFound { .. }) => {
                "give a path, or a program of PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:\
                 /usr/bin:/sbin:/bin (the workload file's `env` can set another PATH)"
                    .to_owned()
            }
            AnalyzeError::Explore(ExploreError::BaselineFails { replay, .. })
                if replay.listened == Some(false) =>
            {
                "the application never came to listen on a socket: does it say why on its output? If \
                 it is ready in another way, say how with `ready` (docs/workloads.md); if it is no \
                 server, `mode = \"batch\"`; `loupe try` shows everything"
                    .to_owned()
            }
            AnalyzeError::Explore(ExploreError::BaselineFails { .. }) => {
                "`loupe try` runs it once and shows everything, `loupe try --shell` is a shell in \
                 the same sandbox, where /tmp, /run and /dev/shm are empty and only loopback is up"
                    .to_owned()
            }
            AnalyzeError::Explore(ExploreError::FiltersBreak { control, .. }) => {
                let set_uid = "a filter brings no_new_privs to a target that is not root, so that \
                     what it executes gains no rights (set-uid and set-gid programs, file \
                     capabilities): have the target run as root, or its helper do without";
                let slow = "calls take longer under a filter: if the test sets a bound to speed, \
                     make it wider";
                match control {
                    Control::Listener => format!(
                        "only what answers calls by their paths breaks it, by 15 µs a call: \
                         --no-pseudo-files does without; {slow}"
                    ),
                    _ => format!("{set_uid}; {slow}"),
                }
            }
            AnalyzeError::Explore(ExploreError::FilterRefused { .. }) => {
                "something before the target forbids seccomp(2) to it (a launcher that sandboxes, \
                 the filter of a container or of a service): start the target without that"
                    .to_owned()
            }
            AnalyzeError::Explore(ExploreError::BaselineFlaps { .. }) => {
                "make the test deterministic: wait for what it needs instead of sleeping, and use \
                 no random order"
                    .to_owned()
            }
            AnalyzeError::TestIgnoresApplication { .. } => {
                "the test must fail when the application does not work: check its status and \
                 what it answers"
                    .to_owned()
            }
            AnalyzeError::Explore(ExploreError::Crowded { .. }) => {
                "ask for fewer with --jobs, and leave the host to itself meanwhile".to_owned()
            }
            AnalyzeError::Replay(ReplayFailure::TargetNeverStarted(run)) => run.hint().to_owned(),
            AnalyzeError::Replay(ReplayFailure::ThirtyTwoBit(_)) => {
                "`loupe trace` counts its calls; to analyze it, build it for 64 bits".to_owned()
            }
            _ => return None,
        })
    }

    /// What became of a run, if that is what it is about.
    fn run_error(&self) -> Option<&RunError> {
        match self {
            AnalyzeError::Replay(ReplayFailure::Run(error))
            | AnalyzeError::Engine(EngineError::Run(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether it is one replay's loss: the host may have been too busy for it.
    pub fn may_be_overload(&self) -> bool {
        self.run_error().is_some_and(RunError::may_be_overload)
    }

    /// Whether it was asked to end.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.run_error(), Some(RunError::Cancelled))
    }

    /// Whether the finished replays led to this: going on from them would only lead here again.
    pub fn is_final(&self) -> bool {
        match self {
            AnalyzeError::Explore(error) => !matches!(error, ExploreError::Replay(_)),
            AnalyzeError::TestIgnoresApplication { .. } => true,
            _ => false,
        }
    }

    /// What test and application printed, where that explains the error.
    pub fn output(&self) -> Option<String> {
        match self {
            AnalyzeError::Replay(ReplayFailure::TargetNeverStarted(run)) => {
                Some(printed("the application's last output", &run.output))
            }
            AnalyzeError::Explore(
                ExploreError::BaselineFails { replay, .. }
                | ExploreError::BaselineFlaps { replay, .. }
                | ExploreError::BaselineInvalid { replay, .. }
                | ExploreError::FiltersBreak { replay, .. }
                | ExploreError::HostFails { replay, .. }
                | ExploreError::NothingTraced { replay, .. }
                | ExploreError::Crowded { replay, .. },
            ) => {
                let application = &replay.application_output.tail;
                let application = printed("the application's last output", application);
                let test = printed("the test's last output", &replay.test_output.tail);
                Some(application + &test)
            }
            AnalyzeError::TestIgnoresApplication { output } => Some(output.clone()),
            _ => None,
        }
    }
}

fn printed(title: &str, text: &str) -> String {
    match text.trim_end() {
        "" => format!("{title}: (printed nothing)\n"),
        text => format!("{title}:\n{text}\n"),
    }
}
