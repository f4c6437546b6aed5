//! `analyze` and `watch`: a job, and its progress to the client.

use std::path::PathBuf;
use std::sync::Arc;

use loupe_common::exit;
use loupe_common::text::fault_of_path;
use loupe_common::wire::{AnalyzeRequest, Failure, JobId, Reply, Request, code};
use serde_json::Value;
use tokio::sync::Notify;

use crate::backend::Backend;
use crate::engine::AnalyzeOptions;
use crate::replay::Workload;
use crate::server::connection::{Client, FollowUp, Gone, follow_up, reply};
use crate::server::jobs::{Attachment, Event, GaveUp, Jobs, Order};
use crate::server::{Server, log};

pub(super) async fn analyze<B: Backend>(
    server: &Server<B>,
    client: &mut Client,
    request: AnalyzeRequest,
) -> Result<(), Gone> {
    let detach = request.detach;
    let submitted = match order(client, request) {
        Ok(order) => blocking(server, move |jobs| jobs.submit(order)).await,
        Err(failure) => Err(failure),
    };
    let attachment = match submitted {
        Ok(attachment) => attachment,
        Err(failure) => {
            match log::is_own(&failure) {
                true => tracing::error!(why = log::line(&failure), "an order cannot be taken"),
                false => server.refusals.log(client.identity.uid, &failure),
            }
            return reply(&client.writer, &Reply::Error(failure)).await;
        }
    };
    tracing::info!(job = %attachment.id(), uid = client.identity.uid, detach, "submitted");
    if detach {
        let queued = Reply::Queued {
            job: attachment.id(),
            ahead: attachment.ahead(),
        };
        return reply(&client.writer, &queued).await;
    }
    follow(client, attachment).await
}

/// Attaches to a job on a thread of its own: the disk may be slow.
async fn blocking<B: Backend>(
    server: &Server<B>,
    attach: impl FnOnce(&Arc<Jobs<B>>) -> Result<Attachment<B>, Failure> + Send + 'static,
) -> Result<Attachment<B>, Failure> {
    let jobs = Arc::clone(&server.jobs);
    tokio::task::spawn_blocking(move || attach(&jobs))
        .await
        .unwrap_or_else(|error| {
            Err(Failure::internal("the request ended unexpectedly").because(Some(&error)))
        })
}

pub(super) async fn watch<B: Backend>(
    server: &Server<B>,
    client: &mut Client,
    job: JobId,
) -> Result<(), Gone> {
    let viewer = client.viewer();
    match blocking(server, move |jobs| jobs.attach(viewer, job)).await {
        Ok(attachment) => follow(client, attachment).await,
        Err(failure) => reply(&client.writer, &Reply::Error(failure)).await,
    }
}

/// Checks what came over the socket as if it were a workload file. The daemon itself opens
/// nothing that the workload names: the paths in it are used by the replay, with the rights of
/// the caller.
fn order(client: &Client, request: AnalyzeRequest) -> Result<Order, Failure> {
    let bad = |message: String| Failure::new(code::BAD_REQUEST, exit::USAGE, message);
    let mut workload: Workload = serde_json::from_value(request.workload).map_err(|error| {
        bad(format!("the workload cannot be used: {error}"))
            .hint("if `loupe` took it, louped is of an older release: restart it after an upgrade")
    })?;
    workload.base = PathBuf::from(&request.base);
    if !workload.base.is_absolute() {
        return Err(bad("`base` must be an absolute path".to_owned()));
    }
    if let Some(fault) = fault_of_path(&request.base) {
        return Err(bad(format!("`base` {fault}")));
    }
    workload.check().map_err(bad)?;
    let options = match request.options {
        Value::Null => AnalyzeOptions::default(),
        options => serde_json::from_value::<AnalyzeOptions>(options)
            .map_err(|error| bad(format!("the options cannot be used: {error}")))?,
    };
    options
        .check()
        .map_err(|why| bad(format!("the options cannot be used: {why}")))?;
    Ok(Order {
        identity: client.identity.clone(),
        workload,
        options,
        detach: request.detach,
    })
}

/// Sends everything that happens to a job until its end, and leaves when the client does.
async fn follow<B: Backend>(
    client: &mut Client,
    mut attachment: Attachment<B>,
) -> Result<(), Gone> {
    let job = attachment.id();
    let queued = Reply::Queued {
        job,
        ahead: attachment.ahead(),
    };
    reply(&client.writer, &queued).await?;
    let canceller = attachment.canceller();
    let Client { reader, writer, .. } = client;
    // Told between two replies, never within one.
    let left_to_others = Notify::new();
    let tell = async {
        loop {
            let event = tokio::select! {
                biased;
                () = left_to_others.notified() => {
                    return reply(writer, &Reply::Error(goes_on(job))).await;
                }
                event = attachment.next() => event,
            };
            let (message, last) = match event {
                Event::Progress(event) => {
                    let event = (*event).clone();
                    (Reply::Progress { job, event }, false)
                }
                Event::Skipped(lost) => (Reply::Skipped { job, lost }, false),
                Event::Ended(end) => match &*end {
                    Ok(finished) => {
                        let told = Reply::Analysis {
                            job,
                            id: Some(finished.id),
                            kept: finished.kept,
                            analysis: Box::new(finished.analysis.clone()),
                        };
                        (told, true)
                    }
                    Err(failure) => (Reply::Error(failure.clone()), true),
                },
            };
            reply(writer, &message).await?;
            if last {
                return Ok(());
            }
        }
    };
    let listen = async {
        loop {
            match follow_up(reader).await {
                FollowUp::Request(Request::Cancel { job: None }) => {
                    if canceller.give_up() == GaveUp::LeftToOthers {
                        left_to_others.notify_one();
                    }
                }
                FollowUp::Request(_) => tracing::debug!("a request out of place was ignored"),
                FollowUp::Bad(failure) => tracing::debug!(%failure, "a bad line was ignored"),
                FollowUp::Gone => return,
            }
        }
    };
    // Side by side: a client that does not read can still cancel or leave.
    tokio::select! {
        told = tell => told,
        () = listen => Err(Gone),
    }
}

fn goes_on(job: JobId) -> Failure {
    Failure::new(
        code::CANCELLED,
        exit::INTERRUPTED,
        format!("left job {job}, which goes on for others who ordered the same analysis"),
    )
}
