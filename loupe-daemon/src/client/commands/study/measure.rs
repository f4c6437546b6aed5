//! One analysis of a study, by the daemon or in this process.

use std::path::PathBuf;
use std::sync::Arc;

use loupe_common::wire::{Failure, Reply, Request};
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend as _, Here, own_identity};
use crate::client::args::Global;
use crate::client::commands::analyze;
use crate::client::commands::follow;
use crate::client::door::{self, Door, Need};
use crate::client::progress::Watched;
use crate::client::talk::{self, Talk};
use crate::engine::AnalyzeOptions;
use crate::replay::Workload;
use crate::report::{Found, StudyOutcome};

/// Who measures.
pub enum Way {
    Daemon(PathBuf),
    Here(Box<Here>),
}

impl Way {
    pub async fn choose(global: &Global) -> Result<Way, Failure> {
        Ok(match door::choose(global, Need::Engine).await? {
            Door::Daemon => Way::Daemon(global.socket().to_owned()),
            Door::Here => Way::Here(Box::new(Here::start(&door::database(global)?)?)),
        })
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
                let finished = measured.await?;
                let code = follow::exit_code(&finished.analysis);
                let found = Found::new(&finished.analysis, Some(finished.id), code);
                Ok(outcome(found, finished.kept))
            }
        }
    }
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
