//! The applications that predictions are tried with (`tests/applications`): each file is a workload that
//! is named as its file is, and passes as it stands; with `LOUPE_TEST_FULL=1` all that are installed.

use std::path::{Path, PathBuf};

use loupe_tests::require;
use loupe_tests::requirement::{Requirement, find_program};
use loupe_tests::scene::Scene;

fn directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/applications"))
}

/// They and the programs of their tests are Debian's essential packages, with `linux-libc-dev`. The
/// others may be there without what their tests ask them by.
const EVERYWHERE: [&str; 7] = ["bash", "dash", "grep", "perl", "sed", "sort", "tar"];

/// Each file, in the order of names, with what is in it.
fn files() -> Vec<(PathBuf, toml::Table)> {
    let entries = std::fs::read_dir(directory()).expect("the applications");
    let mut all: Vec<(PathBuf, toml::Table)> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("readable");
            let table = text.parse();
            let table = table.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, table)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn stem(path: &Path) -> &str {
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .expect("a plain name")
}

#[test]
fn every_file_is_a_workload_that_is_named_as_its_file_and_says_what_it_does() {
    let files = files();
    assert!(files.len() >= 24, "there are {}", files.len());
    for (path, table) in &files {
        let name = stem(path);
        assert_eq!(table["application"].as_str(), Some(name));
        let text = std::fs::read_to_string(path).expect("readable");
        assert!(text.starts_with("# "), "{name} does not say what it does");
        // Its own files are in a directory of its name, if it has any.
        let own = directory().join(name).is_dir();
        let said = table.get("directory").and_then(toml::Value::as_str);
        assert_eq!(said, own.then_some(name), "{name}");
    }
    let directories = std::fs::read_dir(directory()).expect("the applications");
    for path in directories.map(|entry| entry.expect("an entry").path()) {
        let belongs = |file: &(PathBuf, toml::Table)| stem(&file.0) == stem(&path);
        assert!(
            !path.is_dir() || files.iter().any(belongs),
            "{}",
            path.display()
        );
    }
}

/// The target, or the program of a command that is a list.
fn program(table: &toml::Table) -> &str {
    let first = || table["command"].as_array()?.first()?.as_str();
    let target = table.get("target").and_then(toml::Value::as_str);
    target.or_else(first).expect("a target")
}

fn is_installed(program: &str) -> bool {
    match program.starts_with('/') {
        true => Path::new(program).is_file(),
        false => find_program(program).is_some(),
    }
}

#[test]
fn they_pass_as_they_stand() {
    require!(Requirement::Replays);
    let scene = Scene::new();
    let is_full = std::env::var_os("LOUPE_TEST_FULL").is_some_and(|value| value == "1");
    for (path, table) in files() {
        let name = stem(&path);
        let is_tried = EVERYWHERE.contains(&name) || is_full && is_installed(program(&table));
        if !is_tried {
            // No requirement of the suite, which would grow by fifty packages.
            continue;
        }
        let finished = scene.run(&["try", path.to_str().expect("a plain path")]);
        finished.expect_code(0);
    }
    scene.assert_nothing_left();
}
