//! The daemon: one engine for many clients, and for callers that are not root.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use loupe_tests::binaries;
use loupe_tests::command;
use loupe_tests::daemon::{Daemon, wait_until};
use loupe_tests::ground_truth::victim;
use loupe_tests::member::NOBODY;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::{RESULT, Scene};

/// A batch workload of these words of the victim. A script starts it, because a file among a
/// command's own words is part of what makes two analyses comparable, and some of these change.
fn workload(scene: &Scene, name: &str, words: &[&str], more: &str) -> PathBuf {
    let script = format!("exec ./victim {name} {RESULT} {}", words.join(" "));
    scene.write(
        &format!("{name}.toml"),
        &format!(
            "application = {name:?}\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = {script:?}\ntarget = \"./victim\"\n\
             test = [\"./probe\", \"works\", {RESULT:?}]\n{more}"
        ),
    )
}

/// A workload that adds a byte to a file of the host each time that it runs; the file and it.
fn counting(scene: &Scene, more: &str) -> (PathBuf, PathBuf) {
    let counter = scene.write("counter", "");
    let words = [counter.to_str().expect("a plain path")];
    let more = format!("{more}writable = [{counter:?}]\n");
    let path = workload(scene, "records", &words, &more);
    (counter, path)
}

#[test]
fn it_analyses_for_its_clients_and_stops_cleanly() {
    require!(Replays);
    let scene = Scene::new();
    let daemon = Daemon::start(&scene);
    let truth = victim("accepts-enosys");
    let path = scene.workload(truth);
    let path = path.to_str().expect("a plain path");
    let analysis = daemon.analysis(&["analyze", path, "--json"]);
    assert_eq!(analysis.verdict("getpriority"), Some("stub"));
    let shown = daemon.analysis(&["show", truth.name, "--json"]);
    assert_eq!(shown.0["features"], analysis.0["features"]);
    daemon.run(&["list"]).expect_code(0);
    daemon.stop(libc::SIGTERM).expect_code(0);
    assert!(
        !Daemon::socket_of(&scene).exists(),
        "the socket stays behind"
    );
    scene.assert_nothing_left();
}

#[test]
fn runs_and_traces_go_through_it() {
    require!(Replays);
    let scene = Scene::new();
    let daemon = Daemon::start(&scene);
    daemon
        .run(&["run", "--", "./victim", "exits", "-", "42"])
        .expect_code(42);
    let finished = daemon.run(&[
        "run",
        "--stub",
        "uname",
        "--",
        "./victim",
        "uname",
        "/dev/null",
    ]);
    finished.expect_code(1);
    let finished = daemon.run(&["run", "--", "./victim", "dies", "-", "6"]);
    assert_eq!(finished.signal(), Some(6), "{finished:?}");
    daemon
        .run(&["trace", "--", "/bin/true"])
        .expect_code(0)
        .expect_message(&["exit_group"]);
    daemon.stop(libc::SIGTERM).expect_code(0);
    scene.assert_nothing_left();
}

#[test]
fn two_watch_and_one_cancels() {
    require!(Replays);
    let scene = Scene::new();
    let (counter, path) = counting(&scene, "replicas = 50\n");
    let daemon = Daemon::start(&scene);
    let analysis = command::start(daemon.client(&["analyze", path.to_str().expect("a path")]));
    wait_until("the workload was started", || length(&counter) >= 5);
    let jobs = daemon.run(&["jobs", "--json"]).expect_code(0).json();
    let id = jobs["jobs"][0]["id"]
        .as_u64()
        .expect("a running job")
        .to_string();
    let watcher = command::start(daemon.client(&["watch", &id]));
    wait_until("both watch", || {
        let jobs = daemon.run(&["jobs", "--json"]).json();
        jobs["jobs"][0]["watchers"].as_u64() == Some(2)
    });
    daemon.run(&["cancel", &id]).expect_code(0);
    for watching in [analysis, watcher] {
        let finished = watching.wait();
        assert_ne!(finished.code(), Some(0), "{finished:?}");
        finished.expect_message(&["cancel"]);
    }
    daemon.run(&["cancel", "999999"]).expect_code(2);
    daemon.stop(libc::SIGTERM).expect_code(0);
    scene.assert_nothing_left();
}

#[test]
fn a_client_that_goes_away_leaves_nothing_running() {
    require!(Replays);
    let scene = Scene::new();
    let daemon = Daemon::start(&scene);
    let running = command::start(daemon.client(&["run", "--", "./victim", "hangs", "-"]));
    wait_until("the victim was started", || victims(&scene) > 0);
    running.signal(libc::SIGKILL);
    running.wait();
    wait_until("the victim has ended", || victims(&scene) == 0);
    daemon.stop(libc::SIGTERM).expect_code(0);
    scene.assert_nothing_left();
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).expect("the file is there").len()
}

