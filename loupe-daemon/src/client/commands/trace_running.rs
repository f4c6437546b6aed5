//! `loupe trace --unit U`, `--pid N`, `--cgroup PATH`, `--container C`: the summary of what runs
//! already. Starts nothing, and ends nothing.

use std::time::{Duration, Instant};

use loupe_common::exit;
use loupe_common::profile::Target;
use loupe_common::wire::Failure;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::trace::{create, write};
use crate::backend::observe_here;
use crate::client::args::{Global, Trace};
use crate::client::signals::Signals;
use crate::client::{Ending, door, output};
use crate::report;

pub async fn run(global: &Global, target: Target, args: &Trace) -> Result<Ending, Failure> {
    door::here_only(global, "observing what runs already")?;
    if !nix::unistd::geteuid().is_root() {
        return Err(
            Failure::internal("observing what runs already needs root").hint(
                "run it as root; or have louped watch it: `loupe profile add`, which members of the \
                 group loupe-profile may do",
            ),
        );
    }
    // Opened first: a place that cannot be written to is no reason to observe in vain.
    let file = args.output.as_deref().map(create).transpose()?;
    let mut signals = Signals::catch()?;
    let stop = CancellationToken::new();
    let limit = args.running.duration.map(Duration::from_millis);
    let began = Instant::now();
    let observing = observe_here(target.clone(), limit, stop.clone());
    tokio::pin!(observing);
    let mut ended_by = None;
    let trace = loop {
        tokio::select! {
            trace = &mut observing => break trace?,
            signal = signals.next(), if ended_by.is_none() => {
                ended_by = Some(signal);
                stop.cancel();
            }
        }
    };
    let wall = began.elapsed();
    let text = match args.json {
        true => {
            let mut summary = report::trace_json(&trace, wall);
            summary["target"] = json!(target);
            output::json_text(&summary)?
        }
        false => {
            let style = match file {
                Some(_) => output::file_style(),
                None => output::style(),
            };
            report::trace_table(&trace, wall, args.operations, style)
        }
    };
    match file {
        Some(file) => write(file, &text)?,
        None => output::print(&text)?,
    }
    Ok(match ended_by {
        // Ctrl-C is how it is meant to end where no duration was said.
        None | Some(libc::SIGINT) => Ending::OK,
        Some(signal) => Ending::Code(exit::by_signal(signal)),
    })
}
