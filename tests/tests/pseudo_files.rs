//! Pseudo-files: seen whatever name they go by, stubbed and faked, counted.

use std::collections::BTreeSet;
use std::process::Command;

use loupe_tests::analysis::Analysis;
use loupe_tests::command;
use loupe_tests::ground_truth::Truth::{self, Any, Fake, Required, Stub};
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::{RESULT, Scene};

/// What the victim `pseudo-files` does with each; it follows from its source.
const FILES: [(&str, Truth); 16] = [
    ("/dev/full", Fake),
    ("/dev/no-such-device", Stub),
    ("/dev/urandom", Required),
    ("/proc/<pid>/comm", Required),
    ("/proc/cpuinfo", Required),
    ("/proc/loadavg", Any),
    ("/proc/meminfo", Fake),
    ("/proc/self/comm", Required),
    ("/proc/self/exe", Required),
    ("/proc/sys", Required),
    ("/proc/sys/kernel/ostype", Required),
    ("/proc/sys/kernel/pid_max", Required),
    ("/proc/uptime", Required),
    ("/proc/version", Stub),
    ("/sys/devices/system/cpu/online", Fake),
    ("/sys/kernel/mm/transparent_hugepage/enabled", Required),
];

fn workload(scene: &Scene, behaviour: &str) -> String {
    let path = scene.write(
        "files.toml",
        &format!(
            "application = \"files\"\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = [\"./victim\", {behaviour:?}, {RESULT:?}]\n\
             test = [\"./probe\", \"works\", {RESULT:?}]\n"
        ),
    );
    path.to_str().expect("a plain path").to_owned()
}

#[test]
fn verdicts_on_files_are_those_of_the_source() {
    require!(Replays);
    let scene = Scene::new();
    let path = workload(&scene, "pseudo-files");
    let words = ["analyze", &path, "--json"];
    let analysis = Analysis::new(scene.run(&words).expect_code(0).json());
    for (file, truth) in FILES {
        let verdict = analysis.verdict(file);
        assert!(truth.admits(verdict), "{file}: {verdict:?}, not {truth:?}");
    }
    let rows = analysis.0["features"].as_array().expect("a table");
    let files = rows.iter().filter(|row| row["kind"] == "pseudo-file");
    assert_eq!(files.count(), FILES.len(), "{:#}", analysis.0);
    // The joint policy goes as far.
    let joint = &analysis.0["joint"];
    let has = |part: &str, file: &str| {
        let list = joint[part].as_array().expect("a list");
        list.iter().any(|feature| feature == file)
    };
    assert!(has("implement", "/proc/cpuinfo"), "{joint:#}");
    assert!(has("stub", "/proc/version") && has("fake", "/proc/meminfo"));
    scene
        .run(&["explain", "files", "/proc/version"])
        .expect_code(0);
    let words = ["analyze", &path, "--json", "--no-pseudo-files"];
    let without = Analysis::new(scene.run(&words).expect_code(0).json());
    assert_eq!(without.verdict("/proc/cpuinfo"), None);
    scene.assert_nothing_left();
}

/// A syscall and the file that the victim `turns-to-files` asks instead.
const TURNS: [(&str, &str); 3] = [
    ("getrandom", "/dev/urandom"),
    ("sched_getaffinity", "/sys/devices/system/cpu/online"),
    ("sysinfo", "/proc/meminfo"),
];

