//! Requests per second of redis and nginx under each tracer, as parts of the untraced rate.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loupe_daemon::benchmarks::{ReplayCgroup, TraceOptions, Tracer, move_process};

const ROUNDS: usize = 3;
const REDIS_PORT: u16 = 26379;
const NGINX_PORT: u16 = 28080;
/// Seconds; `perf trace` was seen to stop its tracee for ever.
const LOAD_LIMIT: &str = "30";

/// What watches the server.
#[derive(Clone, Copy, PartialEq)]
enum Watcher {
    Nobody,
    EmptyPair,
    Loupe,
    LoupeWithTimes,
    Strace,
    PerfTrace,
}

const WATCHERS: [(Watcher, &str); 6] = [
    (Watcher::Nobody, "nothing attached"),
    (Watcher::EmptyPair, "empty pair"),
    (Watcher::Loupe, "loupe"),
    (Watcher::LoupeWithTimes, "loupe with times"),
    (Watcher::Strace, "strace -c -f"),
    (Watcher::PerfTrace, "perf trace -s"),
];

pub fn run() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    println!(
        "\nrequests per second, best of {ROUNDS}, and part of the untraced and of the empty pair's rate"
    );
    for (title, start, load) in [
        (
            "redis-benchmark",
            redis as fn(&Path) -> Command,
            redis_load as fn() -> Option<f64>,
        ),
        ("wrk on nginx", nginx, wrk_load),
    ] {
        let mut best = [0.0_f64; WATCHERS.len()];
        for _ in 0..ROUNDS {
            for (index, (watcher, _)) in WATCHERS.iter().enumerate() {
                let rate = rate(*watcher, start(directory.path()), load, directory.path());
                best[index] = best[index].max(rate.unwrap_or(0.0));
            }
        }
        println!("{title}");
        for ((_, name), rate) in WATCHERS.iter().zip(best) {
            if rate == 0.0 {
                println!("  {name:18} not available here, or no result in {LOAD_LIMIT} s");
                continue;
            }
            println!(
                "  {name:18} {rate:9.0}   {:4.2}   {:4.2}",
                rate / best[0],
                rate / best[1]
            );
        }
    }
}

/// `None` where the watcher is not installed.
fn rate(
    watcher: Watcher,
    server: Command,
    load: fn() -> Option<f64>,
    directory: &Path,
) -> Option<f64> {
    let wrapped = match watcher {
        Watcher::Strace => wrap(&["strace", "-c", "-f", "-o", "/dev/null"], server),
        Watcher::PerfTrace => {
            let output = directory.join("perf").display().to_string();
            wrap(&["perf", "trace", "-s", "-o", &output, "--"], server)
        }
        _ => server,
    };
    let tracer = match watcher {
        Watcher::EmptyPair | Watcher::Loupe | Watcher::LoupeWithTimes => {
            Some(Tracer::load().expect("the programs load"))
        }
        _ => None,
    };
    let mut server = Server::start(wrapped)?;
    let result = match (watcher, &tracer) {
        (Watcher::EmptyPair, Some(tracer)) => {
            tracer.attach_empty_pair().expect("the empty pair attaches");
            load()
        }
        (Watcher::Loupe | Watcher::LoupeWithTimes, Some(tracer)) => {
            let options = TraceOptions {
                latency: watcher == Watcher::LoupeWithTimes,
                stream: false,
            };
            let cgroup = ReplayCgroup::create().expect("cgroups can be made");
            let trace = tracer.open(&cgroup, options).expect("the trace opens");
            for pid in server.tree() {
                move_process(pid, &cgroup.target()).expect("the server runs");
            }
            let result = load();
            let trace = trace.finish().expect("the trace can be read");
            assert_eq!(trace.lost.total(), 0, "lost: {:?}", trace.lost);
            server.stop();
            cgroup.remove().expect("the cgroup is empty");
            result
        }
        _ => load(),
    };
    server.stop();
    result
}

fn wrap(words: &[&str], server: Command) -> Command {
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .arg(server.get_program())
        .args(server.get_args());
    command
}

struct Server(Child);

impl Server {
    /// Starts it and waits until either port answers.
    fn start(mut command: Command) -> Option<Server> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = Server(command.spawn().ok()?);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            let answers = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
            if answers(REDIS_PORT) || answers(NGINX_PORT) {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// The process and its children, by pid.
    fn tree(&self) -> Vec<i32> {
        let own = self.0.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let children = children.unwrap_or_default();
        let children = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        std::iter::once(own as i32).chain(children).collect()
    }

    /// Ends what was started, children first: a tracer that is killed would leave its tracee.
    fn stop(&mut self) {
        for pid in self.tree().into_iter().rev() {
            // SAFETY: our own child, not waited for yet, or a child of it.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        // Already waited for: nothing to do.
        drop(self.0.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn redis(directory: &Path) -> Command {
    let mut command = Command::new("redis-server");
    command.args([
        "--port",
        &REDIS_PORT.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
    ]);
    command.arg("--dir").arg(directory);
    command
}

fn redis_load() -> Option<f64> {
    let output = Command::new("timeout")
        .args([
            LOAD_LIMIT,
            "redis-benchmark",
            "-p",
            &REDIS_PORT.to_string(),
            "-t",
            "get",
            "-n",
            "20000",
            "-c",
            "20",
            "--csv",
        ])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("\"GET\""))?;
    line.split(',').nth(1)?.trim_matches('"').parse().ok()
}

fn nginx(directory: &Path) -> Command {
    let configuration = directory.join("nginx.conf");
    let text = format!(
        "worker_processes 1; daemon off; master_process off; error_log stderr; pid {0}/pid;\n\
         events {{}}\n\
         http {{ access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p;\n\
         fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
         server {{ listen 127.0.0.1:{NGINX_PORT}; root {0}; }} }}\n",
        directory.display()
    );
    std::fs::write(&configuration, text).expect("the directory can be written to");
    std::fs::write(directory.join("index.html"), "hello\n").expect("likewise");
    let mut command = Command::new("nginx");
    command
        .arg("-p")
        .arg(directory)
        .arg("-c")
        .arg(configuration);
    command
}

fn wrk_load() -> Option<f64> {
    let url = format!("http://127.0.0.1:{NGINX_PORT}/index.html");
    let output = Command::new("timeout")
        .args([LOAD_LIMIT, "wrk", "-d", "1s", "-t", "1", "-c", "20", &url])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))?;
    rate.trim().parse().ok()
}
