//! Targets that are started in unusual ways are measured all the same; where that cannot be, one
//! sentence says why, and what was executed instead.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use loupe_tests::analysis::Analysis;
use loupe_tests::command::Finished;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{I386, Program, Replays};
use loupe_tests::scene::{RESULT, Scene};

const INVALID: i32 = 3;
const OWN_FAILURE: i32 = 125;

/// Analyzes a batch workload that starts `target` by a script.
fn analyze(scene: &Scene, script: &str, target: &str) -> Finished {
    let text = format!(
        "application = \"odd\"\nworkload = \"start\"\nmode = \"batch\"\ncommand = {script:?}\n\
         target = {target:?}\ntest = [\"./probe\", \"works\", {RESULT:?}]\n"
    );
    scene.write("odd.toml", &text);
    scene.run(&["analyze", "odd.toml", "--json"])
}

/// The victim `uname` needs the syscall of this name: where it is stubbed in the target, the
/// script fails.
#[track_caller]
fn expect_measured(scene: &Scene, script: &str, target: &str) {
    let words = ["run", "--stub", "uname", "--target", target, "--"];
    let words = [&words[..], &["/bin/sh", "-c", script]].concat();
    let finished = scene.run(&words).expect_code(1);
    finished.expect_message(&["uname stubbed (ENOSYS) once"]);
    scene.assert_nothing_left();
}

/// Runs a script that executes the victim, and checks how often Loupe saw it.
#[track_caller]
fn expect_starts(script: &str, starts: u32) {
    let scene = Scene::new();
    let words = [
        "run", "--stub", "acct", "--target", "./victim", "--", "/bin/sh", "-c", script,
    ];
    let finished = scene.run(&words).expect_code(0);
    finished.expect_message(&[&format!("started {starts} times")]);
    scene.assert_nothing_left();
}

/// Without care, one of twenty was lost.
#[test]
fn no_target_is_lost_to_a_child_that_ends_while_it_is_executed() {
    require!(Replays);
    let script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); \
                  (/bin/true & /bin/true & /bin/true & exec ./victim uname /dev/null); done";
    expect_starts(script, 300);
}

#[test]
fn a_target_that_is_stopped_and_continued_while_it_is_executed_goes_on() {
    require!(Replays);
    let script = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); \
                  /bin/sh -c '(p=$$; j=0; while [ $j -lt 20 ]; do j=$((j+1)); \
                  kill -STOP $p; kill -CONT $p; done) 2>/dev/null & \
                  exec ./victim uname /dev/null'; done";
    expect_starts(script, 40);
}

/// It must be pending when the target begins, and come from its sender.
#[test]
fn a_trap_that_is_sent_while_the_target_is_executed_is_handed_over() {
    require!(Replays);
    let scene = Scene::new();
    for _ in 0..10 {
        let words = [
            "run",
            "--stub",
            "acct",
            "--target",
            "./victim",
            "--",
            "./victim",
            "executes-trapped",
            "/dev/null",
            "./victim",
            "waits-for-trap",
            "/dev/null",
        ];
        scene.run(&words).expect_code(0);
    }
    scene.assert_nothing_left();
}

#[test]
fn a_target_that_the_command_makes_is_measured() {
    require!(Replays);
    let scene = Scene::new();
    let script = format!("cp ./victim /tmp/made && /tmp/made uname {RESULT}");
    let finished = analyze(&scene, &script, "/tmp/made").expect_code(0);
    let analysis = Analysis::new(finished.json());
    assert_eq!(analysis.verdict("uname"), Some("required"));
    scene.assert_nothing_left();
}

#[test]
fn a_target_that_the_command_replaces_is_measured() {
    require!(Replays);
    let scene = Scene::new();
    let old = scene.write("made", "#!/bin/false\n");
    fs::set_permissions(old, fs::Permissions::from_mode(0o755)).expect("our own file");
    let script = "cp ./victim ./new && mv ./new ./made && ./made uname /dev/null";
    expect_measured(&scene, script, "./made");
}

