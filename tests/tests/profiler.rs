//! What the profiler counts is what was called: by owner and executable, wherever processes and
//! cgroups go meanwhile. From inside, without a command line around it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use loupe_common::feature::Feature;
use loupe_common::trace::CallCounts;
use loupe_daemon::benchmarks::profiler::{
    Profiler, ProfilerBounds, ProfilerEvent, SlotCounts, SlotOpened, Watch,
};
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::{binaries, leftovers, require};
use tokio::sync::mpsc::Receiver;

/// A cgroup of a test's own, removed at the end.
struct Group(PathBuf);

impl Group {
    fn new() -> Group {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("loupe-profiler-test-{}-{number}", std::process::id());
        Group::at(leftovers::cgroup2_mount().expect("mounted").join(name))
    }

    fn at(path: PathBuf) -> Group {
        std::fs::create_dir(&path).expect("cgroups can be made");
        Group(path)
    }

    fn below(&self, name: &str) -> Group {
        Group::at(self.0.join(name))
    }

    fn id(&self) -> u64 {
        std::fs::metadata(&self.0).expect("it is there").ino()
    }

    /// A shell that enters the cgroup and becomes the command.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
            .arg(&self.0)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) {
        let status = self.command(words).status().expect("the shell starts");
        assert!(status.success(), "{words:?}: {status}");
    }

    /// The victim, which makes known calls.
    fn run_victim(&self, words: &[&str]) {
        let victim = binaries::victim().display().to_string();
        self.run(&[&[victim.as_str()], words].concat());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel lets go of the last process a little later than its parent hears of its end.
        for _ in 0..1000 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        panic!("{} cannot be removed", self.0.display());
    }
}

/// A profiler and what it has told so far.
struct Scene {
    profiler: Profiler,
    events: Receiver<ProfilerEvent>,
    told: Vec<ProfilerEvent>,
}

impl Scene {
    fn new() -> Scene {
        Scene::with(&ProfilerBounds::default())
    }

    fn with(bounds: &ProfilerBounds) -> Scene {
        let profiler = Profiler::load(bounds).expect("the programs load");
        let events = profiler.events().expect("nobody has taken them");
        Scene {
            profiler,
            events,
            told: Vec::new(),
        }
    }

    fn told(&mut self) -> &[ProfilerEvent] {
        self.profiler.flush();
        while let Ok(event) = self.events.try_recv() {
            self.told.push(event);
        }
        &self.told
    }

    fn slots(&mut self) -> Vec<SlotOpened> {
        let opened = self.told().iter().filter_map(|event| match event {
            ProfilerEvent::SlotOpened(opened) => Some(opened.clone()),
            _ => None,
        });
        opened.collect()
    }

    /// What an owner's slots of executables with this name have counted.
    fn counts(&mut self, owner: &Group, executable: &str) -> SlotCounts {
        let all = self.profiler.counts().expect("the counts can be read");
        let found: Vec<SlotCounts> = self
            .slots()
            .into_iter()
            .filter(|opened| opened.owner == owner.id() && opened.path.ends_with(executable))
            .map(|opened| all[&opened.slot].clone())
            .collect();
        match <[SlotCounts; 1]>::try_from(found) {
            Ok([counts]) => counts,
            Err(found) => panic!("{} slots of {executable}", found.len()),
        }
    }
}

fn of(counts: &BTreeMap<Feature, CallCounts>, name: &str) -> (u64, u64) {
    let feature: Feature = name.parse().expect("a feature");
    let counts = counts.get(&feature).cloned().unwrap_or_default();
    (counts.calls, counts.error_total())
}

fn calls(counts: &SlotCounts, name: &str) -> (u64, u64) {
    of(&counts.calls, name)
}

#[test]
fn calls_of_threads_and_children_are_counted_exactly() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    let owner = group.id();
    scene
        .profiler
        .watch(group.id(), owner, Watch::Count)
        .expect("watched");
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
    scene
        .profiler
        .watch(group.id(), group.id(), Watch::Count)
        .expect("watched");
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
fn a_cgroup_that_is_made_below_is_watched_from_its_first_process_on() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene
        .profiler
        .watch(group.id(), group.id(), Watch::Count)
        .expect("watched");
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
    for group in [&first, &second] {
        scene
            .profiler
            .watch(group.id(), group.id(), Watch::Count)
            .expect("watched");
    }
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

#[test]
fn short_lived_processes_lose_nothing() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene
        .profiler
        .watch(group.id(), group.id(), Watch::Count)
        .expect("watched");
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
    scene
        .profiler
        .watch(group.id(), group.id(), Watch::Count)
        .expect("watched");
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
