//! `/etc/loupe/louped.toml` on a host with a real systemd: read at the start and at each reload; a
//! wrong one changes nothing.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use loupe_tests::daemon::wait_until;
use loupe_tests::host::Host;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Replays, Systemd};
use loupe_tests::scene::Scene;
use serde_json::Value;

const FILE: &str = "/etc/loupe/louped.toml";

/// What louped watches because its configuration says so.
fn configured(host: &Host) -> Vec<String> {
    let mut louped = UnixStream::connect(host.path("/run/loupe/louped.sock")).expect("louped");
    let request = "{\"loupe\":1,\"request\":\"profile\",\"ask\":\"status\"}\n";
    louped.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    louped.read_to_string(&mut answer).expect("answered");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let targets = answer["targets"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    targets
        .iter()
        .filter(|target| target["configured"] == true)
        .map(|target| target["target"].as_str().expect("text").to_owned())
        .collect()
}

#[test]
fn a_reload_takes_what_is_right_and_leaves_what_is_wrong() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = Host::boot(&scene);
    host.install_loupe();
    host.write(FILE, "[profile]\nunits = [\"cron\"]\n");
    host.systemctl(&["start", "louped.service"]);
    assert_eq!(configured(&host), ["unit:cron.service"]);
    let pid = host.property("louped.service", "MainPID");

    host.write(FILE, "[profile]\nunitz = [\"*.service\"]\n");
    let refused = host.run(&["systemctl", "reload", "louped.service"]);
    assert_ne!(refused.code(), Some(0), "{refused:?}");
    let journal = host.journal("louped.service");
    for line in [
        "/etc/loupe/louped.toml:2:1: unknown key `unitz` (did you mean units?)",
        "2 | unitz = [\"*.service\"]",
        "| ^^^^^",
    ] {
        assert!(journal.contains(line), "{line} is not in {journal}");
    }
    // Whoever sends the signal past the check learns it from the status.
    host.shell(&format!("kill -HUP {pid}"));
    let status = || host.property("louped.service", "StatusText");
    wait_until("the status tells", || {
        status().contains("unknown key `unitz`")
    });
    assert_eq!(configured(&host), ["unit:cron.service"]);

    host.write(FILE, "[profile]\nunits = [\"*.service\"]\n");
    host.systemctl(&["reload", "louped.service"]);
    wait_until("it is in force", || configured(&host) == ["unit:*.service"]);
    assert!(!status().contains("unitz"), "{}", status());
    assert_eq!(host.property("louped.service", "MainPID"), pid);
    assert_eq!(host.property("louped.service", "ActiveState"), "active");

    // At a start it has to be right, and the reason is told.
    host.write(FILE, "[profile]\nduty = \"105%\"\n");
    let restarted = host.run(&["systemctl", "restart", "louped.service"]);
    assert_ne!(restarted.code(), Some(0));
    assert!(status().contains("a part of the time"), "{}", status());
    host.down();
    scene.assert_nothing_left();
}