#[test]
fn a_target_is_looked_up_in_the_view_of_the_process_that_executes_it() {
    require!(Replays, Program("unshare"), Program("mount"));
    let scene = Scene::new();
    scene.write("app", "");
    let script = "exec unshare -m /bin/sh -c 'mount --bind ./victim ./app && \
                  exec ./app uname /dev/null'";
    fs::set_permissions(scene.path("app"), fs::Permissions::from_mode(0o755)).expect("our file");
    expect_measured(&scene, script, "./app");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_program_of_a_dynamic_loader_is_measured() {
    require!(Replays);
    let scene = Scene::new();
    let script = "/lib64/ld-linux-x86-64.so.2 --argv0 app ./victim uname /dev/null";
    expect_measured(&scene, script, "./victim");
}

#[test]
fn a_program_in_memory_is_measured_by_its_name() {
    require!(Replays);
    let scene = Scene::new();
    let script = "./victim executes-memory - ./victim uname /dev/null";
    expect_measured(&scene, script, "memfd:copy");
}

#[test]
fn where_the_target_is_never_executed_it_is_told_what_was() {
    require!(Replays);
    let scene = Scene::new();
    fs::copy(scene.victim(), scene.write("start", "")).expect("a copy");
    let script = format!("./start executes-memory - ./victim uname {RESULT}");
    analyze(&scene, &script, "./victim")
        .expect_code(INVALID)
        .expect_message(&["never executed", "/start", "memfd:copy"]);
    let script = format!("./start clones-untraced - ./victim uname {RESULT}");
    analyze(&scene, &script, "./victim")
        .expect_code(INVALID)
        .expect_message(&["never executed", "/start", "CLONE_UNTRACED"]);
    scene
        .run(&["run", "--target", "./victim", "--", "/bin/true"])
        .expect_code(0)
        .expect_message(&["never executed", "/true"]);
    scene.assert_nothing_left();
}

#[test]
fn a_suite_that_traces_its_program_is_told_why_it_cannot() {
    require!(Replays, Program("strace"));
    let scene = Scene::new();
    let script = format!("strace -o /dev/null ./victim uname {RESULT}");
    analyze(&scene, &script, "./victim")
        .expect_code(INVALID)
        .expect_message(&["strace may not trace", "one tracer", "leave the tracer out"]);
    scene.assert_nothing_left();
}

/// An ELF file for i386 that calls `getpid`, then `exit` with 0.
fn i386_program() -> Vec<u8> {
    const BASE: u32 = 0x0804_8000;
    const HEADERS: u32 = 52 + 32;
    // mov eax, 20; int 0x80; mov eax, 1; xor ebx, ebx; int 0x80
    let code = [
        0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80,
    ];
    let size = HEADERS + code.len() as u32;
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let halves = |file: &mut Vec<u8>, halves: &[u16]| {
        file.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
    };
    let words = |file: &mut Vec<u8>, words: &[u32]| {
        file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    };
    // An executable for i386; version; entry; program headers; no sections; no flags.
    halves(&mut file, &[2, 3]);
    words(&mut file, &[1, BASE + HEADERS, 52, 0, 0]);
    halves(&mut file, &[52, 32, 1, 40, 0, 0]);
    // One segment: all of the file, readable and executable.
    words(&mut file, &[1, 0, BASE, BASE, size, size, 5, 4096]);
    file.extend(code);
    file
}

#[test]
fn a_32_bit_program_is_traced_and_refused_where_something_is_injected() {
    require!(Replays, I386);
    let scene = Scene::new();
    let path = scene.write("app32", "");
    fs::write(&path, i386_program()).expect("our own file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
    for options in [&["trace", "--json"][..], &["trace", "--json", "--no-vdso"]] {
        let words = [options, &["--", "./app32"]].concat();
        let finished = scene.run(&words).expect_code(0);
        let report: serde_json::Value = serde_json::from_str(&finished.stderr).expect("JSON");
        assert_eq!(report["foreign"][0]["abi"], "i386", "{report:#}");
        assert_eq!(report["foreign"][0]["calls"], 1, "{report:#}");
    }
    let sentence = "app32 is a 32-bit program; Loupe's filters know the 64-bit ABI only";
    scene
        .run(&["run", "--stub", "getpid", "--", "./app32"])
        .expect_code(OWN_FAILURE)
        .expect_message(&[sentence]);
    analyze(&scene, "exec ./app32", "./app32")
        .expect_code(INVALID)
        .expect_message(&[sentence]);
    scene.assert_nothing_left();
}
