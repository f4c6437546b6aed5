//! What observation takes from real servers: what redis and nginx serve while nothing is loaded,
//! between windows, and in a window, in interleaved rounds on the same two servers. From these what
//! a duty leaves: windows come at random, so each costs what it takes by its part of the time.
//!
//! Each server has a CPU of its own and is kept busy there, so its throughput is what it serves in a
//! second of its CPU time. That is what the goal is held against: the wall clock of a virtual
//! machine is off by several percent, and is printed beside it.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loupe_daemon::benchmarks::move_process;

use crate::Watched;

const ROUNDS: usize = 30;
/// Windows in each round, and as many times between them.
const PAIRS: usize = 3;
/// The duty for which throughput is promised, and what is to be left.
const DUTY: f64 = 0.05;
const GOAL: f64 = 0.99;
/// Student's t for 95 %, of 29 degrees of freedom ([`ROUNDS`] - 1), which is above that of more.
const T: f64 = 2.045;
const REDIS_PORT: u16 = 17_791;
const NGINX_PORT: u16 = 17_792;
/// The CPUs of the load and of the server, as `taskset` names them.
const LOAD_CPU: &str = "0";
const SERVER_CPU: &str = "1";

/// A server under load, and how to load it.
struct Server {
    name: &'static str,
    child: Child,
    /// Returns the requests that were served, and the wall-clock time that they took.
    load: fn() -> (f64, Duration),
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        self.child.wait().expect("it was started here");
    }
}

/// What a server did under one load.
#[derive(Clone, Copy)]
struct Served {
    /// Requests in a second of the server's CPU time.
    by_cpu: f64,
    /// Requests in a second of the wall clock.
    by_clock: f64,
    /// The part of the wall-clock time in which the server was on its CPU.
    busy: f64,
}

impl Server {
    fn serve(&self) -> Served {
        let before = self.cpu_time();
        let (requests, wall) = (self.load)();
        let cpu = self.cpu_time() - before;
        Served {
            by_cpu: requests / cpu.as_secs_f64(),
            by_clock: requests / wall.as_secs_f64(),
            busy: cpu.as_secs_f64() / wall.as_secs_f64(),
        }
    }

    /// The CPU time of all threads until now: the first field of their `schedstat`, nanoseconds.
    fn cpu_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let tasks = tasks.expect("the server lives");
        let of_thread = |task: std::io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(task.expect("listed").path().join("schedstat"));
            let text = text.expect("a thread of the server lives as long as it");
            let first = text.split(' ').next().expect("three fields");
            first.parse().map(Duration::from_nanos).expect("a number")
        };
        tasks.map(of_thread).sum()
    }
}

pub fn run() {
    let place = tempfile::tempdir().expect("a directory");
    let servers = [redis(place.path()), nginx(place.path())];
    println!("\nwhat is served, {ROUNDS} interleaved rounds; mean and 95 % interval of ratios");
    for server in &servers {
        (server.load)();
        let rounds: Vec<Round> = (0..ROUNDS).map(|_| Round::of(server)).collect();
        let busy = rounds.iter().map(|round| round.alone.busy).sum::<f64>() / ROUNDS as f64;
        println!("{}, {:.0} % of a CPU", server.name, 100.0 * busy);
        println!("  in a second of the wall clock");
        report(&rounds, |served| served.by_clock);
        println!("  in a second of its CPU time");
        let is_left = report(&rounds, |served| served.by_cpu);
        let met = if is_left { "met" } else { "NOT met" };
        println!("  at least {:.0} % is left: {met}", 100.0 * GOAL);
    }
}

/// What one loading of the programs showed.
struct Round {
    alone: Served,
    /// Between windows, and in the window after it.
    pairs: Vec<(Served, Served)>,
}

impl Round {
    fn of(server: &Server) -> Self {
        let before = server.serve();
        let pairs = observed(server);
        let after = server.serve();
        // The state of the machine drifts: what nothing costs is measured on both sides.
        let alone = Served {
            by_cpu: f64::midpoint(before.by_cpu, after.by_cpu),
            by_clock: f64::midpoint(before.by_clock, after.by_clock),
            busy: f64::midpoint(before.busy, after.busy),
        };
        Self { alone, pairs }
    }
}

/// Prints the ratios, and returns whether as much is left at the duty as is promised.
fn report(rounds: &[Round], rate: fn(&Served) -> f64) -> bool {
    let ratio = |round: &Round| {
        let between = round.pairs.iter().map(|(between, _)| rate(between));
        between.sum::<f64>() / round.pairs.len() as f64 / rate(&round.alone)
    };
    let between: Vec<f64> = rounds.iter().map(ratio).collect();
    let between = interval("between windows, to nothing loaded", &between);
    let pairs = rounds.iter().flat_map(|round| &round.pairs);
    let in_window: Vec<f64> = pairs
        .map(|(between, open)| rate(open) / rate(between))
        .collect();
    let in_window = interval("in a window, to between windows", &in_window);
    let lowest = 1.0 - DUTY * (1.0 - in_window.0);
    println!(
        "    of that, {:.0} % of the time    at least {lowest:.4}",
        100.0 * DUTY
    );
    // Between windows no program is attached to any syscall: nothing but noise is to be seen there.
    lowest >= GOAL && between.0 <= 1.0 && 1.0 <= between.1
}

