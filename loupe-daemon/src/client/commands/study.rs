//! `loupe study DIR`: many workloads, several at once, one table at the end.

mod files;
mod measure;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use loupe_common::exit;
use loupe_common::wire::{Failure, code};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::report;
use crate::client::args::{Applications, Global, Report, Study as Args};
use crate::client::progress::Board;
use crate::client::signals::Signals;
use crate::client::{Ending, output};
use crate::engine::AnalyzeOptions;
use crate::replay::Workload;
use crate::report::{Studied, Study, StudyOutcome, study_ended, study_table};
use files::Read;
use measure::Way;

pub async fn run(global: &Global, args: &Args) -> Result<Ending, Failure> {
    let options = AnalyzeOptions {
        unless_done: !args.again,
        fresh: args.again,
        ..args.measuring.options()
    };
    options.check().map_err(Failure::usage)?;
    if args.on.is_some() {
        measure::check_spread(&options)?;
    }
    let read = files::read(&args.paths)?;
    for failure in read.iter().filter_map(|read| read.workload.as_ref().err()) {
        output::print_failure("loupe", failure);
    }
    let begun = Instant::now();
    let mut at_once = args.at_once(None);
    let mut studies = Studies::new(read);
    let nothing_to_do = studies.waiting.is_empty();
    let stopped = args.fail_fast && studies.rows.iter().any(is_bad);
    let signal = match nothing_to_do || stopped {
        true => None,
        false => {
            let way = Way::choose(global, args).await?;
            at_once = args.at_once(way.slots());
            let board = Board::new(studies.waiting.len(), global.verbose > 0);
            let signal = studies
                .measure(way, args, at_once, (&options, &board))
                .await;
            board.finish();
            signal?
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    let study = Study::new(studies.rows, at_once, seconds);
    match args.json {
        true => output::print_json(&study)?,
        false => output::print(&study_table(&study, output::style()))?,
    }
    if study.left() > 0 {
        output::note("the same command goes on from there: what is finished is kept");
    }
    match (signal, &args.report) {
        (Some(signal), _) => return Ok(Ending::Code(exit::by_signal(signal))),
        (None, Some(path)) => write_page(global, &study, path).await?,
        (None, None) => {}
    }
    Ok(Ending::Code(study.exit_code()))
}

fn is_bad(one: &Studied) -> bool {
    let outcome = &one.outcome;
    matches!(
        outcome,
        StudyOutcome::Failed { .. } | StudyOutcome::Unusable { .. }
    )
}

/// The workloads, and what came of them.
struct Studies {
    rows: Vec<Studied>,
    /// By their places among the rows, the last one first.
    waiting: Vec<(usize, Workload)>,
}

impl Studies {
    fn new(read: Vec<Read>) -> Studies {
        let (mut rows, mut waiting) = (Vec::new(), Vec::new());
        for read in read {
            let file = read.path.display().to_string();
            let (names, outcome) = match read.workload {
                Ok(workload) => {
                    let names = (workload.application.clone(), workload.workload.clone());
                    waiting.push((rows.len(), workload));
                    (Some(names), StudyOutcome::NotBegun)
                }
                Err(failure) => (None, StudyOutcome::Unusable { failure }),
            };
            let (application, workload) = names.unzip();
            rows.push(Studied {
                file,
                application,
                workload,
                outcome,
            });
        }
        waiting.reverse();
        Studies { rows, waiting }
    }

    /// Measures all of them; the signal that ended it early. Nothing of any is left running then.
    async fn measure(
        &mut self,
        way: Way,
        args: &Args,
        at_once: usize,
        (options, board): (&AnalyzeOptions, &Arc<Board>),
    ) -> Result<Option<i32>, Failure> {
        let mut signals = Signals::catch()?;
        let way = Arc::new(way);
        let cancel = CancellationToken::new();
        let mut running = JoinSet::new();
        let mut interrupted = None;
        loop {
            while !cancel.is_cancelled()
                && running.len() < at_once
                && let Some((index, workload)) = self.waiting.pop()
            {
                let watched = board.begin(index, &self.rows[index].name());
                let (way, options, cancel) = (Arc::clone(&way), options.clone(), cancel.clone());
                // A task of its own: what it does may block its thread.
                running.spawn(async move {
                    let measured = way.measure(workload, options, watched.clone(), cancel);
                    (index, watched, measured.await)
                });
            }
            let joined = tokio::select! {
                joined = running.join_next() => joined,
                signal = signals.next() => {
                    board.line(match interrupted {
                        None => "stopping: waiting until nothing of the running replays is left",
                        Some(_) => "still stopping: only the clean-up is waited for",
                    });
                    interrupted.get_or_insert(signal);
                    cancel.cancel();
                    continue;
                }
            };
            let Some(joined) = joined else {
                return Ok(interrupted);
            };
            let (index, watched, measured) = joined.map_err(|error| {
                Failure::internal("an analysis ended unexpectedly").because(Some(&error))
            })?;
            self.rows[index].outcome = match measured {
                Ok(outcome) => outcome,
                Err(failure) if failure.code == code::CANCELLED && cancel.is_cancelled() => {
                    StudyOutcome::Interrupted
                }
                Err(failure) => StudyOutcome::Failed { failure },
            };
            let row = &self.rows[index];
            watched.ended(&study_ended(row));
            if args.fail_fast && is_bad(row) {
                cancel.cancel();
            }
        }
    }
}

/// The page of all that has a result.
async fn write_page(global: &Global, study: &Study, path: &Path) -> Result<(), Failure> {
    let done = study.workloads.iter().filter_map(|one| {
        let found = one.found()?;
        Some(
            found
                .analysis
                .map_or_else(|| one.name(), |id| id.to_string()),
        )
    });
    let names: Vec<String> = done.collect();
    if names.is_empty() {
        output::note("nothing was measured, so there is no page");
        return Ok(());
    }
    let args = Report {
        html: Some(path.to_owned()),
        svg: None,
        plan: Vec::new(),
        os: Vec::new(),
        workload: None,
        json: false,
        csv: false,
        applications: Applications { names },
    };
    report::run(global, &args).await.map(drop)
}
