//! A host with a real systemd, for a test: Debian's own, as first process of namespaces of its
//! own, over a copy-on-write view of the machine's root. It boots in some seconds. It is no
//! virtual machine: the kernel is the machine's, and the cgroups of the host's units are seen from
//! outside, below [`Host::cgroup`].
//!
//! A host belongs to a [`Scene`], which lets no other test run meanwhile and tells in the end
//! whether anything is left. Nothing is: what the host wrote was in its memory, its processes are
//! ended through its cgroup, and its cgroup is removed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::binaries;
use crate::command::{self, Finished, LIMIT};
use crate::leftovers;
use crate::scene::Scene;

const BOOT: &str = include_str!("host/boot.sh");

/// The names of hosts' cgroups begin so.
const PREFIX: &str = "loupe-test-host-";

/// The cgroup in the host that commands run in: no unit's.
const COMMANDS: &str = "commands";

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A running host. It goes down when it is dropped, and when the thread that booted it ends.
pub struct Host {
    /// As the machine sees it.
    cgroup: PathBuf,
    /// Of the host's systemd, as the machine sees it.
    leader: u32,
    /// `unshare`, the parent of systemd.
    outer: Child,
    work: PathBuf,
}

impl Host {
    /// Boots a host. Only what systemd itself brings is running then.
    ///
    /// # Panics
    /// If it does not come up, with what it said.
    #[track_caller]
    pub fn boot(scene: &Scene) -> Host {
        Host::boot_named(scene, "host")
    }

