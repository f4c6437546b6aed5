//! What finds a map full is counted, and nothing else suffers.

use loupe_daemon::benchmarks::profiler::ProfilerBounds;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;

use crate::scene::{Group, Scene, calls};

#[test]
fn calls_that_find_their_map_full_are_counted_as_lost() {
    require!(Replays);
    let mut scene = Scene::with(&ProfilerBounds {
        calls: 4,
        ..ProfilerBounds::default()
    });
    let group = Group::new();
    scene.watch(&group);
    let window = scene.profiler.open_window().expect("attached");
    group.run_victim(&["counts", "/dev/null", "1000", "0", "0"]);
    drop(window);
    let all = scene.profiler.counts().expect("readable");
    let kept: u64 = all
        .values()
        .flat_map(|counts| &counts.calls)
        .filter(|(feature, _)| feature.is_syscall())
        .map(|(_, counts)| counts.calls)
        .sum();
    let lost: u64 = all.values().map(|counts| counts.lost.calls).sum();
    assert!(lost >= 1100, "{lost} lost, {kept} kept");
    // The errors of calls have a map of their own.
    let counts = scene.counts(&group, "/victim");
    assert_eq!(calls(&counts, "getpriority").1, 100);
}

#[test]
fn executables_that_no_slot_is_left_for_are_counted_as_lost() {
    require!(Replays);
    let mut scene = Scene::with(&ProfilerBounds {
        slots: 1,
        ..ProfilerBounds::default()
    });
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    group.run_victim(&["counts", "/dev/null", "100", "0", "0"]);
    assert_eq!(scene.slots().len(), 1, "the shell's");
    let lost = scene.profiler.lost().expect("readable");
    assert!(lost.executables >= 110, "{lost:?}");
    assert_eq!(lost.total(), lost.executables);
    // Given back, the number is the next one's.
    let slots: Vec<u32> = scene.slots().iter().map(|opened| opened.slot).collect();
    scene.profiler.close_slots(&slots).expect("closed");
    scene.profiler.unwatch(group.id()).expect("forgotten");
    let before = scene.profiler.lost().expect("readable").executables;
    let inner = group.below("inner");
    group.run_victim(&["counts", "/dev/null", "100", "0", "0"]);
    assert_eq!(scene.profiler.lost().expect("readable").executables, before);
    drop(inner);
}

#[test]
fn processes_that_find_no_room_are_counted_all_the_same() {
    require!(Replays);
    let mut scene = Scene::with(&ProfilerBounds {
        processes: 1,
        ..ProfilerBounds::default()
    });
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    group.run_victim(&["counts", "/dev/null", "100", "0", "4"]);
    let counts = scene.counts(&group, "/victim");
    assert_eq!(calls(&counts, "getpriority"), (550, 50));
    assert_eq!(calls(&counts, "exit_group"), (5, 0));
}

#[test]
fn pseudo_files_and_cgroups_that_find_no_room_are_counted_as_lost() {
    require!(Replays);
    let mut scene = Scene::with(&ProfilerBounds {
        files: 1,
        cgroups: 1,
        ..ProfilerBounds::default()
    });
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let result = directory.path().join("result").display().to_string();
    group.run_victim(&["pseudo-files", &result]);
    let counts = scene.counts(&group, "/victim");
    assert!(counts.lost.pseudo_files >= 8, "{:?}", counts.lost);
    let inner = group.below("inner");
    assert_eq!(scene.profiler.lost().expect("readable").executables, 1);
    drop(inner);
}
