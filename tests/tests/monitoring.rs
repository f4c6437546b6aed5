//! louped as others see it on a host with a real systemd: its metrics by a real Prometheus, its entries
//! in the journal, its watchdog.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use loupe_tests::daemon::wait_until;
use loupe_tests::host::Host;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays, Systemd};
use loupe_tests::scene::Scene;
use serde_json::Value;

const CONFIG: &str = "[profile]\nunits = [\"counts.service\"]\nduty = \"100%\"\n\
    [metrics]\ntextfile = \"/var/lib/collected/loupe.prom\"\nsyscalls = true\n";

const LISTEN: &str = "listen = \"127.0.0.1:9777\"\n";

const PROMETHEUS: &str = "global: {scrape_interval: 1s}\n\
    scrape_configs: [{job_name: loupe, static_configs: [{targets: ['127.0.0.1:9777']}]}]\n";

/// 6 tasks that each call it 1000 times, and 100 times in vain.
const COUNTS: &str =
    "[Service]\nType=oneshot\nExecStart=/usr/bin/victim counts /tmp/counts 1000 2 3\n";
const COUNTED: &str = "6600";

/// What `promtool` says of metrics; nothing, if all is well.
fn judged(text: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    let mut input = promtool.stdin.take().expect("a pipe");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    match output.status.success() {
        true => said,
        false => format!("{said}{}", output.status),
    }
}

/// What the host's Prometheus answers to a query: the value, if it has one.
fn queried(host: &Host, query: &str) -> Option<String> {
    let server = "http://127.0.0.1:9090";
    let words = [
        "promtool",
        "query",
        "instant",
        "--format=json",
        server,
        query,
    ];
    let answer: Value = serde_json::from_str(&host.run(&words).stdout).ok()?;
    Some(answer.get(0)?["value"][1].as_str()?.to_owned())
}

/// The answer to a request that names louped like this.
fn fetched(host: &Host, name: &str) -> String {
    host.shell(&format!(
        "bash -c 'exec 3<>/dev/tcp/127.0.0.1/9777
         printf \"GET /metrics HTTP/1.1\\r\\nHost: {name}\\r\\n\\r\\n\" >&3; cat <&3'"
    ))
}

/// No path is a label's value, and of labels there are only these.
fn assert_bounded(rows: &str) {
    for row in rows.lines().filter(|line| !line.starts_with('#')) {
        assert!(!row.contains('/'), "{row}");
        let names: Vec<&str> = row
            .match_indices("=\"")
            .map(|(at, _)| {
                let before = &row[..at];
                &before[before.rfind(['{', ',']).expect("labels") + 1..]
            })
            .collect();
        let known = ["kind", "unit", "syscall", "what", "version"];
        assert!(names.iter().all(|name| known.contains(name)), "{row}");
    }
}

#[test]
fn a_real_prometheus_has_the_exact_count_and_promtool_finds_no_fault() {
    require!(Replays, Systemd, Program("promtool"), Program("prometheus"));
    let scene = Scene::new();
    let host = Host::boot(&scene);
    host.install_loupe();
    host.copy(&scene.victim(), "/usr/bin/victim");
    host.write("/etc/loupe/louped.toml", &format!("{CONFIG}{LISTEN}"));
    host.write("/etc/systemd/system/counts.service", COUNTS);
    host.write("/srv/prometheus.yml", PROMETHEUS);
    host.shell("mkdir -p /var/lib/collected; systemctl daemon-reload");
    host.systemctl(&["start", "louped.service"]);
    host.shell(
        "systemd-run --quiet --unit=scraper prometheus --config.file=/srv/prometheus.yml \
         --storage.tsdb.path=/srv/data --web.listen-address=127.0.0.1:9090",
    );
    host.systemctl(&["start", "counts.service"]);

    let labels = "kind=\"unit\",unit=\"counts.service\"";
    let row = format!("loupe_unit_syscall_calls_total{{{labels},syscall=\"getpriority\"}}");
    wait_until("Prometheus has the exact count", || {
        queried(&host, &row).is_some_and(|value| value == COUNTED)
    });
    for (query, value) in [
        ("up{job=\"loupe\"}", "1"),
        ("sum(loupe_profile_lost_total)", "0"),
        ("count(loupe_profile_lost_total)", "7"),
        ("count(loupe_unit_lost_total{unit=\"counts.service\"})", "7"),
        ("loupe_profile_targets", "1"),
        ("loupe_profile_duty_ratio", "1"),
        ("loupe_profile_store_bytes > bool 4096", "1"),
        ("loupe_unit_observed_seconds > bool 0", "1"),
        ("count(loupe_build_info{version!=\"\"})", "1"),
    ] {
        assert_eq!(queried(&host, query).as_deref(), Some(value), "{query}");
    }

    // The older form, which people's tools and the textfile collector read.
    let answer = fetched(&host, "127.0.0.1:9777");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert_eq!(judged(body), "", "{body}");
    assert!(body.contains(&format!("{row} {COUNTED}\n")), "{body}");
    assert_bounded(body);
    // Other names than this host's are refused, so that no page in a browser reads it.
    let refused = fetched(&host, "evil.example");
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");

    // What is configured away is gone, and so is everything when louped stops.
    let file = host.path("/var/lib/collected/loupe.prom");
    host.write("/etc/loupe/louped.toml", CONFIG);
    host.systemctl(&["reload", "louped.service"]);
    let listens = || host.shell("ss -Hltn").contains(":9777");
    wait_until("nobody listens any more", || !listens());
    wait_until("the file has the count", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.contains(&format!("{row} {COUNTED}\n"))
    });
    let text = std::fs::read_to_string(&file).expect("the file");
    assert_eq!(judged(&text), "", "{text}");
    assert_bounded(&text);
    host.systemctl(&["stop", "louped.socket", "louped.service"]);
    assert!(!file.exists());
    let directory = std::fs::read_dir(file.parent().unwrap_or(Path::new("/"))).expect("there");
    assert_eq!(directory.count(), 0, "no half of a file either");
    host.down();
    scene.assert_nothing_left();
}

