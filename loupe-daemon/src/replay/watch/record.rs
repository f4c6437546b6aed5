//! Writes what was seen of replays to files, one for each phase: for whoever wants to know why a
//! replay was judged as it was, and the source of the histories that the judge is tested with.
//!
//! Off, unless the variable `LOUPE_HISTORIES` of the engine's environment names a directory.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::judge::Finding;
use super::sample::Sample;
use super::usual::Usual;

const VARIABLE: &str = "LOUPE_HISTORIES";

/// One line of JSON for what is usual, then one for each look, then one for the last finding.
pub struct Record {
    file: File,
    last: Finding,
}

fn directory() -> Option<&'static PathBuf> {
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || std::env::var_os(VARIABLE).map(PathBuf::from);
    DIRECTORY.get_or_init(find).as_ref()
}

impl Record {
    pub fn begin(usual: &Usual) -> Option<Record> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}.jsonl", std::process::id());
        let path = directory()?.join(name);
        let file = File::create_new(&path);
        let file = file.inspect_err(|error| {
            tracing::warn!("no history is kept in {}: {error}", path.display());
        });
        let mut record = Record {
            file: file.ok()?,
            last: Finding::GoingOn,
        };
        record.line(usual);
        Some(record)
    }

    pub fn note(&mut self, sample: &Sample) {
        self.line(sample);
    }

    pub fn found(&mut self, finding: &Finding) {
        self.last = finding.clone();
    }

    fn line(&mut self, value: &impl Serialize) {
        let written = serde_json::to_string(value)
            .map_err(io::Error::from)
            .and_then(|text| writeln!(self.file, "{text}"));
        if let Err(error) = written {
            tracing::warn!("a history is not complete: {error}");
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let last = self.last.clone();
        self.line(&last);
    }
}
