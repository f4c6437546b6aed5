//! What belongs to a run, and who owns it: in whatever part of the tree of cgroups Loupe lives,
//! and whoever else is on the host.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use loupe_tests::command::{self, Finished, Running};
use loupe_tests::leftovers::cgroup2_mount;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::Scene;
use loupe_tests::trace::{self, Counts};
use serde_json::Value;

/// Far above what anything waited for here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn mount() -> PathBuf {
    cgroup2_mount().expect("cgroup v2 is required")
}

/// A cgroup three levels deep, for as long as this lives.
struct Deep(PathBuf);

impl Deep {
    fn make() -> Deep {
        let top = mount().join(format!("loupe-test-{}", std::process::id()));
        fs::create_dir_all(top.join("a/b")).expect("cgroups can be made");
        Deep(top)
    }

    fn bottom(&self) -> PathBuf {
        self.0.join("a/b")
    }
}

impl Drop for Deep {
    fn drop(&mut self) {
        let begin = Instant::now();
        for path in [self.bottom(), self.0.join("a"), self.0.clone()] {
            while fs::remove_dir(&path).is_err() && begin.elapsed() < PATIENCE {
                std::thread::yield_now();
            }
        }
    }
}

/// `loupe` in new namespaces, after a shell has done something there.
fn in_namespaces(
    scene: &Scene,
    cgroup: &Path,
    flags: &[&str],
    before: &str,
    words: &[&str],
) -> Finished {
    let script = "echo $$ > \"$0/cgroup.procs\" && exec unshare \"$@\"";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).arg(cgroup).args(flags);
    command.args(["/bin/sh", "-ec"]);
    command.arg(format!("{before}\nexec \"$0\" \"$@\""));
    let loupe = scene.loupe(words);
    command.arg(loupe.get_program()).args(loupe.get_args());
    command.current_dir(scene.directory()).env("NO_COLOR", "1");
    command::run(command)
}

fn traced(finished: Finished, path: &Path) -> Value {
    finished.expect_code(0);
    let text = fs::read_to_string(path).expect("the trace is written");
    fs::remove_file(path).expect("the trace can be removed");
    serde_json::from_str(&text).expect("the trace is JSON")
}

#[test]
fn in_a_cgroup_namespace_the_same_is_counted_as_outside() {
    require!(Replays, Program("unshare"));
    let scene = Scene::new();
    let deep = Deep::make();
    let path = scene.path("trace.json");
    let words = [
        "trace",
        "--json",
        "--output",
        path.to_str().expect("plain"),
        "--",
    ];
    let words = [
        &words[..],
        // Without threads, which wait for each other by chance.
        &["./victim", "counts", "/dev/null", "70", "0", "3"],
    ]
    .concat();
    let outside = trace::counts(&traced(scene.run(&words), &path));
    assert_eq!(outside["getpriority"], 4 * (70 + 7));
    let mount = mount().display().to_string();
    // Where the tree is mounted anew it begins at the namespace's root; else above it.
    let anew = format!("umount -l {mount}; mount -t cgroup2 none {mount}");
    for (flags, before) in [
        (&["--cgroup", "--mount"][..], anew.as_str()),
        (&["--cgroup"], ""),
    ] {
        let inside = in_namespaces(&scene, &deep.bottom(), flags, before, &words);
        assert_eq!(trace::counts(&traced(inside, &path)), outside, "{flags:?}");
    }
    drop(deep);
    scene.assert_nothing_left();
}

#[test]
fn doctor_counts_the_calls_of_a_program() {
    require!(Replays);
    let scene = Scene::new();
    let report = scene.run(&["doctor", "--json"]).json();
    let checks = report["checks"].as_array().expect("checks");
    let trial = checks
        .iter()
        .find(|check| check["name"] == "trace of `true`");
    let trial = trial.expect("a trial");
    assert_eq!(trial["status"], "ok", "{trial}");
    assert!(
        trial["found"]
            .as_str()
            .is_some_and(|found| found.ends_with(" calls"))
    );
}