#[test]
fn files_that_only_a_syscall_left_out_makes_appear_are_found() {
    require!(Replays);
    let scene = Scene::new();
    let path = workload(&scene, "turns-to-files");
    let words = ["analyze", &path, "--json"];
    let analysis = Analysis::new(scene.run(&words).expect_code(0).json());
    let edges = analysis.0["fallbacks"].as_array().expect("a list");
    let edges: BTreeSet<[&str; 3]> = edges
        .iter()
        .filter(|edge| edge["passed"] == true)
        .map(|edge| ["action", "feature", "appears"].map(|key| edge[key].as_str().expect("a word")))
        .filter(|[_, _, appears]| appears.starts_with('/'))
        .collect();
    let ways = TURNS
        .iter()
        .flat_map(|(syscall, file)| ["stub", "fake"].map(|action| [action, *syscall, *file]));
    assert_eq!(edges, ways.collect(), "{:#}", analysis.0);
    // None of them is used by itself, and the joint policy accounts for each.
    let joint = &analysis.0["joint"];
    for (way, file) in [
        ("implement", "/dev/urandom"),
        ("fake", "/sys/devices/system/cpu/online"),
        ("stub", "/proc/meminfo"),
    ] {
        assert_eq!(analysis.verdict(file), None);
        for list in [way, "fallbacks"] {
            let features = joint[list].as_array().expect("a list");
            assert!(features.iter().any(|it| it == file), "{file}: {joint:#}");
        }
    }
    for (syscall, file) in TURNS {
        let told = scene.run(&["explain", "files", syscall]).expect_code(0);
        assert!(told.stdout.contains(file), "{told:?}");
        let told = scene.run(&["explain", "files", file]).expect_code(2);
        told.expect_message(&[&format!("instead of {syscall}")]);
    }
    let shown = scene.run(&["show", "files", "--full"]).expect_code(0);
    assert!(
        shown.stdout.contains("getrandom → /dev/urandom"),
        "{shown:?}"
    );
    scene.assert_nothing_left();
}

#[test]
fn each_rule_fires_as_often_as_its_file_is_named() {
    require!(Replays);
    let scene = Scene::new();
    for (file, truth) in FILES {
        let (stub, fake) = truth.works();
        for (way, works) in [("--stub", stub), ("--fake", fake)] {
            let report = scene.path("report.json");
            let report = report.to_str().expect("a plain path");
            let words = [
                "run",
                way,
                file,
                "--json",
                report,
                "--",
                "./victim",
                "pseudo-files",
                "/dev/null",
            ];
            // The link is made beside the result file: elsewhere than in /dev.
            let result = scene.path("result");
            let mut words = words.to_vec();
            words[8] = result.to_str().expect("a plain path");
            scene.run(&words).expect_code(i32::from(!works));
            let json = std::fs::read_to_string(report).expect("a report");
            let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            let injections = &json["injections"][0];
            assert_eq!(injections["times"], 1, "{way} {file}: {json:#}");
            for left in ["report.json", "result", "result.link"] {
                drop(std::fs::remove_file(scene.path(left)));
            }
        }
    }
    scene.assert_nothing_left();
}

#[test]
fn the_errno_can_be_chosen_and_a_link_is_known_by_its_own_name() {
    require!(Replays);
    let scene = Scene::new();
    for rule in ["/proc/cpuinfo=EACCES", "/proc/mounts", "/proc/self/mounts"] {
        let path = rule.split('=').next().expect("a path");
        let path = path.replace("self/", "");
        let words = ["run", "--stub", rule, "--", "cat", &path];
        let wanted = match rule.ends_with("EACCES") {
            true => "Permission denied",
            false => "No such file",
        };
        scene.run(&words).expect_code(1).expect_message(&[wanted]);
    }
}

#[test]
fn every_call_of_every_thread_and_child_is_answered_and_counted() {
    require!(Replays);
    let scene = Scene::new();
    let script = "for i in 1 2 3 4; do ./victim reads-file /dev/null /proc/uptime 500 & done; wait";
    let finished = scene.run(&[
        "run",
        "--fake",
        "/proc/uptime",
        "--",
        "/bin/sh",
        "-c",
        script,
    ]);
    finished
        .expect_code(0)
        .expect_message(&["/proc/uptime faked 2000 times"]);
    scene.assert_nothing_left();
}

#[test]
fn a_target_that_is_started_again_and_again_is_supervised_each_time() {
    require!(Replays);
    let scene = Scene::new();
    let victim = scene.victim();
    let victim = victim.to_str().expect("a plain path");
    let script = format!(
        "for i in 1 2 3 4 5; do {victim} reads-file /dev/null /proc/uptime; cat /proc/uptime; done"
    );
    let words = [
        "run",
        "--fake",
        "/proc/uptime",
        "--target",
        victim,
        "--",
        "/bin/sh",
        "-c",
        &script,
    ];
    let finished = scene.run(&words).expect_code(0);
    let finished = finished.expect_message(&["/proc/uptime faked 5 times"]);
    // The others of the tree see the real file.
    assert_eq!(finished.stdout.lines().count(), 5, "{finished:?}");
    scene.assert_nothing_left();
}

