//! louped as others see it on a host with a real systemd: its entries in the journal.

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
