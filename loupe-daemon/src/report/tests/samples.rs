//! A made-up nginx, its baseline and some replays of it, as real ones look.

use loupe_common::analysis::{Analysis, Basis, FeatureVerdict, SCHEMA, Trial};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::replay::{
    Conditions, ExitStatus, Failure, Outcome, OutputTail, Replay, Timing, Usage,
};
use loupe_common::trace::{CallCounts, LatencySummary, Trace};
use loupe_common::verdict::Verdict;

use crate::store::{Evidence, StoredAnalysis, StoredReplay};

pub fn feature(name: &str) -> Feature {
    name.parse().expect("a known feature")
}

/// In the order of first use: name, calls, errors.
type Call<'a> = (&'a str, u64, &'a [(&'a str, u64)]);

pub const BASELINE: [Call<'static>; 12] = [
    ("brk", 3, &[]),
    ("mmap", 31, &[]),
    ("access", 1, &[("ENOENT", 1)]),
    ("openat", 46, &[("ENOENT", 8)]),
    ("fstat", 40, &[]),
    ("rt_sigaction", 21, &[]),
    ("socket", 2, &[]),
    ("listen", 1, &[]),
    ("epoll_create1", 1, &[]),
    ("epoll_wait", 212, &[]),
    ("accept4", 120, &[("EAGAIN", 19)]),
    ("writev", 101, &[]),
];

