//! Calls and processes of every kind: other ABIs, rings, threads that execute or stay alone, other
//! namespaces, and real programs beside strace.

use std::collections::BTreeMap;

use loupe_tests::requirement::Requirement::{I386, Program, Replays};
use loupe_tests::{binaries, require, trace};

use crate::scene::{Group, Scene, calls};

#[test]
fn operations_of_rings_are_counted() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    group.run_victim(&["rings", "/dev/null"]);
    let counts = scene.counts(&group, "/victim");
    assert_eq!(calls(&counts, "io_uring:IORING_OP_NOP"), (3, 0));
    assert_eq!(calls(&counts, "io_uring:IORING_OP_READ"), (1, 0));
}

#[test]
fn calls_of_other_abis_are_counted_apart() {
    require!(Replays, I386);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let victim = binaries::victim().display().to_string();
    let enter = "cd \"$0\" && exec \"$@\"";
    let directory = directory.path().display().to_string();
    for behaviour in ["i386-calls", "x32-call", "unknown-number"] {
        group.run(&[
            "/bin/sh",
            "-c",
            enter,
            &directory,
            &victim,
            behaviour,
            "/dev/null",
        ]);
    }
    let counts = scene.counts(&group, "/victim");
    let foreign: BTreeMap<(String, u32), u64> = counts
        .foreign
        .iter()
        .map(|call| ((call.abi.clone(), call.number), call.calls))
        .collect();
    for (abi, number) in [("i386", 39), ("x32", 110), ("native", 0x7fff)] {
        let found = foreign.get(&(abi.to_owned(), number));
        assert_eq!(found, Some(&1), "{abi} {number}: {foreign:?}");
    }
    // By their native numbers, once each: the others' numbers mean other calls.
    assert_eq!(calls(&counts, "getppid"), (1, 0));
    assert_eq!(calls(&counts, "writev"), (1, 0));
    assert_eq!(calls(&counts, "getpid"), (0, 0));
    assert_eq!(counts.lost.total(), 0);
}

#[test]
fn a_thread_that_executes_takes_the_process_with_it() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    group.run_victim(&["exec-from-thread", "/dev/null"]);
    let counts = scene.counts(&group, "/victim");
    // By the shell, and by the thread.
    assert_eq!((calls(&counts, "execve"), counts.starts), ((2, 0), 2));
    assert_eq!(calls(&counts, "exit_group"), (1, 0));
    assert_eq!(
        scene.profiler.processes().expect("readable"),
        BTreeMap::new()
    );
}

#[test]
fn a_process_goes_on_without_its_first_thread() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    group.run_victim(&["main-thread-leaves", "/dev/null"]);
    let counts = scene.counts(&group, "/victim");
    assert_eq!(calls(&counts, "getpriority"), (1, 0));
    assert_eq!(
        (calls(&counts, "exit"), calls(&counts, "exit_group")),
        ((1, 0), (1, 0))
    );
    assert_eq!(
        scene.profiler.processes().expect("readable"),
        BTreeMap::new()
    );
}

#[test]
fn in_another_namespace_a_process_is_itself_too() {
    require!(Replays, Program("unshare"));
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    let script = "cat /proc/$$/status /proc/1/nothing /proc/2/nothing; :";
    let inner = format!("exec 3< /proc/1/stat; exec 3< /proc/$$/stat; {script}");
    let words = [
        "/usr/bin/unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        "/bin/sh",
        "-c",
        &inner,
    ];
    group.run(&words);
    let shell = scene.counts(&group, "sh");
    // It is process 1 there, by both names.
    assert_eq!(calls(&shell, "/proc/self/stat"), (2, 0));
    let cat = scene.counts(&group, "/cat");
    assert_eq!(calls(&cat, "/proc/<pid>/status"), (1, 0));
    // It is process 2 there.
    assert_eq!(calls(&cat, "/proc/self/nothing"), (1, 1));
    assert_eq!(calls(&cat, "/proc/<pid>/nothing"), (1, 1));
}

#[test]
fn counts_of_real_programs_agree_with_strace() {
    require!(Replays, Program("strace"));
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let commands: [(&str, &[&str]); 3] = [
        ("/ls", &["/bin/ls", "-l", "/usr"]),
        ("/cat", &["/bin/cat", "/etc/passwd", "/proc/cpuinfo"]),
        (
            "/find",
            &["/usr/bin/find", "/etc/systemd", "-name", "*.conf"],
        ),
    ];
    for (name, command) in commands {
        group.run(command);
        let counts = scene.counts(&group, name);
        let ours: BTreeMap<String, u64> = counts
            .calls
            .iter()
            .filter(|(feature, _)| feature.is_syscall())
            .map(|(feature, counts)| (feature.to_string(), counts.calls))
            // It never comes back, so strace does not count it.
            .filter(|(name, _)| name != "exit_group")
            .collect();
        let theirs = trace::strace_counts(command, directory.path());
        assert_eq!(ours, theirs, "{command:?}");
    }
}
