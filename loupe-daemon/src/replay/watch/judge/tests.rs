use std::fs;
use std::path::Path;

use super::super::usual::{Idling, Pauses};
use super::*;
use crate::replay::progress::Tasks;

const MS: fn(u64) -> Duration = Duration::from_millis;

const SLEEP: u32 = 35;
const ACCEPT: u32 = 43;
const OPEN: u32 = 2;

/// A phase that usually takes 50 ms, in which `accept` is injected.
fn usual(tested: bool) -> Usual {
    Usual {
        duration: Some(MS(50)),
        injected: vec![ACCEPT],
        tested,
        ..Usual::default()
    }
}

fn tasks(total: usize, without_timeout: usize) -> Tasks {
    Tasks {
        total,
        without_timeout,
        ..Tasks::default()
    }
}

/// An application that sleeps, and a test that may wake it.
fn first() -> Sample {
    Sample {
        at: MS(60),
        cpu: MS(10),
        others_cpu: MS(5),
        calls: [(SLEEP, 1), (ACCEPT, 1)].into(),
        application: tasks(1, 0),
        others: tasks(2, 1),
        ..Sample::default()
    }
}

/// Looks every 20 ms for two seconds, each of which finds what `step` makes of the one before. The
/// first look that says more than that it goes on or idles, and what it says.
fn watch(usual: &Usual, step: impl FnMut(usize, &mut Sample)) -> Option<(usize, Failure)> {
    watch_from(first(), usual, step)
}

fn watch_from(
    first: Sample,
    usual: &Usual,
    mut step: impl FnMut(usize, &mut Sample),
) -> Option<(usize, Failure)> {
    let mut history = vec![first];
    (1..100).find_map(|look| {
        let mut next = history.last().expect("the first").clone();
        next.at += MS(20);
        step(look, &mut next);
        history.push(next);
        match judge(&history, usual) {
            Finding::Failed(failure) => Some((look, failure)),
            Finding::GoingOn | Finding::Idle => None,
        }
    })
}

fn livelock(look: u64) -> Option<(usize, Failure)> {
    let after_ms = 60 + 20 * look;
    Some((look as usize, Failure::Livelock { after_ms }))
}

fn hung(look: u64) -> Option<(usize, Failure)> {
    let after_ms = 60 + 20 * look;
    Some((look as usize, Failure::Hung { after_ms }))
}

fn call(sample: &mut Sample, number: u32, times: u64) {
    *sample.calls.entry(number).or_default() += times;
}

#[test]
fn before_a_baseline_is_known_nothing_is_wrong() {
    let usual = Usual {
        duration: None,
        cpu_limit: Some(MS(1)),
        ..usual(true)
    };
    assert_eq!(watch(&usual, |_, sample| sample.cpu += MS(20)), None);
    assert_eq!(judge(&[], &usual), Finding::GoingOn);
}

#[test]
fn six_looks_that_find_everything_stuck_are_a_hang() {
    let stuck = Sample {
        application: tasks(3, 3),
        others: tasks(2, 2),
        ..first()
    };
    assert_eq!(watch_from(stuck.clone(), &usual(true), |_, _| ()), hung(6));
    assert_eq!(watch_from(stuck.clone(), &usual(false), |_, _| ()), hung(6));
    // Anything that moves begins anew.
    let moves = |look: usize, sample: &mut Sample| sample.cpu += MS(u64::from(look == 4));
    assert_eq!(watch_from(stuck.clone(), &usual(false), moves), hung(10));
    let calls = |look, sample: &mut Sample| call(sample, SLEEP, u64::from(look % 5 == 0));
    // What makes calls is no hang; that it gets nowhere shows later.
    assert_eq!(watch_from(stuck.clone(), &usual(true), calls), livelock(15));
    // So does a task that may wake the others.
    let wakes = |look: usize, sample: &mut Sample| {
        sample.others.without_timeout = if look.is_multiple_of(5) { 1 } else { 2 };
    };
    let found = watch_from(stuck.clone(), &usual(false), wakes);
    assert_eq!(found, None);
    // An application that has gone is stuck, too.
    let gone = Sample {
        application: tasks(0, 0),
        ..stuck
    };
    assert_eq!(watch_from(gone, &usual(false), |_, _| ()), hung(6));
}

#[test]
fn who_prints_more_than_a_pipe_holds_is_not_trying_again_and_again() {
    let prints = |bytes: u64| {
        watch(&usual(false), move |_, sample| {
            call(sample, SLEEP, 1);
            sample.printed += bytes;
        })
    };
    assert!(matches!(prints(80), Some((_, Failure::Livelock { .. }))));
    assert_eq!(prints(64 << 10), None);
}

#[test]
fn a_standstill_lasts_as_long_as_it_was_let_run() {
    let stuck = Sample {
        application: tasks(1, 1),
        others: tasks(1, 1),
        ..first()
    };
    let stands = |_, sample: &mut Sample| sample.stood_still += MS(15);
    assert_eq!(watch_from(stuck, &usual(false), stands), hung(20));
}

