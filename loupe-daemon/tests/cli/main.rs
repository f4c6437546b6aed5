//! `loupe` as a program: exit codes, what goes where, bad input, and the client's side of the
//! protocol against a daemon that the test plays. Needs no root and no kernel features.

mod answers;
mod daemon;
mod fleet;
mod names;
mod plans;
mod profile;
#[path = "../../../tests/src/schema.rs"]
mod schema;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use daemon::Daemon;
use serde_json::{Value, json};

const WORKLOAD: &str = "application = \"cat\"\nworkload = \"w\"\nmode = \"batch\"\n\
                        command = [\"cat\"]\ntest = [\"true\"]\n";

/// `loupe` with a home of its own and no daemon.
fn loupe(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loupe"));
    command
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .env("LOUPE_SOCKET", home.join("louped.sock"))
        .stdin(Stdio::null());
    command
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn run(command: &mut Command) -> Output {
    command.output().expect("loupe starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// It failed with this code and said this, and only on standard error.
#[track_caller]
fn assert_fails(output: &Output, code: i32, says: &str) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.starts_with("loupe: ") && text.contains(says), "{text}");
    assert_eq!(stdout(output), "");
}

fn analysis(verdict: &str) -> Value {
    json!({
        "schema": "loupe.analysis/1", "application": "cat", "workload": "w", "replays": 9,
        "wall_seconds": 1.0, "baseline_ms": 1.0, "baseline_runs": 3, "lost_events": 0,
        "features": [{
            "feature": "read", "kind": "syscall", "verdict": verdict, "calls": 3,
            "stub": {"runs": 3, "passes": 0, "injections": 3, "works": false},
            "fake": {"runs": 3, "passes": 0, "injections": 3, "works": false},
            "basis": "measured",
        }],
    })
}

#[test]
fn help_is_a_result_and_bad_usage_is_not() {
    let home = home();
    let help = run(loupe(home.path()).args(["analyze", "--help"]));
    assert!(help.status.success());
    assert!(stdout(&help).contains("Examples:"));
    for args in [
        &[][..],
        &["fly"],
        &["show"],
        &["run", "--stub", "futexx", "--", "ls"],
    ] {
        let output = run(loupe(home.path()).args(args));
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(stdout(&output), "", "{args:?}");
    }
    let output = run(loupe(home.path()).args(["run", "--stub", "futexx", "--", "ls"]));
    assert_fails(&output, 2, "did you mean futex?");
}

#[test]
fn a_bad_workload_file_is_refused_with_its_place() {
    let home = home();
    let path = home.path().join("w.toml");
    for (text, says) in [
        (
            format!("{WORKLOAD}moode = 1\n"),
            "w.toml:6:1: unknown key `moode` (did you mean mode?)",
        ),
        (WORKLOAD.replace("\"batch\"", "7"), "w.toml:3:8: "),
        ("application = ".to_owned(), "w.toml:1:"),
        (WORKLOAD.replace("[\"cat\"]", "[]"), "`command` is empty"),
    ] {
        std::fs::write(&path, text).expect("written");
        let output = run(loupe(home.path()).arg("analyze").arg(&path));
        assert_fails(&output, 2, says);
        assert!(stderr(&output).contains("hint: "));
    }
    let output = run(loupe(home.path()).args(["analyze", "/no/such/file.toml"]));
    assert_fails(
        &output,
        2,
        "cannot read the workload file /no/such/file.toml",
    );
}

#[test]
fn a_workload_comes_from_a_file_or_standard_input_or_the_command_line_and_from_one_of_them() {
    let home = home();
    let bad = home.path().join("bad.toml");
    std::fs::write(&bad, "application = ").expect("written");
    let mut from_stdin = loupe(home.path());
    from_stdin.args(["analyze", "-"]);
    from_stdin.stdin(std::fs::File::open(&bad).expect("there"));
    assert_fails(&run(&mut from_stdin), 2, "standard input:1:");
    for args in [
        &["analyze"][..],
        &["analyze", "--", "ls"],
        &["analyze", "--test", "true"],
        &["analyze", "w.toml", "--test", "true", "--", "ls"],
    ] {
        assert_fails(&run(loupe(home.path()).args(args)), 2, "");
    }
    let path = home.path().join("kept.toml");
    std::fs::write(&path, "mine").expect("written");
    let kept = path.to_str().expect("a plain path");
    let args = ["analyze", "--save", kept, "--test", "true", "--", "ls"];
    assert_fails(&run(loupe(home.path()).args(args)), 2, "cannot write");
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "mine");
}

