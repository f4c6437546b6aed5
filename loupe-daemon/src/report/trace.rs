//! `loupe trace`: the syscalls of one command, much as `strace -c` shows them.

use std::time::Duration;

use loupe_common::feature::Feature;
use loupe_common::operations::Operation;
use loupe_common::stats::LATENCY_BUCKETS;
use loupe_common::trace::{CallCounts, LatencySummary, Trace};
use serde_json::{Value, json};

use super::layout::{Align, Cell, Layout};
use super::{Style, Tone};
use crate::text::{counted, nanoseconds, printable, wrap};

/// The value of `schema` in the JSON of a trace.
const SCHEMA: &str = "loupe.trace/1";

/// One row: a native syscall, a call of another ABI, of which only the number is known, or a
/// pseudo-file.
struct Row {
    name: String,
    /// How a part is named below its syscall.
    below: Option<String>,
    kind: Kind,
    counts: CallCounts,
}

impl Row {
    fn cell(&self) -> Cell {
        match &self.below {
            Some(below) => Cell::from(below).exactly(&self.name),
            None => (&self.name).into(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Native,
    Foreign,
    Ring,
    File,
}

/// Sorted by time where that was measured, else by calls.
fn rows(trace: &Trace) -> Vec<Row> {
    let native = trace.calls.iter().map(|(feature, counts)| Row {
        name: feature.to_string(),
        below: None,
        kind: match feature {
            Feature::PseudoFile(_) => Kind::File,
            Feature::IoUring(_) => Kind::Ring,
            _ => Kind::Native,
        },
        counts: counts.clone(),
    });
    let foreign = trace.foreign.iter().map(|call| Row {
        name: format!("{}:{}", printable(&call.abi), call.number),
        below: None,
        kind: Kind::Foreign,
        counts: CallCounts {
            calls: call.calls,
            ..CallCounts::default()
        },
    });
    let mut rows: Vec<Row> = native.chain(foreign).collect();
    // Syscalls, then what is submitted to rings, then files.
    let part = |row: &Row| match row.kind {
        Kind::Native | Kind::Foreign => 0,
        Kind::Ring => 1,
        Kind::File => 2,
    };
    let weight = |row: &Row| {
        let time = row
            .counts
            .latency
            .as_ref()
            .map_or(0, |latency| latency.total_ns);
        (std::cmp::Reverse(part(row)), time, row.counts.calls)
    };
    // Stable: equal ones stay in the order of their names.
    rows.sort_by_key(|row| std::cmp::Reverse(weight(row)));
    rows
}

/// The operations and flags of a syscall, operations first, the most frequent first.
fn parts<'t>(trace: &'t Trace, syscall: &str) -> Vec<(&'t Operation, &'t CallCounts)> {
    let all = trace.operations.iter();
    let mut own: Vec<_> = all
        .filter_map(|(feature, counts)| match feature {
            Feature::Operation(part) => Some((part, counts)),
            _ => None,
        })
        .filter(|(part, _)| part.syscall().to_string() == syscall)
        .collect();
    own.sort_by_key(|(part, counts)| (part.is_flag(), std::cmp::Reverse(counts.calls)));
    own
}

/// The rows, with what each is made of below it.
fn with_parts(trace: &Trace, rows: Vec<Row>) -> Vec<Row> {
    let mut all = Vec::new();
    for row in rows {
        let parts = match row.kind {
            Kind::Native => parts(trace, &row.name),
            _ => Vec::new(),
        };
        all.push(row);
        all.extend(parts.into_iter().map(|(part, counts)| Row {
            name: part.to_string(),
            below: Some(match part.is_flag() {
                true => format!("  + {}", part.name()),
                false => format!("  {}", part.name()),
            }),
            kind: Kind::Native,
            counts: counts.clone(),
        }));
    }
    all
}

/// A table of the calls, and a sentence about the whole. With `operations`, each vectored
/// syscall's follow it, and its flags with a plus.
pub fn trace_table(trace: &Trace, wall: Duration, operations: bool, style: Style) -> String {
    let mut rows = rows(trace);
    let is_call = |row: &&Row| matches!(row.kind, Kind::Native | Kind::Foreign);
    let kinds = rows.iter().filter(is_call).count();
    if operations {
        rows = with_parts(trace, rows);
    }
    let timed = rows.iter().any(|row| row.counts.latency.is_some());
    let layout = match timed {
        true => with_times(&rows),
        false => without_times(&rows),
    };
    if style.is_csv() {
        return layout.print(style);
    }
    let mut text = String::new();
    if !rows.is_empty() {
        text.push_str(&layout.print(style));
        text.push('\n');
    }
    let mut push = |paragraph: &str, tone: Tone| {
        for line in wrap(paragraph, style.columns(), 2) {
            text.push_str(&tone.paint(&line, style));
            text.push('\n');
        }
    };
    push(&summary(trace, kinds, wall), Tone::Title);
    if trace.vdso {
        push(
            "The vDSO may have answered clock_gettime, getcpu, gettimeofday and time without a \
             syscall (--no-vdso shows them).",
            Tone::Faint,
        );
    }
    if trace.lost.total() > 0 {
        push(&losses(trace), Tone::Bad);
    }
    text
}

fn without_times(rows: &[Row]) -> Layout {
    let mut layout = Layout::new(&[
        ("syscall", Align::Left),
        ("calls", Align::Right),
        ("failed", Align::Right),
        ("errors", Align::Left),
    ]);
    for row in rows {
        layout.row([
            row.cell(),
            row.counts.calls.into(),
            failed(&row.counts),
            errors(&row.counts).into(),
        ]);
    }
    layout
}

fn with_times(rows: &[Row]) -> Layout {
    let mut layout = Layout::new(&[
        ("syscall", Align::Left),
        ("calls", Align::Right),
        ("total", Align::Right),
        ("avg", Align::Right),
        ("p99 ≤", Align::Right),
        ("max", Align::Right),
        ("failed", Align::Right),
        ("errors", Align::Left),
    ]);
    for row in rows {
        let latency = row
            .counts
            .latency
            .as_ref()
            .filter(|latency| measured(latency) > 0);
        let time = |of: fn(&LatencySummary) -> u64| match latency {
            Some(latency) => Cell::from(nanoseconds(of(latency))),
            None => Cell::none(),
        };
        layout.row([
            row.cell(),
            row.counts.calls.into(),
            time(|latency| latency.total_ns),
            time(average),
            time(p99_at_most),
            time(|latency| latency.max_ns),
            failed(&row.counts),
            errors(&row.counts).into(),
        ]);
    }
    layout
}

fn failed(counts: &CallCounts) -> Cell {
    match counts.error_total() {
        0 => "".into(),
        total => Cell::toned(total, Tone::Middling),
    }
}

/// `EAGAIN 12, ENOENT 3`: the most frequent first.
pub(super) fn errors(counts: &CallCounts) -> String {
    let mut errors: Vec<_> = counts.errors.iter().collect();
    errors.sort_by_key(|(_, number)| std::cmp::Reverse(**number));
    let errors: Vec<String> = errors
        .iter()
        .map(|(errno, number)| format!("{errno} {number}"))
        .collect();
    errors.join(", ")
}

/// Calls whose time is known; those that never return have none.
fn measured(latency: &LatencySummary) -> u64 {
    latency.log2_buckets.iter().sum()
}

fn average(latency: &LatencySummary) -> u64 {
    latency.total_ns / measured(latency).max(1)
}

/// An upper bound of the 99th percentile: the end of the bucket that it is in, or the longest
/// time seen, if that is less.
fn p99_at_most(latency: &LatencySummary) -> u64 {
    let rank = (measured(latency) * 99).div_ceil(100);
    let mut below = 0;
    for (bucket, calls) in (0_u32..).zip(&latency.log2_buckets) {
        below += calls;
        // The last bucket has no end.
        if below >= rank && bucket + 1 < LATENCY_BUCKETS as u32 {
            return (1_u64 << (bucket + 1)).min(latency.max_ns);
        }
    }
    latency.max_ns
}

fn summary(trace: &Trace, kinds: usize, wall: Duration) -> String {
    let foreign: u64 = trace.foreign.iter().map(|call| call.calls).sum();
    let wall = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
    let lossless = match trace.lost.total() {
        0 => "; nothing lost",
        _ => "",
    };
    format!(
        "{} of {} in {}; {}, {}{lossless}.",
        counted(trace.total_calls() + foreign, "call"),
        counted(kinds as u64, "syscall"),
        nanoseconds(wall),
        counted(trace.forks, "fork"),
        counted(trace.execs, "exec"),
    )
}

fn losses(trace: &Trace) -> String {
    let lost = &trace.lost;
    let places: Vec<String> = [
        (lost.events, "event"),
        (lost.errors, "error"),
        (lost.foreign, "call of another ABI"),
        (lost.latency, "time"),
        (lost.operations, "operation"),
    ]
    .iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| match *what {
        "call of another ABI" if *number != 1 => format!("{number} calls of other ABIs"),
        what => counted(*number, what),
    })
    .collect();
    format!(
        "warning: the trace is incomplete, lost: {}",
        places.join(", ")
    )
}

fn parts_json(trace: &Trace, syscall: &str) -> Vec<Value> {
    let parts = parts(trace, syscall).into_iter();
    parts
        .map(|(part, counts)| {
            let feature = Feature::Operation(part.clone());
            json!({
                "feature": feature,
                "kind": feature.kind(),
                "calls": counts.calls,
                "failed": counts.error_total(),
                "errors": counts.errors,
            })
        })
        .collect()
}

/// Makes the document that `loupe trace --json` prints, in the order of the table.
pub fn trace_json(trace: &Trace, wall: Duration) -> Value {
    let rows = rows(trace);
    let of_kind = |kind: Kind| rows.iter().filter(move |row| row.kind == kind);
    let calls: Vec<Value> = of_kind(Kind::Native)
        .map(|row| {
            let latency = row.counts.latency.as_ref().map(|latency| {
                json!({
                    "calls": measured(latency),
                    "total_ns": latency.total_ns,
                    "average_ns": average(latency),
                    "p99_at_most_ns": p99_at_most(latency),
                    "max_ns": latency.max_ns,
                    "log2_buckets": latency.log2_buckets,
                })
            });
            let mut call = json!({
                "syscall": row.name,
                "calls": row.counts.calls,
                "failed": row.counts.error_total(),
                "errors": row.counts.errors,
                "latency": latency,
            });
            let parts = parts_json(trace, &row.name);
            if !parts.is_empty() {
                call["operations"] = json!(parts);
            }
            call
        })
        .collect();
    let files: Vec<Value> = of_kind(Kind::File)
        .map(|row| json!({ "path": row.name, "calls": row.counts.calls }))
        .collect();
    let mut json = json!({
        "schema": SCHEMA,
        "wall_seconds": wall.as_secs_f64(),
        "total_calls": trace.total_calls(),
        "calls": calls,
        "first_seen": trace
            .first_seen
            .iter()
            .filter(|feature| feature.syscall().is_some())
            .collect::<Vec<_>>(),
        "foreign": trace.foreign,
        "forks": trace.forks,
        "execs": trace.execs,
        "exits": trace.exits,
        "lost": trace.lost,
        "vdso": trace.vdso,
    });
    if trace.io_uring {
        json["io_uring"] = of_kind(Kind::Ring)
            .map(|row| json!({ "operation": row.name, "submitted": row.counts.calls }))
            .collect::<Vec<Value>>()
            .into();
    }
    // Not looked for is not the same as none.
    if trace.pseudo_files {
        json["pseudo_files"] = files.into();
    }
    json
}
