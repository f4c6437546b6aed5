//! A fleet on this machine, for a test: a real NATS server, hosts that are a `louped` each, and a hub.
//! Everything is in the test's scene and ends with it; any of it can be killed and started again.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::binaries;
use crate::command::{self, Finished, Running};
use crate::daemon::wait_until;
use crate::network::Network;
use crate::scene::Scene;

/// Debian's, or the one that `LOUPE_NATS_SERVER` names.
fn nats_server() -> PathBuf {
    let named = std::env::var_os("LOUPE_NATS_SERVER");
    named.map_or_else(|| "nats-server".into(), PathBuf::from)
}

/// What `loupe fleet init` has made, with who runs of it now.
pub struct Fleet<'a> {
    pub scene: &'a Scene,
    directory: PathBuf,
    address: Ipv4Addr,
    port: u16,
    server: Option<Running>,
    hub: Option<Running>,
}

impl<'a> Fleet<'a> {
    /// Founds a fleet of these hosts. Nothing runs yet.
    ///
    /// # Panics
    /// If it cannot be founded.
    pub fn found(scene: &'a Scene, hosts: &[&str]) -> Fleet<'a> {
        Self::found_at(Ipv4Addr::LOCALHOST, scene, hosts)
    }

    /// The same with workers.
    ///
    /// # Panics
    /// If it cannot be founded.
    pub fn found_with_workers(scene: &'a Scene, hosts: &[&str], workers: &[&str]) -> Fleet<'a> {
        Self::found_of(Ipv4Addr::LOCALHOST, scene, (hosts, workers))
    }

    /// The same with a server that listens at this address.
    ///
    /// # Panics
    /// If it cannot be founded.
    pub fn found_at(address: Ipv4Addr, scene: &'a Scene, hosts: &[&str]) -> Fleet<'a> {
        Self::found_of(address, scene, (hosts, &[]))
    }

    /// The same with a server at this address, hosts and workers.
    ///
    /// # Panics
    /// If it cannot be founded.
    pub fn found_of(
        address: Ipv4Addr,
        scene: &'a Scene,
        (hosts, workers): (&[&str], &[&str]),
    ) -> Fleet<'a> {
        let listener = TcpListener::bind((address, 0)).expect("a free port");
        let port = listener.local_addr().expect("its number").port();
        drop(listener);
        let fleet = Fleet {
            scene,
            directory: scene.path("fleet"),
            address,
            port,
            server: None,
            hub: None,
        };
        let port = port.to_string();
        let directory = fleet.directory.to_str().expect("a plain path");
        let server = fleet.server_name();
        let mut words = vec!["init", directory, "--server", &server, "--port", &port];
        words.extend(hosts.iter().flat_map(|host| ["--host", *host]));
        words.extend(workers.iter().flat_map(|worker| ["--worker", *worker]));
        fleet.run(&words).expect_code(0);
        fleet
    }

    pub fn worker_credentials(&self, worker: &str) -> PathBuf {
        self.directory.join(format!("workers/{worker}.credentials"))
    }

    pub fn coordinator_credentials(&self) -> PathBuf {
        self.directory.join("coordinator.credentials")
    }

    pub fn url(&self) -> String {
        format!("tls://{}:{}", self.server_name(), self.port)
    }

    /// By which members know the server.
    fn server_name(&self) -> String {
        match self.address.is_loopback() {
            true => "localhost".to_owned(),
            false => self.address.to_string(),
        }
    }

    pub fn credentials(&self, host: &str) -> PathBuf {
        self.directory.join(format!("hosts/{host}.credentials"))
    }

    pub fn hub_credentials(&self) -> PathBuf {
        self.directory.join("hub.credentials")
    }

    /// The hub's database.
    pub fn database(&self) -> PathBuf {
        self.scene.path("fleet.db")
    }

    /// `loupe fleet …`, asked of the hub's database.
    pub fn run(&self, words: &[&str]) -> Finished {
        self.run_on(&self.database(), words)
    }

    /// `loupe fleet …`, asked of another database.
    pub fn run_on(&self, database: &Path, words: &[&str]) -> Finished {
        let mut loupe = Command::new(binaries::loupe());
        loupe
            .arg("fleet")
            .args(words)
            .arg("--fleet-db")
            .arg(database)
            .arg("--db")
            .arg(self.scene.path("none.db"))
            .env("NO_COLOR", "1");
        command::run(loupe)
    }

    /// Lets the server keep no more than this.
    ///
    /// # Panics
    /// If its configuration has no such bound.
    pub fn limit_store(&self, size: &str) {
        let path = self.directory.join("server/nats-server.conf");
        let text = std::fs::read_to_string(&path).expect("a configuration");
        let bound = "max_file_store: 4GB";
        assert!(text.contains(bound), "{text}");
        let text = text.replace(bound, &format!("max_file_store: {size}"));
        std::fs::write(&path, text).expect("written");
    }

    /// Starts the server and waits until it listens.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn start_server(&mut self) {
        let mut server = Command::new(nats_server());
        server
            .arg("-c")
            .arg(self.directory.join("server/nats-server.conf"))
            .args(["-a", &self.address.to_string()]);
        let running = command::start(server);
        let place = (self.address, self.port);
        wait_until("the NATS server listens", || {
            std::net::TcpStream::connect(place).is_ok() || running.ends_within(Duration::ZERO)
        });
        if running.ends_within(Duration::ZERO) {
            panic!("the NATS server ended: {:#?}", running.wait());
        }
        self.server = Some(running);
    }

    /// Starts the hub in the foreground's program; does not wait for its connection.
    pub fn start_hub(&mut self) {
        let mut hub = Command::new(binaries::loupe());
        hub.args(["fleet", "hub", &self.url(), "--credentials"])
            .arg(self.hub_credentials())
            .arg("--fleet-db")
            .arg(self.database());
        self.hub = Some(command::start(hub));
    }

    /// # Panics
    /// If it does not run.
    pub fn hub_pid(&self) -> u32 {
        self.hub.as_ref().expect("it runs").pid()
    }

    /// # Panics
    /// If it does not run.
    pub fn server_pid(&self) -> u32 {
        self.server.as_ref().expect("it runs").pid()
    }

    /// Has the server stand still for a while: nobody is told that it is away.
    ///
    /// # Panics
    /// If it does not run.
    pub fn suspend_server(&self, time: Duration) {
        let server = self.server.as_ref().expect("it runs");
        server.signal(libc::SIGSTOP);
        std::thread::sleep(time);
        server.signal(libc::SIGCONT);
    }

    /// Has the server read its configuration again.
    ///
    /// # Panics
    /// If it does not run.
    pub fn reload_server(&self) {
        self.server.as_ref().expect("it runs").signal(libc::SIGHUP);
    }

    /// Sends the server this signal, and waits for its end.
    pub fn stop_server(&mut self, signal: i32) {
        end(self.server.take(), signal);
    }

    /// The same with the hub.
    pub fn stop_hub(&mut self, signal: i32) -> Option<Finished> {
        end(self.hub.take(), signal)
    }

    /// Removes what the server, which has ended, keeps of a stream.
    ///
    /// # Panics
    /// If it keeps nothing of it.
    pub fn lose_stream(&self, stream: &str) {
        let mut find = Command::new("find");
        find.arg(&self.directory);
        find.args([
            "-type", "d", "-name", stream, "-print", "-exec", "rm", "-r", "{}", "+",
        ]);
        let found = command::run(find).expect_code(0).stdout;
        assert!(
            found.contains(stream),
            "the server keeps no stream {stream}"
        );
    }

    /// A host that runs nothing yet.
    pub fn node(&self, name: &str) -> Node<'a> {
        let directory = self.scene.path(name);
        std::fs::create_dir_all(&directory).expect("a directory");
        let config = "[profile]\nduty = \"100%\"\n[fleet]\ninterval_seconds = 1\n";
        std::fs::write(directory.join("louped.toml"), config).expect("written");
        Node {
            scene: self.scene,
            directory,
            credentials: self.credentials(name),
            url: self.url(),
            before: Vec::new(),
            running: None,
        }
    }