#[test]
fn a_workload_whose_name_steers_a_terminal_is_refused_without_steering_it() {
    let home = home();
    let path = home.path().join("w.toml");
    for name in ["a\\u001b]0;x\\u0007", "a\u{202e}b", "a\u{9b}31m"] {
        let text = WORKLOAD.replace("\"cat\"\nw", &format!("\"{name}\"\nw"));
        std::fs::write(&path, text).expect("written");
        let output = run(loupe(home.path()).arg("analyze").arg(&path));
        assert_fails(&output, 2, "`application` must be a name");
        let told = stderr(&output);
        assert!(
            told.chars().all(|c| c == '\n' || !c.is_control()),
            "{told:?}"
        );
        assert!(!told.contains('\u{202e}'), "{told:?}");
    }
}

#[test]
fn where_nobody_answers_at_the_socket_that_was_named_no_other_database_is_looked_into() {
    let home = home();
    let there = home.path().join(".local/state/loupe/loupe.db");
    let nobody = home.path().join("nobody.sock");
    for words in [
        &["list"][..],
        &["show", "cat"],
        &["explain", "cat", "read"],
        &["stats"],
        &["run", "--", "true"],
        &["import", "loupedb", "."],
    ] {
        for named in [true, false] {
            let mut command = loupe(home.path());
            match named {
                true => command
                    .env_remove("LOUPE_SOCKET")
                    .arg("--socket")
                    .arg(&nobody),
                false => command.env("LOUPE_SOCKET", &nobody),
            };
            let output = run(command.args(words));
            assert_fails(&output, 125, "nobody.sock");
            assert!(stderr(&output).contains("hint: start it"), "{words:?}");
        }
    }
    assert!(!there.exists());
}

#[test]
fn looking_things_up_makes_no_database() {
    let home = home();
    let database = home.path().join("loupe.db");
    let output = run(loupe(home.path()).arg("list").arg("--db").arg(&database));
    assert_fails(&output, 2, "there is no database at");
    assert!(!database.exists());
    let output = run(loupe(home.path())
        .args(["show", "nginx", "--db"])
        .arg(&database));
    assert_fails(&output, 2, "no finished analysis of nginx");
    assert!(stderr(&output).contains("cause: there is no database at"));
    assert!(!database.exists());
}

