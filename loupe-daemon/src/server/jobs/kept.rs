//! Between a job and its row in the database: orders written down and read again, what an
//! earlier daemon has left, how ended jobs look.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use loupe_common::wire::{Failure, JobId, JobInfo, JobState, code};
use serde::{Deserialize, Serialize};

use super::job::Job;
use super::{JobEnd, Order, REMEMBERED_JOBS, failures};
use crate::backend::store_failure;
use crate::engine::{AnalyzeOptions, Finished, Identity};
use crate::replay::Workload;
use crate::server::log;
use crate::store::{JobBook, JobEnding, NewJob, StoredJob, StoredState};

/// Times that the daemon may die at one job: after that the job is taken for the reason, and ends.
const MAX_CRASHES: u32 = 5;

/// An order as it is written down.
#[derive(Debug, Serialize, Deserialize)]
struct Definition {
    identity: Identity,
    workload: Workload,
    /// The workload's own, which is no part of its file.
    base: PathBuf,
    options: AnalyzeOptions,
}

/// Keeps an order; its number.
pub(super) fn add(book: &JobBook, order: &Order) -> Result<JobId, Failure> {
    let definition = Definition {
        identity: order.identity.clone(),
        workload: order.workload.clone(),
        base: order.workload.base.clone(),
        options: order.options.clone(),
    };
    let definition = serde_json::to_string(&definition)
        .map_err(|error| Failure::internal("the job cannot be kept").because(Some(&error)))?;
    let id = book.add(&NewJob {
        owner: order.identity.uid,
        application: &order.workload.application,
        workload: &order.workload.workload,
        definition: &definition,
        detached: order.detach,
    });
    id.map(JobId).map_err(store_failure)
}

/// The jobs that an earlier daemon has left to go on with. Those that cannot go on are ended.
pub(super) fn take_over(book: &JobBook) -> Result<BTreeMap<JobId, Job>, Failure> {
    let mut jobs = BTreeMap::new();
    for stored in book.waiting().map_err(store_failure)? {
        let id = JobId(stored.id);
        let failure = match restored(&stored) {
            Ok(job) => {
                tracing::info!(job = %id, uid = stored.owner, "goes on");
                jobs.insert(id, job);
                continue;
            }
            Err(failure) => failure,
        };
        let ending = match failures::is_cancelled(&failure) {
            true => JobEnding::Cancelled(&failure),
            false => JobEnding::Failed(&failure),
        };
        log_end(id, &ending);
        book.ends(stored.id, ending, stored.done, REMEMBERED_JOBS)
            .map_err(store_failure)?;
    }
    Ok(jobs)
}

fn restored(stored: &StoredJob) -> Result<Job, Failure> {
    if !stored.detached {
        return Err(failures::daemon_ended());
    }
    if stored.crashes >= MAX_CRASHES {
        return Err(failures::too_many_crashes(stored.crashes));
    }
    let definition: Definition =
        serde_json::from_str(&stored.definition).map_err(|error| failures::unreadable(&error))?;
    let mut workload = definition.workload;
    workload.base = definition.base;
    let order = Order {
        identity: definition.identity,
        workload,
        options: definition.options,
        detach: true,
    };
    let mut job = Job::new(JobId(stored.id), order);
    job.info.submitted = seconds(stored.submitted_ms);
    job.begun = stored.begun;
    job.ran = Duration::from_millis(stored.ran_ms);
    job.replays = stored.replays;
    Ok(job)
}

/// How it is kept that a job has ended.
pub(super) fn ending(end: &JobEnd) -> JobEnding<'_> {
    match end {
        Ok(finished) => JobEnding::Finished(finished.id),
        Err(failure) if failures::is_cancelled(failure) => JobEnding::Cancelled(failure),
        Err(failure) => JobEnding::Failed(failure),
    }
}

/// How it has ended.
pub(super) fn end(book: &JobBook, stored: &StoredJob) -> Result<JobEnd, Failure> {
    if let Some(failure) = &stored.failure {
        return Ok(Err(failure.clone()));
    }
    let found = book.result(stored).map_err(store_failure)?;
    let finished = found.map(|found| Finished {
        id: found.id,
        analysis: found.analysis,
        kept: false,
    });
    Ok(finished.ok_or_else(|| failures::result_is_gone(JobId(stored.id))))
}

/// One that has ended, in the list.
pub(super) fn info(stored: &StoredJob) -> JobInfo {
    let failed = stored.state == StoredState::Failed;
    let failure = stored.failure.as_ref().filter(|_| failed);
    JobInfo {
        id: JobId(stored.id),
        uid: stored.owner,
        application: stored.application.clone(),
        workload: stored.workload.clone(),
        state: match stored.state {
            StoredState::Waiting => JobState::Queued,
            StoredState::Finished => JobState::Finished,
            StoredState::Failed => JobState::Failed,
            StoredState::Cancelled => JobState::Cancelled,
        },
        detached: stored.detached,
        submitted: seconds(stored.submitted_ms),
        ended: stored.ended_ms.map(seconds),
        ahead: 0,
        watchers: 0,
        phase: String::new(),
        done: stored.done,
        running: 0,
        left: 0,
        error: failure.map(|failure| failure.message.clone()),
    }
}

fn seconds(milliseconds: i64) -> u64 {
    milliseconds.unsigned_abs() / 1000
}

/// Logs how a job ended: as an error only if Loupe itself failed.
pub(super) fn log_end(id: JobId, ending: &JobEnding<'_>) {
    match ending {
        JobEnding::Finished(analysis) => tracing::info!(job = %id, analysis, "finished"),
        JobEnding::Cancelled(failure) => {
            tracing::info!(job = %id, why = log::line(failure), "cancelled");
        }
        JobEnding::Failed(failure) if failure.code == code::BOUND => {
            tracing::warn!(job = %id, why = log::line(failure), "ended at a bound");
        }
        JobEnding::Failed(failure) if log::is_own(failure) => {
            tracing::error!(job = %id, why = log::line(failure), "failed");
        }
        JobEnding::Failed(failure) => {
            tracing::info!(job = %id, why = log::line(failure), "came to no result");
        }
    }
}
