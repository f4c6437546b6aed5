//! Real servers of Debian, analysed with the workload files that come with Loupe. What is
//! asserted is what must be true of any such program, not what happened to come out once.

use loupe_tests::analysis::Analysis;
use loupe_tests::binaries::workloads;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::Scene;

/// What an application does after a fake may be a matter of chance: memcached takes for its limit
/// of descriptors what its stack happened to hold, and now and then dies of that.
const BY_CHANCE: [(&str, &str); 2] = [
    ("memcached", "prlimit64"),
    ("memcached", "prlimit64:RLIMIT_NOFILE"),
];

/// Analyses a shipped workload; `required` can be neither stubbed nor faked.
fn check(name: &str, required: &[&str], tolerates: &[&str]) {
    let scene = Scene::new();
    let workload = workloads().join(format!("{name}.toml"));
    let path = workload.to_str().expect("a plain path");
    let finished = scene.run(&["analyze", path, "--json", "--replicas", "2"]);
    // 1: a verdict was not reached. Which one, and why, is told below.
    assert!(matches!(finished.code(), Some(0 | 1)), "{finished:#?}");
    let analysis = Analysis::new(finished.json());
    assert_eq!(analysis.0["application"], name);
    for feature in required {
        let row = analysis.row(feature);
        assert_eq!(
            analysis.verdict(feature),
            Some("required"),
            "{feature}: {row:?}"
        );
    }
    for feature in tolerates {
        let row = analysis.row(feature);
        assert_ne!(
            analysis.verdict(feature),
            Some("required"),
            "{feature}: {row:?}"
        );
    }
    let rows = analysis.0["features"].as_array().expect("a table");
    // The smallest of the five programs uses about thirty.
    assert!(rows.len() >= 20, "only {} features", rows.len());
    for row in rows {
        let feature = row["feature"].as_str().expect("a name");
        let by_chance = BY_CHANCE.contains(&(name, feature));
        if row["verdict"] == "undecided" && !by_chance {
            panic!("{}", scene.run(&["explain", name, feature]).stdout);
        }
        // A verdict that says that something can be left out rests on its having been left out.
        for (way, other) in [("stub", "fake"), ("fake", "stub")] {
            let says_so = row["verdict"] == way || row["verdict"] == "any";
            if says_so {
                assert!(row[way]["injections"].as_u64() > Some(0), "{row:#}");
                assert_eq!(row[way]["passes"], row[way]["runs"], "{row:#}");
            } else if row["verdict"] == other {
                assert!(
                    row[way]["runs"].as_u64() > row[way]["passes"].as_u64(),
                    "{row:#}"
                );
            }
        }
    }
    agrees_with_every_feature_alone(&scene, path, &analysis);
    scene.assert_nothing_left();
}

/// Whatever is confirmed together must come out as it does alone. What was not decided, by one
/// or the other, is not compared.
fn agrees_with_every_feature_alone(scene: &Scene, path: &str, analysis: &Analysis) {
    let words = ["analyze", path, "--json", "--replicas", "2"];
    let words = [&words[..], &["--exhaustive", "--no-joint"]].concat();
    let alone = Analysis::new(scene.run(&words).json());
    let decided = |verdict: &&str| !["undecided", "not-exercised"].contains(verdict);
    let rows = alone.0["features"].as_array().expect("a table");
    let mut other = Vec::new();
    for row in rows {
        let name = row["feature"].as_str().expect("a name");
        if BY_CHANCE.iter().any(|(_, feature)| *feature == name) {
            continue;
        }
        let here = analysis.verdict(name).filter(decided);
        let there = row["verdict"].as_str().filter(decided);
        if here.is_some() && there.is_some() && here != there {
            other.push(format!("{name}: {here:?}, alone {there:?}: {row}"));
        }
    }
    assert!(other.is_empty(), "{other:#?}");
}

#[test]
fn nginx() {
    require!(Replays, Program("nginx"), Program("wrk"), Program("curl"));
    check(
        "nginx",
        &[
            "socket",
            "bind",
            "listen",
            "mmap",
            "openat",
            "recvfrom",
            "writev",
            "epoll_wait",
        ],
        // Its log says what failed, and it goes on.
        &["setsockopt"],
    );
}

#[test]
fn redis() {
    require!(Replays, Program("redis-server"), Program("redis-cli"));
    check(
        "redis",
        &[
            "socket",
            "bind",
            "listen",
            "mmap",
            "openat",
            "read",
            "write",
            "epoll_wait",
        ],
        &["sysinfo"],
    );
}

#[test]
fn memcached() {
    require!(Replays, Program("memcached"));
    check(
        "memcached",
        &[
            "socket",
            "bind",
            "listen",
            "mmap",
            "read",
            "sendmsg",
            "epoll_wait",
        ],
        &["getsockname"],
    );
}

#[test]
fn lighttpd() {
    require!(Replays, Program("lighttpd"), Program("curl"));
    check(
        "lighttpd",
        &["socket", "bind", "listen", "mmap", "openat", "epoll_wait"],
        &["uname"],
    );
}

#[test]
fn sqlite() {
    require!(Replays, Program("sqlite3"));
    check(
        "sqlite",
        &["mmap", "openat", "pread64", "pwrite64"],
        &["fdatasync"],
    );
}
