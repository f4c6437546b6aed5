//! What is stored can be looked at afterwards: list, show, explain; and doctor.

use loupe_tests::analysis::Analysis;
use loupe_tests::ground_truth::victim;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::Scene;

#[test]
fn what_was_analysed_can_be_listed_shown_and_explained() {
    require!(Replays);
    let scene = Scene::new();
    let truth = victim("accepts-enosys");
    let workload = scene.workload(truth);
    let path = workload.to_str().expect("a plain path");
    let analyzed = Analysis::new(
        scene
            .run(&["analyze", path, "--json"])
            .expect_code(0)
            .json(),
    );

    let phases = analyzed.0["phases"].as_array().expect("phases");
    let counted: u64 = phases.iter().filter_map(|it| it["replays"].as_u64()).sum();
    assert_eq!(Some(counted), analyzed.0["replays"].as_u64(), "{phases:#?}");
    assert!(
        phases.iter().any(|it| it["name"] == "single features"),
        "{phases:#?}"
    );

    let shown = scene.run(&["show", truth.name, "--json"]).expect_code(0);
    let shown = Analysis::new(shown.json());
    for key in [
        "application",
        "workload",
        "replays",
        "features",
        "joint",
        "conflicts",
    ] {
        assert_eq!(shown.0[key], analyzed.0[key], "{key}");
    }
    let table = scene.run(&["show", truth.name]).expect_code(0).stdout;
    assert!(table.contains("getpriority"), "{table}");
    // What is folded is one row, for who searches it; text is for who reads it.
    let mut text = table.lines().filter(|line| !line.starts_with("──"));
    assert!(text.all(|line| line.chars().count() <= 80), "{table}");
    assert!(
        !table.contains('\u{1b}'),
        "colours in spite of NO_COLOR: {table:?}"
    );

    let list = scene.run(&["list", "--json"]).expect_code(0).json();
    assert_eq!(list["schema"], "loupe.list/1", "{list:#}");
    assert!(list.to_string().contains(truth.name), "{list:#}");

    let provenance = &shown.0["provenance"];
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("readable");
    assert_eq!(provenance["kernel"], kernel.trim(), "{provenance:#}");
    let target = provenance["target"]["path"].as_str().expect("a target");
    assert_eq!(
        target,
        scene.victim().to_str().expect("plain"),
        "{provenance:#}"
    );
    for key in ["loupe", "host", "libc", "cpu", "clocksource", "date"] {
        let value = provenance[key].as_str().unwrap_or_default();
        assert!(!value.is_empty(), "{key}: {provenance:#}");
    }
    for key in ["workload_digest", "command_digest", "test_digest"] {
        let digest = provenance[key].as_str().unwrap_or_default();
        assert!(digest.starts_with("sha256:"), "{key}: {provenance:#}");
    }
    assert_eq!(&list["analyses"][0]["provenance"], provenance);
    let full = scene
        .run(&["show", "--full", truth.name])
        .expect_code(0)
        .stdout;
    assert!(full.contains("- clocksource: "), "{full}");
    let output = scene.path("filter.json");
    let output = output.to_str().expect("plain");
    let export = ["export", "seccomp", truth.name, "--output", output];
    scene.run(&export).expect_code(0);
    let beside = std::fs::read_to_string(format!("{output}.provenance.json")).expect("written");
    let beside: serde_json::Value = serde_json::from_str(&beside).expect("JSON");
    assert_eq!(&beside["analyses"][0]["provenance"], provenance);
    for file in [output.to_owned(), format!("{output}.provenance.json")] {
        std::fs::remove_file(file).expect("it was asked for, and is there");
    }
    let before = format!("{}~1", truth.name);
    let none = scene.run(&["show", &before]).expect_code(2);
    assert!(!none.stderr.contains("did you mean"), "{}", none.stderr);
    let history = scene.run(&["list", truth.name]).expect_code(0).stdout;
    assert!(
        history.contains("measured here before imported"),
        "{history}"
    );

    let told = scene
        .run(&["explain", truth.name, "getpriority"])
        .expect_code(0)
        .stdout;
    let parts = ["stub", "getpriority", "no such priority", "exit status 1"];
    for part in parts.into_iter().chain(["purpose: stub alone"]) {
        assert!(told.contains(part), "{part:?} is not in:\n{told}");
    }
    let told = scene.run(&["explain", truth.name, "getpriority", "--json"]);
    let told = told.expect_code(0).json();
    let trials = told["trials"].as_array().expect("trials").iter();
    let replays = trials.flat_map(|trial| trial["replays"].as_array().expect("replays"));
    let purposes: Vec<&str> = replays.filter_map(|one| one["purpose"].as_str()).collect();
    assert!(purposes.contains(&"stub alone"), "{told:#}");
    // A feature that this application never used has no verdict to explain.
    let unknown = scene.run(&["explain", truth.name, "acct"]);
    assert_ne!(unknown.code(), Some(0), "{unknown:?}");
    scene.assert_nothing_left();
}

