//! A place for one test: a directory with the programs, the workload files and the database, and
//! the promise that in the end nothing else is left.

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::binaries;
use crate::command::{self, Finished};
use crate::ground_truth::{Mode, Victim};
use crate::leftovers::{self, Snapshot};

/// The port that every server victim of a workload file listens on: each replay has its own
/// network, so they never meet.
pub const PORT: &str = "7777";
/// Where batch victims leave their result, in the replay's private `/tmp`.
pub const RESULT: &str = "/tmp/victim-result";

/// What is left behind can only be told from what another test is doing if there is none: in
/// this process, and in another one that tests another build.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub struct Scene {
    directory: TempDir,
    before: RefCell<Snapshot>,
    /// Held, as the file's lock is, until the scene is over.
    _alone: (MutexGuard<'static, ()>, File),
}

impl Scene {
    /// A scene outside of `/tmp`, which replays hide.
    pub fn new() -> Scene {
        Scene::under(Path::new("/var/tmp"))
    }

    pub fn under(parent: &Path) -> Scene {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let file = std::env::temp_dir().join("loupe-tests.lock");
        let file = File::create(file).expect("a lock file");
        file.lock().expect("the lock file can be locked");
        let directory = tempfile::Builder::new()
            .prefix("loupe-test-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir_in(parent)
            .expect("a temporary directory");
        for (program, name) in [(binaries::victim(), "victim"), (binaries::probe(), "probe")] {
            fs::copy(program, directory.path().join(name)).expect("the programs can be copied");
        }
        let before = Snapshot::take(directory.path());
        Scene {
            directory,
            before: RefCell::new(before),
            _alone: (alone, file),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn database(&self) -> PathBuf {
        self.path("loupe.db")
    }

    /// Removes a database of this scene, if it is there.
    pub fn forget(&self, database: &Path) {
        for suffix in ["", "-wal", "-shm"] {
            let path = format!("{}{suffix}", database.display());
            // Not all of them are there.
            drop(std::fs::remove_file(path));
        }
    }

    pub fn victim(&self) -> PathBuf {
        self.path("victim")
    }

    /// Writes a file into the scene; it belongs to the test from now on.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("the scene can be written to");
        self.before.borrow_mut().accept_file(&path);
        path
    }

    /// A copy of `loupe` that other users can execute: a home directory, and so the build in it,
    /// is often its owner's alone.
    pub fn loupe_for_everyone(&self) -> PathBuf {
        let path = self.path("loupe");
        if !path.exists() {
            fs::copy(binaries::loupe(), &path).expect("loupe can be copied");
            self.before.borrow_mut().accept_file(&path);
        }
        path
    }

    /// Writes a workload file that runs a victim.
    pub fn workload(&self, victim: &Victim) -> PathBuf {
        let (mode, first, test) = match victim.mode {
            Mode::Batch => ("batch", RESULT, ["works", RESULT]),
            Mode::Server => ("server", PORT, ["echo", PORT]),
        };
        let mut words = vec!["./victim", victim.name, first];
        words.extend(victim.extra);
        self.write(
            &format!("{}.toml", victim.name),
            &format!(
                "application = {:?}\nworkload = \"truth\"\nmode = {mode:?}\n\
                 command = {words:?}\ntest = [\"./probe\", {:?}, {:?}]\n",
                victim.name, test[0], test[1]
            ),
        )
    }

    /// `loupe` with the scene's database, in this process (no daemon).
    pub fn loupe(&self, words: &[&str]) -> Command {
        let (verb, rest) = words.split_first().expect("a verb");
        let mut command = Command::new(binaries::loupe());
        command
            .arg(verb)
            .arg("--local")
            .arg("--db")
            .arg(self.database())
            .args(rest)
            .current_dir(self.directory())
            .env("NO_COLOR", "1");
        command
    }

    pub fn run(&self, words: &[&str]) -> Finished {
        command::run(self.loupe(words))
    }

    /// Checks that nothing is left but the test's own files, the database, and locks.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        // Those with a meaning beyond one run: the database and its companions, and the lock
        // that keeps a second daemon from a socket.
        for name in ["", "-wal", "-shm", "-claims"].map(|suffix| format!("loupe.db{suffix}")) {
            self.before.borrow_mut().accept_file(&self.path(&name));
        }
        self.before
            .borrow_mut()
            .accept_file(&self.path("louped.sock.lock"));
        leftovers::assert_none(&self.before.borrow(), self.directory());
    }
}

impl Default for Scene {
    fn default() -> Self {
        Scene::new()
    }
}
