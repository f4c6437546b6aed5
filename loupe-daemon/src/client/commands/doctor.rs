//! `loupe doctor`.

use loupe_common::exit;
use loupe_common::feature::Feature;
use loupe_common::policy::Policy;
use loupe_common::wire::Failure;

use super::command_run::{self, Measure};
use crate::client::args::{Doctor, Global, What};
use crate::client::{Ending, door, output};
use crate::doctor::{Facts, Trial, judge, table};
use crate::tracer;

pub async fn run(global: &Global, args: &Doctor) -> Result<Ending, Failure> {
    let daemon = door::probe(global.socket()).await;
    let database = door::database(global).ok();
    let mut facts = Facts::of_this_host(tracer::EMBEDDED, database.as_deref(), daemon);
    // Where something is known to be missing, that is what there is to say.
    if judge(&facts).usable {
        facts.trial = trial(global).await;
    }
    let report = judge(&facts);
    match args.json {
        true => output::print_json(&report)?,
        false => output::print(&table(&report, output::style()))?,
    }
    Ok(match report.usable {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}

/// Traces a program whose end is known, as `loupe trace` would.
async fn trial(global: &Global) -> Trial {
    let what = What {
        target: None,
        no_vdso: false,
        command: vec!["true".into()],
    };
    let measure = Measure::default();
    let ran = command_run::run(global, what, Policy::baseline(), measure, None).await;
    match ran {
        Ok(report) => {
            let ends = "exit_group".parse::<Feature>().ok();
            let ends = ends.and_then(|feature| report.trace.counts(&feature).cloned());
            Trial::Traced {
                calls: report.trace.total_calls(),
                ends: ends.map_or(0, |counts| counts.calls),
            }
        }
        Err(failure) => Trial::Failed(failure.message),
    }
}
