//! `loupe jobs`.

use loupe_common::wire::{Failure, JobInfo, JobState, Reply, Request};
use serde_json::json;

use crate::client::args::{Global, Jobs};
use crate::client::door::{self, Need};
use crate::client::{Ending, output, talk};
use crate::report::layout::{Align, Cell, Layout};
use crate::report::{Style, Tone};
use crate::text::date;
use crate::text::printable;

/// The value of `schema` in the JSON.
const SCHEMA: &str = "loupe.jobs/1";

pub async fn run(global: &Global, args: &Jobs) -> Result<Ending, Failure> {
    door::choose(global, Need::Daemon).await?;
    let jobs = match talk::ask(global.socket(), &Request::Jobs).await? {
        Reply::Jobs { jobs } => jobs,
        other => return Err(talk::unexpected(&other)),
    };
    match args.json {
        true => output::print_json(&json!({ "schema": SCHEMA, "jobs": jobs }))?,
        false => output::print(&table(&jobs, output::style()))?,
    }
    Ok(Ending::OK)
}

fn table(jobs: &[JobInfo], style: Style) -> String {
    if jobs.is_empty() && !style.is_csv() {
        return "No jobs; `loupe analyze WORKLOAD.toml --detach` starts one.\n".to_owned();
    }
    let mut layout = Layout::new(&[
        ("application/workload", Align::Left),
        ("job", Align::Right),
        ("uid", Align::Right),
        ("state", Align::Left),
        ("done", Align::Right),
        ("left", Align::Right),
        ("remark", Align::Left),
    ]);
    for job in jobs {
        let name = format!("{}/{}", job.application, job.workload);
        layout.row([
            printable(&name).into(),
            job.id.into(),
            job.uid.into(),
            state(job.state),
            job.done.into(),
            (job.running + job.left).into(),
            printable(&remark(job)).into(),
        ]);
    }
    layout.print(style)
}

fn state(state: JobState) -> Cell {
    let tone = match state {
        JobState::Finished => Tone::Good,
        JobState::Failed => Tone::Bad,
        JobState::Stopping | JobState::Cancelled => Tone::Middling,
        JobState::Queued => Tone::Faint,
        JobState::Running => Tone::Plain,
    };
    Cell::toned(state, tone)
}

fn remark(job: &JobInfo) -> String {
    match (job.state, &job.error) {
        (JobState::Queued, _) => format!("{} before it", job.ahead),
        (JobState::Running | JobState::Stopping, _) => job.phase.clone(),
        (_, Some(error)) => error.clone(),
        (_, None) => match job.ended {
            Some(ended) => {
                let ms = i64::try_from(ended.saturating_mul(1000)).unwrap_or(i64::MAX);
                date(ms) + " (UTC)"
            }
            None => String::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use loupe_common::wire::JobId;

    use super::*;

    fn job(id: u64, state: JobState) -> JobInfo {
        JobInfo {
            id: JobId(id),
            uid: 1000,
            application: "nginx".to_owned(),
            workload: "wrk".to_owned(),
            state,
            detached: false,
            submitted: 0,
            ended: (state == JobState::Finished).then_some(1_764_000_059),
            ahead: 2,
            watchers: 1,
            phase: "single features".to_owned(),
            done: 17,
            running: 2,
            left: 31,
            error: (state == JobState::Failed).then(|| "the baseline\nfails".to_owned()),
        }
    }

    #[test]
    fn every_job_is_one_row_that_fits() {
        let jobs = [
            job(1, JobState::Failed),
            job(2, JobState::Running),
            job(3, JobState::Queued),
            job(4, JobState::Finished),
        ];
        let text = table(&jobs, Style::PLAIN);
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(text.contains("the baseline\\nfails"), "{text}");
        assert!(text.contains("single features"), "{text}");
        assert!(text.contains("2 before it"), "{text}");
        assert!(text.contains("2025-11-24 16:00 (UTC)"), "{text}");
    }
}
