//! An analysis that is interrupted, in whatever way, loses no finished replay, goes on where it
//! stopped, and leaves nothing behind.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use loupe_tests::analysis::Analysis;
use loupe_tests::command::{self, LIMIT, Running};
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::{RESULT, Scene};

/// A workload that works, and notes every start in a file outside of its sandbox.
fn recording(scene: &Scene) -> (PathBuf, PathBuf) {
    let counter = scene.write("counter", "");
    let script = format!("exec ./victim records {RESULT} {}", counter.display());
    let workload = scene.write(
        "records.toml",
        &format!(
            "application = \"records\"\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = {script:?}\ntarget = \"./victim\"\n\
             test = [\"./probe\", \"works\", {RESULT:?}]\n\
             writable = [{counter:?}]\n"
        ),
    );
    (workload, counter)
}

/// Starts of the application so far.
fn starts(counter: &Path) -> u64 {
    std::fs::metadata(counter)
        .expect("the counter is there")
        .len()
}

/// Waits until the application was started this often.
fn wait_for_starts(counter: &Path, wanted: u64, running: &Running) {
    let deadline = Instant::now() + LIMIT;
    while starts(counter) < wanted {
        assert!(
            !running.ends_within(Duration::ZERO),
            "it ended before {wanted} starts"
        );
        assert!(Instant::now() < deadline, "only {} starts", starts(counter));
        std::thread::yield_now();
    }
}

/// What is left right after the interruption.
#[derive(PartialEq)]
enum Remains {
    Nothing,
    /// Nobody was left to clear away; the next start does.
    UntilNextStart,
}

/// Interrupts an analysis by `stop` in its middle; it must go on from there afterwards.
fn interrupt(remains: Remains, stop: impl FnOnce(&Running)) -> command::Finished {
    const WANTED: u64 = 15;
    let scene = Scene::new();
    let (workload, counter) = recording(&scene);
    let path = workload.to_str().expect("a plain path");
    let words = ["analyze", path, "--json", "--jobs", "1"];
    // In a group of its own, as a shell's job is.
    let mut loupe = scene.loupe(&words);
    loupe.process_group(0);
    let running = command::start(loupe);
    wait_for_starts(&counter, WANTED, &running);
    stop(&running);
    let interrupted = running.wait();
    if remains == Remains::Nothing {
        scene.assert_nothing_left();
    }
    let before = starts(&counter);

    let again = Analysis::new(scene.run(&words).expect_code(0).json());
    let reused = again.number("replays_reused");
    // At most one was running, and one was just ending or waiting to start.
    assert!(reused + 2 >= before, "{before} starts, {reused} reused");
    // Nothing was done twice but what was cut off. (An application that fails early is not
    // counted, so there may be more replays than starts.)
    let total = starts(&counter);
    let replays = again.number("replays");
    assert!(total <= replays + 2, "{total} starts for {replays} replays");
    scene.assert_nothing_left();
    interrupted
}

#[test]
fn interrupted_by_ctrl_c() {
    require!(Replays);
    let finished = interrupt(Remains::Nothing, |running| {
        let group = running.pid() as i32;
        // As a terminal does: to every process of the group.
        // SAFETY: a system call without memory; the group is that of our child.
        let result = unsafe { libc::killpg(group, libc::SIGINT) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    });
    let code = finished.code();
    let signal = finished.signal();
    assert!(
        code == Some(130) || signal == Some(libc::SIGINT),
        "{finished:?}"
    );
}

#[test]
fn interrupted_by_sigterm() {
    require!(Replays);
    let finished = interrupt(Remains::Nothing, |running| running.signal(libc::SIGTERM));
    let code = finished.code();
    let signal = finished.signal();
    assert!(
        code == Some(143) || signal == Some(libc::SIGTERM),
        "{finished:?}"
    );
}

#[test]
fn killed() {
    require!(Replays);
    let finished = interrupt(Remains::Nothing, |running| running.signal(libc::SIGKILL));
    assert_eq!(finished.signal(), Some(libc::SIGKILL));
}

#[test]
fn killed_with_everything_that_it_started() {
    require!(Replays);
    interrupt(Remains::UntilNextStart, |running| {
        for pid in descendants(running.pid()) {
            // SAFETY: a system call without memory. One that has ended meanwhile is no error.
            unsafe { libc::kill(pid as i32, libc::SIGKILL) };
        }
        running.signal(libc::SIGKILL);
    });
}

#[test]
fn a_finished_analysis_is_done_anew_when_asked_for_again() {
    require!(Replays);
    let scene = Scene::new();
    let (workload, counter) = recording(&scene);
    let path = workload.to_str().expect("a plain path");
    let words = ["analyze", path, "--json"];
    let first = Analysis::new(scene.run(&words).expect_code(0).json());
    let before = starts(&counter);
    assert!(before > 0);
    let second = Analysis::new(scene.run(&words).expect_code(0).json());
    assert_eq!(second.number("replays_reused"), 0);
    assert!(starts(&counter) > before);
    let verdicts = |analysis: &Analysis| {
        let rows = analysis.0["features"].as_array().expect("a table").iter();
        rows.map(|row| (row["feature"].clone(), row["verdict"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&first), verdicts(&second));
    scene.assert_nothing_left();
}

/// All processes below this one.
fn descendants(pid: u32) -> Vec<u32> {
    let output = Command::new("ps")
        .args(["-e", "-o", "pid=,ppid="])
        .output()
        .expect("ps can be run");
    let text = String::from_utf8(output.stdout).expect("ps prints numbers");
    let parents: Vec<(u32, u32)> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        found.extend(
            parents
                .iter()
                .filter(|(_, p)| *p == parent)
                .map(|(child, _)| *child),
        );
    }
    found.remove(0);
    found
}
