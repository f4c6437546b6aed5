//! `loupe trace -- COMMAND`; what runs already is in `trace_running`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use loupe_common::policy::Policy;
use loupe_common::wire::Failure;
use loupe_common::word::Word;
use serde_json::{Value, json};

use super::command_run;
use super::stream::CallWriter;
use super::trace_running;
use crate::client::args::{Global, Trace, What};
use crate::client::{Ending, output};
use crate::engine::RunReport;
use crate::report;

pub async fn run(global: &Global, args: Trace) -> Result<Ending, Failure> {
    if let Some(target) = args.running.target() {
        return trace_running::run(global, target.clone(), &args).await;
    }
    // Opened first: a place that cannot be written to is no reason to run the command in vain.
    let file = args.output.as_deref().map(create).transpose()?;
    let stream = match args.stream {
        true => Some(CallWriter::new(writer(file.as_ref())?, args.json)),
        false => None,
    };
    let command = command_run::words(&args.command);
    let what = What {
        target: args.target,
        no_vdso: args.no_vdso,
        command: args.command,
    };
    let measure = command_run::Measure {
        latency: true,
        pseudo_files: args.pseudo_files,
    };
    let report = command_run::run(global, what, Policy::baseline(), measure, stream).await?;
    let text = match (args.json, args.stream) {
        // The last line of many.
        (true, true) => format!("{}\n", summary(&command, &report)),
        (true, false) => output::json_text(&summary(&command, &report))?,
        (false, _) => {
            let style = match file {
                Some(_) => output::file_style(),
                None => output::error_style(),
            };
            let table = report::trace_table(&report.trace, wall(&report), args.operations, style);
            match report.target_execs {
                0 | 1 => table,
                _ if style.is_csv() => table,
                starts => format!("{table}The target was started {starts} times.\n"),
            }
        }
    };
    write(writer(file.as_ref())?, &text)?;
    command_run::warn(&report);
    Ok(command_run::ending(report.exit))
}

/// A reader that has gone away has got enough.
pub(super) fn write(mut to: impl Write, text: &str) -> Result<(), Failure> {
    match to.write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::internal("cannot write the trace").because(Some(&error)))
        }
        _ => Ok(()),
    }
}

fn wall(report: &RunReport) -> Duration {
    Duration::from_micros(report.wall_us)
}

/// The trace, with the command and its end beside it.
fn summary(command: &[Word], report: &RunReport) -> Value {
    let mut summary = report::trace_json(&report.trace, wall(report));
    summary["command"] = json!(command);
    summary["exit"] = json!(report.exit);
    summary["target_execs"] = json!(report.target_execs);
    summary
}

pub(super) fn create(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| {
        Failure::internal(format!("cannot write to {}", path.display())).because(Some(&error))
    })
}

/// The file, or standard error.
fn writer(file: Option<&File>) -> Result<Box<dyn Write + Send>, Failure> {
    Ok(match file {
        None => Box::new(io::stderr()),
        Some(file) => Box::new(file.try_clone().map_err(|error| {
            Failure::internal("cannot duplicate a descriptor").because(Some(&error))
        })?),
    })
}
