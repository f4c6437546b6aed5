//! `loupe analyze WORKLOAD.toml`.

use std::sync::Arc;

use loupe_common::analysis::Analysis;
use loupe_common::exit;
use loupe_common::wire::{AnalyzeRequest, Failure, Reply, Request, code};
use tokio_util::sync::CancellationToken;

use super::follow;
use crate::backend::{Backend as _, Here, own_identity};
use crate::client::args::{Analyze, Global};
use crate::client::door::{self, Door, Need};
use crate::client::output::note;
use crate::client::progress::Display;
use crate::client::signals::Signals;
use crate::client::talk::{self, Talk};
use crate::client::{Ending, output, source};
use crate::engine::AnalyzeOptions;
use crate::replay::Workload;
use crate::report::Telling;

pub async fn run(global: &Global, args: &Analyze) -> Result<Ending, Failure> {
    let workload = source::workload(&args.source)?;
    let options = AnalyzeOptions {
        fresh: args.fresh,
        ..args.measuring.options()
    };
    options.check().map_err(Failure::usage)?;
    let need = if args.detach {
        Need::Daemon
    } else {
        Need::Engine
    };
    let door = door::choose(global, need).await?;
    if let (Door::Daemon, Some((_, said_by))) = (door, global.chosen_db()) {
        note(&format!(
            "louped keeps this in its own database, not in that of {said_by}"
        ));
    }
    let mut signals = Signals::catch()?;
    let display = Arc::new(Display::new(global.verbose > 0));
    let (ended, interrupted) = match door {
        Door::Daemon => {
            let request = request(&workload, &options, args.detach)?;
            let mut talk = Talk::open(global.socket(), &request, &[]).await?;
            if args.detach {
                return detached(&mut talk).await;
            }
            by_daemon(&mut talk, &display, &mut signals).await
        }
        Door::Here => here(global, workload, options, &display, &mut signals).await?,
    };
    if let Ok((analysis, _)) = &ended {
        display.costs(analysis);
    }
    display.finish();
    match (ended, interrupted) {
        (Ok((analysis, id)), _) => {
            let telling = Telling {
                id,
                finished_ms: id.map(|_| crate::now_ms().cast_signed()),
                full: args.full,
            };
            follow::print(&analysis, args.json, telling)
        }
        (Err(failure), Some(signal)) if failure.code == code::CANCELLED => {
            output::note(&failure.message);
            Ok(Ending::Code(exit::by_signal(signal)))
        }
        (Err(failure), _) => Err(failure),
    }
}

pub(super) fn request(
    workload: &Workload,
    options: &AnalyzeOptions,
    detach: bool,
) -> Result<Request, Failure> {
    let json = |value: serde_json::Result<serde_json::Value>| {
        value.map_err(|error| {
            Failure::usage("the workload cannot be sent to louped").because(Some(&error))
        })
    };
    let base = workload.base.to_str().ok_or_else(|| {
        Failure::usage(format!(
            "the path {} is not UTF-8, so it cannot be sent to louped",
            workload.base.display()
        ))
        .hint("move the workload file, or use --local as root")
    })?;
    Ok(Request::Analyze(AnalyzeRequest {
        workload: json(serde_json::to_value(workload))?,
        base: base.to_owned(),
        options: json(serde_json::to_value(options))?,
        detach,
    }))
}

/// The number of the job is the result.
async fn detached(talk: &mut Talk) -> Result<Ending, Failure> {
    match talk.next().await? {
        Reply::Queued { job, .. } => {
            output::print(&format!("{job}\n"))?;
            output::note(&format!("job {job}: follow it with `loupe watch {job}`"));
            Ok(Ending::OK)
        }
        other => Err(talk::unexpected(&other)),
    }
}

/// What came of it, with its number in the database where that is known, and the signal that asked
/// for its end.
type Ended = (Result<(Analysis, Option<i64>), Failure>, Option<i32>);

async fn by_daemon(talk: &mut Talk, display: &Display, signals: &mut Signals) -> Ended {
    let mut interrupted = None;
    loop {
        // Dropped on a signal and begun again: nothing of a reply is lost by that.
        let signal = tokio::select! {
            ended = follow::to_the_end(talk, display) => {
                return (ended.map(|analysis| (analysis, None)), interrupted);
            }
            signal = signals.next() => signal,
        };
        stopping(display, interrupted);
        interrupted.get_or_insert(signal);
        if let Err(failure) = talk.say(&Request::Cancel { job: None }).await {
            return (Err(failure), interrupted);
        }
    }
}

async fn here(
    global: &Global,
    workload: Workload,
    options: AnalyzeOptions,
    display: &Arc<Display>,
    signals: &mut Signals,
) -> Result<Ended, Failure> {
    let backend = Here::start(&door::database(global)?)?;
    let cancel = CancellationToken::new();
    let told = Arc::clone(display);
    let progress = Arc::new(move |event| told.show(&event));
    let running = backend.analyze(workload, own_identity(), options, progress, cancel.clone());
    let told = |before| stopping(display, before);
    let (ended, interrupted) = signals.interrupting(running, &cancel, told).await;
    let ended = ended.map(|finished| (finished.analysis, Some(finished.id)));
    Ok((ended, interrupted))
}

fn stopping(display: &Display, before: Option<i32>) {
    display.line(match before {
        None => "stopping: waiting until nothing of the running replays is left",
        Some(_) => "still stopping: only the clean-up is waited for",
    });
}
