//! What it costs to leave a syscall out: every cost that is built into a victim is found, with
//! about its size, and is told wherever results are read.

use loupe_tests::analysis::Analysis;
use loupe_tests::require;
use loupe_tests::requirement::Requirement;
use loupe_tests::scene::{PORT, Scene};
use serde_json::Value;

/// A server whose test prints the number that the server left.
fn workload(scene: &Scene) -> String {
    let text = format!(
        "application = \"costly\"\nworkload = \"costs\"\nmode = \"server\"\n\
         command = [\"./victim\", \"serve-at-a-cost\", \"{PORT}\"]\n\
         test = \"./probe echo {PORT} && echo requests/s: $(cat victim-number)\"\n\
         metric = \"requests/s: *([0-9.]+)\"\n"
    );
    let path = scene.write("costly.toml", &text);
    path.to_str().expect("a plain path").to_owned()
}

fn effect<'a>(analysis: &'a Analysis, feature: &str, way: &str, quantity: &str) -> &'a Value {
    let row = analysis.row(feature).expect("it is used");
    let effects = row[way]["impact"]["effects"].as_array();
    let mut effects = effects.into_iter().flatten();
    effects
        .find(|effect| effect["quantity"] == quantity)
        .unwrap_or_else(|| panic!("no {quantity} with {feature} left out ({way}): {row:#}"))
}

#[test]
fn every_cost_that_is_built_in_is_found() {
    require!(Requirement::Replays);
    let scene = Scene::new();
    let path = workload(&scene);
    let finished = scene.run(&["analyze", &path, "--no-joint", "--impact", "--json"]);
    assert_eq!(finished.code(), Some(0), "{finished:#?}");
    let analysis = Analysis::new(finished.json());
    let impact = &analysis.0["impact"];
    assert_eq!(impact["runs"], 10);
    assert_eq!(impact["baseline"].as_array().map(Vec::len), Some(20));

    // Three requests, and without the feature each costs 51 descriptors, 4 MiB, 10 ms.
    for (feature, way, quantity, least, most) in [
        ("close", "fake", "descriptors", 20.0, 60.0),
        ("munmap", "stub", "memory", 1.5, 3.5),
        ("munmap", "fake", "memory", 1.5, 3.5),
        ("getpriority", "stub", "cpu", 1.0, f64::INFINITY),
        ("getpriority", "fake", "cpu", 1.0, f64::INFINITY),
        ("getitimer", "stub", "metric", 0.25, 0.25),
    ] {
        let effect = effect(&analysis, feature, way, quantity);
        assert_eq!(effect["significant"], true, "{feature} {way}: {effect}");
        let ratio = effect["ratio"].as_f64().expect("a number");
        assert!((least..=most).contains(&ratio), "{feature} {way}: {effect}");
        let end = |key| effect["interval"][key].as_f64().expect("a number");
        assert!(end("low") <= ratio && ratio <= end("high"), "{effect}");
    }
    let same = effect(&analysis, "umask", "fake", "metric");
    assert_eq!(
        (&same["baseline"], &same["mean"], &same["significant"]),
        (&1000.0.into(), &1000.0.into(), &false.into())
    );
    // What does not work costs nothing that could be measured.
    let shutdown = analysis.row("shutdown").expect("it is used");
    assert_eq!(shutdown["stub"].get("impact"), None, "{shutdown:#}");

    let shown = scene.run(&["show", "costly"]).stdout;
    let lines: Vec<&str> = shown.lines().collect();
    let begin = lines
        .iter()
        .position(|line| line.starts_with("Impact: what differs"));
    let section = lines[begin.expect("the section")..].join("\n");
    let row = |feature: &str, what: &str| {
        let mut lines = section.lines();
        lines
            .find(|line| line.starts_with(feature) && line.contains(what))
            .map(str::to_owned)
    };
    let slower = row("getitimer", "metric").expect(&shown);
    assert!(
        slower.contains("stubbed") && slower.contains("-75 %"),
        "{shown}"
    );
    assert!(
        row("close", "descriptors").is_some_and(|line| line.contains("x to ")),
        "{shown}"
    );
    assert_eq!(row("umask", "metric"), None);

    let explained = scene.run(&["explain", "costly", "umask"]).stdout;
    let costs = explained.matches("impact: 10 replays against 20 of the baseline");
    assert_eq!(costs.count(), 2, "{explained}");
    assert!(explained.contains("1000 → 1000: 0.0 %"), "{explained}");
    scene.assert_nothing_left();
}

#[test]
fn without_being_asked_nothing_is_measured_but_the_metric() {
    require!(Requirement::Replays);
    let scene = Scene::new();
    let path = workload(&scene);
    let finished = scene.run(&["analyze", &path, "--no-joint", "--json"]);
    assert_eq!(finished.code(), Some(0), "{finished:#?}");
    assert!(
        !finished.stdout.contains("\"impact\""),
        "{}",
        finished.stdout
    );
    let explained = scene.run(&["explain", "costly", "getitimer", "--json"]);
    let explained: Value = serde_json::from_str(&explained.stdout).expect("JSON");
    let replay = &explained["trials"][0]["replays"][0];
    assert_eq!(replay["usage"].get("descriptors"), None, "{replay:#}");
    // A pass with a metric far off looks wrong, whether it is asked for or not: a quarter is not
    // that far.
    let suspicious = Analysis::new(finished.json());
    let row = suspicious.row("getitimer").expect("it is used");
    assert_eq!(row["stub"].get("suspicious"), None, "{row:#}");
    scene.assert_nothing_left();
}

#[test]
fn a_bad_metric_is_refused_with_its_place() {
    let scene = Scene::new();
    let text = "application = \"a\"\nworkload = \"w\"\nmode = \"batch\"\ncommand = [\"true\"]\n\
                test = [\"true\"]\nmetric = \"rate: [0-9]+\"\n";
    let path = scene.write("bad.toml", text);
    let finished = scene.run(&["analyze", path.to_str().expect("a plain path")]);
    assert_eq!(finished.code(), Some(2), "{finished:#?}");
    let said = "bad.toml:6:10: `metric` must have one group";
    assert!(finished.stderr.contains(said), "{finished:#?}");
}
