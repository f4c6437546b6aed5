//! Runs a program of Loupe to its end and keeps what it said. Every run has a limit that only a
//! hang reaches.

use std::io::Read;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::schema;

/// Far above what anything here takes, on a loaded machine too.
pub const LIMIT: Duration = Duration::from_secs(600);

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    /// Largest resident set of the program itself, in KiB.
    pub max_rss_kib: i64,
}

impl Finished {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// # Panics
    /// If it ended with another code, with everything it said.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Finished {
        assert_eq!(
            self.code(),
            Some(code),
            "{:?}\nstdout:\n{}\nstderr:\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// # Panics
    /// If the standard error lacks any of these, whatever the case of its letters.
    #[track_caller]
    pub fn expect_message(self, parts: &[&str]) -> Finished {
        let said = self.stderr.to_lowercase();
        for part in parts {
            assert!(
                said.contains(&part.to_lowercase()),
                "{part:?} is not in: {}",
                self.stderr
            );
        }
        self
    }

    /// The standard output as JSON.
    ///
    /// # Panics
    /// If it is none, or does not fit the schema that it names.
    #[track_caller]
    pub fn json(&self) -> Value {
        let document = serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "not JSON ({error}):\n{}\nstderr:\n{}",
                self.stdout, self.stderr
            )
        });
        schema::assert_fits(&document);
        document
    }
}

/// A program that runs, its output being collected.
pub struct Running {
    child: Child,
    /// Readable as soon as the program has ended.
    ended: OwnedFd,
    stdout: std::thread::JoinHandle<String>,
    stderr: std::thread::JoinHandle<String>,
}

fn collect(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Starts a program without standard input.
///
/// # Panics
/// If it cannot be started.
pub fn start(mut command: Command) -> Running {
    // However the tests were started: what they send must arrive.
    // SAFETY: `signal` with the default installs no handler and may be called after a fork.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let stdout = collect(child.stdout.take().expect("a pipe was asked for"));
    let stderr = collect(child.stderr.take().expect("a pipe was asked for"));
    // SAFETY: a system call without memory; the child is not waited for yet, so it is that pid.
    let ended = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    assert!(ended >= 0, "no pidfd: {}", std::io::Error::last_os_error());
    // SAFETY: a new descriptor that nobody else has.
    let ended = unsafe { std::os::fd::FromRawFd::from_raw_fd(ended as i32) };
    Running {
        child,
        ended,
        stdout,
        stderr,
    }
}

/// Starts a program and waits for its end.
pub fn run(command: Command) -> Finished {
    start(command).wait()
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a system call without memory; the child is not reaped before `wait`.
        let result = unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    /// Whether it ended within this time.
    pub fn ends_within(&self, limit: Duration) -> bool {
        let mut wanted = libc::pollfd {
            fd: self.ended.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one `pollfd`, which lives across the call.
        let ready = unsafe { libc::poll(&mut wanted, 1, limit.as_millis() as i32) };
        assert!(ready >= 0, "{}", std::io::Error::last_os_error());
        ready == 1
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// If it takes longer than [`LIMIT`]; the program is killed then.
    pub fn wait(mut self) -> Finished {
        let in_time = self.ends_within(LIMIT);
        if !in_time {
            drop(self.child.kill());
        }
        let mut status = 0;
        // SAFETY: all-zero is a valid `rusage`, and both outlive the call.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: as above; the child has not been waited for.
        let pid = unsafe { libc::wait4(self.child.id() as i32, &mut status, 0, &mut usage) };
        assert_eq!(
            pid,
            self.child.id() as i32,
            "{}",
            std::io::Error::last_os_error()
        );
        let finished = Finished {
            status: ExitStatus::from_raw(status),
            stdout: self.stdout.join().expect("the reader ends"),
            stderr: self.stderr.join().expect("the reader ends"),
            max_rss_kib: usage.ru_maxrss,
        };
        assert!(in_time, "did not end in {LIMIT:?}: {finished:#?}");
        finished
    }
}
