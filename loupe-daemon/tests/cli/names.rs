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

#[test]
fn the_database_the_colours_and_the_width_can_be_chosen_by_the_environment_too() {
    let world = World::imported();
    let database = world.path("db/l.db");
    let told = |line: &str, set: &[(&str, &str)]| {
        let mut command = loupe(&world.path(""));
        // Who says which daemon it is to be means no database.
        command.env_remove("LOUPE_SOCKET");
        command.env("LOUPE_DB", &database).envs(set.iter().copied());
        stdout(&run(command.args(line.split(' '))))
    };
    let plain = told("list", &[]);
    assert!(plain.contains("a/bench"), "{plain}");
    assert!(!plain.contains('\x1b'), "{plain:?}");
    assert!(told("show a --color always", &[]).contains('\x1b'));
    let longest = |text: &str| {
        let lines = text.lines().map(|line| line.chars().count());
        lines.max().unwrap_or(0)
    };
    let wide = told("show c", &[("COLUMNS", "200")]);
    assert!(longest(&wide) > 80, "{wide}");
    assert!(longest(&told("show c", &[])) <= 80);
    let other = told("--db /nonexistent/l.db list", &[]);
    assert_eq!(other, "", "the option goes before the variable");
}

#[test]
fn a_result_has_the_form_and_the_place_that_were_asked_for_and_no_row_is_wrapped() {
    let world = World::imported();
    let long = format!("{}-and-more", "x".repeat(60));
    let file = format!("name = \"{long}\"\nimplement = [\"read\"]\n");
    world.file("long.toml", &file);
    world.works("os import long.toml");
    let works = |line: &str| stdout(&world.works(line));
    let text = works("os list");
    let row = text.lines().find(|line| line.contains(&long));
    assert!(row.is_some_and(|row| row.contains("ENOSYS")), "{text}");

    let markdown = works("stats --format markdown");
    assert!(
        markdown.contains("| application/workload | used |"),
        "{markdown}"
    );
    assert!(markdown.contains("| --- | ---: |"), "{markdown}");
    assert_eq!(works("stats --format csv"), works("stats --csv"));
    let refused = world.run("explain a read --format csv");
    assert_fails(&refused, 2, "it has text, json");

    let place = world.path("list.json");
    let place = place.to_str().expect("a plain path");
    let printed = works(&format!("list --format json --output {place}"));
    assert_eq!(printed, "");
    let written = std::fs::read_to_string(place).expect("the result");
    assert_eq!(written, works("list --json"));
}

#[test]
fn the_users_configuration_is_used_and_a_wrong_line_of_it_is_shown() {
    let world = World::imported();
    let database = world.path("db/l.db");
    let list = |text: &str| {
        world.file(".config/loupe/config.toml", text);
        let mut command = loupe(&world.path(""));
        command.env_remove("LOUPE_SOCKET");
        run(command.arg("list"))
    };
    let output = list(&format!("db = {:?}\n", database.to_str().expect("a path")));
    assert!(stdout(&output).contains("a/bench"), "{output:?}");
    let output = list("color = \"auto\"\ndatabase = \"/x\"\n");
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(
        told.contains("config.toml:2:1: unknown key `database`") && told.contains("^^^^^^^^"),
        "{told}"
    );
}
