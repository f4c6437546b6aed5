//! What observation takes from real servers: throughput of redis and nginx while nothing is loaded,
//! between windows, and in a window, in interleaved rounds on the same two servers. From these the
//! throughput that a duty leaves: windows come at random, so it is the average of the two states by
//! their times.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loupe_daemon::benchmarks::move_process;

use crate::Watched;

const ROUNDS: usize = 12;
/// The duty for which throughput is promised, and what is to be left.
const DUTY: f64 = 0.05;
const GOAL: f64 = 0.99;
/// Student's t for 95 %, of 11 degrees of freedom ([`ROUNDS`] - 1).
const T: f64 = 2.201;
const REDIS_PORT: u16 = 17_791;
const NGINX_PORT: u16 = 17_792;

/// A server under load, and how to measure its throughput.
struct Server {
    name: &'static str,
    child: Child,
    load: fn() -> f64,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        self.child.wait().expect("it was started here");
    }
}

pub fn run() {
    let place = tempfile::tempdir().expect("a directory");
    let servers = [redis(place.path()), nginx(place.path())];
    println!(
        "\nthroughput, {ROUNDS} interleaved rounds; mean and 95 % interval of the ratio to nothing loaded"
    );
    for server in &servers {
        (server.load)();
        let mut in_window = Vec::new();
        let mut between = Vec::new();
        let mut at_duty = Vec::new();
        for _ in 0..ROUNDS {
            let before = (server.load)();
            let (open, closed) = observed(server);
            let after = (server.load)();
            // The state of the machine drifts: what nothing costs is measured on both sides.
            let alone = f64::midpoint(before, after);
            in_window.push(open / alone);
            between.push(closed / alone);
            at_duty.push((DUTY * open + (1.0 - DUTY) * closed) / alone);
        }
        println!("{}", server.name);
        report("in a window (duty 100 %)", &in_window);
        report("between windows", &between);
        let lowest = report(&format!("at a duty of {:.0} %", 100.0 * DUTY), &at_duty);
        let met = if lowest >= GOAL { "met" } else { "NOT met" };
        println!("  at least {:.0} %: {met}", 100.0 * GOAL);
    }
}

/// Throughput in a window and between two.
fn observed(server: &Server) -> (f64, f64) {
    let watched = Watched::new();
    let pid = i32::try_from(server.child.id()).expect("a process id");
    let home = format!("/proc/{pid}/cgroup");
    let home = fs::read_to_string(home).expect("the server lives");
    move_process(pid, &watched.directory()).expect("the cgroup is there");
    let closed = (server.load)();
    let window = watched.profiler.open_window().expect("attached");
    let open = (server.load)();
    drop(window);
    move_back(pid, &home);
    watched.end();
    (open, closed)
}

/// Moves a process to where its `/proc/PID/cgroup` says that it was.
fn move_back(pid: i32, home: &str) {
    let path = home.lines().find_map(|line| line.strip_prefix("0::"));
    let path = path.expect("a cgroup of version 2").trim_start_matches('/');
    let top = loupe_tests::leftovers::cgroup2_mount().expect("a mounted hierarchy");
    move_process(pid, &top.join(path)).expect("it is still there");
}

/// Prints mean and interval, and returns the lower end.
fn report(title: &str, ratios: &[f64]) -> f64 {
    let count = ratios.len() as f64;
    let mean = ratios.iter().sum::<f64>() / count;
    let squares: f64 = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum();
    let half = T * (squares / (count - 1.0)).sqrt() / count.sqrt();
    println!(
        "  {title:34} {mean:.4}  [{:.4}, {:.4}]",
        mean - half,
        mean + half
    );
    mean - half
}

fn redis(place: &Path) -> Server {
    let child = Command::new("redis-server")
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

/// Requests a second.
fn redis_load() -> f64 {
    let output = Command::new("redis-benchmark")
        .args(["-p", &REDIS_PORT.to_string(), "-c", "16", "-n", "60000"])
        .args(["-t", "get,set", "--csv"])
        .output()
        .expect("redis-benchmark starts");
    let text = String::from_utf8_lossy(&output.stdout);
    // "SET","61919.50",…
    let rates = text.lines().filter_map(|line| {
        let rate = line.split(',').nth(1)?;
        rate.trim_matches('"').parse::<f64>().ok()
    });
    let rates: Vec<f64> = rates.collect();
    assert_eq!(rates.len(), 2, "{text}");
    rates.iter().sum::<f64>() / 2.0
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
    let child = Command::new("nginx")
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

/// Requests a second.
fn nginx_load() -> f64 {
    let output = Command::new("wrk")
        .args(["-t1", "-c16", "-d2s"])
        .arg(format!("http://127.0.0.1:{NGINX_PORT}/index.html"))
        .output()
        .expect("wrk starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    let rate = line.and_then(|rate| rate.trim().parse().ok());
    rate.unwrap_or_else(|| panic!("no throughput: {text}"))
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
