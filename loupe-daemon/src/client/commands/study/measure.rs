//! One analysis of a study: by the daemon, in this process, or on the workers of a fleet.

use std::path::PathBuf;
use std::sync::Arc;

use loupe_common::wire::{Failure, Reply, Request};
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend as _, Here, Spreading, own_identity};
use crate::client::args::{Global, Study as Args};
use crate::client::commands::analyze;
use crate::client::commands::follow;
use crate::client::door::{self, Door, Need};
use crate::client::output::note;
use crate::client::progress::Watched;
use crate::client::talk::{self, Talk};
use crate::engine::{AnalyzeOptions, Finished};
use crate::replay::Workload;
use crate::report::{Found, StudyOutcome};
use crate::spread::HostFilter;

/// Who measures.
pub enum Way {
    Daemon(PathBuf),
    Here(Box<Here>),
    Workers {
        spreading: Spreading,
        /// Replays of one analysis at a time.
        slots: usize,
    },
}

/// What workers cannot be asked for.
pub fn check_spread(options: &AnalyzeOptions) -> Result<(), Failure> {
    for (chosen, what, why) in [
        (
            options.paper_mode,
            "--paper-mode",
            "runs one replay after the other",
        ),
        (
            options.impact.is_some(),
            "--impact",
            "compares times of one host",
        ),
        (
            options.check_test,
            "--check-test",
            "is of the test and needs one host only",
        ),
    ] {
        if chosen {
            let text = format!("{what} makes no sense with --on: it {why}");
            return Err(Failure::usage(text).hint("leave one of them out"));
        }
    }
    Ok(())
}

impl Way {
    pub async fn choose(global: &Global, args: &Args) -> Result<Way, Failure> {
        if let Some(url) = &args.on {
            let database = door::database(global)?;
            let spreading =
                Spreading::start((url, &args.credentials), &database, &args.hosts).await?;
            let mut slots = spreading.hear().await;
            if slots == 0 {
                let which = match args.hosts == HostFilter::default() {
                    true => "",
                    false => " that --hosts admits",
                };
                note(&format!(
                    "no worker{which} is heard at {url}: waiting for one"
                ));
            }
            while slots == 0 {
                slots = spreading.hear().await;
            }
            return Ok(Way::Workers { spreading, slots });
        }
        Ok(match door::choose(global, Need::Engine).await? {
            Door::Daemon => Way::Daemon(global.socket().to_owned()),
            Door::Here => Way::Here(Box::new(Here::start(&door::database(global)?)?)),
        })
    }

    /// Replays of one analysis that workers run at a time.
    pub fn slots(&self) -> Option<usize> {
        match self {
            Way::Workers { slots, .. } => Some(*slots),
            Way::Daemon(_) | Way::Here(_) => None,
        }
    }

    /// Measures one workload. When `cancel` fires, this returns once its replays are ended.
    pub async fn measure(
        &self,
        workload: Workload,
        options: AnalyzeOptions,
        watched: Watched,
        cancel: CancellationToken,
    ) -> Result<StudyOutcome, Failure> {
        match self {
            Way::Daemon(socket) => {
                let request = analyze::request(&workload, &options, false)?;
                let mut talk = Talk::open(socket, &request, &[]).await?;
                by_daemon(&mut talk, &watched, &cancel).await
            }
            Way::Here(here) => {
                let progress = Arc::new(move |event| watched.show(&event));
                let measured = here.analyze(workload, own_identity(), options, progress, cancel);
                Ok(finished(&measured.await?))
            }
            Way::Workers { spreading, .. } => {
                let progress = Arc::new(move |event| watched.show(&event));
                let measured = spreading.analyze(workload, &options, progress, cancel);
                Ok(finished(&measured.await?))
            }
        }
    }
}

fn finished(finished: &Finished) -> StudyOutcome {
    let code = follow::exit_code(&finished.analysis);
    let found = Found::new(&finished.analysis, Some(finished.id), code);
    outcome(found, finished.kept)
}

async fn by_daemon(
    talk: &mut Talk,
    watched: &Watched,
    cancel: &CancellationToken,
) -> Result<StudyOutcome, Failure> {
    let mut told = false;
    loop {
        let reply = tokio::select! {
            reply = talk.next() => reply?,
            () = cancel.cancelled(), if !told => {
                told = true;
                talk.say(&Request::Cancel { job: None }).await?;
                continue;
            }
        };
        match reply {
            Reply::Queued { ahead: 0, .. } | Reply::Skipped { .. } => {}
            Reply::Queued { ahead, .. } => watched.waits(ahead),
            Reply::Progress { event, .. } => watched.show(&event),
            Reply::Analysis {
                analysis, id, kept, ..
            } => {
                let found = Found::new(&analysis, id, follow::exit_code(&analysis));
                return Ok(outcome(found, kept));
            }
            other => return Err(talk::unexpected(&other)),
        }
    }
}

fn outcome(found: Found, kept: bool) -> StudyOutcome {
    match kept {
        true => StudyOutcome::Kept(found),
        false => StudyOutcome::Measured(found),
    }
}
