//! Operations of io_uring: counted by name, never injected one by one.

use loupe_tests::analysis::Analysis;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::{RESULT, Scene};

#[test]
fn operations_are_counted_and_the_other_way_is_shown() {
    require!(Replays);
    let scene = Scene::new();
    let path = scene.write(
        "rings.toml",
        &format!(
            "application = \"rings\"\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = [\"./victim\", \"rings\", {RESULT:?}]\n\
             test = [\"./probe\", \"works\", {RESULT:?}]\n"
        ),
    );
    let path = path.to_str().expect("a plain path");
    let words = ["analyze", path, "--json"];
    let analysis = Analysis::new(scene.run(&words).expect_code(0).json());
    let used = &analysis.0["not_injected"];
    assert_eq!(
        *used,
        serde_json::json!([
            { "feature": "io_uring:IORING_OP_NOP", "kind": "io_uring", "calls": 3 },
            { "feature": "io_uring:IORING_OP_READ", "kind": "io_uring", "calls": 1 },
        ])
    );
    assert_eq!(analysis.verdict("io_uring:IORING_OP_NOP"), None);
    // Without a ring it reads by a syscall.
    assert_eq!(analysis.verdict("io_uring_setup"), Some("stub"));
    let warnings = analysis.warnings();
    assert!(warnings.contains("not injected one by one"), "{warnings}");
    let table = scene.run(&["show", "rings"]).expect_code(0).stdout;
    assert!(table.contains("io_uring:IORING_OP_READ"), "{table}");
    scene.assert_nothing_left();
}

#[test]
fn a_rule_for_one_operation_is_refused_with_the_way_out() {
    require!(Replays);
    let scene = Scene::new();
    let words = ["run", "--stub", "io_uring:IORING_OP_READ", "--", "true"];
    scene
        .run(&words)
        .expect_code(2)
        .expect_message(&["io_uring_setup"]);
}
