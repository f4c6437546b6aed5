//! What an OS lacks and what it is to do next, on the small data set of `plans`.

use serde_json::{Value, json};

use super::plans::{World, save};
use super::{assert_fails, stdout};

#[test]
fn without_an_application_the_nearest_comes_first_and_a_gate_can_be_set() {
    let world = World::imported();
    world.file("mine.toml", "implement = [\"read\"]\n");
    let distances = world.json("gap --os mine.toml");
    assert_eq!(distances["schema"], "loupe.distances/1");
    assert_eq!(
        [
            &distances["count"],
            &distances["runs"],
            &distances["need_no_implementation"]
        ],
        [4, 1, 1]
    );
    let order: Vec<&Value> = distances["applications"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|away| &away["application"])
        .collect();
    assert_eq!(order, ["c", "d", "a", "b"]);
    world.works("gap --os mine.toml");
    world.works("gap --os mine.toml --require c");
    let output = world.run("gap --os mine.toml --require c,a");
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(text.contains("mine runs 1 of the 2 required"), "{text}");
    assert!(text.contains("open"), "{text}");
    for (line, says) in [
        (
            "gap --os mine.toml --require zz",
            "no finished analysis of zz",
        ),
        ("gap --os mine.toml --require a a", "cannot be used with"),
        (
            "gap --os mine.toml --workload wrk",
            "must be bench, suite or any",
        ),
        (
            "gap --os mine.toml --workload suite",
            "none of the 4 applications",
        ),
    ] {
        assert_fails(&world.run(line), 2, says);
    }
}

#[test]
fn what_the_tool_that_measured_called_is_no_need() {
    let world = World::new();
    let header = "# syscall, used, works faked, works stubbed, works both\n";
    let mut text = header.to_owned();
    for number in 0..=334 {
        // read, write, execve and restart_syscall.
        let used = [0, 1, 59, 219].contains(&number);
        let cells = if used { "Y,N,N,N" } else { "N,N,N,N" };
        text.push_str(&format!("{number},{cells}\n"));
    }
    world.file("set/e/bench/r1/data/dyn.csv", &text);
    let output = world.works("import loupedb set");
    let told = stdout(&output);
    assert!(told.contains("In 1 of them the execve is only"), "{told}");
    let gap = world.json("gap --os Tiny e");
    assert_eq!(gap["single"]["implement"], json!(["read", "write"]));
    let plan = world.json("plan --os Tiny --goal e");
    assert_eq!(plan["steps"][1]["implement"], json!(["read", "write"]));
    // What was measured stays what it is.
    let show = stdout(&world.works("show e"));
    assert!(
        show.contains("execve: a call of the tool that measured"),
        "{show}"
    );
    world.works("export loupedb out e");
    let written = std::fs::read_to_string(world.path("out/e/bench/r1/data/dyn.csv"));
    assert_eq!(written.expect("readable"), text);
}

#[test]
fn a_part_of_a_plan_is_a_plan_and_says_what_is_left() {
    let world = World::imported();
    let whole = world.json("plan --os Tiny");
    let steps = whole["steps"].as_array().expect("steps").len();
    let part = world.json("plan --os Tiny --steps 1");
    assert_eq!(part["steps"].as_array().map(Vec::len), Some(2));
    assert_eq!(part["left"]["steps"], steps - 2);
    assert_eq!(part, world.json("plan --os Tiny --next"));
    assert_eq!(part["steps"][1]["because"][0]["feature"], "read");
    assert_eq!(part["steps"][1]["because"][0]["required"], 4);
    save(&world, &part);
    world.works("plan --check plan.json");
    assert_eq!(part, world.json("plan --os Tiny --until 25%"));
    assert_eq!(whole, world.json("plan --os Tiny --until 100%"));
    let goal = world.json("plan --os Tiny --goal b");
    assert_eq!(goal["applications"], json!({"b": "bench"}));
    assert_eq!(goal["steps"][1]["along"], json!(["c"]));
    save(&world, &goal);
    world.works("plan --check plan.json");
    let text = stdout(&world.works("plan --os Tiny --next"));
    assert!(
        text.contains("read: required by 4 of 4, fakeable in 0"),
        "{text}"
    );
    for (line, says) in [
        ("plan --os Tiny --until 0", "must be a percentage"),
        ("plan --os Tiny --goal zz", "no finished analysis of zz"),
        ("plan --os Tiny --next --steps 2", "cannot be used with"),
        ("plan --os Tiny --what-if raed", "raed"),
    ] {
        assert_fails(&world.run(line), 2, says);
    }
}

#[test]
fn a_plan_is_written_as_a_checklist_and_as_issues() {
    let world = World::imported();
    let list = stdout(&world.works("plan --os Tiny --markdown"));
    assert!(
        list.contains("- [ ] implement `read`: required by 4 of 4"),
        "{list}"
    );
    assert!(list.contains("loupe gap --os Tiny --require "), "{list}");
    world.works("plan --os Tiny --steps 1 --issues todo");
    let issue = std::fs::read_to_string(world.path("todo/step-001.md")).expect("written");
    assert!(issue.starts_with("# Tiny: Step 1: +1"), "{issue}");
    assert_fails(
        &world.run("plan --os Tiny --issues todo"),
        2,
        "nothing is overwritten",
    );
}

#[test]
fn what_would_run_with_a_syscall_is_told() {
    let world = World::imported();
    let what = world.json("plan --os Tiny --what-if read,open");
    assert_eq!(what["schema"], "loupe.what-if/1");
    assert_eq!([&what["runs"], &what["would_run"]], [0, 2]);
    assert_eq!(what["unlocks"][0], json!({"application": "a", "fake": []}));
    let text = stdout(&world.works("plan --os Tiny --what-if open"));
    assert!(text.contains("It unlocks nothing."), "{text}");
}
