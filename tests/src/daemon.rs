//! A `louped` of a test's own: its socket and database are in the test's scene, and it ends with
//! the test.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::analysis::Analysis;
use crate::binaries;
use crate::command::{self, Finished, LIMIT, Running};
use crate::scene::Scene;

pub struct Daemon<'a> {
    scene: &'a Scene,
    running: Option<Running>,
}

impl<'a> Daemon<'a> {
    /// Starts `louped` in the scene and waits until it answers.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn start(scene: &'a Scene) -> Daemon<'a> {
        Daemon::start_with(scene, |_| ())
    }

    /// The same, with something done to its command first.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn start_with(scene: &'a Scene, prepare: impl FnOnce(&mut Command)) -> Daemon<'a> {
        let mut louped = Command::new(binaries::louped());
        prepare(&mut louped);
        louped
            .arg("--socket")
            .arg(Self::socket_of(scene))
            .arg("--db")
            .arg(scene.database())
            .current_dir(scene.directory());
        let running = command::start(louped);
        wait_until("louped listens", || {
            UnixStream::connect(Self::socket_of(scene)).is_ok()
                || running.ends_within(Duration::ZERO)
        });
        if running.ends_within(Duration::ZERO) {
            panic!("louped ended: {:#?}", running.wait());
        }
        Daemon {
            scene,
            running: Some(running),
        }
    }

    /// Where the daemon of this scene listens.
    pub fn socket_of(scene: &Scene) -> PathBuf {
        scene.path("louped.sock")
    }

    pub fn socket(&self) -> PathBuf {
        Self::socket_of(self.scene)
    }

    /// `loupe` as a client of this daemon.
    pub fn client(&self, words: &[&str]) -> Command {
        self.client_by(&binaries::loupe(), words)
    }

    /// The same by another copy of `loupe`.
    ///
    /// # Panics
    /// Without a verb.
    fn client_by(&self, program: &Path, words: &[&str]) -> Command {
        let (verb, rest) = words.split_first().expect("a verb");
        let mut command = Command::new(program);
        command
            .arg(verb)
            .arg("--socket")
            .arg(self.socket())
            .args(rest)
            .current_dir(self.scene.directory())
            .env("NO_COLOR", "1");
        command
    }

    /// The same as another user, who needs no rights of the caller's: by a copy of `loupe` that
    /// everybody can execute, at a socket that everybody can reach.
    ///
    /// # Panics
    /// Without a verb, or where the socket's mode cannot be changed.
    pub fn client_of(&self, uid: u32, words: &[&str]) -> Command {
        // Whoever may reach the socket may use it; that is root's to decide.
        let everybody = Permissions::from_mode(0o666);
        std::fs::set_permissions(self.socket(), everybody).expect("a socket");
        let mut command = self.client_by(&self.scene.loupe_for_everyone(), words);
        command.uid(uid).gid(uid);
        command
    }

    /// Runs a client to its end.
    pub fn run(&self, words: &[&str]) -> Finished {
        command::run(self.client(words))
    }

    /// What a command prints that prints an analysis as JSON.
    ///
    /// # Panics
    /// If it fails, or prints something else.
    pub fn analysis(&self, words: &[&str]) -> Analysis {
        Analysis::new(self.run(words).expect_code(0).json())
    }

    /// The process id of the daemon.
    ///
    /// # Panics
    /// Never: it runs until it is stopped.
    pub fn pid(&self) -> u32 {
        self.running
            .as_ref()
            .expect("it runs until it is stopped")
            .pid()
    }

    /// Sends it this signal and waits for its end.
    ///
    /// # Panics
    /// If it does not end.
    pub fn stop(mut self, signal: i32) -> Finished {
        let running = self.running.take().expect("it runs until it is stopped");
        running.signal(signal);
        running.wait()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.signal(libc::SIGKILL);
            running.wait();
        }
        drop(std::fs::remove_file(self.socket()));
    }
}

/// Waits until something holds.
///
/// # Panics
/// If it does not come true.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "not in {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
