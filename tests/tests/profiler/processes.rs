//! Processes and executables that are watched wherever they are, slots that end, and what is left.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use loupe_daemon::benchmarks::profiler::{ExecutableId, Profiler, ProfilerBounds};
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::{binaries, require};

use crate::scene::{Group, Scene, calls};

/// An owner that is no cgroup of this host.
const OWNER: u64 = u64::MAX - 7;

/// A shell that does what it is told, line by line.
struct Shell {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Shell {
    fn start(path: &Path) -> Shell {
        let mut child = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut shell = Shell { child, answers };
        shell.tell(":");
        shell
    }

    /// Returns when it is done.
    fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("piped");
        writeln!(input, "{line}; echo done").expect("it reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        assert_eq!(answer, "done\n");
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("it ends").success());
    }
}

#[test]
fn a_process_is_watched_with_what_it_forks_wherever_they_are() {
    require!(Replays);
    let scene = Scene::new();
    let victim = binaries::victim().display().to_string();
    let mut shell = Shell::start(Path::new("/bin/sh"));
    let _window = scene.profiler.open_window().expect("attached");
    shell.tell("kill -0 $$");
    scene
        .profiler
        .watch_process(shell.child.id(), OWNER)
        .expect("watched");
    shell.tell("kill -0 $$; kill -0 $$");
    shell.tell(&format!("{victim} counts /dev/null 100 0 2"));
    scene.profiler.unwatch_processes(OWNER).expect("forgotten");
    shell.tell("kill -0 $$");
    shell.end();
    let all = scene.profiler.counts().expect("readable");
    assert_eq!(all.len(), 2, "two executables");
    let of = |name: &str| {
        all.values()
            .map(|counts| calls(counts, name).0)
            .sum::<u64>()
    };
    assert_eq!((of("kill"), of("getpriority")), (2, 330));
}

#[test]
fn an_executable_is_watched_wherever_it_runs() {
    require!(Replays);
    let mut scene = Scene::new();
    // A file of the test's own, so that nobody else runs it.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("shell");
    std::fs::copy("/bin/sh", &path).expect("it can be copied");
    let mut before = Shell::start(&path);
    let id = ExecutableId::of_path(&path).expect("it is there");
    scene.profiler.watch_executable(id, OWNER).expect("watched");
    let _window = scene.profiler.open_window().expect("attached");
    // One that ran before, one that starts later, one whose cgroup is watched.
    before.tell("kill -0 $$");
    let mut later = Shell::start(&path);
    later.tell("kill -0 $$; (kill -0 $$; :); /bin/true");
    let group = Group::new();
    scene.watch(&group);
    let path = path.display().to_string();
    group.run(&[&path, "-c", "kill -0 $$"]);
    before.end();
    later.end();
    let opened = scene.slots();
    let mine = |owner: u64| {
        let found: Vec<_> = opened
            .iter()
            .filter(|slot| slot.owner == owner && slot.executable == id)
            .collect();
        assert_eq!(found.len(), 1, "slots of {owner}");
        found[0].slot
    };
    let all = scene.profiler.counts().expect("readable");
    assert_eq!(calls(&all[&mine(OWNER)], "kill"), (3, 0));
    assert_eq!(calls(&all[&mine(group.id())], "kill"), (1, 0));
    assert!(
        opened
            .iter()
            .all(|slot| slot.owner != OWNER || slot.executable == id)
    );
}

#[test]
fn a_slot_that_ends_has_told_all_and_its_number_comes_again() {
    require!(Replays);
    let mut scene = Scene::with(&ProfilerBounds {
        slots: 2,
        ..ProfilerBounds::default()
    });
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    for round in 1..=5 {
        group.run_victim(&["counts", "/dev/null", "100", "0", "0"]);
        let slots: Vec<u32> = scene.slots().iter().map(|opened| opened.slot).collect();
        assert_eq!(slots.len(), 2 * round, "a shell and the victim, anew");
        let ended = scene.profiler.close_slots(&slots[2 * (round - 1)..]);
        let ended = ended.expect("they can be closed");
        let sum: u64 = ended.values().map(|one| calls(one, "getpriority").0).sum();
        assert_eq!(sum, 110);
        assert!(scene.profiler.counts().expect("readable").is_empty());
    }
    assert_eq!(scene.profiler.lost().expect("readable").total(), 0);
}

#[test]
fn without_a_window_nothing_is_counted_and_executables_are_seen() {
    require!(Replays);
    let mut scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    drop(scene.profiler.open_window().expect("attached"));
    group.run_victim(&["counts", "/dev/null", "100", "0", "0"]);
    let counts = scene.counts(&group, "/victim");
    assert_eq!((counts.calls.len(), counts.starts), (0, 1));
    let window = scene.profiler.open_window().expect("attached");
    let second = scene.profiler.open_window().expect("attached");
    drop(window);
    group.run_victim(&["counts", "/dev/null", "100", "0", "0"]);
    drop(second);
    let counts = scene.counts(&group, "/victim");
    assert_eq!((calls(&counts, "getpriority").0, counts.starts), (110, 2));
}

#[test]
fn what_programs_cost_is_measured_while_somebody_asks() {
    require!(Replays);
    let scene = Scene::new();
    let group = Group::new();
    scene.watch(&group);
    let _window = scene.profiler.open_window().expect("attached");
    let meter = scene.profiler.measure_cost().expect("measured");
    let before = scene.profiler.cost().expect("readable");
    group.run_victim(&["counts", "/dev/null", "10000", "0", "0"]);
    let after = scene.profiler.cost().expect("readable");
    assert!(after.runs >= before.runs + 11_000);
    assert!(after.run_ns > before.run_ns);
    drop(meter);
}

/// The kernel's objects that this process holds, by their links in `/proc`.
fn held_objects() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("its own");
    descriptors
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|link| link.to_string_lossy().contains("bpf"))
        .count()
}

/// In a process of its own, beside which no other test holds anything.
#[test]
fn nothing_is_left_of_a_profiler() {
    require!(Replays);
    const ALONE: &str = "LOUPE_PROFILER_ALONE";
    let name = "processes::nothing_is_left_of_a_profiler";
    if std::env::var_os(ALONE).is_none() {
        let own = std::env::current_exe().expect("a test program knows its own path");
        let mut command = Command::new(own);
        let output = command.args(["--exact", name]).env(ALONE, "1").output();
        let output = output.expect("it starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        return;
    }
    assert_eq!(held_objects(), 0);
    let profiler = Profiler::load(&ProfilerBounds::default()).expect("the programs load");
    let window = profiler.open_window().expect("attached");
    assert!(held_objects() > 20, "maps, programs and links");
    drop(profiler);
    assert!(held_objects() > 20, "the window keeps them");
    drop(window);
    assert_eq!(held_objects(), 0);
}