/// The paths of the victim, as another program sees them.
#[test]
fn strace_sees_the_same_files() {
    require!(Replays, Program("strace"));
    let scene = Scene::new();
    let result = scene.path("result");
    let result = result.to_str().expect("a plain path");
    let words = [
        "trace",
        "--pseudo-files",
        "--json",
        "-o",
        "trace.json",
        "--",
        "./victim",
        "pseudo-files",
        result,
    ];
    scene.run(&words).expect_code(0);
    let json = std::fs::read_to_string(scene.path("trace.json")).expect("a trace");
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let seen: BTreeSet<String> = json["pseudo_files"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|file| file["path"].as_str().expect("a path").to_owned())
        .collect();
    let mut strace = Command::new("strace");
    strace.current_dir(scene.directory()).args([
        "-f",
        "-y",
        "-e",
        "trace=%file",
        "./victim",
        "pseudo-files",
        result,
    ]);
    let told = command::run(strace).stderr;
    // Of calls that name a file in full; `-y` shows where the relative ones start.
    let told: BTreeSet<String> = told
        .lines()
        .filter(|line| !line.starts_with("execve") && !line.contains("symlink"))
        .filter_map(|line| line.split('"').nth(1))
        .filter(|path| {
            ["/proc", "/sys", "/dev"]
                .iter()
                .any(|top| path.starts_with(top))
        })
        .map(|path| {
            let part = path.split('/').nth(2).unwrap_or_default();
            match part.parse::<u32>() {
                Ok(1) => path.replace("/1/", "/<pid>/"),
                Ok(_) => path.replace(part, "self"),
                Err(_) => path.to_owned(),
            }
        })
        .collect();
    // Named by a link or relatively: strace does not say what they are.
    let resolved = [
        "/proc/uptime",
        "/proc/sys/kernel/ostype",
        "/proc/sys/kernel/pid_max",
    ];
    let expected: BTreeSet<String> = resolved
        .map(str::to_owned)
        .into_iter()
        .chain(told)
        .collect();
    assert_eq!(seen, expected);
    for left in ["trace.json", "result"] {
        drop(std::fs::remove_file(scene.path(left)));
    }
    scene.assert_nothing_left();
}

/// The processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Behind the name, which may hold anything: state, parent.
        let rest = stat.rsplit(')').next().unwrap_or_default();
        rest.split_whitespace().nth(1) == Some(&parent.to_string())
    })
    .collect()
}

/// The keeper, which answers, is the launcher's child; the target is the keeper's.
#[test]
fn a_supervisor_that_dies_ends_the_run_and_lets_no_call_hang() {
    require!(Replays);
    let scene = Scene::new();
    let words = ["run", "--fake", "/proc/uptime"];
    let target = ["--", "./victim", "opens-forever", "/dev/null"];
    let words: Vec<&str> = words.into_iter().chain(target).collect();
    let running = command::start(scene.loupe(&words));
    let (keeper, target) = loop {
        let launchers = children(running.pid());
        let keepers = launchers.into_iter().flat_map(children);
        let pairs = keepers.flat_map(|keeper| {
            let targets = children(keeper).into_iter();
            targets.map(move |target| (keeper, target))
        });
        let is_victim = |(_, target): &(u32, u32)| {
            let name = std::fs::read_to_string(format!("/proc/{target}/comm"));
            name.is_ok_and(|name| name.trim() == "victim")
        };
        if let Some(pair) = pairs.into_iter().find(is_victim) {
            break pair;
        }
        std::thread::yield_now();
    };
    // SAFETY: a signal to a process that this test has started, by its id.
    unsafe { libc::kill(keeper as i32, libc::SIGKILL) };
    let finished = running.wait();
    assert_eq!(finished.code(), Some(125), "{finished:?}");
    assert!(!std::path::Path::new(&format!("/proc/{target}/exe")).exists());
    scene.assert_nothing_left();
}
