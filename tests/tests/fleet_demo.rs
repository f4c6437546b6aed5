//! `cargo xtask fleet-demo`: it shows a fleet to the end, and of neither that nor Ctrl-C anything is left.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use loupe_tests::binaries;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::Scene;

/// As the leader of a group of processes, as a shell starts it.
fn start() -> Child {
    let programs = binaries::loupe();
    Command::new(binaries::xtask())
        .args(["fleet-demo", "--binaries"])
        .arg(programs.parent().expect("a directory"))
        .process_group(0)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xtask")
}

#[test]
fn the_demo_of_a_fleet_asks_two_hosts_and_leaves_nothing() {
    require!(
        Replays,
        Program("nats-server"),
        Program("nginx"),
        Program("curl")
    );
    let scene = Scene::new();
    let output = start().wait_with_output().expect("it ended");
    let [said, shown] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    assert!(output.status.success(), "{shown}\n{said}");
    for part in [
        "sendfile is used on 1 of 2 hosts.\n  web2\n",
        "1 of 1 unit would not run everywhere on kerla",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    for part in [
        "hub# loupe fleet init fleet --server hub --host web1 --host web2\n",
        "web1# louped --agent tls://hub:4222 --credentials fleet.credentials &\n",
        "hub# loupe fleet who sendfile\n",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    scene.assert_nothing_left();
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing() {
    require!(
        Replays,
        Program("nats-server"),
        Program("nginx"),
        Program("curl")
    );
    let scene = Scene::new();
    let mut demo = start();
    let mut lines = BufReader::new(demo.stderr.take().expect("it is piped")).lines();
    let all_run = lines.any(|line| line.expect("a text").contains("Somebody uses the services"));
    assert!(all_run, "it ended early");
    let group = i32::try_from(demo.id()).expect("a process id");
    // SAFETY: a signal to a group of processes touches no memory.
    assert_eq!(unsafe { libc::kill(-group, libc::SIGINT) }, 0);
    assert!(!demo.wait().expect("it ended").success());
    // Whoever holds the other end of its output has ended, too.
    let mut rest = String::new();
    let mut said = demo.stdout.take().expect("it is piped");
    said.read_to_string(&mut rest).expect("a text");
    assert!(!rest.contains("loupe fleet gap"), "{rest}");
    scene.assert_nothing_left();
}