/// What is served between windows and in windows, by turns.
fn observed(server: &Server) -> Vec<(Served, Served)> {
    let watched = Watched::new();
    let pid = i32::try_from(server.child.id()).expect("a process id");
    let home = format!("/proc/{pid}/cgroup");
    let home = fs::read_to_string(home).expect("the server lives");
    move_process(pid, &watched.directory()).expect("the cgroup is there");
    let pair = |_| {
        let between = server.serve();
        let window = watched.profiler.open_window().expect("attached");
        let open = server.serve();
        drop(window);
        (between, open)
    };
    let pairs = (0..PAIRS).map(pair).collect();
    move_back(pid, &home);
    watched.end();
    pairs
}

/// Moves a process to where its `/proc/PID/cgroup` says that it was.
fn move_back(pid: i32, home: &str) {
    let path = home.lines().find_map(|line| line.strip_prefix("0::"));
    let path = path.expect("a cgroup of version 2").trim_start_matches('/');
    let top = loupe_tests::leftovers::cgroup2_mount().expect("a mounted hierarchy");
    move_process(pid, &top.join(path)).expect("it is still there");
}

/// Prints mean and interval, and returns its ends.
fn interval(title: &str, ratios: &[f64]) -> (f64, f64) {
    let count = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / count;
    let squares: f64 = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum();
    let half = T * (squares / (count - 1.0)).sqrt() / count.sqrt();
    let (low, high) = (mean - half, mean + half);
    println!("    {title:35} {mean:.4}  [{low:.4}, {high:.4}]");
    (low, high)
}

fn redis(place: &Path) -> Server {
    let child = on_cpu(SERVER_CPU, "redis-server")
        .args(["--port", &REDIS_PORT.to_string(), "--save", "", "--dir"])
        .arg(place)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server starts");
    wait_for(REDIS_PORT);
    Server {
        name: "redis-server, GET and SET by 16 clients",
        child,
        load: redis_load,
    }
}

fn redis_load() -> (f64, Duration) {
    const REQUESTS: f64 = 20_000.0;
    let output = on_cpu(LOAD_CPU, "redis-benchmark")
        .args(["-p", &REDIS_PORT.to_string(), "-c", "16", "-n"])
        .arg(REQUESTS.to_string())
        .args(["-t", "get,set", "--csv"])
        .output()
        .expect("redis-benchmark starts");
    let text = String::from_utf8_lossy(&output.stdout);
    // "SET","61919.50",…
    let rates = text.lines().filter_map(|line| {
        let rate = line.split(',').nth(1)?;
        rate.trim_matches('"').parse::<f64>().ok()
    });
    let times: Vec<f64> = rates.map(|rate| REQUESTS / rate).collect();
    assert_eq!(times.len(), 2, "{text}");
    (2.0 * REQUESTS, Duration::from_secs_f64(times.iter().sum()))
}

fn nginx(place: &Path) -> Server {
    let file = place.join("nginx.conf");
    let root = place.display();
    fs::write(place.join("index.html"), "x".repeat(1024)).expect("written");
    let text = format!(
        "daemon off; master_process off; pid {root}/pid; error_log stderr; events {{}}\n\
         http {{ access_log off; server {{ listen 127.0.0.1:{NGINX_PORT}; root {root}; }} }}\n"
    );
    fs::write(&file, text).expect("written");
    let child = on_cpu(SERVER_CPU, "nginx")
        .arg("-c")
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx starts");
    wait_for(NGINX_PORT);
    Server {
        name: "nginx, a page of 1 kB to 16 connections",
        child,
        load: nginx_load,
    }
}

fn nginx_load() -> (f64, Duration) {
    const TIME: Duration = Duration::from_secs(1);
    let output = on_cpu(LOAD_CPU, "wrk")
        .args(["-t1", "-c16", &format!("-d{}s", TIME.as_secs())])
        .arg(format!("http://127.0.0.1:{NGINX_PORT}/index.html"))
        .output()
        .expect("wrk starts");
    let text = String::from_utf8_lossy(&output.stdout);
    //   51234 requests in 1.10s, 61.23MB read
    let line = text.lines().find(|line| line.contains(" requests in "));
    let line = line.unwrap_or_else(|| panic!("no throughput: {text}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    let time = words[3].trim_end_matches("s,");
    let time: f64 = time.parse().expect("a number of seconds");
    (
        words[0].parse().expect("a number"),
        Duration::from_secs_f64(time),
    )
}

/// A command that runs on one CPU only.
fn on_cpu(cpu: &str, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cpu, program]);
    command
}

fn wait_for(port: u16) {
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "no server at {port}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