/// The processes of the targets of a running `loupe`.
fn targets(loupe: &Running) -> Vec<(PathBuf, i32)> {
    let own = format!("{}-", loupe.pid());
    let runs = fs::read_dir(mount().join("loupe"))
        .into_iter()
        .flatten()
        .flatten();
    runs.filter(|run| run.file_name().to_string_lossy().starts_with(&own))
        .flat_map(|run| {
            let target = run.path().join("target");
            let procs = fs::read_to_string(target.join("cgroup.procs")).unwrap_or_default();
            let pids: Vec<i32> = procs.lines().filter_map(|pid| pid.parse().ok()).collect();
            pids.into_iter().map(move |pid| (target.clone(), pid))
        })
        .collect()
}

/// Does something to every target that a running `loupe` starts.
fn to_every_target(loupe: &Running, act: impl Fn(i32)) {
    let begin = Instant::now();
    while !loupe.ends_within(Duration::from_millis(1)) && begin.elapsed() < PATIENCE {
        for (_, pid) in targets(loupe).into_iter() {
            act(pid);
        }
    }
}

fn wait_for_target(loupe: &Running) {
    let begin = Instant::now();
    while targets(loupe).is_empty() {
        assert!(begin.elapsed() < PATIENCE, "no target was started");
        std::thread::yield_now();
    }
}

#[test]
fn loupes_in_two_process_namespaces_leave_each_other_alone() {
    require!(Replays, Program("unshare"));
    let scene = Scene::new();
    let first = command::start(scene.loupe(&["run", "--", "/bin/sleep", "300"]));
    wait_for_target(&first);
    let flags = ["--pid", "--fork", "--mount-proc", "--mount"];
    in_namespaces(&scene, &mount(), &flags, "", &["run", "--", "/bin/true"]).expect_code(0);
    let still: Vec<i32> = targets(&first).into_iter().map(|(_, pid)| pid).collect();
    assert_eq!(still.len(), 1);
    first.signal(libc::SIGTERM);
    assert_eq!(first.wait().signal(), Some(libc::SIGTERM));
    scene.assert_nothing_left();
}

#[test]
fn only_what_nobody_holds_is_cleared_away() {
    require!(Replays);
    let scene = Scene::new();
    // As if two Loupes had made them, of a process namespace that nobody can look into.
    let parent = mount().join("loupe");
    let make = |number: u32| {
        let run = parent.join(format!("{}-{number}-1", std::process::id()));
        fs::create_dir_all(run.join("target")).expect("cgroups can be made");
        let mut sleeper = Command::new("/bin/sleep");
        let sleeper = sleeper.arg("300").stdin(Stdio::null());
        (run, sleeper.spawn().expect("it starts"))
    };
    let (held, mut alive) = make(0);
    let lock = File::open(&held).expect("it is there");
    lock.lock().expect("it can be locked");
    let (orphan, mut doomed) = make(1);
    for (run, sleeper) in [(&held, &alive), (&orphan, &doomed)] {
        let procs = run.join("target/cgroup.procs");
        fs::write(procs, sleeper.id().to_string()).expect("it can be moved");
    }
    scene.run(&["run", "--", "/bin/true"]).expect_code(0);
    assert!(!doomed.wait().expect("it ends").success());
    assert!(!orphan.exists());
    assert!(held.exists());
    assert_eq!(alive.try_wait().expect("a child"), None);
    // Its owner dies, and the kernel lets go of the lock.
    drop(lock);
    scene.run(&["run", "--", "/bin/true"]).expect_code(0);
    assert!(!alive.wait().expect("it ends").success());
    assert!(!held.exists());
    scene.assert_nothing_left();
}