pub fn trace(calls: &[Call<'_>]) -> Trace {
    Trace {
        calls: calls
            .iter()
            .map(|(name, calls, errors)| {
                let errors = errors
                    .iter()
                    .map(|(errno, number)| (errno.parse().expect("an errno"), *number))
                    .collect();
                let counts = CallCounts {
                    calls: *calls,
                    errors,
                    latency: None,
                };
                (feature(name), counts)
            })
            .collect(),
        first_seen: calls.iter().map(|(name, ..)| feature(name)).collect(),
        forks: 2,
        execs: 1,
        exits: 3,
        ..Trace::default()
    }
}

/// A time in each call of some syscalls, in nanoseconds.
pub fn timed(mut trace: Trace) -> Trace {
    for (index, counts) in (0_u64..).zip(trace.calls.values_mut()) {
        let typical: u64 = 300 << (2 * (index % 5));
        let slowest = typical * 9;
        let mut log2_buckets = vec![0; 1 + slowest.ilog2() as usize];
        log2_buckets[typical.ilog2() as usize] += counts.calls - 1;
        log2_buckets[slowest.ilog2() as usize] += 1;
        counts.latency = Some(LatencySummary {
            total_ns: typical * (counts.calls - 1) + slowest,
            max_ns: slowest,
            log2_buckets,
        });
    }
    trace
}

pub fn replay(policy: Policy, outcome: Outcome, trace: Trace) -> Replay {
    let passed = outcome.passed();
    Replay {
        injections: policy
            .iter()
            .map(|(feature, _)| (feature.clone(), 4))
            .collect(),
        policy,
        outcome,
        application_exit: None,
        test_exit: passed.then_some(ExitStatus::Code(0)),
        application_output: OutputTail::default(),
        test_output: OutputTail::default(),
        trace,
        target_execs: 1,
        timing: Timing {
            sandbox_us: 0,
            ready_us: 4_370,
            calm_us: 0,
            test_us: if passed { 7_112 } else { 0 },
            stop_us: 812,
            wall_us: if passed { 12_294 } else { 5_182 },
        },
        usage: Usage {
            cpu_us: 9_800,
            max_rss_kib: 6_144,
            total_cpu_us: 0,
            start_cpu_us: 0,
            start_calls: 0,
            start_rss_kib: None,
            peak_memory_kib: None,
            descriptors: None,
            crowd: 0,
        },
        metric: None,
        listened: None,
        listens: 0,
        left: Vec::new(),
        conditions: Conditions::default(),
    }
}

/// nginx cannot open its configuration when `openat` fails, and says so.
pub fn died(id: i64, replica: u32, action: Action) -> StoredReplay {
    let policy = Policy::single(feature("openat"), action);
    let outcome = Outcome::Failed(Failure::Died {
        status: ExitStatus::Code(1),
    });
    let calls: &[Call] = &[
        ("brk", 3, &[]),
        ("mmap", 12, &[]),
        ("access", 1, &[("ENOENT", 1)]),
        ("openat", 4, &[("ENOSYS", 4)]),
        ("write", 2, &[]),
        ("readlink", 240, &[("EINVAL", 240)]),
    ];
    let mut replay = replay(policy, outcome, trace(calls));
    replay.application_exit = Some(ExitStatus::Code(1));
    replay.application_output = OutputTail {
        tail: "nginx: [alert] could not open error log file: open() \
               \"/var/log/nginx/error.log\" failed (38: Function not implemented)\n\
               \x1b[31m2025/11/24 16:00:00\x1b[0m [emerg] 7#7: open() \
               \"/etc/nginx/nginx.conf\" failed\t(38: Function not implemented)\n"
            .to_owned(),
        total_bytes: 71_234,
    };
    stored(id, replica, replay)
}

pub fn stored(id: i64, replica: u32, replay: Replay) -> StoredReplay {
    StoredReplay {
        id,
        replica,
        finished_ms: 1_764_000_000_000 + id * 13,
        purpose: None,
        replay,
    }
}

/// The test says no, at length, and the application serves more slowly.
pub fn test_failed(id: i64, replica: u32) -> StoredReplay {
    let policy = Policy::single(feature("openat"), Action::Fake);
    let outcome = Outcome::Failed(Failure::Test {
        status: ExitStatus::Code(22),
    });
    let mut calls = BASELINE.to_vec();
    calls[9] = ("epoll_wait", 3, &[]);
    calls.push(("poll", 412, &[]));
    let mut replay = replay(policy, outcome, trace(&calls));
    replay.test_exit = Some(ExitStatus::Code(22));
    replay.timing.test_us = 19_004;
    replay.timing.wall_us += 19_004;
    let lines = (1..=40).map(|n| format!("request {n}: 404 Not Found\n"));
    let tail: String = lines.collect();
    replay.test_output = OutputTail {
        total_bytes: tail.len() as u64,
        tail,
    };
    stored(id, replica, replay)
}

pub fn evidence() -> Evidence {
    let passed = |id, replica, calls: &[Call<'_>]| {
        let replay = replay(Policy::baseline(), Outcome::Passed, trace(calls));
        stored(id, replica, replay)
    };
    let mut busier = BASELINE;
    busier[9] = ("epoll_wait", 240, &[]);
    let mut group = Policy::single(feature("openat"), Action::Fake);
    group.insert(feature("brk"), Action::STUB);
    Evidence {
        baseline: vec![
            passed(1, 0, &BASELINE),
            passed(2, 1, &busier),
            passed(3, 2, &BASELINE),
        ],
        alone: vec![
            died(17, 0, Action::STUB),
            test_failed(18, 0),
            died(19, 1, Action::STUB),
            test_failed(20, 1),
            died(21, 2, Action::STUB),
            stored(
                22,
                2,
                replay(
                    Policy::single(feature("openat"), Action::Fake),
                    Outcome::Invalid {
                        why: "3 events were lost".to_owned(),
                    },
                    trace(&BASELINE),
                ),
            ),
        ],
        together: vec![stored(
            90,
            0,
            replay(group, Outcome::Passed, trace(&BASELINE)),
        )],
    }
}

pub fn trial(passes: u32, runs: u32, injections: u64, replays: &[i64]) -> Trial {
    Trial {
        runs,
        passes,
        injections,
        works: (runs > 0 && injections > 0).then_some(passes == runs),
        replays: replays.to_vec(),
        basis: Basis::Measured,
        ..Trial::default()
    }
}

pub fn verdict(
    name: &str,
    verdict: Verdict,
    calls: u64,
    stub: Trial,
    fake: Trial,
) -> FeatureVerdict {
    FeatureVerdict {
        feature: feature(name),
        kind: "syscall".to_owned(),
        verdict,
        calls,
        seen_in: 3,
        stub,
        fake,
        plausible: None,
        errnos: Default::default(),
        error_bound: None,
        basis: Basis::Measured,
        harness: false,
    }
}

pub fn analysis() -> Analysis {
    let none = || trial(0, 3, 12, &[]);
    let all = |injections| trial(3, 3, injections, &[]);
    Analysis {
        schema: SCHEMA.to_owned(),
        application: "nginx".to_owned(),
        workload: "wrk".to_owned(),
        replays: 141,
        wall_seconds: 8.217,
        baseline_ms: 12.31,
        baseline_runs: 3,
        features: vec![
            verdict("accept4", Verdict::Required, 120, none(), none()),
            verdict(
                "epoll_pwait2",
                Verdict::Required,
                11_209_118,
                none(),
                none(),
            ),
            verdict(
                "openat",
                Verdict::Required,
                46,
                trial(0, 3, 12, &[17, 19, 21]),
                trial(0, 2, 8, &[18, 20]),
            ),
            verdict("brk", Verdict::Stub, 3, all(9), none()),
            verdict(
                "rt_sigaction",
                Verdict::Fake,
                21,
                trial(1, 3, 60, &[]),
                all(63),
            ),
            verdict("prctl", Verdict::Any, 1, all(3), all(3)),
            verdict("getrandom", Verdict::NotExercised, 1, all(0), all(0)),
            verdict("futex", Verdict::Undecided, 7, trial(0, 0, 0, &[]), all(20)),
        ],
        ..Analysis::default()
    }
}

pub fn stored_analysis() -> StoredAnalysis {
    StoredAnalysis {
        choice: None,
        id: 3,
        fingerprint: "f".to_owned(),
        started_ms: 1_764_000_000_000,
        finished_ms: 1_764_000_008_217,
        analysis: analysis(),
    }
}
