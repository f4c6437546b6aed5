//! Counts of calls against known numbers of them.

use std::collections::BTreeMap;

use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::{binaries, require};

use crate::scene::{Group, Scene, calls, of};

#[test]
fn calls_of_threads_and_children_are_counted_exactly() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let window = scene.profiler.open_window().expect("attached");
    group.run_victim(&["counts", "/dev/null", "20000", "4", "3"]);
    drop(window);
    let counts = scene.counts(&group, "/victim");
    let (tasks, per_task) = (8, 20_000);
    let failing = tasks * per_task / 10;
    assert_eq!(
        calls(&counts, "getpriority"),
        (tasks * per_task + failing, failing)
    );
    // Each child ends by it, and the program itself.
    assert_eq!(calls(&counts, "exit_group"), (4, 0));
    assert_eq!(calls(&counts, "execve"), (1, 0));
    assert_eq!(counts.starts, 1);
    assert_eq!(counts.lost.total(), 0);
    assert_eq!(scene.profiler.lost().expect("readable").total(), 0);
}

#[test]
fn two_executables_of_one_owner_are_told_apart_by_their_exec() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    group.run_victim(&["counts", "/dev/null", "100", "0", "0"]);
    let victim = scene.counts(&group, "/victim");
    let shell = scene.counts(&group, "sh");
    assert_eq!(calls(&victim, "getpriority"), (110, 10));
    // What the shell calls between its move and its exec is the shell's; the exec is not.
    assert_eq!(calls(&shell, "getpriority"), (0, 0));
    assert!(calls(&shell, "write").0 > 0);
    assert_eq!((calls(&shell, "execve"), shell.starts), ((0, 0), 0));
    assert_eq!((calls(&victim, "execve"), victim.starts), ((1, 0), 1));
    assert_eq!(calls(&shell, "exit_group"), (0, 0));
}

#[test]
fn short_lived_processes_lose_nothing() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    let victim = binaries::victim().display().to_string();
    let text = "i=0; while [ $i -lt 1000 ]; do \"$0\" exits /dev/null & \"$0\" exits /dev/null; \
                wait; i=$((i+1)); done";
    group.run(&["/bin/sh", "-c", text, &victim]);
    let counts = scene.counts(&group, "/victim");
    assert_eq!(counts.starts, 2000);
    assert_eq!(calls(&counts, "execve"), (2000, 0));
    assert_eq!(calls(&counts, "exit_group"), (2000, 0));
    let shell = scene.counts(&group, "sh");
    assert_eq!(calls(&shell, "clone").0 + calls(&shell, "vfork").0, 2000);
    assert_eq!(counts.lost.total() + shell.lost.total(), 0);
    assert_eq!(scene.profiler.lost().expect("readable").total(), 0);
    // None of them is remembered.
    assert_eq!(
        scene.profiler.processes().expect("readable"),
        BTreeMap::new()
    );
}

#[test]
fn a_call_that_returns_twice_is_counted_once() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    group.run_victim(&["births", "/dev/null", "3"]);
    let counts = scene.counts(&group, "/victim");
    // Each is called once, though it returns twice.
    assert_eq!(calls(&counts, "fork"), (4, 0));
    assert_eq!(calls(&counts, "vfork"), (1, 0));
    let threads = of(&counts.operations, "clone3:CLONE_THREAD");
    let clones = calls(&counts, "clone3");
    assert_eq!((clones, threads), ((6 + 3, 0), (3, 0)));
}