fn sleeper(scene: &Scene) -> String {
    let workload = scene.write(
        "sleeper.toml",
        "application = \"sleeper\"\nworkload = \"truth\"\nmode = \"batch\"\n\
         command = [\"/bin/sleep\", \"2\"]\ntest = [\"/bin/true\"]\n",
    );
    workload.to_str().expect("a plain path").to_owned()
}

#[test]
fn a_process_that_somebody_else_kills_fails_no_replay() {
    require!(Replays);
    let scene = Scene::new();
    let workload = sleeper(&scene);
    let loupe = command::start(scene.loupe(&["analyze", &workload]));
    to_every_target(&loupe, |pid| {
        // SAFETY: a system call without memory, to a process of this test's own `loupe`.
        let _ = unsafe { libc::kill(pid, libc::SIGKILL) };
    });
    let said = ["cannot be measured", "disturbed from outside", "SIGKILL"];
    loupe.wait().expect_code(3).expect_message(&said);
    scene.assert_nothing_left();
}

#[test]
fn a_process_that_kills_its_own_child_is_no_disturbance() {
    require!(Replays);
    let scene = Scene::new();
    let workload = scene.write(
        "strict-parent.toml",
        "application = \"strict-parent\"\nworkload = \"truth\"\nmode = \"batch\"\n\
         command = [\"/bin/sh\", \"-c\", \"sleep 300 & kill -KILL $!; wait $!; test $? = 137\"]\n\
         test = [\"/bin/true\"]\n",
    );
    let path = workload.to_str().expect("a plain path");
    let analysis = scene.run(&["analyze", path, "--json", "--replicas", "1", "--no-joint"]);
    let analysis = loupe_tests::analysis::Analysis::new(analysis.expect_code(0).json());
    assert_eq!(analysis.verdict("kill"), Some("required"));
    let warnings = analysis.warnings();
    assert!(!warnings.contains("could not be used"), "{warnings}");
    scene.assert_nothing_left();
}

#[test]
fn what_leaves_its_cgroup_is_missed() {
    require!(Replays);
    let scene = Scene::new();
    let root = mount().join("cgroup.procs");
    let script = format!("echo $$ > {}; exit 0", root.display());
    scene
        .run(&["trace", "--", "/bin/sh", "-c", &script])
        .expect_code(0)
        .expect_message(&["1 of the target's processes", "left its cgroup"]);
    let workload = sleeper(&scene);
    let loupe = command::start(scene.loupe(&["analyze", &workload]));
    // Not before it has made calls, of which it sleeps in the last.
    to_every_target(&loupe, |pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.contains(") S ") {
            // It may have ended meanwhile.
            drop(fs::write(&root, pid.to_string()));
        }
    });
    let said = ["cannot be measured", "left the cgroup of the replay"];
    loupe.wait().expect_code(3).expect_message(&said);
    scene.assert_nothing_left();
}

#[test]
fn cgroups_that_a_workload_makes_are_counted_and_removed() {
    require!(Replays);
    let scene = Scene::new();
    let find = "d=$(sed -n 's/^0:://p' /proc/self/cgroup)";
    let script = format!(
        "{find}; mkdir {0}$d/own && echo $$ > {0}$d/own/cgroup.procs; ./victim uname /dev/null",
        mount().display()
    );
    let path = scene.path("trace.json");
    let words = [
        "trace",
        "--json",
        "--output",
        path.to_str().expect("plain"),
        "--",
    ];
    let words = [&words[..], &["/bin/sh", "-c", &script]].concat();
    let counts = trace::counts(&traced(scene.run(&words), &path));
    assert_eq!(counts.get("uname"), Some(&1), "{counts:?}");
    scene.assert_nothing_left();
}

fn births(counts: &Counts) -> [u64; 4] {
    ["fork", "clone", "clone3", "vfork"].map(|name| counts.get(name).copied().unwrap_or(0))
}