#[test]
fn an_address_that_other_hosts_reach_is_refused() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = Host::boot(&scene);
    host.install_loupe();
    let config = "[metrics]\nlisten = \"0.0.0.0:9777\"\n";
    host.write("/etc/loupe/louped.toml", config);
    let started = host.run(&["systemctl", "start", "louped.service"]);
    assert_ne!(started.code(), Some(0));
    let status = host.property("louped.service", "StatusText");
    assert!(
        status.contains("louped.toml:2:10: other hosts reach 0.0.0.0"),
        "{status}"
    );
    host.down();
    scene.assert_nothing_left();
}

#[test]
fn the_journal_has_fields_and_messages_that_tell_them() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = Host::boot(&scene);
    host.install_loupe();
    host.systemctl(&["start", "louped.socket"]);
    let socket = "/run/loupe/louped.sock";
    let run = ["loupe", "run", "--socket", socket, "--", "/bin/true"];
    host.run(&run).expect_code(0);
    host.shell("journalctl --sync");
    let words = [
        "journalctl",
        "--unit=louped.service",
        "--output=json",
        "--no-pager",
    ];
    let entries = host.run(&words).expect_code(0).stdout;
    let entry = entries
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .find(|entry| entry["LOUPE_COMMAND"].is_string())
        .unwrap_or_else(|| panic!("no entry of the run in {entries}"));
    for (field, value) in [
        ("LOUPE_UID", "0"),
        ("LOUPE_COMMAND", "[\"/bin/true\"]"),
        ("MESSAGE", "run uid=0 command=[\"/bin/true\"]"),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "louped"),
        ("_SYSTEMD_UNIT", "louped.service"),
    ] {
        assert_eq!(entry[field], value, "{field}");
    }
    // People find it by any of them.
    let found = host.shell("journalctl --output=cat LOUPE_UID=0");
    assert!(found.contains("run uid=0"), "{found}");
    host.down();
    scene.assert_nothing_left();
}

#[test]
fn a_louped_that_stands_still_is_started_anew_and_goes_on_watching() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = Host::boot(&scene);
    host.install_loupe();
    host.write("/etc/loupe/louped.toml", CONFIG);
    host.systemctl(&["start", "louped.service"]);
    let watchdog = host.property("louped.service", "WatchdogUSec");
    assert_eq!(watchdog, "3min");
    let soon = "[Service]\nWatchdogSec=2s\n";
    host.write("/etc/systemd/system/louped.service.d/soon.conf", soon);
    host.systemctl(&["daemon-reload"]);
    host.systemctl(&["restart", "louped.service"]);
    let kind = host.property("louped.service", "Type");
    assert!(
        ["notify", "notify-reload"].contains(&kind.as_str()),
        "{kind}"
    );

    let told = || host.property("louped.service", "WatchdogTimestampMonotonic");
    let first = told();
    wait_until("it tells again", || told() != first);
    let status = || host.property("louped.service", "StatusText");
    wait_until("its status tells", || status() == "idle; watching 1 target");

    let pid = host.property("louped.service", "MainPID");
    host.shell(&format!("kill -STOP {pid}"));
    wait_until("another one runs", || {
        let now = host.property("louped.service", "MainPID");
        now != pid && now != "0" && host.property("louped.service", "SubState") == "running"
    });
    assert_eq!(host.property("louped.service", "NRestarts"), "1");
    wait_until("it watches", || status() == "idle; watching 1 target");
    assert!(host.journal("louped.service").contains("Watchdog timeout"));
    host.down();
    scene.assert_nothing_left();
}