#[test]
fn before_it_is_overdue_it_must_stand_still_for_longer_than_the_baseline_pauses() {
    let stuck = Sample {
        at: Duration::ZERO,
        application: tasks(1, 1),
        others: tasks(1, 1),
        ..first()
    };
    let usual = Usual {
        duration: Some(MS(1000)),
        pauses: Some(Pauses {
            of_all: MS(160),
            of_test: MS(300),
        }),
        ..usual(true)
    };
    let expected = Some((10, Failure::Hung { after_ms: 200 }));
    assert_eq!(watch_from(stuck, &usual, |_, _| ()), expected);
}

#[test]
fn trying_again_and_again_with_sleeps_between_is_a_livelock() {
    let tries = |_, sample: &mut Sample| call(sample, SLEEP, 1);
    assert_eq!(watch(&usual(false), tries), livelock(5));
}

#[test]
fn without_a_test_what_computes_beside_the_application_does_not_matter() {
    let found = watch(&usual(false), |_, sample| {
        call(sample, SLEEP, 1);
        sample.others_cpu += Duration::from_micros(50);
    });
    assert_eq!(found, livelock(5));
}

#[test]
fn who_is_not_let_run_does_not_sleep() {
    let found = watch(&usual(false), |_, sample| {
        call(sample, SLEEP, 1);
        sample.stalled += MS(20);
    });
    assert_eq!(found, None);
    let found = watch(&usual(false), |_, sample| {
        call(sample, SLEEP, 1);
        sample.stood_still += MS(20);
    });
    assert_eq!(found, None);
}

#[test]
fn one_long_sleep_is_none() {
    for tested in [false, true] {
        assert_eq!(watch(&usual(tested), |_, _| ()), None);
    }
}

#[test]
fn computing_is_none_unless_an_injected_call_is_hammered_at_while_the_test_waits() {
    for (tested, number, expected) in [
        (false, ACCEPT, None),
        (true, SLEEP, None),
        (true, ACCEPT, livelock(5)),
    ] {
        let found = watch(&usual(tested), |_, sample| {
            sample.cpu += MS(20);
            call(sample, number, 500);
        });
        assert_eq!(found, expected, "{tested} {number}");
    }
}

#[test]
fn who_hammers_while_the_test_hardly_does_anything_is_given_more_time() {
    let hammers = |of_test: Duration, engine_busy: bool| {
        let usual = Usual {
            duration: Some(MS(120)),
            ..usual(true)
        };
        watch(&usual, move |_, sample| {
            sample.cpu += MS(20);
            sample.others_cpu += of_test;
            // The engine reads what the application prints.
            sample.engine_busy += MS(if engine_busy { 15 } else { 0 });
            call(sample, ACCEPT, 500);
        })
    };
    let tick = Duration::from_micros(60);
    assert_eq!(hammers(Duration::ZERO, false), livelock(5));
    assert_eq!(hammers(tick, false), livelock(12));
    assert_eq!(hammers(tick, true), livelock(12));
    assert_eq!(hammers(MS(1), false), None);
}

#[test]
fn threads_that_share_a_cpu_hammer_all_the_same_and_a_test_without_one_does_not_wait() {
    let hammers = |of_test: bool| {
        let first = Sample {
            waits_ns: [(7, 0)].into(),
            others_waits_ns: [(9, 0)].into(),
            ..first()
        };
        watch_from(first, &usual(true), move |_, sample| {
            sample.cpu += MS(20);
            call(sample, ACCEPT, 500);
            let (waits, task) = match of_test {
                false => (&mut sample.waits_ns, 7),
                true => (&mut sample.others_waits_ns, 9),
            };
            *waits.entry(task).or_default() += 20_000_000;
        })
    };
    assert_eq!(hammers(false), livelock(5));
    assert_eq!(hammers(true), None);
}

#[test]
fn who_has_hammered_more_than_the_baseline_calls_and_now_waits_is_in_a_livelock() {
    let burst = |calls: u64| {
        let usual = Usual {
            calls: Some(2000),
            ..usual(true)
        };
        let first = Sample {
            calls: [(SLEEP, 1), (ACCEPT, calls)].into(),
            ..first()
        };
        watch_from(first, &usual, |_, _| ())
    };
    assert_eq!(burst(4000), livelock(5));
    assert_eq!(burst(3999), None);
}

#[test]
fn a_test_that_does_something_or_a_new_kind_of_call_begins_anew() {
    let moves = watch(&usual(true), |look, sample| {
        call(sample, SLEEP, 1);
        if look % 5 == 0 {
            sample.others_cpu += Duration::from_micros(50);
        }
    });
    assert_eq!(moves, None);
    let opens = watch(&usual(true), |look, sample| {
        call(sample, SLEEP, 1);
        if look == 5 {
            call(sample, OPEN, 1);
        }
    });
    assert_eq!(opens, livelock(10));
}

#[test]
fn an_application_that_cannot_go_on_and_a_test_that_only_waits_are_a_stalemate() {
    for (tested, stuck, expected) in [(true, 1, hung(60)), (true, 0, None), (false, 1, None)] {
        let first = Sample {
            application: tasks(1, stuck),
            ..first()
        };
        let found = watch_from(first, &usual(tested), |_, _| ());
        assert_eq!(found, expected, "{tested} {stuck}");
    }
}

