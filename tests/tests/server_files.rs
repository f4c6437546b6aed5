//! The pseudo-files of the five applications, as strace sees them.

use std::collections::BTreeSet;

use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::requirement::all_present;
use loupe_tests::scene::Scene;
use loupe_tests::servers::short_runs;
use loupe_tests::{require, trace};
use serde_json::Value;

/// The syscalls that name a file, and that Loupe watches.
const WITNESSED: &str = "open,openat,openat2,creat,stat,lstat,newfstatat,statx,access,faccessat,\
                         faccessat2,readlink,readlinkat";

#[test]
fn files_of_the_servers_agree_with_strace() {
    require!(Replays, Program("strace"));
    let scene = Scene::new();
    let mut seen = 0;
    for (program, command) in short_runs(&scene) {
        if !all_present(program, &[Program(program)]) {
            continue;
        }
        let command = ["/bin/sh", "-c", &command];
        let ours = ours(&scene, &command);
        let lines = trace::strace_calls(WITNESSED, &command, scene.directory());
        let theirs: BTreeSet<String> = lines.iter().filter_map(|line| file(line)).collect();
        assert_eq!(ours, theirs, "{program}");
        seen += ours.len();
    }
    // The shell's own `/dev/null` is one of each.
    assert!(seen > 5, "{seen}");
}

fn ours(scene: &Scene, command: &[&str]) -> BTreeSet<String> {
    let out = scene.path("trace.json");
    let out = out.to_str().expect("a plain path");
    let words = [
        &["trace", "--pseudo-files", "--json", "--output", out, "--"],
        command,
    ];
    scene.run(&words.concat()).expect_code(0);
    let text = std::fs::read_to_string(out).expect("the trace is written");
    std::fs::remove_file(out).expect("the trace can be removed");
    let traced: Value = serde_json::from_str(&text).expect("the trace is JSON");
    let files = traced["pseudo_files"].as_array().expect("a list");
    let path = |file: &Value| file["path"].as_str().expect("a path").to_owned();
    files.iter().map(path).collect()
}

/// The pseudo-file that a line of strace names. A number in `/proc` is the caller's own here, and
/// that of another thread where it is one of `task`.
fn file(line: &str) -> Option<String> {
    let path = line.split('"').nth(1)?;
    let top = path.split('/').nth(1).unwrap_or_default();
    if !["proc", "sys", "dev"].contains(&top) {
        return None;
    }
    let mut before = "";
    let parts = path.split('/').map(|part| {
        let number = top == "proc" && part.parse::<u32>().is_ok();
        let name = match (number, before) {
            (false, _) => part,
            (true, "task") => "<tid>",
            (true, _) => "self",
        };
        before = part;
        name
    });
    Some(parts.collect::<Vec<_>>().join("/"))
}
