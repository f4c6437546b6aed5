//! What the two front doors ask for: the engine and the database behind one narrow trait, with
//! errors in the form that reaches the user. `loupe` answers it in its own process, `louped`
//! for its clients; tests answer it with something small.

mod here;
mod membership;
mod observation;
mod spreading;

use std::os::fd::OwnedFd;

use loupe_common::analysis::Analysis;
use loupe_common::exit;
use loupe_common::feature::{Depth, Feature};
use loupe_common::profile::{ProfileAnswer, ProfileEvent, ProfileRequest};
use loupe_common::verdict::Verdict;
use loupe_common::wire::{Failure, code};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use crate::engine::RunControl;
use crate::engine::{
    AnalyzeOptions, Finished, Identity, ProgressSink, RunReport, RunRequest, StreamedCall,
};
use crate::replay::Workload;
use crate::report::Explanation;
use crate::store::{JobBook, Listed, Selector, StoredAnalysis, Which};

pub use membership::{exchange_failure, gather};
pub use observation::observe_here;
pub use spreading::{Spreading, dispatch_failure};

pub use here::{
    Here, Library, default_database, emulate_here, own_identity, run_here, shell_here,
    store_failure, try_here,
};

/// Whose results and jobs somebody may see: root everybody's, others their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    Everything,
    Owner(u32),
}

impl Viewer {
    pub fn of(identity: &Identity) -> Viewer {
        match identity.uid {
            0 => Viewer::Everything,
            uid => Viewer::Owner(uid),
        }
    }

    /// The one owner whose results count; `None`: all.
    pub fn owner(self) -> Option<u32> {
        match self {
            Viewer::Everything => None,
            Viewer::Owner(uid) => Some(uid),
        }
    }

    pub fn sees(self, uid: u32) -> bool {
        self == Viewer::Everything || self == Viewer::Owner(uid)
    }
}

/// The engine and the database.
pub trait Backend: Send + Sync + 'static {
    /// Analyses a workload. When `cancel` fires, this returns once all running replays are ended.
    fn analyze(
        &self,
        workload: Workload,
        identity: Identity,
        options: AnalyzeOptions,
        progress: ProgressSink,
        cancel: CancellationToken,
    ) -> impl Future<Output = Result<Finished, Failure>> + Send;

    /// Runs a command once with this standard input, output and error.
    fn run(
        &self,
        request: RunRequest,
        stdio: [OwnedFd; 3],
        calls: Option<mpsc::Sender<StreamedCall>>,
        control: RunControl,
    ) -> impl Future<Output = Result<RunReport, Failure>> + Send;

    /// The jobs in the database, for one daemon. Blocks, briefly, like the ones below.
    fn keep_jobs(&self) -> Result<JobBook, Failure>;

    /// The newest of each workload, or all of one application.
    fn list(&self, viewer: Viewer, name: Option<&str>) -> Result<Vec<Listed>, Failure>;

    /// The newest results of every workload, or the one of this id.
    fn results(
        &self,
        viewer: Viewer,
        analysis: Option<i64>,
    ) -> Result<Vec<StoredAnalysis>, Failure>;

    fn show(
        &self,
        viewer: Viewer,
        application: &str,
        workload: Option<&str>,
    ) -> Result<StoredAnalysis, Failure>;

    fn explain(
        &self,
        viewer: Viewer,
        application: &str,
        workload: Option<&str>,
        feature: &Feature,
    ) -> Result<Explanation, Failure>;

    /// What services really use: all but `watch`.
    fn profile(&self, caller: &Identity, request: ProfileRequest)
    -> Result<ProfileAnswer, Failure>;

    /// What happens from now on to the profiles of this name, as far as the caller may know.
    fn watch_profiles(
        &self,
        caller: &Identity,
        name: Option<String>,
    ) -> Result<mpsc::Receiver<ProfileEvent>, Failure>;
}

/// There is no finished analysis of that name.
pub fn not_analyzed(application: &str, workload: Option<&str>) -> Failure {
    let wanted = Selector::parse(application, workload);
    let message = match &wanted.application {
        None => format!("there is no finished analysis {wanted} in the database"),
        Some(_) => format!("there is no finished analysis of {wanted} in the database"),
    };
    let history = wanted.application.filter(|_| wanted.which != Which::Best);
    let failure = Failure::new(code::NOT_FOUND, exit::USAGE, message);
    match history {
        Some(application) => {
            failure.hint(format!("`loupe list {application}` shows which there are"))
        }
        None => failure
            .hint("`loupe list` shows what there is; `loupe analyze WORKLOAD.toml` makes one"),
    }
}

fn not_found(message: String) -> Failure {
    Failure::new(code::NOT_FOUND, exit::USAGE, message)
}

/// It is used only where something else is left out.
fn not_by_itself(analysis: &Analysis, feature: &Feature) -> Option<Failure> {
    let mut edges = analysis.fallbacks.iter();
    let edge = edges.find(|edge| edge.appears == *feature)?;
    let (application, workload) = (&analysis.application, &analysis.workload);
    let (cause, action) = (&edge.feature, edge.action);
    let message = format!(
        "{application}/{workload} uses {feature} only instead of {cause} ({action}), so there is no \
         verdict on it"
    );
    Some(not_found(message).hint(format!("`loupe explain {application} {cause}`")))
}

/// It is a part of a syscall that was not opened, or not so far.
fn not_opened(analysis: &Analysis, feature: &Feature) -> Option<Failure> {
    let parent = feature.parent()?;
    let row = analysis.features.iter().find(|row| row.feature == parent)?;
    if row.verdict != Verdict::Required {
        let message = format!(
            "{parent} is not required as a whole (verdict: {}), so {feature} was not measured",
            row.verdict
        );
        let application = &analysis.application;
        return Some(not_found(message).hint(format!("`loupe explain {application} {parent}`")));
    }
    let depth = analysis.depth.unwrap_or(Depth::Syscall);
    (!depth.reaches(feature)).then(|| {
        not_found(format!("the analysis did not go as far as {feature}"))
            .hint(format!("`loupe analyze --depth {}` does", feature.kind()))
    })
}

/// The analysis is there, the feature is not in it.
pub fn not_used(analysis: &Analysis, feature: &Feature) -> Failure {
    let (application, workload) = (&analysis.application, &analysis.workload);
    let reason = not_by_itself(analysis, feature).or_else(|| not_opened(analysis, feature));
    if let Some(failure) = reason {
        return failure;
    }
    not_found(format!(
        "{application}/{workload} never used {feature}, so there is no verdict on it"
    ))
    .hint(format!(
        "`loupe show {application} --workload {workload}` lists what it used"
    ))
}
