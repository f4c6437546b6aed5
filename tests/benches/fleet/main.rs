//! How many hosts one hub bears: a real NATS server and a real hub, and made-up hosts whose messages one
//! connection sends. First each host tells all that it knows, then each tells a minute's news (0.1 % of
//! it). Printed: facts a second, memory, sizes on disk, and how long questions take meanwhile and after.
//!
//! Then the other thing that travels: how much faster a study is on more workers, simulated and real ones.
//!
//! `cargo xtask bench fleet -- [HOSTS [UNITS [FEATURES]]]`; 500, 200 and 60 where none is named,
//! and 0 hosts leave that part out.

mod hosts;
mod spread;
mod workers;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, Context, message::PublishMessage};
use async_nats::{Client, ConnectOptions};
use loupe_tests::command;
use loupe_tests::fleet::Fleet;
use loupe_tests::scene::Scene;
use tokio::sync::Semaphore;

use hosts::Hosts;

/// Messages that are sent before the first of them is acknowledged.
const IN_FLIGHT: usize = 256;

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok());
    let mut next = |default: u32| numbers.next().unwrap_or(default);
    let hosts = Hosts {
        hosts: next(500),
        units: next(200),
        features: next(60),
    };
    simulated(&hosts);
    // Has a scene of its own, of which there is one at a time.
    workers::run();
}

/// A hub of made-up hosts, and a study on made-up workers.
fn simulated(hosts: &Hosts) {
    let scene = Scene::new();
    let workers = spread::names();
    let workers: Vec<&str> = workers.iter().map(String::as_str).collect();
    let mut fleet = Fleet::found_with_workers(&scene, &[], &workers);
    fleet.start_server();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    if hosts.hosts > 0 {
        fleet.start_hub();
        bear(&fleet, hosts);
        fleet.stop_hub(libc::SIGTERM);
    }
    runtime.block_on(spread::run(&fleet));
}

/// One line about a study on so many workers: how long it took, and one analysis by itself; by the time
/// that one worker took.
fn tell(
    workers: usize,
    (took, serial): (Duration, Duration),
    replays: u64,
    alone: &mut Option<f64>,
) {
    let (took, serial) = (took.as_secs_f64(), serial.as_secs_f64());
    let ideal = *alone.get_or_insert(took) / workers as f64;
    println!(
        "{workers:>2} workers: {took:.1} s for {replays} replays; {:.2} times {ideal:.1} s, {:.2} times \
         without the {serial:.1} s of one analysis alone",
        took / ideal,
        (took - serial) / ideal,
    );
}

/// What the hub has to bear.
fn bear(fleet: &Fleet<'_>, hosts: &Hosts) {
    println!(
        "{} hosts x {} units x {} features",
        hosts.hosts, hosts.units, hosts.features
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let client = connect(fleet).await;
        let context = jetstream::new(client);
        wait_for_stream(&context).await;
        let facts = u64::from(hosts.hosts) * u64::from(hosts.units) * u64::from(hosts.features);
        run(
            fleet,
            &context,
            "first telling",
            facts,
            hosts.hosts,
            |host| hosts.whole(host),
        )
        .await;
        ask(fleet);
        let news = u64::from(hosts.hosts) * u64::from(hosts.news());
        run(
            fleet,
            &context,
            "a minute's news",
            news,
            hosts.hosts,
            |host| hosts.minute(host),
        )
        .await;
        ask(fleet);
    });
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let database = fleet.database();
    println!(
        "database: {:.1} MB ({} bytes a host)",
        size(&database) as f64 / 1e6,
        size(&database) / u64::from(hosts.hosts)
    );
}

async fn connect(fleet: &Fleet<'_>) -> Client {
    let path = fleet.hub_credentials();
    let text = std::fs::read_to_string(&path).expect("credentials");
    let table: toml::Table = toml::from_str(&text).expect("TOML");
    let seed = table["seed"].as_str().expect("a word").to_owned();
    ConnectOptions::with_nkey(seed)
        .add_root_certificates(path)
        .require_tls(true)
        .custom_inbox_prefix("_INBOX.hub")
        .connect(fleet.url())
        .await
        .expect("connected")
}

async fn waiting(context: &Context) -> Option<u64> {
    let mut stream = context.get_stream("LOUPE_FACTS").await.ok()?;
    Some(stream.info().await.ok()?.state.messages)
}

async fn wait_for_stream(context: &Context) {
    while waiting(context).await.is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Has every host send one message, and waits until the hub has merged all of them.
async fn run(
    fleet: &Fleet<'_>,
    context: &Context,
    what: &str,
    facts: u64,
    hosts: u32,
    message: impl Fn(u32) -> (String, Vec<u8>),
) {
    let began = Instant::now();
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
    let (mut bytes, mut making) = (0, Duration::ZERO);
    for host in 0..hosts {
        let made = Instant::now();
        let (subject, payload) = message(host);
        making += made.elapsed();
        bytes += payload.len();
        let permit = Arc::clone(&in_flight).acquire_owned().await.expect("open");
        let publish = PublishMessage::build().payload(payload.into());
        let sent = context.send_publish(subject, publish).await.expect("sent");
        tokio::spawn(async move {
            sent.await.expect("acknowledged");
            drop(permit);
        });
    }
    let all = in_flight.acquire_many(IN_FLIGHT as u32).await;
    drop(all.expect("open"));
    let sent = began.elapsed();
    while waiting(context).await != Some(0) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let merged = began.elapsed();
    println!(
        "{what}: {:.1} MB, sent in {:.1} s ({:.1} s of it made here), merged after {:.1} s: {:.0} \
         facts/s, {:.0} hosts/s; the hub had at most {} MB, the server {} MB",
        bytes as f64 / 1e6,
        sent.as_secs_f64(),
        making.as_secs_f64(),
        merged.as_secs_f64(),
        facts as f64 / merged.as_secs_f64(),
        f64::from(hosts) / merged.as_secs_f64(),
        most_memory(fleet.hub_pid()) >> 10,
        most_memory(fleet.server_pid()) >> 10,
    );
}

/// KiB of the largest resident set of a process so far.
fn most_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    number.unwrap_or_default()
}

/// How long questions take, with the start of the program: the median of five.
fn ask(fleet: &Fleet<'_>) {
    let os = fleet.scene.write("os.syscalls", "read\nwrite\nopenat\n");
    let os = os.to_str().expect("a plain path");
    let questions: [(&str, &[&str]); 5] = [
        ("who", &["who", "read", "--json"]),
        ("show", &["show", "unit7.service", "--json"]),
        ("gap", &["gap", "--os", os, "--json"]),
        ("drift", &["drift", "--since", "2024-10-12", "--json"]),
        ("hosts", &["hosts", "--json"]),
    ];
    let mut told = Vec::new();
    for (name, words) in questions {
        let mut times: Vec<Duration> = (0..5)
            .map(|_| {
                let began = Instant::now();
                let finished = fleet.run(words);
                assert!(
                    matches!(finished.code(), Some(0 | 1)),
                    "{}",
                    finished.stderr
                );
                began.elapsed()
            })
            .collect();
        times.sort_unstable();
        told.push(format!("{name} {:.0} ms", times[2].as_secs_f64() * 1e3));
    }
    let nothing = {
        let began = Instant::now();
        let mut loupe = Command::new(loupe_tests::binaries::loupe());
        loupe.arg("--version");
        command::run(loupe);
        began.elapsed()
    };
    println!(
        "  questions: {} (of which {:.0} ms start the program)",
        told.join(", "),
        nothing.as_secs_f64() * 1e3
    );
}