#[test]
fn a_file_that_is_no_database_is_named_with_a_cure() {
    let home = home();
    let database = home.path().join("loupe.db");
    std::fs::write(
        &database,
        "not a database, but long enough to be one".repeat(100),
    )
    .expect("written");
    let output = run(loupe(home.path()).arg("list").arg("--db").arg(&database));
    assert_fails(&output, 125, "is not a database");
    assert!(stderr(&output).contains("hint: "));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let home = home();
    let mut child = loupe(home.path())
        .args(["doctor", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("loupe starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    // 1: something on this host is missing, which is for the doctor to say.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    assert_eq!(stderr(&output), "");
}

#[test]
fn doctor_speaks_json() {
    let home = home();
    let output = run(loupe(home.path()).args(["doctor", "--json"]));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    schema::assert_fits(&report);
    assert_eq!(report["schema"], "loupe.doctor/1");
    let usable = report["usable"].as_bool().expect("a boolean");
    assert_eq!(output.status.code(), Some(if usable { 0 } else { 1 }));
}

#[test]
fn jobs_without_a_daemon_are_refused_with_a_cure() {
    let home = home();
    for command in [&["jobs"][..], &["cancel", "1"], &["watch", "1"]] {
        let output = run(loupe(home.path()).args(command));
        assert_fails(&output, 125, "louped is not running");
        assert!(stderr(&output).contains("systemctl start louped"));
        let output = run(loupe(home.path()).args(command).arg("--local"));
        assert_fails(&output, 2, "--local makes no sense here");
    }
    drop(UnixListener::bind(home.path().join("louped.sock")).expect("bound"));
    let output = run(loupe(home.path()).arg("jobs"));
    assert_fails(&output, 125, "nobody answers at");
}

#[test]
fn a_daemon_that_talks_nonsense_is_not_trusted() {
    let home = home();
    for nonsense in [
        "hello?\n",
        "{}\n",
        "{\"loupe\":1,\"reply\":\"jobs\",\"jobs\":[]}\n",
        "",
    ] {
        let daemon = Daemon::rude(home.path(), move |mut talk| talk.raw(nonsense));
        let output = run(loupe(home.path()).arg("jobs"));
        assert_fails(&output, 125, "the daemon at");
        drop(daemon);
    }
}

#[test]
fn another_protocol_version_is_told_as_such() {
    let home = home();
    let reply = json!({
        "loupe": 1, "reply": "error", "code": "unsupported-version", "supported": [2, 3],
        "message": "protocol version 1 is not supported; supported: [2, 3]", "exit_code": 125,
    });
    let _daemon = Daemon::rude(home.path(), move |mut talk| talk.say(&reply));
    let output = run(loupe(home.path()).arg("jobs"));
    assert_fails(&output, 125, "protocol version 1 is not supported");
}

#[test]
fn an_analysis_by_the_daemon_ends_with_the_table_and_the_verdicts_exit_code() {
    let home = home();
    let path = home.path().join("w.toml");
    std::fs::write(&path, WORKLOAD).expect("written");
    for (verdict, code) in [("required", 0), ("undecided", 1)] {
        let base = home.path().to_owned();
        let _daemon = Daemon::start(home.path(), move |mut talk| {
            let request = talk.request().clone();
            assert_eq!(request["request"], "analyze");
            assert_eq!(request["workload"]["application"], "cat");
            assert_eq!(
                request["base"].as_str().map(Path::new),
                Some(base.as_path())
            );
            assert_eq!(request["options"]["jobs"], 3);
            talk.say(&json!({"loupe": 1, "reply": "queued", "job": 1, "ahead": 2}));
            let phase = json!({"progress": "phase", "name": "baseline"});
            talk.say(&json!({"loupe": 1, "reply": "progress", "job": 1, "event": phase}));
            talk.say(&json!({"loupe": 1, "reply": "skipped", "job": 1, "lost": 5}));
            let result = analysis(verdict);
            talk.say(&json!({"loupe": 1, "reply": "analysis", "job": 1, "analysis": result}));
        });
        let analyze = || {
            let mut command = loupe(home.path());
            command.arg("analyze").arg(&path).args(["--jobs", "3"]);
            command
        };
        let output = run(&mut analyze());
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stdout(&output).contains("read"), "{}", stdout(&output));
        assert!(stderr(&output).contains("waits for 2 others"));
        assert!(stderr(&output).contains("phase: baseline"));

        let output = run(analyze().arg("--json"));
        let result: Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
        schema::assert_fits(&result);
        assert_eq!(result["schema"], "loupe.analysis/1");
        assert_eq!(output.status.code(), Some(code));
    }
}

#[test]
fn a_failed_analysis_shows_output_and_cure_and_has_the_daemons_exit_code() {
    let home = home();
    let path = home.path().join("w.toml");
    std::fs::write(&path, WORKLOAD).expect("written");
    let _daemon = Daemon::start(home.path(), |mut talk| {
        talk.say(&json!({"loupe": 1, "reply": "queued", "job": 1, "ahead": 0}));
        talk.say(&json!({
            "loupe": 1, "reply": "error", "code": "failed", "exit_code": 3,
            "message": "the baseline fails", "causes": ["the test failed"],
            "output": "no \u{1b}[2J server", "hint": "fix it",
        }));
    });
    let output = run(loupe(home.path()).arg("analyze").arg(&path));
    assert_fails(&output, 3, "the baseline fails");
    let text = stderr(&output);
    for part in [
        "  cause: the test failed\n",
        "  | no \\x1b[2J server\n",
        "  hint: fix it\n",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_detached_analysis_prints_its_job() {
    let home = home();
    let path = home.path().join("w.toml");
    std::fs::write(&path, WORKLOAD).expect("written");
    let _daemon = Daemon::start(home.path(), |mut talk| {
        assert_eq!(talk.request()["detach"], true);
        talk.say(&json!({"loupe": 1, "reply": "queued", "job": 41, "ahead": 0}));
    });
    let output = run(loupe(home.path()).arg("analyze").arg(&path).arg("--detach"));
    assert!(output.status.success());
    assert_eq!(stdout(&output), "41\n");
}

#[test]
fn a_result_in_parts_is_put_together() {
    let home = home();
    let mut big = analysis("required");
    big["warnings"] = json!(["\"w\u{fc}\" ".repeat(500_000)]);
    let expected = big.clone();
    let _daemon = Daemon::start(home.path(), move |mut talk| {
        let stored = json!({
            "id": 1, "fingerprint": "f", "started_ms": 1, "finished_ms": 2, "analysis": big,
        });
        let whole = json!({"loupe": 1, "reply": "shown", "analysis": stored}).to_string();
        let characters: Vec<char> = whole.chars().collect();
        let pieces: Vec<String> = characters
            .chunks(100_000)
            .map(|piece| piece.iter().collect())
            .collect();
        for (index, piece) in pieces.iter().enumerate() {
            let last = index + 1 == pieces.len();
            talk.say(&json!({"loupe": 1, "reply": "part", "text": piece, "last": last}));
        }
    });
    let output = run(loupe(home.path()).args(["show", "cat", "--json"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    schema::assert_fits(&shown);
    assert_eq!(shown["warnings"], expected["warnings"]);
}

#[test]
fn a_daemon_that_dies_is_told() {
    let home = home();
    let path = home.path().join("w.toml");
    std::fs::write(&path, WORKLOAD).expect("written");
    let daemon = Daemon::start(home.path(), |mut talk| {
        talk.say(&json!({"loupe": 1, "reply": "queued", "job": 1, "ahead": 0}));
        talk.raw("{\"loupe\":1,\"re");
    });
    let output = run(loupe(home.path()).arg("analyze").arg(&path));
    assert_fails(&output, 125, "the connection to louped broke");
    drop(daemon);
    let _daemon = Daemon::start(home.path(), |_| {});
    let output = run(loupe(home.path()).arg("analyze").arg(&path));
    assert_fails(&output, 125, "louped hung up");
}

#[test]
fn ctrl_c_cancels_and_waits_for_the_clean_up() {
    let home = home();
    let path = home.path().join("w.toml");
    std::fs::write(&path, WORKLOAD).expect("written");
    let _daemon = Daemon::start(home.path(), |mut talk| {
        talk.say(&json!({"loupe": 1, "reply": "queued", "job": 1, "ahead": 0}));
        let phase = json!({"progress": "phase", "name": "baseline"});
        talk.say(&json!({"loupe": 1, "reply": "progress", "job": 1, "event": phase}));
        for _ in 0..2 {
            assert_eq!(talk.hear()["request"], "cancel");
        }
        talk.say(&json!({
            "loupe": 1, "reply": "error", "code": "cancelled", "exit_code": 130,
            "message": "cancelled, all gone",
        }));
    });
    let mut command = loupe(home.path());
    // However the tests were started: what is sent must arrive.
    // SAFETY: restoring the default installs no handler and may be done after a fork.
    unsafe {
        command.pre_exec(|| {
            let default = nix::sys::signal::SigHandler::SigDfl;
            nix::sys::signal::signal(nix::sys::signal::SIGINT, default)?;
            Ok(())
        });
    }
    let mut child: Child = command
        .arg("analyze")
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("loupe starts");
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    let mut wait_for = |text: &str| {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let read = errors.read_line(&mut line).expect("readable");
            assert!(read > 0, "it ended before it said {text:?}");
        }
    };
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    let interrupt = || nix::sys::signal::kill(pid, nix::sys::signal::SIGINT).expect("sent");
    wait_for("phase: baseline");
    interrupt();
    wait_for("stopping: waiting");
    interrupt();
    wait_for("still stopping");
    wait_for("cancelled, all gone");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    let mut result = String::new();
    let mut out = child.stdout.take().expect("piped");
    out.read_to_string(&mut result).expect("readable");
    assert_eq!(result, "");
}

#[test]
fn jobs_are_a_table_or_json() {
    let home = home();
    let _daemon = Daemon::start(home.path(), |mut talk| {
        let job = json!({
            "id": 7, "uid": 1000, "application": "nginx", "workload": "wrk",
            "state": "running", "detached": true, "submitted": 1, "ahead": 0,
            "phase": "baseline", "done": 1, "running": 2, "left": 3, "a_new_field": true,
        });
        talk.say(&json!({"loupe": 1, "reply": "jobs", "jobs": [job]}));
    });
    let output = run(loupe(home.path()).arg("jobs"));
    assert!(stdout(&output).contains("nginx/wrk"), "{}", stderr(&output));
    let output = run(loupe(home.path()).args(["jobs", "--json"]));
    let jobs: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    schema::assert_fits(&jobs);
    assert_eq!(jobs["schema"], "loupe.jobs/1");
    assert_eq!(jobs["jobs"][0]["id"], 7);
}

#[test]
fn results_go_to_standard_output_without_colours_when_it_is_no_terminal() {
    let home = home();
    let output = run(loupe(home.path()).arg("doctor"));
    let text = stdout(&output);
    assert!(text.contains("kernel") && !text.contains('\x1b'), "{text}");
}