/// Running copies of the scene's victim.
fn victims(scene: &Scene) -> usize {
    let program = scene.victim();
    std::fs::read_dir("/proc")
        .expect("there is a /proc")
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path().join("exe")).ok())
        .filter(|exe| *exe == program)
        .count()
}

#[test]
fn killed_and_started_again_it_goes_on() {
    require!(Replays);
    let scene = Scene::new();
    let (counter, path) = counting(&scene, "");
    let daemon = Daemon::start(&scene);
    let client = command::start(daemon.client(&["analyze", path.to_str().expect("a path")]));
    wait_until("the workload was started", || length(&counter) >= 15);
    daemon.stop(libc::SIGKILL);
    let told = client.wait();
    assert_eq!(told.code(), Some(125), "{told:?}");
    scene.assert_nothing_left();

    let daemon = Daemon::start(&scene);
    let path = path.to_str().expect("a plain path");
    let analysis = daemon.analysis(&["analyze", path, "--json"]);
    assert!(analysis.number("replays_reused") >= 10, "{:#}", analysis.0);
    daemon.stop(libc::SIGTERM).expect_code(0);
    scene.assert_nothing_left();
}

#[test]
fn another_users_workload_runs_as_that_user() {
    require!(Replays);
    let scene = Scene::new();
    let secret = scene.write("secret", "for root only\n");
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).expect("a private file");
    let words = [secret.to_str().expect("a plain path")];
    let forbidden = workload(&scene, "copies", &words, "");
    let allowed = workload(&scene, "identity", &[], "");
    let daemon = Daemon::start(&scene);
    let as_nobody = |words: &[&str]| command::run(daemon.client_of(NOBODY, words));

    let path = allowed.to_str().expect("a plain path");
    as_nobody(&["analyze", path, "--json"]).expect_code(0);
    // What it printed, where only the faked call's value is wrong.
    let told = as_nobody(&["explain", "identity", "getgid", "--json"]).expect_code(0);
    assert!(told.stdout.contains("uid=65534 gid=0"), "{}", told.stdout);

    let path = forbidden.to_str().expect("a plain path");
    as_nobody(&["analyze", path])
        .expect_code(3)
        .expect_message(&["cannot open the file"]);
    daemon.run(&["analyze", path]).expect_code(0);

    let finished = as_nobody(&["run", "--", "./victim", "identity", "/dev/null"]);
    assert_eq!(finished.stdout, "uid=65534 gid=65534\n", "{finished:?}");
    as_nobody(&["run", "--", "./victim", "copies", "/dev/null", "secret"]).expect_code(1);
    daemon.stop(libc::SIGTERM).expect_code(0);
    scene.assert_nothing_left();
}

#[test]
fn garbage_half_lines_and_silence_do_it_no_harm() {
    require!(Replays);
    let scene = Scene::new();
    let daemon = Daemon::start(&scene);
    let connect = || UnixStream::connect(daemon.socket()).expect("louped answers");

    // Nothing at all, and half a line: both are kept open while others are served.
    let _silent = connect();
    let mut half = connect();
    half.write_all(b"{\"version\"")
        .expect("half a line is taken");

    for garbage in [
        &b"\n"[..],
        b"what?\n",
        b"[1,2\n",
        b"\x00\xff\xfe\n",
        b"{}\n",
        b"null\n",
    ] {
        let mut connection = connect();
        connection.write_all(garbage).expect("garbage is taken");
        let mut answer = String::new();
        BufReader::new(connection)
            .read_line(&mut answer)
            .expect("an answer");
        assert!(answer.contains("error"), "{garbage:?}: {answer:?}");
    }

    // A line that never ends is cut off at the limit of a mebibyte; the daemon hangs up.
    let mut endless = connect();
    let block = vec![b'x'; 1 << 16];
    let refused = (0..64).any(|_| endless.write_all(&block).is_err());
    if !refused {
        let mut rest = Vec::new();
        endless
            .shutdown(std::net::Shutdown::Write)
            .expect("a half-closed connection");
        drop(endless.read_to_end(&mut rest));
        assert!(String::from_utf8_lossy(&rest).contains("error"), "{rest:?}");
    }

    daemon
        .run(&["run", "--", "./victim", "exits", "-", "7"])
        .expect_code(7);
    let finished = daemon.stop(libc::SIGTERM).expect_code(0);
    assert!(
        finished.max_rss_kib < 300 * 1024,
        "{} KiB",
        finished.max_rss_kib
    );
    scene.assert_nothing_left();
}

#[test]
fn a_second_daemon_at_the_same_socket_is_refused() {
    require!(Replays);
    let scene = Scene::new();
    let daemon = Daemon::start(&scene);
    let mut second = Command::new(binaries::louped());
    second
        .arg("--socket")
        .arg(daemon.socket())
        .arg("--db")
        .arg(scene.database());
    command::run(second)
        .expect_code(125)
        .expect_message(&["louped.sock"]);
    daemon.run(&["list"]).expect_code(0);
    daemon.stop(libc::SIGTERM).expect_code(0);
    scene.assert_nothing_left();
}
