//! louped as others see it on a host with a real systemd: its entries in the journal, its
//! watchdog.

use loupe_tests::daemon::wait_until;
use loupe_tests::host::Host;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Replays, Systemd};
use loupe_tests::scene::Scene;
use serde_json::Value;

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
    host.write("/etc/loupe/louped.toml", "[profile]\nunits = [\"cron\"]\n");
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