#[test]
fn a_runaway_has_used_too_much_cpu_time_and_takes_twice_as_long_as_usual() {
    let usual = Usual {
        cpu_limit: Some(MS(200)),
        ..usual(true)
    };
    let computes = |_, sample: &mut Sample| {
        call(sample, OPEN, 1);
        sample.cpu += MS(20);
        sample.others_cpu += MS(1);
    };
    let failure = Failure::Runaway {
        cpu_ms: 210,
        limit_ms: 200,
    };
    assert_eq!(watch(&usual, computes), Some((10, failure)));
    // On a busy host it takes long, and has used little.
    let waits = |_, sample: &mut Sample| {
        call(sample, OPEN, 1);
        sample.cpu += MS(1);
        sample.stalled += MS(19);
    };
    assert_eq!(watch(&usual, waits), None);
}

#[test]
fn a_test_that_computes_for_an_application_that_idles_runs_away() {
    let usual = Usual {
        idling: Some(Idling {
            application: MS(8),
            test: MS(100),
        }),
        ..usual(true)
    };
    let retries = |_, sample: &mut Sample| {
        sample.cpu += MS(10);
        sample.others_cpu += MS(10);
    };
    let failure = Failure::Runaway {
        cpu_ms: 105,
        limit_ms: 100,
    };
    assert_eq!(watch(&usual, retries), Some((10, failure)));
    let both = |_, sample: &mut Sample| {
        sample.cpu += MS(15);
        sample.others_cpu += MS(10);
    };
    assert_eq!(watch(&usual, both), None);
}

#[test]
fn three_looks_that_find_it_idle_give_its_cpu_away() {
    let mut history = vec![first()];
    let mut look = |cpu_ms: u64, stalled_ms: u64| {
        let mut next = history.last().expect("the first").clone();
        next.at += MS(20);
        next.cpu += MS(cpu_ms);
        next.stalled += MS(stalled_ms);
        // The test does something.
        next.others_cpu += Duration::from_micros(1);
        call(&mut next, SLEEP, 1);
        history.push(next);
        judge(&history, &usual(true))
    };
    let found: Vec<Finding> = [
        (0, 0),
        (1, 0),
        (5, 0),
        (1, 0),
        (1, 15),
        (1, 0),
        (1, 0),
        (1, 0),
    ]
    .into_iter()
    .map(|(cpu, stalled)| look(cpu, stalled))
    .collect();
    let idle: Vec<bool> = found.iter().map(|found| *found == Finding::Idle).collect();
    let expected = [false, false, false, false, false, false, false, true];
    assert_eq!(idle, expected, "{found:?}");
}

#[test]
fn whose_tasks_wait_for_a_cpu_in_turn_does_not_idle() {
    let is_idle = |waits_ms: u64| {
        let mut first = first();
        first.waits_ns = [(7, 0), (8, 0)].into();
        let history: Vec<Sample> = (0..5)
            .map(|look| Sample {
                at: MS(60 + 20 * look),
                others_cpu: Duration::from_micros(5000 + look),
                waits_ns: [7, 8]
                    .map(|task| (task, look * waits_ms * 1_000_000))
                    .into(),
                ..first.clone()
            })
            .collect();
        judge(&history, &usual(true)) == Finding::Idle
    };
    assert!(is_idle(0));
    assert!(!is_idle(6));
}

/// What real replays looked like; see `histories/README.md` beside this file.
#[test]
fn recorded_replays_are_judged_as_what_they_were() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/replay/watch/judge/histories");
    let files = fs::read_dir(&directory).expect("the histories are there");
    let mut names = Vec::new();
    for file in files.flatten().map(|entry| entry.path()) {
        if file
            .extension()
            .is_none_or(|extension| extension != "jsonl")
        {
            continue;
        }
        let name = file
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&file).expect("it can be read");
        let mut lines: Vec<&str> = text.lines().collect();
        let expected = lines.pop().expect("a finding");
        let expected: Finding = serde_json::from_str(expected).expect("a finding");
        let usual: Usual = serde_json::from_str(lines.remove(0)).expect("what is usual");
        let parse = |line: &&str| serde_json::from_str(line).expect("a look");
        let history: Vec<Sample> = lines.iter().map(parse).collect();
        // Nothing is found before the last look, and there what it was.
        for looks in 1..history.len() {
            let found = judge(&history[..looks], &usual);
            let failed = matches!(found, Finding::Failed(_));
            assert!(!failed, "{name}: {found:?} at look {looks}");
        }
        assert_eq!(judge(&history, &usual), expected, "{name}");
        names.push(name);
    }
    for case in [
        "busy-host",
        "emulated",
        "emulated-hang",
        "hang",
        "idle-server",
        "livelock",
        "runaway",
        "slow-machine",
    ] {
        let has = names.iter().any(|name| name.starts_with(case));
        assert!(has, "no history of {case} among {names:?}");
    }
}
