//! `loupe fleet import FILE…`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use loupe_common::exit;
use loupe_common::wire::Failure;
use serde_json::json;

use super::{database, fleet_failure, open, store_failure};
use crate::client::args::{Fleet as Args, FleetImport, Global};
use crate::client::{Ending, output};
use crate::fleet::{Merged, read_bundle};
use crate::text::{counted, printable};

/// What is over sooner needs no progress.
const SILENT: Duration = Duration::from_secs(2);
/// Between two lines of progress.
const INTERVAL: Duration = Duration::from_secs(5);

pub fn run(global: &Global, args: &Args, import: &FleetImport) -> Result<Ending, Failure> {
    let path = database(global, args)?;
    let mut fleet = open(&path)?;
    let mut progress = Progress::new(import.files.len());
    let mut sum = Merged::default();
    let mut hosts = 0;
    let mut damaged = Vec::new();
    for (done, file) in import.files.iter().enumerate() {
        progress.tell(done);
        let bundle = match read_bundle(file) {
            Ok(bundle) => bundle,
            Err(error) => {
                let failure = fleet_failure(&error);
                output::print_failure("loupe", &failure);
                damaged.push((file.clone(), failure.message.clone()));
                continue;
            }
        };
        let merged = fleet
            .merge(&bundle)
            .map_err(|error| store_failure(&error))?;
        hosts += u64::from(merged.new_host);
        sum.new += merged.new;
        sum.changed += merged.changed;
        sum.unchanged += merged.unchanged;
    }
    let imported = import.files.len() - damaged.len();
    match import.json {
        true => output::print_json(&json!({
            "schema": "loupe.fleet-import/1",
            "bundles": imported,
            "new_hosts": hosts,
            "subjects": { "new": sum.new, "changed": sum.changed, "unchanged": sum.unchanged },
            "damaged": damaged.iter().map(|(file, why)| json!({
                "file": file.display().to_string(),
                "why": why,
            })).collect::<Vec<_>>(),
        }))?,
        false => output::print(&told(imported, hosts, &sum, &damaged, &path))?,
    }
    Ok(match damaged.is_empty() {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}

fn told(
    imported: usize,
    hosts: u64,
    sum: &Merged,
    damaged: &[(PathBuf, String)],
    path: &Path,
) -> String {
    let not = match damaged.len() {
        0 => String::new(),
        some => format!("; {some} not imported"),
    };
    format!(
        "Imported {} into {}{not}: {}, {} new, {} with more, {} as they were.\n",
        counted(imported as u64, "bundle"),
        printable(&path.display().to_string()),
        counted(hosts, "new host"),
        counted(sum.new, "subject"),
        sum.changed,
        sum.unchanged,
    )
}

/// On standard error, on a terminal always in the same line.
struct Progress {
    all: usize,
    next: Instant,
}

impl Progress {
    fn new(all: usize) -> Progress {
        Progress {
            all,
            next: Instant::now() + SILENT,
        }
    }

    fn tell(&mut self, done: usize) {
        if Instant::now() < self.next {
            return;
        }
        let terminal = std::io::stderr().is_terminal();
        self.next = Instant::now()
            + match terminal {
                true => Duration::from_millis(250),
                false => INTERVAL,
            };
        let all = self.all;
        match terminal {
            true => {
                eprint!("\rloupe: {done} of {all} bundles");
                if done + 1 == all {
                    eprintln!();
                }
            }
            false => output::note(&format!("{done} of {all} bundles")),
        }
    }
}
