//! What is exported holds: an application passes under the profiles that were made from its
//! analysis, and what a bad profile breaks is named.

use loupe_tests::binaries::workloads;
use loupe_tests::ground_truth::victim;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::Scene;

#[test]
fn sqlite_passes_under_the_profiles_made_from_its_analysis() {
    require!(Replays, Program("sqlite3"));
    let scene = Scene::new();
    let workload = workloads().join("sqlite.toml");
    let workload = workload.to_str().expect("a plain path");
    scene.run(&["analyze", workload, "--json"]).expect_code(0);
    for format in ["seccomp", "systemd"] {
        for reduced in [false, true] {
            let mut words = vec!["export", format, "sqlite"];
            words.extend(reduced.then_some("--reduced"));
            let profile = scene.run(&words).expect_code(0).stdout;
            let file = scene.write("profile", &profile);
            let file = file.to_str().expect("a plain path");
            let result = scene
                .run(&["emulate", "--profile", file, workload, "--json"])
                .expect_code(0)
                .json();
            assert_eq!(result["schema"], "loupe.emulation/1");
            assert_eq!(result["passed"], true);
            // All but what it needs is left out, at once.
            assert!(result["left_out"].as_u64() > Some(250), "{result:#}");
            let called = result["answered"].as_array().expect("a list").len();
            assert_eq!(called > 5, reduced, "{format}: {result:#}");
        }
    }
    // Emulations are no analyses.
    let list = scene.run(&["list", "--json"]).expect_code(0).json();
    assert_eq!(
        list["analyses"].as_array().map(Vec::len),
        Some(1),
        "{list:#}"
    );
    scene.assert_nothing_left();
}

#[test]
fn what_breaks_an_application_first_is_named_and_so_is_the_rest() {
    require!(Replays);
    let scene = Scene::new();
    let truth = victim("needs-result");
    let workload = scene.workload(truth);
    let workload = workload.to_str().expect("a plain path");
    let bad = scene.write(
        "bad.conf",
        "[Service]\nSystemCallErrorNumber=EPERM\nSystemCallFilter=~acct uname swapon\n",
    );
    let bad = bad.to_str().expect("a plain path");
    let finished = scene
        .run(&["emulate", "--profile", bad, "--all", workload, "--json"])
        .expect_code(1);
    let result = finished.json();
    assert_eq!(result["passed"], false);
    assert_eq!(result["complete"], true, "{result:#}");
    let broken = result["broken"].as_array().expect("a list");
    assert_eq!(broken.len(), 1, "{result:#}");
    assert_eq!(broken[0]["feature"], "uname");
    assert_eq!(broken[0]["action"], "stub=EPERM");
    let told = scene
        .run(&["emulate", "--profile", bad, workload])
        .expect_code(1);
    assert!(
        told.stdout
            .contains("first broken by: uname failing with EPERM"),
        "{}",
        told.stdout
    );
    assert!(
        told.stdout.lines().all(|line| line.chars().count() <= 80),
        "{}",
        told.stdout
    );
    scene.assert_nothing_left();
}

#[test]
fn a_profile_that_cannot_be_used_is_refused_with_the_reason() {
    require!(Replays);
    let scene = Scene::new();
    let workload = scene.workload(victim("needs-result"));
    let workload = workload.to_str().expect("a plain path");
    let file = scene.write("bad.conf", "[Service]\n\nSystemCallFilter=raed\n");
    let file = file.to_str().expect("a plain path");
    scene
        .run(&["emulate", "--profile", file, workload])
        .expect_code(2)
        .expect_message(&["bad.conf", "line 3", "`raed`", "did you mean read"]);
    scene
        .run(&["emulate", "--profile", "/nonexistent", workload])
        .expect_code(2)
        .expect_message(&["/nonexistent", "no such file"]);
    scene
        .run(&["export", "seccomp", "nothing"])
        .expect_code(2)
        .expect_message(&["no database"]);
    scene.assert_nothing_left();
}

#[test]
fn a_plan_from_an_os_without_anything_holds_when_it_is_tried() {
    require!(Replays, Program("sqlite3"));
    let scene = Scene::new();
    let sqlite = workloads().join("sqlite.toml");
    let sqlite = sqlite.to_str().expect("a plain path");
    scene.run(&["analyze", sqlite, "--json"]).expect_code(0);
    let victim = scene.workload(victim("needs-result"));
    let victim = victim.to_str().expect("a plain path");
    scene.run(&["analyze", victim, "--json"]).expect_code(0);
    let os = scene.write("tiny.syscalls", "read\nwrite\n");
    let os = os.to_str().expect("a plain path");
    let result = scene
        .run(&["plan", "--os", os, "--json", "--verify", sqlite, victim])
        .expect_code(0)
        .json();
    assert_eq!(result["schema"], "loupe.plan-verify/1");
    assert_eq!(result["kept"], true, "{result:#}");
    assert_eq!(result["applications"].as_array().map(Vec::len), Some(2));

    let plan = scene.run(&["plan", "--os", os, "--json"]).expect_code(0);
    let file = scene.write("plan.json", &plan.stdout);
    let file = file.to_str().expect("a plain path");
    // After all steps everything runs; before any, neither does.
    scene
        .run(&["emulate", "--plan", file, sqlite])
        .expect_code(0);
    let lacking = scene
        .run(&["emulate", "--os", os, "--all", "--json", sqlite])
        .expect_code(1)
        .json();
    assert_eq!(lacking["complete"], true, "{lacking:#}");
    scene
        .run(&["emulate", "--plan", file, "--step", "99", sqlite])
        .expect_code(2)
        .expect_message(&["no step 99"]);
    scene.assert_nothing_left();
}
