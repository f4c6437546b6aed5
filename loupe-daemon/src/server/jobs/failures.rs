//! What the users of jobs are told when something does not work.

use std::time::Duration;

use loupe_common::exit;
use loupe_common::wire::{Failure, JobId, JobState, code};

pub(super) fn no_such_job(id: JobId) -> Failure {
    Failure::new(
        code::NOT_FOUND,
        exit::USAGE,
        format!("there is no job {id}"),
    )
    .hint("`loupe jobs` lists them")
}

pub(super) fn already_ended(id: JobId, state: JobState) -> Failure {
    Failure::new(
        code::NOT_FOUND,
        exit::FINDING,
        format!("job {id} has already ended ({state})"),
    )
}

/// What a cancelled job ends with.
pub(super) fn cancelled() -> Failure {
    Failure::new(
        code::CANCELLED,
        exit::INTERRUPTED,
        "the analysis was cancelled",
    )
    .hint("its finished replays are kept: the same `loupe analyze` goes on from there")
}

/// For jobs whose client cannot wait for the next daemon.
pub(super) fn daemon_ended() -> Failure {
    Failure::new(
        code::CANCELLED,
        exit::INTERRUPTED,
        "louped ended, and its client with it",
    )
    .hint(
        "its finished replays are kept: the same `loupe analyze` goes on from there; with \
         --detach, louped does so by itself",
    )
}

pub(super) fn is_cancelled(failure: &Failure) -> bool {
    failure.code == code::CANCELLED
}

pub(super) fn stopping() -> Failure {
    Failure::new(code::STOPPING, exit::LOUPE_FAILED, "the daemon is stopping")
}

pub(super) fn goes_on_later(id: JobId) -> Failure {
    Failure::new(
        code::STOPPING,
        exit::LOUPE_FAILED,
        format!("the daemon is stopping; job {id} goes on when it is started again"),
    )
    .hint(format!("then follow it with `loupe watch {id}`"))
}

fn busy(message: String) -> Failure {
    Failure::new(code::BUSY, exit::LOUPE_FAILED, message)
        .hint("wait for some of them to end, or cancel one: `loupe jobs`, `loupe cancel JOB`")
}

pub(super) fn too_many_jobs(count: usize) -> Failure {
    busy(format!("{count} jobs are running or waiting already"))
}

pub(super) fn too_many_of_user(count: usize) -> Failure {
    busy(format!(
        "{count} jobs of yours are running or waiting already, the most for one user"
    ))
}

pub(super) fn too_long(id: JobId, most: Duration) -> Failure {
    bound(format!(
        "job {id} has run for {} h, the longest that louped lets one run",
        most.as_secs() / 3600
    ))
}

pub(super) fn too_many_replays(id: JobId, most: u64) -> Failure {
    bound(format!(
        "job {id} has run {most} replays, the most that louped gives to one"
    ))
}

fn bound(message: String) -> Failure {
    Failure::new(code::BOUND, exit::LOUPE_FAILED, message).hint(
        "its finished replays are kept: the same `loupe analyze` goes on from there. Fewer or \
         shorter replays are enough with a quicker test, fewer replicas, a smaller --depth, or \
         without --impact, --confidence and --exhaustive",
    )
}

pub(super) fn too_many_crashes(count: u32) -> Failure {
    Failure::internal(format!(
        "louped ended unexpectedly {count} times while it worked on this job"
    ))
    .hint("see what happened to it: `journalctl -u louped`; then order the job again")
}

pub(super) fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::internal("this release of louped cannot read the job that an earlier one has kept")
        .because(Some(error))
        .hint("order it again: its finished replays are kept")
}

pub(super) fn result_is_gone(id: JobId) -> Failure {
    Failure::new(
        code::NOT_FOUND,
        exit::USAGE,
        format!("the result of job {id} is not in the database any more"),
    )
    .hint("`loupe list` shows what there is")
}