    /// The same, under a name: several hosts can be up in one scene.
    ///
    /// # Panics
    /// If it does not come up, with what it said.
    #[track_caller]
    pub fn boot_named(scene: &Scene, name: &str) -> Host {
        let top = leftovers::cgroup2_mount().expect("a mounted cgroup v2 hierarchy");
        remove_forgotten(&top);
        let cgroup = top.join(format!("{PREFIX}{}-{name}", std::process::id()));
        fs::create_dir(&cgroup).expect("a cgroup for the host");
        let work = scene.path(&format!("{name}.root"));
        fs::create_dir(&work).expect("a directory for the host");
        let said = scene.path(&format!("{name}.boot"));
        let log = File::create(&said).expect("a file for what the host says");
        let procs = open_procs(&cgroup);

        let mut unshare = Command::new("unshare");
        unshare
            .args(["--pid", "--mount", "--cgroup", "--uts", "--ipc", "--net"])
            .args(["--fork", "--kill-child=KILL", "/bin/sh", "-c", BOOT, "boot"])
            .arg(&work)
            .arg(name)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log);
        enter(&mut unshare, procs);
        // SAFETY: between fork and exec only plain system calls are made.
        unsafe {
            unshare.pre_exec(|| {
                let calls = [
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL),
                    libc::setsid(),
                ];
                match calls.contains(&-1) {
                    true => Err(io::Error::last_os_error()),
                    false => Ok(()),
                }
            });
        }
        let outer = unshare.spawn().expect("util-linux has unshare");
        let mut host = Host {
            cgroup,
            leader: 0,
            outer,
            work,
        };
        host.wait_for_systemd(&said);
        fs::remove_file(&said).expect("what it said is removed");
        host
    }

    /// Waits until systemd has started all that a start starts.
    #[track_caller]
    fn wait_for_systemd(&mut self, said: &Path) {
        let begin = Instant::now();
        let told = |what: &str| {
            let said = fs::read_to_string(said).unwrap_or_default();
            format!("the host {what}: {said}")
        };
        let leader = loop {
            if let Some(status) = self.outer.try_wait().expect("a child can be asked") {
                panic!("{}", told(&format!("ended at its start, {status}")));
            }
            let found = child_of(self.outer.id());
            // The socket that `systemctl` talks to.
            let is_up = |pid: &u32| {
                let root = PathBuf::from(format!("/proc/{pid}/root"));
                root.join("run/systemd/private").exists()
            };
            if let Some(pid) = found.filter(is_up) {
                break pid;
            }
            assert!(begin.elapsed() < LIMIT, "{}", told("does not come up"));
            std::thread::sleep(Duration::from_millis(5));
        };
        self.leader = leader;
        fs::create_dir(self.cgroup.join(COMMANDS)).expect("a cgroup for commands");
        // `degraded` is no matter here: what a machine has enabled of its own may fail in a host.
        let state = self.run(&["systemctl", "is-system-running", "--wait"]);
        assert!(
            ["running", "degraded"].contains(&state.stdout.trim()),
            "{} {state:#?}",
            told("did not finish its start")
        );
    }

    /// Where the cgroups of the host's units are, as the machine sees them:
    /// `<this>/system.slice/nginx.service`.
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// The process id of the host's systemd, as the machine sees it.
    pub fn leader(&self) -> u32 {
        self.leader
    }

    /// A path of the host, as the machine sees it. Links with absolute targets lead elsewhere.
    pub fn path(&self, path: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.leader));
        root.join(path.trim_start_matches('/'))
    }

    /// A command to run in the host, as root, with a plain environment.
    ///
    /// # Panics
    /// Without a word.
    pub fn command(&self, words: &[&str]) -> Command {
        assert!(!words.is_empty(), "a command");
        let mut nsenter = Command::new("nsenter");
        nsenter
            .arg("--target")
            .arg(self.leader.to_string())
            .args(["--pid", "--mount", "--cgroup", "--uts", "--ipc", "--net"])
            .arg("--")
            .args(words)
            .env_clear()
            .envs([
                ("PATH", PATH),
                ("HOME", "/root"),
                ("LANG", "C.UTF-8"),
                ("NO_COLOR", "1"),
                ("SYSTEMD_PAGER", ""),
                ("DEBIAN_FRONTEND", "noninteractive"),
            ]);
        enter(&mut nsenter, open_procs(&self.cgroup.join(COMMANDS)));
        nsenter
    }

    /// Runs a command in the host to its end.
    pub fn run(&self, words: &[&str]) -> Finished {
        command::run(self.command(words))
    }

    /// Runs a script of the shell in the host, and returns what it printed.
    ///
    /// # Panics
    /// If it fails, with all that it said.
    #[track_caller]
    pub fn shell(&self, script: &str) -> String {
        let words = ["/bin/sh", "-euc", script];
        self.run(&words).expect_code(0).stdout
    }

    /// Asks the host's systemd for something, which must go well.
    ///
    /// # Panics
    /// If it does not; then with the end of the journal.
    #[track_caller]
    pub fn systemctl(&self, words: &[&str]) -> String {
        let all: Vec<&str> = [&["systemctl"], words].concat();
        let finished = self.run(&all);
        if finished.code() != Some(0) {
            let journal = self.run(&["journalctl", "--no-pager", "--lines=60"]);
            panic!("{words:?}: {finished:#?}\n{}", journal.stdout);
        }
        finished.stdout
    }

    /// What systemd knows of a unit under this name (`ActiveState`, `MainPID`, `InvocationID`).
    #[track_caller]
    pub fn property(&self, unit: &str, name: &str) -> String {
        let asked = format!("--property={name}");
        let said = self.systemctl(&["show", "--value", &asked, unit]);
        said.trim().to_owned()
    }

    /// What a unit has logged, one entry a line.
    #[track_caller]
    pub fn journal(&self, unit: &str) -> String {
        // What is still on its way to the journal arrives first.
        self.shell("journalctl --sync");
        let words = ["journalctl", "--no-pager", "--output=cat", "--unit", unit];
        self.run(&words).expect_code(0).stdout
    }

    /// Writes a file of the host; directories above it are made.
    pub fn write(&self, path: &str, text: &str) {
        self.make_room(path);
        fs::write(self.path(path), text).expect("a file of the host");
    }

    /// Copies a file of the machine into the host, for everybody to read, and to execute where
    /// its owner can.
    pub fn copy(&self, from: &Path, to: &str) {
        self.make_room(to);
        let mode = fs::metadata(from).expect("the file").permissions().mode();
        let target = self.path(to);
        fs::copy(from, &target).expect("a copy in the host");
        let mode = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
        fs::set_permissions(&target, fs::Permissions::from_mode(mode)).expect("a mode");
    }

    fn make_room(&self, path: &str) {
        let directory = self.path(path);
        let directory = directory.parent().expect("a file is in a directory");
        fs::create_dir_all(directory).expect("directories of the host");
    }

    /// Installs Loupe without its package: the binaries under test, the units, the groups.
    /// Nothing is started. Returns when systemd knows the units.
    #[track_caller]
    pub fn install_loupe(&self) {
        let packaging = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging"));
        self.copy(&binaries::loupe(), "/usr/bin/loupe");
        self.copy(&binaries::louped(), "/usr/bin/louped");
        for unit in ["louped.service", "louped.socket"] {
            let to = format!("/usr/lib/systemd/system/{unit}");
            self.copy(&packaging.join(unit), &to);
        }
        let users = "/usr/lib/sysusers.d/loupe.conf";
        self.copy(&packaging.join("sysusers.d/loupe.conf"), users);
        self.shell(&format!("systemd-sysusers {users}"));
        self.systemctl(&["daemon-reload"]);
    }

    /// Ends the host and all that runs in it, and waits until nothing is left of it.
    pub fn down(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if self.cgroup.exists() {
            fs::write(self.cgroup.join("cgroup.kill"), "1")
                .expect("the host's cgroup can be ended");
            self.outer.wait().expect("it was started here");
            let begin = Instant::now();
            while let Err(error) = remove_tree(&self.cgroup) {
                assert!(begin.elapsed() < LIMIT, "the host's cgroup stays: {error}");
                std::thread::sleep(Duration::from_millis(5));
            }
            fs::remove_dir(&self.work).expect("the machine's side of the host is empty");
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
    }
}

/// Has a command start in a cgroup, from its first instruction on.
fn enter(command: &mut Command, procs: File) {
    let enter = move || {
        // SAFETY: the descriptor is the closure's own, and the kernel reads one byte of a constant.
        let written = unsafe { libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1) };
        match written {
            1 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec only a plain system call is made.
    unsafe { command.pre_exec(enter) };
}

fn open_procs(cgroup: &Path) -> File {
    let procs = File::options()
        .write(true)
        .open(cgroup.join("cgroup.procs"));
    procs.expect("the host's cgroup")
}

/// The only child of a process.
fn child_of(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    children.ok()?.split_whitespace().next()?.parse().ok()
}

/// Removes a cgroup and all below it.
fn remove_tree(cgroup: &Path) -> io::Result<()> {
    for entry in fs::read_dir(cgroup)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(cgroup)
}

/// Removes the cgroups of hosts whose test was killed; their processes ended with it. The scene's
/// lock keeps other tests' hosts from being looked at here.
fn remove_forgotten(top: &Path) {
    for entry in fs::read_dir(top).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let own = format!("{PREFIX}{}-", std::process::id());
        if name.starts_with(PREFIX) && !name.starts_with(&own) {
            let path = entry.path();
            if let Err(error) = remove_tree(&path) {
                let mut stderr = io::stderr();
                let line = format!("cannot remove {}: {error}\n", path.display());
                stderr.write_all(line.as_bytes()).expect("standard error");
            }
        }
    }
}
