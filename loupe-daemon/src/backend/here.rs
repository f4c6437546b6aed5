//! The backend of this very process: the engine and the database for real.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use loupe_common::emulation::Emulation;
use loupe_common::exit;
use loupe_common::feature::Feature;
use loupe_common::profile::{FleetStatus, Profile, ProfileAnswer, ProfileEvent, ProfileRequest};
use loupe_common::replay::{ExitStatus, Replay};
use loupe_common::wire::{Failure, code};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::observation::Observation;
use super::{Backend, RunControl, Viewer, not_analyzed, not_used};
use crate::doctor::{self, Facts, Work};
use crate::engine::{
    AnalyzeError, AnalyzeOptions, EmulateOptions, Engine, EngineError, Finished, HostWorker,
    Identity, Packages, ProgressSink, RunReport, RunRequest, StreamedCall, Trial,
};
use crate::profile::{Pinning, Readings, Settings};
use crate::replay::Workload;
use crate::report::Explanation;
use crate::store::{
    Cleared, Import, JobBook, Listed, ObservedDays, ProfileNews, ProfileQuery, Removal, Selector,
    Store, StoreError, StoredAnalysis, StoredReplay,
};
use crate::tracer;

/// The database of the system, for root.
const SYSTEM_DATABASE: &str = "/var/lib/loupe/loupe.db";

/// The default path of the database: for users other than root in their own state directory. `None`
/// if such a user has no home directory.
pub fn default_database() -> Option<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Some(PathBuf::from(SYSTEM_DATABASE));
    }
    let directory = |name| std::env::var_os(name).map(PathBuf::from);
    directory("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(directory("HOME")?.join(".local/state")))
        .map(|state| state.join("loupe/loupe.db"))
}

/// Whose rights this process has.
pub fn own_identity() -> Identity {
    Identity {
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        // It fails only for a buffer that is too small, which is nix's to see to.
        groups: nix::unistd::getgroups()
            .unwrap_or_default()
            .into_iter()
            .map(nix::unistd::Gid::as_raw)
            .collect(),
    }
}

/// A database, for those who only want to look something up.
#[derive(Debug)]
pub struct Library {
    store: Arc<Store>,
}

impl Library {
    pub fn open(path: &Path) -> Result<Library, Failure> {
        let store = Store::open(path).map_err(store_failure)?;
        Ok(Library {
            store: Arc::new(store),
        })
    }

    /// The newest of each workload, or all of one application (or `APP/WORKLOAD`).
    pub fn list(&self, viewer: Viewer, name: Option<&str>) -> Result<Vec<Listed>, Failure> {
        let owner = viewer.owner();
        match name {
            None => self.store.list_of(owner),
            Some(name) => {
                let (application, workload) = match name.split_once('/') {
                    Some((application, workload)) => (application, Some(workload)),
                    None => (name, None),
                };
                self.store.history_of(owner, application, workload)
            }
        }
        .map_err(store_failure)
    }

    /// Removes analyses of this process's user; root's removes anybody's.
    pub fn remove(&self, what: Removal<'_>) -> Result<Cleared, Failure> {
        let viewer = Viewer::of(&own_identity());
        self.store
            .remove(viewer.owner(), what)
            .map_err(store_failure)
    }

    pub fn results(
        &self,
        viewer: Viewer,
        analysis: Option<i64>,
    ) -> Result<Vec<StoredAnalysis>, Failure> {
        self.store
            .results_of(viewer.owner(), analysis)
            .map_err(store_failure)
    }

