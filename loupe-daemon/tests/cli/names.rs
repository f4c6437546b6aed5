//! What a name means, in every command that takes one; what is removed is gone.

use serde_json::json;

use super::plans::World;
use super::{analysis, assert_fails, home, loupe, run, stderr, stdout};

/// As [`World`], with two runs of `a`'s workload, one after the other, and a suite of `a`.
fn world() -> World {
    let world = World::new();
    let copy = |from: &str, to: &str| {
        let text = std::fs::read_to_string(world.path(&format!("set/{from}/r1/data/dyn.csv")));
        world.file(&format!("set/{to}/data/dyn.csv"), &text.expect("readable"));
    };
    copy("a/bench", "a/suite/r1");
    world.works("import loupedb set");
    copy("b/bench", "a/bench/r2");
    world.works("import loupedb set --run a/bench/r2");
    world
}

#[test]
fn every_command_takes_a_name_for_the_same_analysis_and_says_so_once() {
    let world = world();
    let list = stdout(&world.works("list a"));
    assert_eq!(list.matches("a/bench").count(), 2, "{list}");
    assert!(list.contains("* is what a means (measured here"), "{list}");
    let star = list.lines().find(|line| line.contains(" * "));
    let newest = star.and_then(|line| line.split_whitespace().next());
    let newest = newest.expect("one is marked");
    for line in ["show a", "explain a write", "gap --os Tiny a", "diff a a"] {
        let output = world.run(line);
        let told = stderr(&output);
        assert!(
            told.contains(&format!("a/bench@{newest} (imported) is meant")),
            "{line}: {told}"
        );
        assert!(told.contains("a/suite"), "{line}: {told}");
    }
    let plan = world.run("plan --os Tiny --apps a --next");
    assert_eq!(stderr(&plan).matches("is meant").count(), 1, "{plan:?}");
    // The newest uses read and write, the one before open and read.
    let used = |name: &str| {
        let json = world.json(&format!("show {name}"));
        json["features"][0]["feature"].as_str().map(str::to_owned)
    };
    assert_eq!(used("a").as_deref(), Some("read"));
    assert_eq!(used(newest).as_deref(), Some("read"));
    assert_eq!(used(&format!("a@{newest}")).as_deref(), Some("read"));
    assert_eq!(used("a~1").as_deref(), Some("open"));
    let exact = world.works("show a/bench~1");
    assert_eq!(stderr(&exact), "", "nothing was chosen");
    let both = world.json("plan --os Tiny --apps a~1,b");
    assert_eq!(both["applications"]["a"], "bench");
    let diff = world.json("diff a~1 a");
    assert_eq!(diff["newly_required"][0], "write");
    for (line, says) in [
        ("show a~9", "no finished analysis of a~9"),
        ("show b@1", "no finished analysis of b@1"),
        ("show 999", "no finished analysis 999"),
        ("list zz", "no finished analysis of zz"),
        ("export loupedb out", "for which applications?"),
        ("export c", "for which applications?"),
    ] {
        assert_fails(&world.run(line), 2, says);
    }
}

#[test]
fn what_is_removed_is_gone_and_a_name_alone_removes_nothing() {
    let world = world();
    assert_fails(&world.run("rm a"), 2, "which of them is to go?");
    assert_fails(&world.run("rm a~9"), 2, "no finished analysis of a~9");
    let told = stdout(&world.works("rm a~1"));
    assert_eq!(told, "Removed 1 analysis with 0 replays.\n");
    assert_fails(&world.run("show a/bench~1"), 2, "a/bench~1");
    world.works("rm a/bench a/suite");
    assert_fails(&world.run("show a"), 2, "no finished analysis of a");
    let told = stdout(&world.works("gc"));
    assert!(told.starts_with("Removed 0 analyses"), "{told}");
    world.works("rm --imported");
    let list = stdout(&world.works("list"));
    assert!(list.starts_with("No analysis"), "{list}");
}

#[test]
fn what_was_measured_on_another_library_is_told_and_an_old_analysis_says_that_it_is_not_recorded() {
    let home = home();
    let file = |name: &str, libc: Option<&str>| {
        let mut json = analysis("required");
        if let Some(libc) = libc {
            json["provenance"] = json!({
                "date": "2026-11-29T09:00:00Z", "loupe": "0.1.0", "libc": libc,
                "target": {"path": "/usr/bin/cat"},
            });
        }
        std::fs::write(home.path().join(name), json.to_string()).expect("written");
    };
    file("a.json", Some("glibc 2.36"));
    file("b.json", Some("glibc 2.41"));
    file("c.json", None);
    let diff = |from: &str, to: &str| {
        let mut command = loupe(home.path());
        stdout(&run(command
            .current_dir(home.path())
            .args(["diff", from, to])))
    };
    let told = diff("a.json", "b.json");
    assert!(told.contains("Measured on: glibc 2.36 -> 2.41"), "{told}");
    let told = diff("a.json", "a.json");
    assert!(told.contains("Measured on the same."), "{told}");
    let told = diff("a.json", "c.json");
    assert!(told.contains("Not recorded of both"), "{told}");
}
