//! Pseudo-files, whose users nobody stops.

use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::{binaries, require};

use crate::scene::{Group, Scene, calls};

#[test]
fn pseudo_files_are_counted_by_where_they_were_found_and_by_what_was_asked_for() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let result = directory.path().join("result").display().to_string();
    group.run_victim(&["pseudo-files", &result]);
    let counts = scene.counts(&group, "/victim");
    for (file, expected) in [
        ("/proc/cpuinfo", 1),
        ("/proc/version", 1),
        ("/dev/urandom", 1),
        ("/dev/full", 1),
        // By its own number.
        ("/proc/self/comm", 1),
        ("/proc/<pid>/comm", 1),
        // By a link that lies elsewhere.
        ("/proc/uptime", 1),
        // By relative paths.
        ("/proc/sys/kernel/ostype", 1),
        ("/proc/sys/kernel/pid_max", 1),
    ] {
        assert_eq!(calls(&counts, file), (expected, 0), "{file}");
    }
    let text = directory.path().display().to_string();
    let all: Vec<String> = counts.calls.keys().map(ToString::to_string).collect();
    assert!(!all.iter().any(|name| name.contains(&text)), "{all:?}");
    assert_eq!(counts.lost.total(), 0);
}

#[test]
fn files_that_are_not_there_are_known_by_the_path_that_was_passed() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    let victim = binaries::victim().display().to_string();
    for _ in 0..3 {
        for file in [
            "/proc/999999999/stat",
            "/proc/self/nothing",
            "/proc/self/task/17/nothing",
            "/proc/self/root/etc/secret",
            "/proc/self/fd/0/secret",
            "/dev/shm/secret",
            "/dev/../etc/secret",
            "/sys/nothing/here",
            "/etc/secret",
            "/process/secret",
        ] {
            // It fails, as it is meant to.
            let status = group
                .command(&[&victim, "opens-once", "/dev/null", file])
                .status();
            assert_eq!(status.expect("the shell starts").code(), Some(3), "{file}");
        }
    }
    let counts = scene.counts(&group, "/victim");
    for file in [
        "/proc/<pid>/stat",
        "/proc/self/nothing",
        "/proc/self/task/<tid>/nothing",
        "/dev/shm",
        "/sys/nothing/here",
    ] {
        assert_eq!(calls(&counts, file), (3, 3), "{file}");
    }
    let all: Vec<String> = counts.calls.keys().map(ToString::to_string).collect();
    assert!(!all.iter().any(|name| name.contains("secret")), "{all:?}");
    // Of the one with `..` nothing is kept, and it says so.
    assert_eq!(counts.lost.pseudo_files, 3);
}

#[test]
fn a_file_that_is_only_asked_for_counts_by_its_name() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    group.run(&[
        "/usr/bin/stat",
        "-t",
        "/proc/self/stat",
        "/sys/kernel",
        "/dev/null",
        "/etc",
    ]);
    group.run(&["/bin/readlink", "/proc/self/fd/1", "/proc/self/exe"]);
    let stat = scene.counts(&group, "/stat");
    for file in ["/proc/self/stat", "/sys/kernel", "/dev/null"] {
        assert!(calls(&stat, file).0 >= 1, "{file}");
    }
    let readlink = scene.counts(&group, "/readlink");
    assert_eq!(calls(&readlink, "/proc/self/fd/<fd>"), (1, 0));
    assert_eq!(calls(&readlink, "/proc/self/exe"), (1, 0));
}
