//! The table of truth is true: every verdict in it comes out with a plain seccomp filter and
//! without any part of Loupe. Needs no privileges.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use loupe_tests::ground_truth::{Mode, Need, Row, Truth, VICTIMS, Victim};
use loupe_tests::operations;
use loupe_tests::witness::{self, Course, Injection, Tree};

const VICTIM: &str = env!("CARGO_BIN_EXE_victim");
const PROBE: &str = env!("CARGO_BIN_EXE_probe");

/// For a server that is neither to be reached nor gone, or that accepts and then says nothing.
/// Generous: both take a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);

#[test]
fn every_verdict_of_the_table_comes_out_with_a_plain_filter() {
    let mut wrong = Vec::new();
    for victim in VICTIMS {
        if victim.needs == Need::I386 && !has_i386() {
            eprintln!("SKIPPED {}: this kernel has no i386 calls", victim.name);
            continue;
        }
        if !works(victim, None) {
            wrong.push(format!("{} does not work by itself", victim.name));
        }
        // A filter that is there before the exec would forbid that very exec.
        let rows = victim.rows.iter().filter(|row| row.syscall != "execve");
        for row in rows {
            let (stub, fake) = row.truth.works();
            for (injection, expected) in [(witness::STUB, stub), (Injection::Zero, fake)] {
                if works(victim, Some((row, injection))) != expected {
                    let (name, syscall) = (victim.name, row.syscall);
                    wrong.push(format!("{name}, {syscall} {injection:?}: not {expected}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_verdict_on_an_operation_comes_out_with_a_plain_filter() {
    let mut wrong = Vec::new();
    for parts in operations::VICTIMS {
        let name = parts.victim.name;
        let mut check = |what: &str, truth: Truth, inject: &dyn Fn(&mut Command, Injection)| {
            let (stub, fake) = truth.works();
            for (injection, expected) in [(witness::STUB, stub), (Injection::Zero, fake)] {
                if works_under(&parts.victim, |command| inject(command, injection)) != expected {
                    wrong.push(format!("{name}, {what} {injection:?}: not {expected}"));
                }
            }
        };
        // Without any mmap, the exec itself fails.
        if parts.syscall != "mmap" {
            check(parts.syscall, Truth::Required, &|command, injection| {
                witness::inject(command, parts.number, injection);
            });
        }
        for row in parts.rows {
            check(row.feature, row.truth, &|command, injection| {
                witness::inject_part(command, parts.number, row.argument, injection);
            });
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_victim_that_accepts_eperm_works_with_eperm() {
    for name in ["accepts-eperm", "accepts-eperm-or-zero"] {
        let victim = loupe_tests::ground_truth::victim(name);
        let injection = Injection::Errno(libc::EPERM);
        assert!(works(victim, Some((&victim.rows[0], injection))), "{name}");
    }
}

fn has_i386() -> bool {
    Command::new(VICTIM)
        .arg("i386-available")
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a victim under a filter, and its test without one.
fn works(victim: &Victim, injection: Option<(&Row, Injection)>) -> bool {
    works_under(victim, |command| {
        if let Some((row, injection)) = injection {
            witness::inject(command, row.number, injection);
        }
    })
}

fn works_under(victim: &Victim, inject: impl FnOnce(&mut Command)) -> bool {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(VICTIM);
    command.arg(victim.name).current_dir(directory.path());
    inject(&mut command);
    match victim.mode {
        Mode::Batch => batch_works(victim, command, &directory.path().join("result")),
        Mode::Server => server_works(victim, command),
    }
}

fn batch_works(victim: &Victim, mut command: Command, result: &Path) -> bool {
    command.arg(result).args(victim.extra);
    let mut tree = Tree::start(command).expect("the victim starts");
    match tree.course().expect("the victim's output can be read") {
        Course::Hangs => false,
        Course::Ended(status) => {
            status.success() && std::fs::read(result).is_ok_and(|bytes| bytes == b"ok\n")
        }
    }
}

fn server_works(victim: &Victim, mut command: Command) -> bool {
    let port = free_port();
    command.arg(port.to_string()).args(victim.extra);
    let tree = Tree::start(command).expect("the victim starts");
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if !tree.is_alive() {
            return false;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
    let mut probe = Command::new(PROBE)
        .args(["echo", &port.to_string()])
        .stderr(Stdio::null())
        .spawn()
        .expect("the probe starts");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match probe.try_wait().expect("the probe can be waited for") {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => break None,
            None => std::thread::yield_now(),
        }
    };
    drop(probe.kill());
    drop(probe.wait());
    status.is_some_and(|status| status.success())
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port()
}
