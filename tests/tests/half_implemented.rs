//! An OS that implements a part of a syscall, or lacks a pseudo-file: gaps and plans name it, and so
//! does what runs the application as on this OS.

use loupe_tests::analysis::Analysis;
use loupe_tests::operations::VICTIMS;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::{RESULT, Scene};
use serde_json::{Value, json};

/// The OS that does what the joint policy asks for, but this.
fn all_but(scene: &Scene, joint: &Value, missing: &str) -> String {
    let list = |key: &str| -> Vec<&str> {
        let features = joint[key].as_array().expect("a list").iter();
        features.filter_map(Value::as_str).collect()
    };
    let implement = list("implement");
    assert!(implement.contains(&missing), "{joint:#}");
    let implement: Vec<&str> = implement
        .into_iter()
        .filter(|one| *one != missing)
        .collect();
    let os = json!({ "name": "half", "implement": implement, "fake": list("fake") });
    let path = scene.write("half.json", &os.to_string());
    path.to_str().expect("a plain path").to_owned()
}

/// Gap, plan and emulation of an OS that lacks one thing.
fn names_what_is_missing(scene: &Scene, application: &str, workload: &str, missing: &str) {
    let words = ["analyze", workload, "--json"];
    let analysis = Analysis::new(scene.run(&words).expect_code(0).json());
    let os = &all_but(scene, &analysis.0["joint"], missing);
    let gap = scene.run(&["gap", "--os", os, application, "--json"]);
    let gap = gap.expect_code(1).json();
    assert_eq!(gap["joint"]["implement"], json!([missing]), "{gap:#}");

    let plan = scene.run(&["plan", "--os", os, "--json"]).expect_code(0);
    let json = plan.json();
    assert_eq!(json["steps"][1]["implement"], json!([missing]), "{json:#}");
    assert_eq!(
        json["steps"][1]["unlocks"],
        json!([application]),
        "{json:#}"
    );
    let plan = scene.write("plan.json", &plan.stdout);
    let plan = plan.to_str().expect("a plain path");
    scene.run(&["plan", "--check", plan]).expect_code(0);

    let lacking = scene.run(&["emulate", "--os", os, workload, "--json"]);
    let lacking = lacking.expect_code(1).json();
    assert_eq!(lacking["broken"][0]["feature"], missing, "{lacking:#}");
    scene
        .run(&["emulate", "--plan", plan, workload])
        .expect_code(0);
}

#[test]
fn an_operation_that_is_missing_is_named_and_makes_it_fail() {
    require!(Replays);
    let scene = Scene::new();
    let parts = VICTIMS.iter().find(|it| it.victim.name == "parts-of-fcntl");
    let workload = scene.workload(&parts.expect("a victim").victim);
    let path = workload.to_str().expect("a plain path");
    names_what_is_missing(&scene, "parts-of-fcntl", path, "fcntl:F_SETFL");
    // The same, said the other way round: all of the syscall but one operation.
    let text = "implement = [\"fcntl\"]\nstub = [\"fcntl:F_SETFL\"]\n";
    let os = scene.write("but-one.toml", text);
    let os = os.to_str().expect("a plain path");
    let gap = scene.run(&["gap", "--os", os, "parts-of-fcntl", "--json"]);
    let gap = gap.expect_code(1).json();
    let missing = gap["joint"]["implement"].as_array().expect("a list").iter();
    let of_fcntl: Vec<&Value> = missing
        .filter(|one| one.as_str().is_some_and(|one| one.starts_with("fcntl")))
        .collect();
    assert_eq!(of_fcntl, ["fcntl:F_SETFL"]);
    scene.assert_nothing_left();
}

/// The victim makes one call that has no name, `ioctl:0xdead`, and notices if that works.
#[test]
fn operations_without_a_name_get_what_the_os_says_of_what_it_does_not_know() {
    require!(Replays);
    let scene = Scene::new();
    let parts = VICTIMS.iter().find(|it| it.victim.name == "parts-of-ioctl");
    let workload = scene.workload(&parts.expect("a victim").victim);
    let path = workload.to_str().expect("a plain path");
    let words = ["analyze", path, "--json"];
    let analysis = Analysis::new(scene.run(&words).expect_code(0).json());
    let joint = &analysis.0["joint"];
    let emulated = |more: Value, code: i32| {
        let mut os =
            json!({ "name": "half", "implement": joint["implement"], "fake": joint["fake"] });
        for (key, value) in more.as_object().expect("lists") {
            match (&mut os[key], value) {
                (Value::Array(list), Value::Array(more)) => list.extend(more.clone()),
                (place, value) => *place = value.clone(),
            }
        }
        let file = scene.write("half.json", &os.to_string());
        let file = file.to_str().expect("a plain path");
        let said = scene.run(&["emulate", "--os", file, path, "--json"]);
        said.expect_code(code).json()
    };
    let answered = |emulation: &Value| -> Option<Value> {
        let all = emulation["answered"].as_array().expect("a list").iter();
        let mut unnamed = all.filter(|one| one["feature"] == "ioctl:*");
        unnamed.next().cloned()
    };
    assert!(
        joint["implement"].to_string().contains("ioctl:FIONREAD"),
        "{joint:#}"
    );
    let unknown = emulated(json!({ "unknown": "EPERM" }), 0);
    let one = answered(&unknown).expect("it was answered");
    assert_eq!(
        (&one["action"], &one["calls"]),
        (&json!("stub=EPERM"), &json!(1))
    );
    let told = emulated(json!({ "error": { "ENOTTY": ["ioctl:*"] } }), 0);
    let one = answered(&told).expect("it was answered");
    assert_eq!(one["action"], "stub=ENOTTY", "{told:#}");
    // That this OS only seems to do it is what the victim itself finds out.
    let faked = emulated(json!({ "fake": ["ioctl:*"] }), 1);
    assert_eq!(faked["broken"][0]["feature"], "ioctl:*", "{faked:#}");
    assert_eq!(faked["broken"][0]["action"], "fake", "{faked:#}");
    scene.assert_nothing_left();
}

#[test]
fn a_pseudo_file_that_is_missing_is_named_and_makes_it_fail() {
    require!(Replays);
    let scene = Scene::new();
    let path = scene.write(
        "files.toml",
        &format!(
            "application = \"files\"\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = [\"./victim\", \"pseudo-files\", {RESULT:?}]\n\
             test = [\"./probe\", \"works\", {RESULT:?}]\n"
        ),
    );
    let path = path.to_str().expect("a plain path");
    names_what_is_missing(&scene, "files", path, "/proc/cpuinfo");
    // A list of syscalls says nothing of `/proc`, and is asked for none of it.
    let list = scene.write("list.syscalls", "read\n");
    let list = list.to_str().expect("a plain path");
    let gap = scene.run(&["gap", "--os", list, "files", "--json"]);
    assert!(
        gap.stderr.contains("says nothing of pseudo-files"),
        "{gap:#?}"
    );
    assert!(gap.stderr.contains("/proc/cpuinfo"), "{gap:#?}");
    let missing = gap.json()["joint"]["implement"].to_string();
    assert!(!missing.contains("/proc"), "{missing}");
    scene.assert_nothing_left();
}