    /// Keeps results of this process's user that were measured elsewhere; see [`Store::import`].
    pub fn import(&self, imports: &[Import<'_>]) -> Result<Vec<bool>, Failure> {
        self.store
            .import(own_identity().uid, imports)
            .map_err(store_failure)
    }

    pub fn show(
        &self,
        viewer: Viewer,
        application: &str,
        workload: Option<&str>,
    ) -> Result<StoredAnalysis, Failure> {
        let wanted = Selector::parse(application, workload);
        self.store
            .meant_by(viewer.owner(), &wanted)
            .map_err(store_failure)?
            .ok_or_else(|| not_analyzed(application, workload))
    }

    /// Profiles of services of this name or pattern, of what was observed since a moment.
    pub fn profiles(
        &self,
        viewer: Viewer,
        name: Option<&str>,
        since_ms: Option<u64>,
    ) -> Result<Vec<Profile>, Failure> {
        let query = ProfileQuery {
            owner: viewer.owner(),
            name: name.map(str::to_owned),
            since_ms,
        };
        self.store.profiles(&query).map_err(store_failure)
    }

    /// Everybody's profiles, with how long each subject was observed by the day.
    pub fn profiles_with_days(&self) -> Result<(Vec<Profile>, ObservedDays), Failure> {
        let profiles = self.profiles(Viewer::Everything, None, None)?;
        let days = self.store.observed_days().map_err(store_failure)?;
        Ok((profiles, days))
    }

    pub fn profile_news(&self) -> Result<ProfileNews, Failure> {
        self.store.profile_news().map_err(store_failure)
    }

    /// A replay that an analysis names.
    pub fn replay(&self, id: i64) -> Result<Option<Replay>, Failure> {
        self.store.replay(id).map_err(store_failure)
    }

    /// All replays of an analysis's baseline.
    pub fn baseline(&self, analysis: i64) -> Result<Vec<StoredReplay>, Failure> {
        self.store.replays_of(analysis, None).map_err(store_failure)
    }

    pub fn explain(
        &self,
        viewer: Viewer,
        application: &str,
        workload: Option<&str>,
        feature: &Feature,
    ) -> Result<Explanation, Failure> {
        let stored = self.show(viewer, application, workload)?;
        let evidence = self
            .store
            .evidence(stored.id, feature)
            .map_err(store_failure)?;
        Explanation::new(&stored, feature, &evidence)
            .ok_or_else(|| not_used(&stored.analysis, feature))
    }
}

/// Engine and database in this process.
pub struct Here {
    engine: Arc<Engine>,
    library: Library,
    observation: Observation,
}

impl Here {
    /// Opens the database and starts the engine's launcher. Fails where nothing can be replayed.
    pub fn start(database: &Path) -> Result<Here, Failure> {
        ask_first(Work::Replays)?;
        let library = Library::open(database)?;
        let engine = Engine::start().map_err(engine_failure)?;
        Ok(Here {
            engine: Arc::new(engine),
            library,
            observation: Observation::default(),
        })
    }

    /// This host as a worker: it runs what comes in packages with these rights.
    pub fn worker<P: Packages>(&self, identity: Identity, packages: P) -> HostWorker<P> {
        HostWorker::new(Arc::clone(&self.engine), identity, packages)
    }

    /// Begins to watch what the settings and the database say.
    pub fn observe(&self, settings: Settings, pinning: Pinning) -> Result<(), Failure> {
        self.observation
            .start(Arc::clone(&self.library.store), settings, pinning)
    }

    /// Other settings are in force from now on.
    pub fn configure(&self, settings: Settings) -> Result<(), Failure> {
        self.observation.configure(settings)
    }

    /// From now on the status of the observation tells of the fleet, too.
    pub fn belong(&self, fleet: watch::Receiver<FleetStatus>) {
        self.observation.belong(fleet);
    }

    /// Everybody's profiles, and how long each was observed by the day where that is asked for.
    pub fn profiles(&self, with_days: bool) -> Result<(Vec<Profile>, ObservedDays), Failure> {
        match with_days {
            true => self.library.profiles_with_days(),
            false => Ok((
                self.library.profiles(Viewer::Everything, None, None)?,
                ObservedDays::new(),
            )),
        }
    }

    /// Whether profiles have anything new, without reading them.
    pub fn profile_news(&self) -> Result<ProfileNews, Failure> {
        self.library.profile_news()
    }

    /// What metrics are made of, as it is now.
    pub fn readings(&self, with_syscalls: bool) -> Result<Readings, Failure> {
        self.observation.readings(with_syscalls)
    }

    /// Whether the observation goes on; waits so long for its answer. The database is not asked: a
    /// full disk is not cured by a restart, which would lose what is kept in memory until then.
    pub fn goes_on(&self, within: Duration) -> bool {
        self.observation.goes_on(within)
    }

    /// One line on what is watched, whenever that changes.
    pub fn watching(&self) -> Result<watch::Receiver<String>, Failure> {
        self.observation.summary()
    }

    /// Ends it: what was counted is in the database then.
    pub fn stop_observing(&self) {
        self.observation.stop();
    }

