//! One analysis whose replays workers run: from its beginning to its result in the store. Nothing of the
//! workload runs in this process.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use loupe_common::analysis::Analysis;
use loupe_common::policy::Policy;
use loupe_common::profile::Executable;
use loupe_common::progress::Progress;
use loupe_common::provenance::Provenance;
use loupe_common::replay::Replay;
use tokio_util::sync::CancellationToken;

use super::analysis::explore_options;
use super::package::Package;
use super::phases::Phases;
use super::stages::Stages;
use super::{AnalyzeError, AnalyzeOptions, Finished, Identity, ProgressSink};
use crate::explore::{self, Recorded, ReplayError, Replayer as _, Request, Subject};
use crate::replay::{Kind, Mode, Sabotage};
use crate::spread::{Clock, HostFilter, Jobs, Records, Spread, SpreadError, slots_of_the_widest};
use crate::store::{AnalysisRun, Store};
use crate::{lock, now_ms, text};

/// Between two looks for jobs that no worker can run.
const LOOK: Duration = Duration::from_secs(2);

/// The analysis's database as what it remembers.
struct Kept {
    store: Arc<Store>,
    run: AnalysisRun,
    /// Replays that came to this process.
    own: Mutex<BTreeSet<i64>>,
}

impl Records for Arc<Kept> {
    fn find(&self, request: &Request) -> Result<Option<Recorded>, Box<dyn Error + Send + Sync>> {
        let found = (self.store).find_replay(self.run.id, &request.policy, request.replica)?;
        Ok(found.map(|(id, replay)| Recorded {
            id,
            replay,
            reused: !lock(&self.own).contains(&id),
        }))
    }

    fn keep(
        &self,
        request: &Request,
        replay: &Replay,
    ) -> Result<Recorded, Box<dyn Error + Send + Sync>> {
        let purpose = Some(request.purpose.as_str());
        let id = (self.store).record_replay(self.run.id, request.replica, purpose, replay)?;
        lock(&self.own).insert(id);
        Ok(Recorded {
            id,
            replay: replay.clone(),
            reused: false,
        })
    }
}

/// Analyses a workload on such workers of a queue as `hosts` admits; `asker` tells this process from others that ask for the
/// same. When `cancel` fires, nobody waits for what workers still run; it is kept when the
/// analysis goes on.
pub async fn analyze_spread<Q: Jobs, C: Clock>(
    (store, package, identity): (&Arc<Store>, &Package, &Identity),
    options: &AnalyzeOptions,
    (queue, clock, asker, hosts): (Q, C, &str, &HostFilter),
    progress: &ProgressSink,
    cancel: &CancellationToken,
) -> Result<Finished, AnalyzeError> {
    let subject = package.subject();
    let fingerprint = fingerprint(&subject);
    let workload = &package.workload;
    let run = store.begin_analysis_of(identity.uid, workload, &fingerprint, options.fresh)?;
    let workers = queue.workers().await.map_err(broken)?;
    let slots = options.jobs.unwrap_or(slots_of_the_widest(&workers, hosts));
    let kept = Arc::new(Kept {
        store: Arc::clone(store),
        run,
        own: Mutex::default(),
    });
    let own = (subject.as_str(), asker);
    let spread = Spread::new(own, queue, Arc::clone(&kept), clock).only(hosts.clone());
    let tell = |text| progress(Progress::Notice { text });
    let measured = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(AnalyzeError::Cancelled),
        measured = measure(&spread, package, options, slots.max(1), progress) => measured,
        error = spread.serve(LOOK, tell) => Err(broken(error)),
    };
    let analysis = match measured {
        Ok(analysis) => analysis,
        Err(error) => {
            if error.is_final() {
                store.abandon_analysis(kept.run.id)?;
            }
            return Err(error);
        }
    };
    store.finish_analysis(kept.run.id, &analysis)?;
    Ok(Finished {
        id: kept.run.id,
        analysis,
        kept: false,
    })
}

/// Of which workload, by which Loupe: the workers' class is found out.
fn fingerprint(subject: &str) -> String {
    format!("spread by loupe {}\n{subject}", env!("CARGO_PKG_VERSION"))
}

/// The same analysis, if the database has it already.
pub fn done_spread(
    store: &Store,
    package: &Package,
    identity: &Identity,
    options: &AnalyzeOptions,
) -> Result<Option<Finished>, AnalyzeError> {
    let (fingerprint, digest) = (fingerprint(&package.subject()), options.digest());
    let found = store.finished_like(identity.uid, &package.workload, &fingerprint, &digest)?;
    Ok(found.map(|found| Finished {
        id: found.id,
        analysis: found.analysis,
        kept: true,
    }))
}

fn broken(error: impl Into<SpreadError>) -> AnalyzeError {
    explore::ExploreError::from(ReplayError::from(error.into())).into()
}

/// The parts of an analysis in their order.
async fn measure<Q: Jobs, C: Clock>(
    spread: &Spread<Q, Arc<Kept>, C>,
    package: &Package,
    options: &AnalyzeOptions,
    slots: usize,
    progress: &ProgressSink,
) -> Result<Analysis, AnalyzeError> {
    let begin = Instant::now();
    let phases = Phases::begin(explore::BASELINE);
    let workload = &package.workload;
    let request = Request::new(Policy::baseline(), 0).because(explore::BASELINE);
    let first = (spread.replay(&request).await)
        .map_err(explore::ExploreError::from)?
        .replay;
    if workload.mode == Mode::Server && first.outcome.passed() {
        let absent = spread.sabotaged(Sabotage::Absent).await.map_err(broken)?;
        if absent.outcome.passed() {
            return Err(AnalyzeError::TestIgnoresApplication {
                output: absent.test_output.tail,
            });
        }
    }
    let subject = Subject {
        application: workload.application.clone(),
        workload: workload.workload.clone(),
    };
    let stages = Stages::of(options);
    let on_progress = |step| {
        phases.note(&step);
        progress(stages.number(step));
    };
    // Each has a CPU of its own.
    let explore_options = explore_options(options, workload, &first, slots, slots);
    let analysis = explore::analyze(spread, &subject, &explore_options, &on_progress).await?;
    Ok(Analysis {
        wall_seconds: begin.elapsed().as_secs_f64(),
        jobs: slots as u64,
        cpus: slots as u64,
        phases: phases.costs(),
        suite: workload.kind == Kind::Suite,
        provenance: provenance(spread, package, options),
        ..analysis
    })
}

/// The measured program, as the workload file names it.
fn target_of(package: &Package) -> String {
    let workload = &package.workload;
    match &workload.target {
        Some(target) => target.to_string_lossy().into_owned(),
        None => workload
            .command
            .words()
            .into_iter()
            .next()
            .unwrap_or_default(),
    }
}

/// On what it was measured: the hosts' class.
fn provenance<Q: Jobs, C: Clock>(
    spread: &Spread<Q, Arc<Kept>, C>,
    package: &Package,
    options: &AnalyzeOptions,
) -> Option<Provenance> {
    let class = spread.class()?;
    Some(Provenance {
        date: text::rfc3339(now_ms().cast_signed()),
        loupe: crate::VERSION.to_owned(),
        kernel: Some(class.kernel),
        architecture: Some(class.architecture),
        libc: class.libc,
        target: Executable {
            path: target_of(package),
            build_id: class.target,
            ..Executable::default()
        },
        workload_digest: Some(package.subject()),
        options_digest: Some(options.digest()),
        ..Provenance::default()
    })
}
