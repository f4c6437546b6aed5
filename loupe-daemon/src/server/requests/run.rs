//! `run`: a command of the client's, on the client's own standard input, output and error.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use loupe_common::exit;
use loupe_common::wire::{Failure, Reply, Request, RunOnce, code};
use loupe_common::word::Word;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::json;
use crate::backend::{Backend, RunControl};
use crate::engine::{RunRequest, StreamedCall};
use crate::server::connection::{Client, FollowUp, Gone, follow_up, reply};
use crate::server::{Server, log};

/// Calls that wait for a slow client before the tracer has to wait.
const MAX_QUEUED_CALLS: usize = 4096;

/// Calls in one reply: its line stays far below `MAX_LINE`.
const CALLS_PER_REPLY: usize = 512;

/// Signals that wait to be passed on; further ones are dropped.
const MAX_QUEUED_SIGNALS: usize = 16;

/// The largest signal number.
const MAX_SIGNAL: i32 = 64;

pub(super) async fn run<B: Backend>(
    server: &Server<B>,
    client: &mut Client,
    request: RunOnce,
) -> Result<(), Gone> {
    let uid = client.identity.uid;
    let Some(_slot) = server.runs.take(uid) else {
        let busy = Failure::new(
            code::BUSY,
            exit::LOUPE_FAILED,
            "the daemon runs too many commands already",
        )
        .hint("wait until some of them have ended");
        server.refusals.log(uid, &busy);
        return reply(&client.writer, &Reply::Error(busy)).await;
    };
    let stream = request.stream;
    let prepared = stdio(client).and_then(|stdio| Ok((stdio, prepare(client, request)?)));
    let (stdio, request) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            server.refusals.log(uid, &failure);
            return reply(&client.writer, &Reply::Error(failure)).await;
        }
    };
    tracing::info!(uid, command = ?request.command, "run");

    let cancel = server.stopping.child_token();
    let (signals, signals_receiver) = mpsc::channel(MAX_QUEUED_SIGNALS);
    let (calls, mut calls_receiver) = mpsc::channel(MAX_QUEUED_CALLS);
    let control = RunControl {
        cancel: cancel.clone(),
        signals: signals_receiver,
    };
    let calls = stream.then_some(calls);
    let mut running = std::pin::pin!(server.backend.run(request, stdio, calls, control));

    let Client { reader, writer, .. } = client;
    let send_calls = async {
        let mut batch = Vec::new();
        while calls_receiver.recv_many(&mut batch, CALLS_PER_REPLY).await > 0 {
            reply(writer, &batch_of(&mut batch)).await?;
        }
        Ok(())
    };
    // Ends at once when the calls cannot be sent any more: nobody would drain the channel.
    let both = async {
        let report = async { Ok((&mut running).await) };
        let (report, ()) = tokio::try_join!(report, send_calls)?;
        Ok(report)
    };
    let report = tokio::select! {
        report = both => report,
        gone = listen(reader, &signals, &cancel) => Err(gone),
    };
    match report {
        Ok(report) => {
            if let Err(failure) = &report
                && log::is_own(failure)
            {
                tracing::error!(uid, why = log::line(failure), "a run failed");
            }
            let report = report.and_then(|report| json(&report));
            let last = report.map_or_else(Reply::Error, |report| Reply::Ran { report });
            reply(writer, &last).await
        }
        Err(gone) => {
            // Nothing of it may outlive its client.
            cancel.cancel();
            calls_receiver.close();
            if let Err(failure) = running.await {
                tracing::debug!(%failure, "the run of a client that left has ended");
            }
            Err(gone)
        }
    }
}

/// Passes on what the client says while its command runs; returns when it is gone.
async fn listen(
    reader: &mut crate::link::LinkReader,
    signals: &mpsc::Sender<i32>,
    cancel: &CancellationToken,
) -> Gone {
    loop {
        match follow_up(reader).await {
            FollowUp::Request(Request::Signal { signal }) if (1..=MAX_SIGNAL).contains(&signal) => {
                if signals.try_send(signal).is_err() {
                    tracing::debug!(signal, "a signal was not passed on");
                }
            }
            FollowUp::Request(Request::Cancel { job: None }) => cancel.cancel(),
            FollowUp::Request(_) => tracing::debug!("a request out of place was ignored"),
            FollowUp::Bad(failure) => tracing::debug!(%failure, "a bad line was ignored"),
            FollowUp::Gone => return Gone,
        }
    }
}

fn batch_of(batch: &mut Vec<StreamedCall>) -> Reply {
    let calls = batch
        .drain(..)
        // Plain numbers and strings: this cannot fail.
        .map(|call| serde_json::to_value(call).unwrap_or(Value::Null))
        .collect();
    Reply::Calls { calls }
}

fn stdio(client: &mut Client) -> Result<[OwnedFd; 3], Failure> {
    let descriptors = client.reader.take_descriptors();
    let count = descriptors.len();
    descriptors.try_into().map_err(|_| {
        Failure::new(
            code::BAD_REQUEST,
            exit::USAGE,
            format!("`run` needs 3 descriptors with its line, and {count} came"),
        )
    })
}

fn prepare(client: &Client, request: RunOnce) -> Result<RunRequest, Failure> {
    let bad = |message: &str| Failure::new(code::BAD_REQUEST, exit::USAGE, message);
    let directory = PathBuf::from(request.directory.as_os_str());
    if !directory.is_absolute() {
        return Err(bad("`directory` must be an absolute path"));
    }
    if request.command.first().is_none_or(Word::is_empty) {
        return Err(bad("`command` is empty"));
    }
    let words = request.command.iter();
    let pairs = request
        .environment
        .iter()
        .flat_map(|(key, value)| [key, value]);
    if words.chain(pairs).any(|word| word.as_bytes().contains(&0)) {
        return Err(bad("a word of the command or environment holds a NUL"));
    }
    Ok(RunRequest {
        command: request.command,
        environment: request.environment,
        directory,
        target: request.target.map(|target| target.as_os_str().into()),
        policy: request.policy,
        latency: request.latency,
        pseudo_files: request.pseudo_files,
        no_vdso: request.no_vdso,
        identity: client.identity.clone(),
        ignored_signals: request.ignored_signals,
    })
}