    /// A worker that does not run yet. It runs workloads as root, as a study of root on its own host does.
    pub fn worker(&self, name: &str) -> Node<'a> {
        let mut node = self.node(name);
        let files = node.directory.join("files");
        let config = format!("[worker]\nuser = \"root\"\ndirectory = {files:?}\n");
        std::fs::write(node.directory.join("louped.toml"), config).expect("written");
        node.credentials = self.worker_credentials(name);
        node
    }

    /// `loupe study` of these on the workers.
    pub fn study(&self, paths: &[&Path], words: &[&str]) -> Command {
        let mut loupe = Command::new(binaries::loupe());
        loupe
            .arg("study")
            .args(paths)
            .args(["--on", &self.url(), "--credentials"])
            .arg(self.coordinator_credentials())
            .arg("--db")
            .arg(self.scene.database())
            .args(words)
            .env("NO_COLOR", "1");
        loupe
    }

    /// Everything that a fleet's database holds, line by line, by names instead of numbers. What only says
    /// when something was told is left out.
    pub fn content(&self, database: &Path) -> Vec<String> {
        const TABLES: [&str; 6] = [
            "SELECT 'host', key, json_remove(state, '$.made_ms') FROM hosts",
            "SELECT 'word', word FROM words",
            "SELECT 'set', name, words.word FROM sets JOIN set_words ON set_id = sets.id
                 JOIN words ON words.id = set_words.word",
            "SELECT 'member', s.name, s.kind, s.executable, s.build_id, s.version, h.key, sets.name,
                    first_hour, last_hour, magnitude, days, lost
             FROM members m JOIN subjects s ON s.id = subject JOIN hosts h ON h.id = host
                  JOIN sets ON sets.id = set_id JOIN calendars c ON c.id = calendar",
            "SELECT 'later', s.name, s.executable, h.key, w.word, hour
             FROM later JOIN subjects s ON s.id = subject JOIN hosts h ON h.id = host
                  JOIN words w ON w.id = later.word",
            "SELECT 'tally', s.name, s.executable, sets.name, hosts
             FROM tallies JOIN subjects s ON s.id = subject JOIN sets ON sets.id = set_id",
        ];
        let mut sqlite = Command::new("sqlite3");
        sqlite.arg(database).arg(TABLES.join(";"));
        let told = command::run(sqlite).expect_code(0).stdout;
        let mut lines: Vec<String> = told.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// What the direct import of these bundles gives.
    pub fn content_of_files(&self, bundles: &[PathBuf]) -> Vec<String> {
        let database = self.scene.path("direct.db");
        // What an earlier call has left.
        self.scene.forget(&database);
        let mut words = vec!["import"];
        words.extend(
            bundles
                .iter()
                .map(|path| path.to_str().expect("a plain path")),
        );
        self.run_on(&database, &words).expect_code(0);
        self.content(&database)
    }
}

