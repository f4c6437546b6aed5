//! What the tracer counts is what was called: against victims that make known numbers of calls,
//! and against strace.

use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::Scene;
use loupe_tests::trace::{self, Counts};
use serde_json::Value;

/// Traces a command; its own output is not kept.
fn trace(scene: &Scene, command: &[&str]) -> Value {
    let out = scene.path("trace.json");
    let out = out.to_str().expect("a plain path");
    let mut words = vec!["trace", "--json", "--output", out, "--"];
    words.extend(command);
    scene.run(&words).expect_code(0);
    let text = std::fs::read_to_string(out).expect("the trace is written");
    std::fs::remove_file(out).expect("the trace can be removed");
    serde_json::from_str(&text).expect("the trace is JSON")
}

#[test]
fn calls_of_threads_and_children_are_counted_exactly() {
    require!(Replays);
    let scene = Scene::new();
    for (calls, threads, children) in [(1, 0, 0), (1000, 4, 3), (20_000, 2, 8)] {
        let words = [calls, threads, children].map(|number: u64| number.to_string());
        let command = [
            "./victim", "counts", "result", &words[0], &words[1], &words[2],
        ];
        let trace = trace(&scene, &command);
        let tasks = 1 + threads + children;
        let failing = tasks * calls.div_ceil(10);
        let counts = trace::counts(&trace);
        assert_eq!(counts["getpriority"], tasks * calls + failing);
        let errors = trace::errors(&trace, "getpriority");
        assert_eq!(errors, Counts::from([("EINVAL".to_owned(), failing)]));
        std::fs::remove_file(scene.path("result")).expect("the victim wrote its result");
    }
    scene.assert_nothing_left();
}

#[test]
fn counts_agree_with_strace() {
    require!(Replays, Program("strace"));
    let scene = Scene::new();
    let commands: [&[&str]; 4] = [
        &["./victim", "counts", "/dev/null", "100", "0", "5"],
        &["/bin/ls", "/usr"],
        &["/bin/sh", "-c", "/bin/cat /etc/passwd | /usr/bin/wc -l"],
        &["./victim", "shell-child", "/dev/null"],
    ];
    for command in commands {
        let mut ours = trace::counts(&trace(&scene, command));
        let mut theirs = trace::strace_counts(command, scene.directory());
        // strace counts what came back, which these never do; and it sees the first exec from
        // outside, which Loupe does not count as the program's own.
        for name in ["exit", "exit_group"] {
            ours.remove(name);
            theirs.remove(name);
        }
        let execs = theirs.remove("execve").unwrap_or(0);
        assert_eq!(
            ours.remove("execve").unwrap_or(0),
            execs - 1,
            "{command:?}: execve"
        );
        // A traced parent is woken by every child's end, and waits again.
        let waits = [&mut ours, &mut theirs].map(|counts| counts.remove("wait4").unwrap_or(0));
        assert!(waits[0] <= waits[1], "{command:?}: {waits:?} wait4");
        // Two children that end at once may be told of by one signal.
        ours.remove("rt_sigreturn");
        theirs.remove("rt_sigreturn");
        assert_eq!(ours, theirs, "{command:?}");
    }
    scene.assert_nothing_left();
}

#[test]
fn every_call_is_streamed_on_a_line_of_its_own() {
    require!(Replays);
    let scene = Scene::new();
    let command = [
        "trace",
        "--stream",
        "--",
        "./victim",
        "counts",
        "/dev/null",
        "50",
        "2",
        "1",
    ];
    let finished = scene.run(&command).expect_code(0);
    let all = format!("{}{}", finished.stdout, finished.stderr);
    let lines = all.lines().filter(|line| line.contains("getpriority("));
    assert_eq!(lines.count(), 4 * (50 + 5));
    scene.assert_nothing_left();
}

#[test]
fn a_streamed_call_has_its_path_and_its_flags_by_name_and_needs_no_dashes() {
    require!(Replays);
    let scene = Scene::new();
    let absent = "/proc/loupe/absent";
    let finished = scene.run(&["trace", "--stream", "cat", absent]);
    assert_eq!(finished.code(), Some(1), "{finished:?}");
    let expected = "openat(AT_FDCWD, \"/proc/loupe/absent\", O_RDONLY, 0) = -1 ENOENT (No such file or \
                    directory)";
    let lines = finished.stderr.lines();
    let found = lines.filter(|line| line.contains(expected)).count();
    assert_eq!(found, 1, "{}", finished.stderr);
    // What stands behind the command is the command's.
    let json = scene.run(&["trace", "--stream", "--json", "cat", "--", absent]);
    let mut lines = json.stderr.lines();
    let call = lines.find(|line| line.starts_with('{') && line.contains(absent));
    let call = call.unwrap_or_else(|| panic!("{}", json.stderr));
    let call: serde_json::Value = serde_json::from_str(call).expect("an object a line");
    assert_eq!(call["path"], absent, "{call}");
    scene.assert_nothing_left();
}

#[test]
fn an_exit_that_never_returns_is_seen() {
    require!(Replays);
    let scene = Scene::new();
    let counts = trace::counts(&trace(&scene, &["./victim", "uname", "/dev/null"]));
    assert_eq!(counts.get("exit_group"), Some(&1), "{counts:?}");
}