#[test]
fn forks_are_counted_exactly_faked_or_not_beside_others() {
    require!(Replays);
    let scene = Scene::new();
    let path = scene.path("run.json");
    let out = path.to_str().expect("a plain path");
    let words = [
        "trace", "--json", "--output", out, "--", "./victim", "births",
    ];
    let words = [&words[..], &["/dev/null", "3"]].concat();
    let real = trace::counts(&traced(scene.run(&words), &path));
    // A thread is a clone3, or a clone where the C library is older.
    assert_eq!(births(&real).iter().sum::<u64>(), 4 + 5 + 6 + 1 + 3);
    assert_eq!((real["fork"], real["vfork"]), (4, 1));
    // What is faked makes no task: the others do, and threads where it is none of theirs.
    for (name, times, threads) in [
        ("fork", 4, "3"),
        ("vfork", 1, "3"),
        ("clone", 5, "0"),
        ("clone3", 6, "0"),
    ] {
        let words = [
            "run", "--fake", name, "--json", out, "--", "./victim", "births",
        ];
        let words = [&words[..], &["/dev/null", threads]].concat();
        let report = traced(scene.run(&words), &path);
        assert_eq!(report["injections"][0]["times"], times, "{name}");
        let counts = trace::counts(&report["trace"]);
        assert_eq!(counts[name], times, "{name}");
        let threads: u64 = threads.parse().expect("a number");
        assert_eq!(births(&counts).iter().sum::<u64>(), 16 + threads, "{name}");
    }
    let stubbed = [
        "run", "--stub", "clone", "--json", out, "--", "./victim", "births",
    ];
    let stubbed = [&stubbed[..], &["/dev/null", "0"]].concat();
    let report = traced(scene.run(&stubbed), &path);
    assert_eq!(report["injections"][0]["times"], 5);
    scene.assert_nothing_left();
}

/// Marks a cgroup as a service manager does.
fn delegate(cgroup: &Path) {
    let path = CString::new(cgroup.as_os_str().as_bytes()).expect("no NUL");
    let (name, value) = (c"trusted.delegate", b"1");
    let length = value.len();
    // SAFETY: two strings that end with NUL, and the value with its length; all outlive the call.
    let result = unsafe {
        libc::setxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_ptr().cast(),
            length,
            0,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn runs_are_made_below_a_delegated_cgroup() {
    require!(Replays);
    let scene = Scene::new();
    let deep = Deep::make();
    delegate(&deep.bottom());
    let script = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).arg(deep.bottom());
    let find = "sed -n 's/^0:://p' /proc/self/cgroup";
    let loupe = scene.loupe(&["run", "--", "/bin/sh", "-c", find]);
    command.arg(loupe.get_program()).args(loupe.get_args());
    command.current_dir(scene.directory());
    let finished = command::run(command).expect_code(0);
    let below = deep.bottom().join("loupe");
    let below = below.strip_prefix(mount()).expect("it is in the tree");
    let expected = format!("/{}/", below.display());
    // In a cgroup namespace the path begins at its root.
    let path = finished.stdout.trim_start_matches("/..");
    assert!(path.starts_with(&expected), "{finished:?}");
    drop(deep);
    scene.assert_nothing_left();
}

#[test]
fn runs_are_named_after_their_process_and_its_namespace() {
    require!(Replays);
    let scene = Scene::new();
    let loupe = command::start(scene.loupe(&["run", "--", "/bin/sleep", "300"]));
    wait_for_target(&loupe);
    let namespace = fs::metadata("/proc/self/ns/pid")
        .expect("a namespace")
        .ino();
    for (target, _) in targets(&loupe) {
        let run = target.parent().and_then(Path::file_name).expect("a run");
        let name = run.to_string_lossy().into_owned();
        assert!(name.ends_with(&format!("-{namespace}")), "{name}");
        // The owner holds it.
        let held = File::open(target.parent().expect("a run")).expect("it is there");
        assert!(held.try_lock().is_err());
    }
    loupe.signal(libc::SIGTERM);
    loupe.wait();
    scene.assert_nothing_left();
}