impl Drop for Fleet<'_> {
    fn drop(&mut self) {
        self.stop_hub(libc::SIGKILL);
        self.stop_server(libc::SIGKILL);
    }
}

fn end(running: Option<Running>, signal: i32) -> Option<Finished> {
    let running = running?;
    running.signal(signal);
    Some(running.wait())
}

/// A host of a fleet: a `louped` with a database, a socket and a configuration of its own.
pub struct Node<'a> {
    scene: &'a Scene,
    directory: PathBuf,
    credentials: PathBuf,
    url: String,
    /// The words before the command of louped.
    before: Vec<String>,
    running: Option<Running>,
}

impl Node<'_> {
    /// Its louped runs in this network.
    pub fn enter(&mut self, network: &Network) {
        self.before.extend(network.enter());
    }

    /// Its louped, and what that runs, finds this directory empty.
    pub fn lacks(&mut self, directory: &Path) {
        let hide = format!("mount -t tmpfs none {directory:?} && exec \"$@\"");
        let words = ["unshare", "--mount", "sh", "-c", &hide, "sh"];
        self.before.extend(words.map(str::to_owned));
    }

    /// Its louped has a clock that is off by so many seconds.
    pub fn set_clock(&mut self, offset_s: i64) {
        // `faketime` itself would be a process between the test and louped.
        let library = "LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1";
        // Who measures a time by the other clock is right.
        let words = ["env", library, "FAKETIME_DONT_FAKE_MONOTONIC=1"];
        self.before.extend(words.map(str::to_owned));
        self.before.push(format!("FAKETIME={offset_s:+}"));
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("louped.sock")
    }

    pub fn database(&self) -> PathBuf {
        self.directory.join("loupe.db")
    }

    /// Starts louped as the fleet's agent.
    pub fn start(&mut self) {
        let words = [
            "--agent".into(),
            self.url.clone().into(),
            "--credentials".into(),
            self.credentials.clone().into_os_string(),
        ];
        self.start_with(&words);
    }

    /// Starts louped as a worker with so many slots.
    pub fn start_working(&mut self, slots: usize) {
        let words = [
            "--worker".into(),
            self.url.clone().into(),
            "--credentials".into(),
            self.credentials.clone().into_os_string(),
            "--slots".into(),
            slots.to_string().into(),
        ];
        self.start_with(&words);
    }

    /// Starts louped with these words, and waits until it listens: it answers, and watches again, later.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn start_with(&mut self, words: &[OsString]) {
        let mut all = self
            .before
            .iter()
            .map(Into::into)
            .collect::<Vec<OsString>>();
        all.push(binaries::louped().into());
        let mut louped = Command::new(&all[0]);
        louped
            .args(&all[1..])
            .args(words)
            .arg("--socket")
            .arg(self.socket())
            .arg("--db")
            .arg(self.database())
            .arg("--config")
            .arg(self.directory.join("louped.toml"))
            .current_dir(self.scene.directory());
        let running = command::start(louped);
        let socket = self.socket();
        wait_until("louped listens", || {
            UnixStream::connect(&socket).is_ok() || running.ends_within(Duration::ZERO)
        });
        if running.ends_within(Duration::ZERO) {
            panic!("louped ended: {:#?}", running.wait());
        }
        self.running = Some(running);
    }

    /// Sends louped this signal, and waits for its end.
    pub fn stop(&mut self, signal: i32) -> Option<Finished> {
        let finished = end(self.running.take(), signal);
        drop(std::fs::remove_file(self.socket()));
        finished
    }

    /// `loupe profile …` as a client of this louped.
    pub fn profile(&self, words: &[&str]) -> Finished {
        let mut loupe = Command::new(binaries::loupe());
        loupe
            .arg("profile")
            .arg("--socket")
            .arg(self.socket())
            .args(words)
            .env("NO_COLOR", "1");
        command::run(loupe)
    }

    /// How louped tells the fleet.
    ///
    /// # Panics
    /// If it does not say.
    pub fn status(&self) -> Value {
        let json = self.profile(&["status", "--json"]).expect_code(0).json();
        json["fleet"].clone()
    }

    /// A copy of the victim of this name, which this louped watches.
    pub fn watched(&self, name: &str) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::copy(binaries::victim(), &path).expect("copied");
        let word = path.to_str().expect("a plain path");
        self.profile(&["add", "--executable", word]).expect_code(0);
        path
    }

    /// Writes the host's bundle, as who its credentials say that it is.
    ///
    /// # Panics
    /// If it has nothing to tell.
    pub fn export(&self, name: &str) -> PathBuf {
        self.exported(name).expect_code(0);
        self.directory.join(name)
    }

    /// The same, if it has anything to tell.
    pub fn export_what_there_is(&self, name: &str) -> Option<PathBuf> {
        (self.exported(name).code() == Some(0)).then(|| self.directory.join(name))
    }

    fn exported(&self, name: &str) -> Finished {
        let mut loupe = Command::new(binaries::loupe());
        loupe
            .args(["profile", "export", "--bundle"])
            .arg(self.directory.join(name))
            .arg("--credentials")
            .arg(&self.credentials)
            .arg("--db")
            .arg(self.database());
        command::run(loupe)
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        self.stop(libc::SIGKILL);
    }
}

/// Runs a behaviour of the victim to its end.
pub fn behave(victim: &Path, behaviour: &str) {
    let mut command = Command::new(victim);
    command.arg(behaviour).arg("/dev/null");
    // What it does is what counts, not how it ends.
    command::run(command);
}
