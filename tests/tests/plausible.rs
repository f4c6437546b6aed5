//! Plausible fakes, and the vDSO.

use loupe_tests::analysis::Analysis;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::{RESULT, Scene};
use serde_json::Value;

/// What the victim `believes` wants a success of that is not 0.
const BELIEVED: [&str; 9] = [
    "epoll_create1",
    "eventfd2",
    "getpid",
    "getrlimit",
    "pwrite64",
    "socket",
    "sysinfo",
    "uname",
    "writev",
];

#[test]
fn what_a_zero_breaks_a_plausible_value_does_not() {
    require!(Replays);
    let scene = Scene::new();
    for name in BELIEVED {
        for (rule, code) in [(name.to_owned(), 1), (format!("{name}=plausible"), 0)] {
            let words = [
                "run",
                "--fake",
                &rule,
                "--",
                "./victim",
                "believes",
                "/dev/null",
            ];
            scene.run(&words).expect_code(code);
        }
    }
    let rules: Vec<String> = BELIEVED
        .iter()
        .map(|name| format!("{name}=plausible"))
        .collect();
    let mut words = vec!["run"];
    for rule in &rules {
        words.extend(["--fake", rule]);
    }
    words.extend(["--", "./victim", "believes", "/dev/null"]);
    let finished = scene.run(&words).expect_code(0);
    for name in BELIEVED {
        let fired = format!("{name} faked plausibly once");
        assert!(finished.stderr.contains(&fired), "{fired}: {finished:?}");
    }
    scene.assert_nothing_left();
}

#[test]
fn what_cannot_be_pretended_is_refused_with_the_reason() {
    require!(Replays);
    let scene = Scene::new();
    for (rule, reason) in [
        ("mmap=plausible", "memory"),
        ("futex=plausible", "no row"),
        ("/proc/cpuinfo=plausible", "empty file already"),
        ("getpid=maybe", "plausible"),
    ] {
        scene
            .run(&["run", "--fake", rule, "--", "true"])
            .expect_code(2)
            .expect_message(&[reason]);
    }
}

#[test]
fn plausible_fakes_have_a_column_of_their_own() {
    require!(Replays);
    let scene = Scene::new();
    let path = scene.write(
        "believes.toml",
        &format!(
            "application = \"believes\"\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = [\"./victim\", \"believes\", {RESULT:?}]\n\
             test = [\"./probe\", \"works\", {RESULT:?}]\n"
        ),
    );
    let path = path.to_str().expect("a plain path");
    let words = ["analyze", path, "--json", "--no-joint", "--plausible"];
    let analysis = Analysis::new(scene.run(&words).expect_code(0).json());
    for name in BELIEVED {
        // The paper's fake is what the verdict is made of.
        assert_eq!(analysis.verdict(name), Some("required"), "{name}");
        let rows = analysis.0["features"].as_array().expect("a table");
        let row = rows.iter().find(|row| row["feature"] == name);
        let row = row.expect("a row");
        assert_eq!(row["plausible"]["works"], true, "{name}: {row:#}");
        assert_eq!(row["fake"]["works"], false, "{name}: {row:#}");
    }
    let table = scene.run(&["show", "believes"]).expect_code(0).stdout;
    assert!(table.contains("plausible"), "{table}");
    let words = ["analyze", path, "--json", "--no-joint", "--fresh"];
    let without = scene.run(&words).expect_code(0).stdout;
    assert!(!without.contains("plausible"), "{without}");
    scene.assert_nothing_left();
}

#[test]
fn what_the_vdso_answers_is_seen_without_it() {
    require!(Replays);
    let scene = Scene::new();
    let calls = |options: &[&str]| {
        let mut words = vec!["trace", "--json", "-o", "trace.json"];
        words.extend(options);
        words.extend(["--", "./victim", "tells-time", "/dev/null", "10"]);
        scene.run(&words).expect_code(0);
        let path = scene.path("trace.json");
        let text = std::fs::read_to_string(&path).expect("a trace");
        std::fs::remove_file(path).expect("the file can go");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        let rows = json["calls"].as_array().expect("a list").clone();
        let row = rows.iter().find(|row| row["syscall"] == "clock_gettime");
        (
            json["vdso"].as_bool(),
            row.map_or(0, |row| row["calls"].as_u64().expect("a number")),
        )
    };
    assert_eq!(calls(&[]), (Some(true), 0));
    assert_eq!(calls(&["--no-vdso"]), (Some(false), 10));
    scene.assert_nothing_left();
}