    /// Loads the in-kernel programs, which only the first work would do: what the kernel refuses is
    /// better known before anybody is promised anything.
    pub fn load(&self) -> Result<(), Failure> {
        self.engine
            .load()
            .map_err(|error| engine_failure(error.into()))
    }
}

/// Refuses work that doctor knows to be impossible, before it begins: the kernel's own words would
/// not help.
pub(super) fn ask_first(work: Work) -> Result<(), Failure> {
    match doctor::refusal(&Facts::for_this_process(tracer::EMBEDDED), work) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}

/// Runs a command once in this process; a database has nothing to do with it.
pub async fn run_here(
    request: RunRequest,
    stdio: [OwnedFd; 3],
    calls: Option<mpsc::Sender<StreamedCall>>,
    control: RunControl,
) -> Result<RunReport, Failure> {
    ask_first(Work::Command)?;
    let engine = Engine::start().map_err(engine_failure)?;
    engine
        .run(request, stdio, calls, control)
        .await
        .map_err(engine_failure)
}

/// Runs a workload in this process as another OS would treat it.
pub async fn emulate_here(
    database: &Path,
    workload: &Workload,
    options: &EmulateOptions,
    progress: ProgressSink,
    cancel: CancellationToken,
) -> Result<Emulation, Failure> {
    let here = Here::start(database)?;
    let (store, identity) = (&here.library.store, own_identity());
    here.engine
        .emulate(store, workload, &identity, options, progress, cancel)
        .await
        .map_err(analyze_failure)
}

/// Tries a workload once in this process.
pub async fn try_here(
    database: &Path,
    workload: &Workload,
    progress: ProgressSink,
    cancel: CancellationToken,
) -> Result<Trial, Failure> {
    let here = Here::start(database)?;
    let (store, identity) = (&here.library.store, own_identity());
    here.engine
        .try_once(store, workload, &identity, progress, cancel)
        .await
        .map_err(analyze_failure)
}

/// Runs a shell in a workload's sandbox, in this process.
pub async fn shell_here(
    workload: &Workload,
    stdio: [OwnedFd; 3],
    control: RunControl,
) -> Result<ExitStatus, Failure> {
    ask_first(Work::Replays)?;
    let engine = Engine::start().map_err(engine_failure)?;
    engine
        .shell(workload, &own_identity(), stdio, control)
        .await
        .map_err(analyze_failure)
}

impl Backend for Here {
    async fn analyze(
        &self,
        workload: Workload,
        identity: Identity,
        options: AnalyzeOptions,
        progress: ProgressSink,
        cancel: CancellationToken,
    ) -> Result<Finished, Failure> {
        // A daemon may have started before somebody forbade it its work.
        ask_first(Work::Replays)?;
        self.engine
            .analyze(
                &self.library.store,
                &workload,
                &identity,
                &options,
                progress,
                cancel,
            )
            .await
            .map_err(analyze_failure)
    }

    async fn run(
        &self,
        request: RunRequest,
        stdio: [OwnedFd; 3],
        calls: Option<mpsc::Sender<StreamedCall>>,
        control: RunControl,
    ) -> Result<RunReport, Failure> {
        ask_first(Work::Command)?;
        self.engine
            .run(request, stdio, calls, control)
            .await
            .map_err(engine_failure)
    }

    fn keep_jobs(&self) -> Result<JobBook, Failure> {
        self.library.store.keep_jobs().map_err(store_failure)
    }

    fn list(&self, viewer: Viewer, name: Option<&str>) -> Result<Vec<Listed>, Failure> {
        self.library.list(viewer, name)
    }

    fn results(
        &self,
        viewer: Viewer,
        analysis: Option<i64>,
    ) -> Result<Vec<StoredAnalysis>, Failure> {
        self.library.results(viewer, analysis)
    }

    fn show(
        &self,
        viewer: Viewer,
        application: &str,
        workload: Option<&str>,
    ) -> Result<StoredAnalysis, Failure> {
        self.library.show(viewer, application, workload)
    }

    fn explain(
        &self,
        viewer: Viewer,
        application: &str,
        workload: Option<&str>,
        feature: &Feature,
    ) -> Result<Explanation, Failure> {
        self.library.explain(viewer, application, workload, feature)
    }

    fn profile(
        &self,
        caller: &Identity,
        request: ProfileRequest,
    ) -> Result<ProfileAnswer, Failure> {
        self.observation.answer(caller, request)
    }

    fn watch_profiles(
        &self,
        caller: &Identity,
        name: Option<String>,
    ) -> Result<mpsc::Receiver<ProfileEvent>, Failure> {
        self.observation.watch(caller, name)
    }
}

/// An error of the database in the form that reaches the user.
pub fn store_failure(error: StoreError) -> Failure {
    Failure::from_error(error.exit_code(), &error).explained(error.hint(), None)
}

fn engine_failure(error: EngineError) -> Failure {
    Failure::from_error(error.exit_code(), &error).explained(error.hint(), None)
}

pub(super) fn analyze_failure(error: AnalyzeError) -> Failure {
    if matches!(error, AnalyzeError::Cancelled) {
        return Failure::new(code::CANCELLED, exit::INTERRUPTED, error.to_string());
    }
    Failure::from_error(error.exit_code(), &error).explained(error.hint(), error.output())
}
