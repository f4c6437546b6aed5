//! Below the syscall: verdicts on operations and flags are the table of truth's, injections of
//! them are counted exactly, and which were used is what strace saw.

use std::collections::BTreeSet;

use loupe_tests::analysis::Analysis;
use loupe_tests::operations::VICTIMS;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::requirement::all_present;
use loupe_tests::scene::Scene;
use loupe_tests::servers::short_runs;
use loupe_tests::trace;
use serde_json::Value;

#[test]
fn every_verdict_on_an_operation_comes_out() {
    require!(Replays);
    let scene = Scene::new();
    let mut wrong = Vec::new();
    for parts in VICTIMS {
        let name = parts.victim.name;
        let workload = scene.workload(&parts.victim);
        let path = workload.to_str().expect("a plain path");
        let words = ["analyze", path, "--json", "--depth", parts.depth];
        let finished = scene.run(&words);
        assert!(matches!(finished.code(), Some(0 | 1)), "{finished:#?}");
        let analysis = Analysis::new(finished.json());
        assert_eq!(analysis.0["depth"], parts.depth);
        let parent = analysis.verdict(parts.syscall);
        if parent != Some("required") {
            wrong.push(format!("{name}: {} is {parent:?}", parts.syscall));
        }
        for row in parts.rows {
            let found = analysis.verdict(row.feature);
            if !row.truth.admits(found) {
                let row = analysis.row(row.feature);
                wrong.push(format!("{name}: {found:?}: {row:?}"));
            }
        }
        wrong.extend(joint(name, &analysis));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    scene.assert_nothing_left();
}

/// What is wrong with the joint policy: it must pass, and name what of a conflict is kept.
fn joint(name: &str, analysis: &Analysis) -> Option<String> {
    let joint = &analysis.0["joint"];
    let names = |key: &str| -> BTreeSet<String> {
        let features = joint[key].as_array().into_iter().flatten();
        features
            .filter_map(|it| Some(it.as_str()?.to_owned()))
            .collect()
    };
    let (implement, stub, fake) = (names("implement"), names("stub"), names("fake"));
    let is = |set: &BTreeSet<String>, feature: &str| set.contains(feature);
    let right = match name {
        "parts-of-fcntl" => {
            is(&implement, "fcntl:F_GETFL")
                && is(&implement, "fcntl:F_SETFL")
                && is(&fake, "fcntl:F_SETFD")
                && is(&stub, "fcntl:F_GETOWN")
                && !is(&implement, "fcntl")
        }
        // Not both stubbed, which breaks it: that is a way to do without both.
        "parts-that-conflict" => {
            let either = ["madvise:MADV_RANDOM", "madvise:MADV_SEQUENTIAL"];
            let stubbed = either.iter().filter(|part| is(&stub, part)).count();
            let faked = either.iter().filter(|part| is(&fake, part)).count();
            let named = serde_json::json!({
                "madvise:MADV_RANDOM": "stub", "madvise:MADV_SEQUENTIAL": "stub",
            });
            let conflicts = analysis.0["conflicts"].as_array().into_iter().flatten();
            let conflicts: Vec<&Value> = conflicts.map(|it| &it["policy"]).collect();
            (stubbed, faked) == (1, 1)
                && is(&implement, "madvise:MADV_DONTNEED")
                && conflicts == [&named]
        }
        // Flags are named beside their syscall, not instead of it.
        "flags-of-mmap" => is(&implement, "mmap") && is(&stub, "mmap:MAP_POPULATE"),
        _ => true,
    };
    let passes = joint["passes"].as_u64() > Some(0) && joint["passes"] == joint["runs"];
    (!right || !passes).then(|| format!("{name}: {joint:#}"))
}

#[test]
fn other_errnos_of_operations_and_files_are_tried_and_told() {
    require!(Replays);
    let scene = Scene::new();
    let parts = VICTIMS.iter().find(|it| it.victim.name == "takes-refusals");
    let workload = scene.workload(&parts.expect("a victim").victim);
    let path = workload.to_str().expect("a plain path");
    let words = ["analyze", path, "--json", "--errnos"];
    let analysis = Analysis::new(scene.run(&words).expect_code(0).json());
    for (feature, takes, refuses) in [
        (
            "ioctl:TCGETS",
            "ENOTTY",
            &["EPERM", "EINVAL", "EOPNOTSUPP"][..],
        ),
        ("/proc/uptime", "EACCES", &["EPERM"]),
    ] {
        let row = analysis.row(feature).expect("it is used");
        let works = |errno: &str| row["errnos"][errno]["works"].as_bool();
        assert_eq!(works(takes), Some(true), "{row:#}");
        for errno in refuses {
            assert_eq!(works(errno), Some(false), "{errno}: {row:#}");
        }
        let told = scene.run(&["explain", "takes-refusals", feature]);
        let heading = format!("stubbed (fails with {takes}): 3 of 3 passed");
        assert!(told.expect_code(0).stdout.contains(&heading), "{feature}");
    }
    let shown = scene.run(&["show", "takes-refusals"]).expect_code(0).stdout;
    for line in [
        "ioctl:TCGETS may fail with ENOTTY",
        "/proc/uptime may fail with EACCES",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    scene.assert_nothing_left();
}

#[test]
fn calls_and_injections_of_an_operation_are_counted_exactly() {
    require!(Replays);
    let scene = Scene::new();
    let victim = ["--", "./victim", "parts-of-fcntl", "result"];
    let run = |options: &[&str]| -> (Option<i32>, Value) {
        let finished = scene.run(&[&["run", "--json", "-"], options, &victim].concat());
        drop(std::fs::remove_file(scene.path("result")));
        (finished.code(), finished.json())
    };
    let (code, plain) = run(&["--stub", "acct"]);
    assert_eq!(code, Some(0));
    let operations = trace::operations(&plain["trace"]);
    let of_fcntl: Vec<(&str, u64)> = operations
        .iter()
        .filter(|(name, _)| name.starts_with("fcntl:"))
        .map(|(name, calls)| (name.as_str(), *calls))
        .collect();
    let expected = [
        ("fcntl:F_GETFL", 1),
        ("fcntl:F_GETOWN", 1),
        ("fcntl:F_SETFD", 3),
        ("fcntl:F_SETFL", 1),
    ];
    assert_eq!(of_fcntl, expected);
    assert!(trace::flags(&plain["trace"]).contains_key("openat:O_CREAT"));

    let times = |report: &Value, feature: &str| {
        let injections = report["injections"].as_array().expect("a list");
        let row = injections.iter().find(|row| row["feature"] == feature);
        row.expect("a rule")["times"].as_u64().expect("a number")
    };
    let (code, faked) = run(&["--fake", "fcntl:F_SETFD", "--stub", "ioctl:TCGETS"]);
    assert_eq!(code, Some(0));
    assert_eq!(times(&faked, "fcntl:F_SETFD"), 3);
    assert_eq!(times(&faked, "ioctl:TCGETS"), 0);
    // The rest of fcntl has a rule of its own; the operation's goes before it.
    let (code, both) = run(&["--fake", "fcntl:F_GETFL", "--stub", "fcntl"]);
    assert_ne!(code, Some(0));
    assert_eq!(times(&both, "fcntl"), 1);
    assert_eq!(times(&both, "fcntl:F_GETFL"), 0);
    scene.assert_nothing_left();
}

/// Syscalls whose operations strace names as the kernel's headers do, and how many arguments
/// stand before the one that selects.
const WITNESSED: [(&str, usize); 14] = [
    ("arch_prctl", 0),
    ("epoll_ctl", 1),
    ("fadvise64", 3),
    ("fcntl", 1),
    ("getsockopt", 1),
    ("ioctl", 1),
    ("lseek", 2),
    ("prctl", 0),
    ("prlimit64", 1),
    ("rt_sigaction", 0),
    ("rt_sigprocmask", 0),
    ("setsockopt", 1),
    ("socket", 0),
    ("socketpair", 0),
];

/// The operation that a line of strace shows.
fn operation(line: &str) -> Option<String> {
    let (syscall, rest) = line.split_once('(')?;
    let (_, before) = WITNESSED.iter().find(|(name, _)| *name == syscall)?;
    let mut arguments = rest.split(", ").skip(*before).map(|argument| {
        let end = argument
            .find([')', ' ', '|', '<', '('])
            .unwrap_or(argument.len());
        argument[..end].to_owned()
    });
    let first = arguments.next()?;
    let name = match syscall {
        "socket" | "socketpair" | "getsockopt" | "setsockopt" => {
            format!("{first}/{}", arguments.next()?)
        }
        // Real-time signals have no names in the kernel's headers, only their first number.
        "rt_sigaction" => match first.strip_prefix("SIGRT_").or(first.strip_prefix("SIGRT")) {
            Some("MIN") => "0x20".to_owned(),
            Some(number) => format!("{:#x}", 32 + number.parse::<u32>().ok()?),
            None => first,
        },
        // A request without a name, as its parts: `_IOC(_IOC_NONE, 0xde, 0xad, 0)`.
        "ioctl" if first.starts_with("_IOC") => {
            let mut byte = || {
                let argument = arguments.next()?;
                u32::from_str_radix(argument.strip_prefix("0x")?, 16).ok()
            };
            format!("{:#x}", byte()? << 8 | byte()?)
        }
        _ => first,
    };
    Some(format!("{syscall}:{name}"))
}

/// Loupe's operations of a command, and strace's.
fn both(scene: &Scene, command: &[&str]) -> [BTreeSet<String>; 2] {
    let syscalls: Vec<&str> = WITNESSED.iter().map(|(name, _)| *name).collect();
    let lines = trace::strace_calls(&syscalls.join(","), command, scene.directory());
    let theirs = lines.iter().filter_map(|line| operation(line)).collect();
    let out = scene.path("trace.json");
    let out = out.to_str().expect("a plain path");
    let words = [&["trace", "--json", "--output", out, "--"], command].concat();
    scene.run(&words).expect_code(0);
    let text = std::fs::read_to_string(out).expect("the trace is written");
    std::fs::remove_file(out).expect("the trace can be removed");
    let traced: Value = serde_json::from_str(&text).expect("the trace is JSON");
    let ours = trace::operations(&traced).into_keys();
    let witnessed = |name: &String| {
        let syscall = name.split(':').next();
        syscalls.contains(&syscall.unwrap_or_default())
    };
    [ours.filter(witnessed).collect(), theirs]
}

#[test]
fn operations_agree_with_strace() {
    require!(Replays, Program("strace"));
    let scene = Scene::new();
    let commands: [&[&str]; 5] = [
        &["/bin/ls", "/usr"],
        &["/bin/sh", "-c", "/bin/cat /etc/passwd | /usr/bin/wc -l"],
        &["./victim", "parts-of-fcntl", "/dev/null"],
        &["./victim", "parts-of-ioctl", "/dev/null"],
        &["./victim", "parts-of-socket", "/dev/null"],
    ];
    for command in commands {
        let [ours, theirs] = both(&scene, command);
        assert!(!ours.is_empty(), "{command:?}");
        assert_eq!(ours, theirs, "{command:?}");
    }
    scene.assert_nothing_left();
}

/// Each server starts, serves nobody, and is asked to end.
#[test]
fn operations_of_the_servers_agree_with_strace() {
    require!(Replays, Program("strace"));
    let scene = Scene::new();
    for (program, command) in short_runs(&scene) {
        if !all_present(program, &[Program(program)]) {
            continue;
        }
        let [ours, theirs] = both(&scene, &["/bin/sh", "-c", &command]);
        assert!(ours.len() > 5, "{program}: {ours:?}");
        assert_eq!(ours, theirs, "{program}");
    }
}
