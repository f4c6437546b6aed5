//! How an analysis came to be, as far as it is known: by name and value, for the page's headers.

use loupe_common::analysis::Analysis;

use super::data::Entry;
use crate::text::{counted, date, printable, seconds};

/// By name, in the order in which it is told.
pub fn of(entry: &Entry<'_>) -> Vec<(String, String)> {
    let analysis = entry.analysis;
    let mut facts = vec![("made", made(analysis))];
    if let Some(finished) = entry.finished_ms {
        let name = match analysis.origin {
            Some(_) => "imported on",
            None => "finished",
        };
        facts.push((name, format!("{} UTC", date(finished))));
    }
    if analysis.origin.is_none() {
        let replays = counted(analysis.replays, "replay");
        let wall = seconds(analysis.wall_seconds);
        facts.push(("took", format!("{replays} in {wall}")));
        let baseline = counted(u64::from(analysis.baseline_runs), "replay");
        let median = seconds(analysis.baseline_ms / 1000.0);
        facts.push(("baseline", format!("{baseline}, median {median}")));
    }
    if let Some(provenance) = &analysis.provenance {
        let rows = provenance.rows().into_iter();
        facts.extend(rows.filter_map(|(name, value)| Some((name, value?))));
    }
    facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), printable(&value)))
        .collect()
}

fn made(analysis: &Analysis) -> String {
    match &analysis.origin {
        Some(origin) => format!("imported: {}, {}", origin.format, origin.run),
        None => "measured by replays".to_owned(),
    }
}

/// Of all analyses, in one line.
pub fn summary(entries: &[Entry<'_>]) -> String {
    let imported = entries.iter().filter(|one| one.analysis.origin.is_some());
    let imported = imported.count();
    let measured = entries.len() - imported;
    let mut formats: Vec<&str> = entries
        .iter()
        .filter_map(|entry| Some(entry.analysis.origin.as_ref()?.format.as_str()))
        .collect();
    formats.sort_unstable();
    formats.dedup();
    let mut parts = Vec::new();
    if measured > 0 {
        let when = days(entries).map_or(String::new(), |days| format!(", {days}"));
        parts.push(format!("{measured} measured by replays{when}"));
    }
    if imported > 0 {
        parts.push(format!(
            "{imported} measured elsewhere and imported ({})",
            formats.join(", ")
        ));
    }
    if let [only] = entries
        && let Some(provenance) = &only.analysis.provenance
    {
        parts.push(provenance.summary());
    }
    let workloads = counted(entries.len() as u64, "workload");
    printable(&format!("{workloads}: {}", parts.join("; ")))
}

/// When those that were measured here were.
fn days(entries: &[Entry<'_>]) -> Option<String> {
    let measured = entries.iter().filter(|one| one.analysis.origin.is_none());
    let finished: Vec<i64> = measured.filter_map(|one| one.finished_ms).collect();
    let day = |unix_ms: &i64| {
        let date = date(*unix_ms);
        date.split(' ').next().unwrap_or_default().to_owned()
    };
    let first = day(finished.iter().min()?);
    let last = day(finished.iter().max()?);
    Some(match first == last {
        true => format!("on {first}"),
        false => format!("from {first} to {last}"),
    })
}
