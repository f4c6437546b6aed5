//! From raw counts to a [`Trace`]: sums over CPUs, numbers to names. Pure but for taking the
//! slot's entries out of the maps.

use std::collections::BTreeMap;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::io_uring::IoUringOp;
use loupe_common::stats::{ABI_COMPAT, ABI_X32, Latency, MAX_SYSCALL, SlotStats};
use loupe_common::syscalls::Syscall;
use loupe_common::trace::{CallCounts, ForeignCall, LatencySummary, Lost, Trace};

use super::TracerError;
use super::events::Seen;
use super::maps::Maps;
use super::operations;

pub fn total_calls(stats: &[SlotStats]) -> u64 {
    stats.iter().flat_map(|cpu| cpu.calls.iter()).sum()
}

/// By syscall number.
pub fn calls_by_number(stats: &[SlotStats]) -> Vec<u64> {
    let of_number = |number: usize| stats.iter().map(|cpu| cpu.calls[number]).sum();
    (0..MAX_SYSCALL).map(of_number).collect()
}

/// Builds the trace of a slot and empties the slot's part of the maps.
pub fn trace(maps: &mut Maps, slot: u32, seen: &Seen, latency: bool) -> Result<Trace, TracerError> {
    let stats = maps.stats(slot)?;
    let mut trace = Trace {
        calls: counts(&stats),
        first_seen: seen.first.iter().map(|number| feature(*number)).collect(),
        forks: seen.forks,
        execs: seen.execs,
        exits: seen.exits,
        own_filter: seen.own_filter,
        disturbed: seen.disturbed.clone(),
        lost: Lost {
            events: seen.dropped + lost(&stats).events,
            ..lost(&stats)
        },
        ..Trace::default()
    };
    for (key, count) in maps.take_errors(slot)? {
        let entry = trace
            .calls
            .entry(feature(u32::from(key.number)))
            .or_default();
        if let Some(errno) = Errno::new(i64::from(key.errno)) {
            *entry.errors.entry(errno).or_default() += count;
        }
    }
    trace.operations = operations::counts(&maps.take_operations(slot)?);
    for (opcode, calls) in maps.take_io_uring(slot)? {
        let counts = CallCounts {
            calls,
            ..CallCounts::default()
        };
        let operation = Feature::IoUring(IoUringOp::from_number(opcode));
        trace.calls.insert(operation, counts);
    }
    if latency {
        for (feature, counts) in &mut trace.calls {
            if let Some(number) = feature.syscall().and_then(Syscall::number) {
                counts.latency = summary(&maps.take_latency(slot, number)?);
            }
        }
    }
    for (key, calls) in maps.take_foreign(slot)? {
        let abi = abi_name(key.abi).to_owned();
        trace.foreign.push(ForeignCall {
            abi,
            number: key.number,
            calls,
        });
    }
    trace
        .foreign
        .sort_by(|a, b| (&a.abi, a.number).cmp(&(&b.abi, b.number)));
    // Told by a child whose parent never came back.
    trace
        .first_seen
        .retain(|feature| trace.calls.contains_key(feature));
    // Never returned from, so never told: it is last.
    for feature in trace.calls.keys() {
        if !trace.first_seen.contains(feature) {
            trace.first_seen.push(feature.clone());
        }
    }
    Ok(trace)
}

pub fn feature(number: u32) -> Feature {
    Feature::Syscall(Syscall::from_number(number))
}

pub fn abi_name(abi: u32) -> &'static str {
    match abi {
        ABI_COMPAT => "i386",
        ABI_X32 => "x32",
        _ => "native",
    }
}

fn counts(stats: &[SlotStats]) -> BTreeMap<Feature, CallCounts> {
    (0..MAX_SYSCALL)
        .filter_map(|number| {
            let calls = stats.iter().map(|cpu| cpu.calls[number]).sum();
            (calls > 0).then(|| {
                let counts = CallCounts {
                    calls,
                    ..CallCounts::default()
                };
                (feature(number as u32), counts)
            })
        })
        .collect()
}

fn lost(stats: &[SlotStats]) -> Lost {
    let mut total = Lost::default();
    for cpu in stats {
        total.events += cpu.lost.events;
        total.errors += cpu.lost.errors;
        total.foreign += cpu.lost.foreign;
        total.latency += cpu.lost.latency;
        total.operations += cpu.lost.operations;
    }
    total
}

/// `None` if no call's time was measured.
fn summary(values: &[Latency]) -> Option<LatencySummary> {
    let mut summary = LatencySummary::default();
    let mut buckets = [0; loupe_common::stats::LATENCY_BUCKETS];
    for cpu in values {
        summary.total_ns += cpu.total_ns;
        summary.max_ns = summary.max_ns.max(cpu.max_ns);
        for (sum, bucket) in buckets.iter_mut().zip(cpu.buckets) {
            *sum += bucket;
        }
    }
    let used = buckets
        .iter()
        .rposition(|count| *count > 0)
        .map_or(0, |last| last + 1);
    summary.log2_buckets = buckets[..used].to_vec();
    (used > 0).then_some(summary)
}
