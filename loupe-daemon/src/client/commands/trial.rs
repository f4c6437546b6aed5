//! `loupe try WORKLOAD.toml`.

use std::sync::Arc;

use loupe_common::exit;
use loupe_common::wire::{Failure, code};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::command_run;
use crate::backend::{RunControl, shell_here, try_here};
use crate::client::args::{Global, Try};
use crate::client::progress::Display;
use crate::client::signals::Signals;
use crate::client::{Ending, door, output, source};
use crate::replay::Workload;
use crate::report;
use crate::text::shell_word;

/// Signals that wait to be passed on.
const MAX_QUEUED_SIGNALS: usize = 16;

pub async fn run(global: &Global, args: &Try) -> Result<Ending, Failure> {
    let workload = source::workload(&args.source)?;
    door::root_here(global, "trying")?;
    if args.shell {
        return shell(&workload).await;
    }
    let database = door::database(global)?;
    let mut signals = Signals::catch()?;
    let display = Arc::new(Display::new(global.verbose > 0));
    let cancel = CancellationToken::new();
    let told = Arc::clone(&display);
    let progress = Arc::new(move |event| told.show(&event));
    let running = try_here(&database, &workload, progress, cancel.clone());
    let (ended, interrupted) = signals.interrupting(running, &cancel, |_| ()).await;
    display.finish();
    let trial = match (ended, interrupted) {
        (Err(failure), Some(signal)) if failure.code == code::CANCELLED => {
            return Ok(Ending::Code(exit::by_signal(signal)));
        }
        (ended, _) => ended?,
    };
    let file = args.source.file.as_ref().or(args.source.save.as_ref());
    let file = file.map(|path| path.to_string_lossy().into_owned());
    match args.json {
        true => output::print_json(&report::trial_json(&workload, &trial))?,
        false => {
            let text = report::trial(&workload, &trial, file.as_deref(), output::style());
            output::print(&text)?;
        }
    }
    Ok(match report::trial_is_good(&trial) {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}

/// A shell where the workload would run.
async fn shell(workload: &Workload) -> Result<Ending, Failure> {
    let words = |line: &crate::replay::CommandLine| {
        let words: Vec<String> = line.words().iter().map(|word| shell_word(word)).collect();
        words.join(" ")
    };
    output::note(&format!(
        "a shell in the sandbox of {}/{}; its end is the sandbox's",
        workload.application, workload.workload
    ));
    output::note(&format!("the application: {}", words(&workload.command)));
    output::note(&format!("the test: {}", words(&workload.test)));
    let mut signals = Signals::catch()?;
    let (pass_on, passed_on) = mpsc::channel(MAX_QUEUED_SIGNALS);
    let control = RunControl {
        cancel: CancellationToken::new(),
        signals: passed_on,
    };
    let running = shell_here(workload, command_run::own_stdio()?, control);
    tokio::pin!(running);
    loop {
        tokio::select! {
            exit = &mut running => return Ok(command_run::ending(exit?)),
            signal = signals.next() => match signal {
                // The terminal has sent it to the shell too, whose business it is.
                libc::SIGINT | libc::SIGQUIT => {}
                other => if pass_on.try_send(other).is_err() {
                    tracing::warn!(signal = other, "a signal could not be passed on");
                },
            },
        }
    }
}
