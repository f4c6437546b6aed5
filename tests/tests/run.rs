//! `loupe run`: one run under a policy, here and now, that ends as the command does.

use loupe_tests::ground_truth::VICTIMS;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::Scene;

#[test]
fn exit_codes_are_the_commands() {
    require!(Replays);
    let scene = Scene::new();
    for code in [0, 1, 2, 42, 125, 255] {
        let words = ["run", "--", "./victim", "exits", "-", &code.to_string()];
        scene.run(&words).expect_code(code);
    }
    scene.assert_nothing_left();
}

#[test]
fn it_dies_by_the_commands_signal() {
    require!(Replays);
    let scene = Scene::new();
    for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGSEGV, libc::SIGABRT] {
        let finished = scene.run(&["run", "--", "./victim", "dies", "-", &signal.to_string()]);
        assert_eq!(finished.signal(), Some(signal), "{finished:?}");
    }
    scene.assert_nothing_left();
}

#[test]
fn what_cannot_be_executed_is_told_as_env_does() {
    require!(Replays);
    let scene = Scene::new();
    scene.write("not-executable", "#!/bin/sh\n");
    for (program, code) in [
        ("./no-such", 127),
        ("no-such-command", 127),
        ("./not-executable", 126),
    ] {
        scene
            .run(&["run", "--", program])
            .expect_code(code)
            .expect_message(&[program]);
        scene
            .run(&["trace", "--", program])
            .expect_code(code)
            .expect_message(&[program]);
    }
    scene.assert_nothing_left();
}

#[test]
fn standard_streams_are_the_commands() {
    require!(Replays);
    let scene = Scene::new();
    let script = "echo out; echo err >&2";
    let finished = scene.run(&["run", "--stub", "acct", "--", "/bin/sh", "-c", script]);
    let finished = finished.expect_code(0).expect_message(&["err"]);
    assert_eq!(finished.stdout, "out\n");
}

/// The same single policies that make a batch victim fail or not in an analysis.
#[test]
fn single_policies_do_what_the_table_says() {
    require!(Replays);
    let scene = Scene::new();
    for name in [
        "needs-result",
        "ignores-errors",
        "accepts-enosys",
        "accepts-zero-only",
    ] {
        let victim = loupe_tests::ground_truth::victim(name);
        assert!(VICTIMS.iter().any(|known| known.name == name));
        for row in victim.rows {
            let (stub, fake) = row.truth.works();
            for (way, works) in [("--stub", stub), ("--fake", fake)] {
                let words = ["run", way, row.syscall, "--", "./victim", name, "/dev/null"];
                scene.run(&words).expect_code(i32::from(!works));
            }
        }
    }
    scene.assert_nothing_left();
}

#[test]
fn the_errno_of_a_stub_can_be_chosen() {
    require!(Replays);
    let scene = Scene::new();
    for (rule, code) in [("sysinfo=EPERM", 0), ("sysinfo=EINVAL", 1), ("sysinfo", 1)] {
        let words = [
            "run",
            "--stub",
            rule,
            "--",
            "./victim",
            "accepts-eperm",
            "/dev/null",
        ];
        scene.run(&words).expect_code(code);
    }
}

#[test]
fn injections_are_counted_in_threads_and_children() {
    require!(Replays);
    let scene = Scene::new();
    let words = [
        "run",
        "--stub",
        "getpriority",
        "--fake",
        "acct",
        "--",
        "./victim",
        "counts",
        "/dev/null",
        "1000",
        "4",
        "3",
    ];
    let finished = scene.run(&words).expect_code(0);
    let line = |syscall: &str| {
        let lines = finished.stderr.lines();
        lines
            .filter(|line| line.contains(syscall))
            .map(str::to_owned)
            .next()
            .unwrap_or_else(|| panic!("no word on {syscall}: {}", finished.stderr))
    };
    assert!(
        line("getpriority").contains("8800"),
        "{}",
        line("getpriority")
    );
    // Never called: that must be said too, and not be taken for a success.
    let never = line("acct");
    assert!(never.contains('0') || never.contains("never"), "{never}");
    scene.assert_nothing_left();
}

#[test]
fn only_the_target_is_injected_into() {
    require!(Replays);
    let scene = Scene::new();
    let script = "uname -s && ./victim run ./probe works /dev/null; uname -s; \
                  ./victim uname /dev/null; echo $?";
    let words = [
        "run", "--stub", "uname", "--target", "./victim", "--", "/bin/sh", "-c", script,
    ];
    let finished = scene.run(&words).expect_code(0);
    // The shell's own children are not affected; the victim, a grandchild of ours, is.
    assert_eq!(finished.stdout, "Linux\nLinux\n1\n");
    scene.assert_nothing_left();
}

#[test]
fn what_the_target_starts_is_injected_into() {
    require!(Replays);
    let scene = Scene::new();
    let words = [
        "run",
        "--stub",
        "uname",
        "--",
        "./victim",
        "run",
        "/bin/uname",
        "-s",
    ];
    let finished = scene.run(&words);
    assert_eq!(finished.code(), Some(1), "{finished:?}");
    assert_eq!(finished.stdout, "");
}

#[test]
fn unknown_syscalls_and_errnos_are_refused_with_a_suggestion() {
    require!(Replays);
    let scene = Scene::new();
    let refused = |rule: &str| {
        scene
            .run(&["run", "--stub", rule, "--", "./victim", "exits", "-", "0"])
            .expect_code(2)
    };
    refused("getpriorty").expect_message(&["getpriorty", "getpriority"]);
    refused("getpid=EWHAT").expect_message(&["EWHAT"]);
    refused("").expect_message(&["--stub"]);
    scene.assert_nothing_left();
}

#[test]
fn a_policy_of_three_hundred_syscalls_works() {
    require!(Replays);
    let scene = Scene::new();
    // Every native syscall but those that a small program needs to start, to print and to end,
    // and those that the kernel answers before the filter.
    let needed = [
        "read",
        "write",
        "close",
        "mmap",
        "mprotect",
        "munmap",
        "brk",
        "openat",
        "fstat",
        "newfstatat",
        "pread64",
        "access",
        "arch_prctl",
        "set_tid_address",
        "set_robust_list",
        "rseq",
        "prlimit64",
        "getrandom",
        "execve",
        "execveat",
        "exit",
        "exit_group",
        "futex",
        "rt_sigreturn",
        "restart_syscall",
        "readlink",
        "readlinkat",
        "fcntl",
        "sigaltstack",
        "rt_sigaction",
        "rt_sigprocmask",
        "gettid",
        "getpid",
        "uretprobe",
        "uprobe",
    ];
    let policy: Vec<(&str, String)> = loupe_common::syscalls::Arch::NATIVE
        .table()
        .iter()
        .filter(|(_, name)| !needed.contains(name))
        .map(|(number, name)| (*name, number.to_string()))
        .take(300)
        .collect();
    assert_eq!(policy.len(), 300);
    let mut words = vec!["run"];
    for (name, _) in &policy {
        words.extend(["--stub", name]);
    }
    words.extend(["--", "./victim", "refused", "/dev/null"]);
    words.extend(policy.iter().map(|(_, number)| number.as_str()));
    scene.run(&words).expect_code(0);
    scene.assert_nothing_left();
}

#[test]
fn the_command_inherits_no_descriptor_of_loupe() {
    require!(Replays);
    let scene = Scene::new();
    for descriptor in 3..20 {
        let path = format!("/proc/self/fd/{descriptor}");
        scene.run(&["run", "--", "readlink", &path]).expect_code(1);
    }
    scene.assert_nothing_left();
}
