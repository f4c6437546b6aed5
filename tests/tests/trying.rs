//! A workload of the command line, and one that is tried before it is analysed.

use loupe_tests::ground_truth::victim;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::Scene;

#[test]
fn a_command_line_is_tried_kept_and_analysed_under_its_name() {
    require!(Replays);
    let scene = Scene::new();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let kept = elsewhere.path().join("kept.toml");
    let kept = kept.to_str().expect("a plain path");
    let arguments = [
        "--name",
        "words/sort",
        "--batch",
        "--test",
        "test -s /tmp/sorted",
    ];
    let command = ["--", "sort", "-o", "/tmp/sorted", "/etc/passwd"];
    let words = |first: &[&'static str]| [first, &arguments[..]].concat();
    let tried = [&words(&["try"])[..], &["--save", kept], &command].concat();
    let told = scene.run(&tried).expect_code(0).stdout;
    for part in [
        "words/sort passed in the sandbox",
        "noticed when the application is never started",
        "openat",
        "next: loupe analyze",
    ] {
        assert!(told.contains(part), "{part:?} is not in:\n{told}");
    }
    let quick = [
        "analyze",
        "--no-joint",
        "--depth",
        "syscall",
        "--no-pseudo-files",
    ];
    let analyzed = [&words(&quick)[..], &command].concat();
    let told = scene.run(&analyzed).expect_code(0).stdout;
    assert!(told.starts_with("Of the "), "{told}");
    assert!(told.contains("loupe explain words/sort "), "{told}");
    let same = scene.run(&["try", kept, "--json"]).expect_code(0).json();
    assert_eq!(same["schema"], "loupe.try/1");
    assert_eq!(same["absent"]["noticed"], true, "{same:#}");
    scene.assert_nothing_left();
}

#[test]
fn a_test_that_ignores_the_application_and_a_baseline_that_fails_are_findings() {
    require!(Replays);
    let scene = Scene::new();
    let blind = ["try", "--batch", "--test", "true", "--", "ls", "/"];
    let told = scene.run(&blind).expect_code(1).stdout;
    assert!(told.contains("NOT NOTICED"), "{told}");
    let fails = [
        "try",
        "--batch",
        "--test",
        "echo wanted more; false",
        "--",
        "ls",
        "/usr",
    ];
    let told = scene.run(&fails).expect_code(1).stdout;
    for part in [
        "failed: the test failed",
        "| wanted more",
        "| share",
        "--shell",
    ] {
        assert!(told.contains(part), "{part:?} is not in:\n{told}");
    }
    let analyzed = [&["analyze"], &fails[1..]].concat();
    let refused = scene.run(&analyzed).expect_code(3);
    let outputs = refused.stderr.matches("wanted more").count();
    assert_eq!(outputs, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("loupe try"), "{}", refused.stderr);
    scene.assert_nothing_left();
}

#[test]
fn the_shell_is_in_the_sandbox_and_ends_loupe_as_it_ends() {
    require!(Replays);
    let scene = Scene::new();
    let workload = scene.workload(victim("accepts-enosys"));
    let script = scene.write(
        "script",
        "echo $HOME; touch /etc/made-in-the-sandbox; exit 7\n",
    );
    let mut shell = scene.loupe(&["try", "--shell", workload.to_str().expect("a plain path")]);
    shell.stdin(std::fs::File::open(script).expect("the script"));
    let output = shell.output().expect("loupe starts");
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "/tmp\n");
    assert!(!std::path::Path::new("/etc/made-in-the-sandbox").exists());
    scene.assert_nothing_left();
}
