//! Whose calls are counted for whom, as cgroups come and go and processes move.

use loupe_daemon::benchmarks::profiler::{ProfilerEvent, Watch};
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;

use crate::scene::{Group, Scene, calls};

#[test]
fn a_cgroup_that_is_made_below_is_watched_from_its_first_process_on() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    let below = group.below("inner");
    let deepest = below.below("deepest");
    deepest.run_victim(&["counts", "/dev/null", "10", "0", "0"]);
    let counts = scene.counts(&group, "/victim");
    assert_eq!(calls(&counts, "getpriority"), (11, 1));
    let made = ProfilerEvent::CgroupMade {
        id: deepest.id(),
        parent: below.id(),
        owner: Some(group.id()),
        watch: Some(Watch::Count),
        name: "deepest".to_owned(),
    };
    assert!(scene.told().contains(&made));
    let id = deepest.id();
    drop(deepest);
    assert!(scene.told().contains(&ProfilerEvent::CgroupGone { id }));
    let watched = scene.profiler.watched().expect("readable");
    assert!(watched.contains_key(&below.id()) && !watched.contains_key(&id));
}

#[test]
fn below_a_slice_every_cgroup_is_an_owner_and_every_slice_a_slice() {
    require!(Replays);
    let mut scene = Scene::new();
    let slice = Group::new();
    scene
        .profiler
        .watch(slice.id(), slice.id(), Watch::ChildrenAreOwners)
        .expect("watched");
    let _window = scene.profiler.open_window().expect("attached");
    // What is directly in a slice is nobody's.
    slice.run_victim(&["counts", "/dev/null", "10", "0", "0"]);
    let inner = slice.below("inner.slice");
    let one = slice.below("one.service");
    let two = inner.below("two@1.service");
    one.run_victim(&["counts", "/dev/null", "20", "0", "0"]);
    two.run_victim(&["counts", "/dev/null", "30", "0", "0"]);
    let nested = two.below("payload");
    nested.run_victim(&["counts", "/dev/null", "30", "0", "0"]);
    assert_eq!(
        calls(&scene.counts(&one, "/victim"), "getpriority"),
        (22, 2)
    );
    assert_eq!(
        calls(&scene.counts(&two, "/victim"), "getpriority"),
        (66, 6)
    );
    let owners: Vec<u64> = scene.slots().iter().map(|slot| slot.owner).collect();
    assert!(!owners.contains(&slice.id()) && !owners.contains(&inner.id()));
}

#[test]
fn a_process_that_moves_is_counted_where_it_is() {
    require!(Replays);
    let mut scene = Scene::new();
    let (first, second) = (Group::new(), Group::new());
    scene.watch(&first);
    scene.watch(&second);
    let _window = scene.profiler.open_window().expect("attached");
    let text = format!(
        "kill -0 $$; kill -0 $$; kill -0 $$; echo $$ > {}/cgroup.procs; kill -0 $$",
        second.0.display()
    );
    first.run(&["/bin/sh", "-c", &text]);
    assert_eq!(calls(&scene.counts(&first, "sh"), "kill"), (3, 0));
    let there = scene.counts(&second, "sh");
    assert_eq!(calls(&there, "kill"), (1, 0));
    assert_eq!(calls(&there, "exit_group"), (1, 0));
}