#[test]
fn a_workload_below_tmp_is_seen_in_its_replays() {
    require!(Replays);
    let scene = Scene::under(std::path::Path::new("/tmp"));
    let truth = victim("effect-or-plan-b");
    let workload = scene.workload(truth);
    let path = workload.to_str().expect("a plain path");
    let analysis = Analysis::new(
        scene
            .run(&["analyze", path, "--json"])
            .expect_code(0)
            .json(),
    );
    assert_eq!(analysis.verdict("mkdir"), Some("stub"));
    // The victim made its directory where it ran, and that was thrown away.
    scene.assert_nothing_left();
}

#[test]
fn a_relative_path_from_another_directory_is_understood() {
    require!(Replays);
    let scene = Scene::new();
    let truth = victim("needs-result");
    scene.workload(truth);
    let name = scene.directory().file_name().expect("the scene has a name");
    let relative = format!("{}/{}.toml", name.to_string_lossy(), truth.name);
    let mut loupe = scene.loupe(&["analyze", &relative, "--json"]);
    loupe.current_dir(scene.directory().parent().expect("the scene is somewhere"));
    let finished = loupe_tests::command::run(loupe).expect_code(0);
    assert_eq!(
        Analysis::new(finished.json()).verdict("uname"),
        Some("required")
    );
    scene.assert_nothing_left();
}

#[test]
fn the_doctor_finds_this_host_fit() {
    require!(Replays);
    let scene = Scene::new();
    let mut doctor = std::process::Command::new(loupe_tests::binaries::loupe());
    doctor.args(["doctor", "--json"]);
    let finished = loupe_tests::command::run(doctor).expect_code(0);
    let report = finished.json();
    assert_eq!(report["schema"], "loupe.doctor/1");
    assert_eq!(report["usable"], true, "{report:#}");
    scene.assert_nothing_left();
}

#[test]
fn fallbacks_are_found() {
    require!(Replays);
    let scene = Scene::new();
    for (name, left_out, plan_b) in [
        ("falls-back", "eventfd2", "pipe2"),
        ("falls-back-twice", "sendfile", "pwrite64"),
        ("serve-polling", "epoll_create1", "poll"),
    ] {
        let workload = scene.workload(victim(name));
        let path = workload.to_str().expect("a plain path");
        let finished = scene.run(&["analyze", path, "--json"]).expect_code(0);
        let analysis = Analysis::new(finished.json());
        let edges = analysis.0["fallbacks"]
            .as_array()
            .expect("a list of fallbacks");
        assert!(
            edges.iter().any(|edge| {
                edge["feature"] == left_out
                    && edge["action"] == "stub"
                    && edge["appears"] == plan_b
                    && edge["passed"] == true
            }),
            "{left_out} → {plan_b} is not in {edges:#?}"
        );
    }
    scene.assert_nothing_left();
}
