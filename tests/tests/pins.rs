//! `pin = true`: a louped that is restarted or killed on a host with a real systemd goes on counting
//! as if nothing had been; one that is stopped leaves nothing; and what another one has pinned is not
//! taken over.

use std::fs;
use std::path::{Path, PathBuf};

use loupe_tests::daemon::wait_until;
use loupe_tests::host::Host;
use loupe_tests::leftovers;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Replays, Systemd};
use loupe_tests::scene::Scene;
use serde_json::Value;

const VICTIM: &str = "/usr/bin/victim";

/// A host on which louped watches services and pins; and the in-kernel objects that
/// were there before.
fn pinning(scene: &Scene, duty: &str) -> (Host, Vec<String>) {
    let host = Host::boot(scene);
    host.install_loupe();
    host.copy(&scene.victim(), VICTIM);
    let text = "[profile]\nunits = [\"ceaseless\", \"once@*\"]\npin = true\n";
    host.write(
        "/etc/loupe/louped.toml",
        &format!("{text}duty = \"{duty}\"\n"),
    );
    for (name, words) in [
        ("ceaseless.service", "ceaseless /tmp/calls /tmp/stop"),
        ("once@.service", "counts /tmp/once 100 1 1"),
    ] {
        host.write(
            &format!("/etc/systemd/system/{name}"),
            // louped is started more often here than systemd lets a unit be.
            &format!("[Service]\nExecStart={VICTIM} {words}\n"),
        );
    }
    host.write(
        "/etc/systemd/system/louped.service.d/often.conf",
        "[Unit]\nStartLimitIntervalSec=0\n",
    );
    host.systemctl(&["daemon-reload"]);
    // systemd has some of its own.
    let before = leftovers::bpf_objects();
    host.systemctl(&["start", "louped.service"]);
    (host, before)
}

fn kill(host: &Host) {
    let before = host.property("louped.service", "MainPID");
    let words = ["systemctl", "kill", "--signal=KILL", "louped.service"];
    host.run(&words).expect_code(0);
    wait_until("louped is back", || {
        let now = host.property("louped.service", "MainPID");
        now != before && host.property("louped.service", "ActiveState") == "active"
    });
}

/// How often the victim says that it called, once it was told to stop.
fn said(host: &Host) -> u64 {
    host.write("/tmp/stop", "");
    wait_until("the service has ended", || {
        host.property("ceaseless.service", "ActiveState") == "inactive"
    });
    let said = fs::read_to_string(host.path("/tmp/calls")).expect("it says so");
    said.parse().expect("a number")
}

fn profile(host: &Host, name: &str) -> Value {
    let shown = host.run(&["loupe", "profile", "show", name, "--json"]);
    let json = shown.expect_code(0).json();
    let profiles = json["profiles"].as_array().expect("a list");
    let victims = profiles
        .iter()
        .find(|profile| profile["subject"]["executable"]["path"] == VICTIM);
    victims.unwrap_or_else(|| panic!("{json:#}")).clone()
}

fn calls(profile: &Value) -> u64 {
    let rows = profile["features"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["feature"] == "getpriority");
    row.map_or(0, |row| row["counts"]["calls"].as_u64().expect("a number"))
}

fn assert_no_troubles(host: &Host) {
    let status = status(host);
    assert_eq!(status.get("troubles"), None, "{status:#}");
    let lost = status["lost"].as_object().expect("an object");
    assert!(lost.values().all(|count| count == 0), "{lost:#?}");
}

/// Everything ends, and nothing is left.
fn assert_stops_cleanly(scene: &Scene, host: Host, before: &[String]) {
    host.systemctl(&["stop", "louped.service", "louped.socket"]);
    wait_until("nothing is left", || leftovers::bpf_objects() == before);
    host.down();
    scene.assert_nothing_left();
}

/// What `loupe profile status` says.
fn status(host: &Host) -> Value {
    let status = host.run(&["loupe", "profile", "status", "--json"]);
    status.expect_code(0).json()
}

/// Has louped end and begin in one of two ways.
fn end_and_begin(host: &Host, killed: bool) {
    match killed {
        true => kill(host),
        false => drop(host.systemctl(&["restart", "louped.service"])),
    }
}

/// Where systemd keeps what louped has pinned.
fn kept(host: &Host) -> PathBuf {
    let descriptors = PathBuf::from(format!("/proc/{}/fd", host.leader()));
    let found = fs::read_dir(descriptors)
        .expect("readable")
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| {
            let top = fs::read_dir(path.join("loupe"));
            let top = top.into_iter().flatten().flatten().next();
            let boot = top.map(|top| top.path());
            let boot = boot.and_then(|top| fs::read_dir(top).ok()?.next()?.ok());
            let set = boot.and_then(|boot| fs::read_dir(boot.path()).ok()?.next()?.ok());
            set.is_some_and(|set| set.path().join("map_CALLS").exists())
        });
    found.expect("systemd keeps it")
}

#[test]
fn pinned_counts_go_on_over_restarts_and_kills_and_none_is_taken_twice() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let (host, before) = pinning(&scene, "100%");
    host.systemctl(&["start", "ceaseless.service"]);
    let mut onces = 0;
    let mut once = |host: &Host| {
        onces += 1;
        host.systemctl(&["start", &format!("once@{onces}.service")]);
    };
    for round in 0..7 {
        end_and_begin(&host, matches!(round, 2 | 5));
        once(&host);
    }
    // One that comes and goes while nobody is there.
    let words = ["systemctl", "kill", "--signal=STOP", "louped.service"];
    host.run(&words).expect_code(0);
    once(&host);
    kill(&host);
    wait_until("all have ended", || {
        let units = host.systemctl(&["list-units", "--plain", "--no-legend", "once@*"]);
        units.trim().is_empty()
    });
    let said = said(&host);
    let ceaseless = profile(&host, "ceaseless.service");
    assert_eq!(
        calls(&ceaseless),
        said,
        "{}",
        host.journal("louped.service")
    );
    assert_eq!(ceaseless["starts"], 1);
    let observation = &ceaseless["observation"];
    assert_eq!(observation.get("gaps"), None, "{observation:#}");
    // Three tasks, and a tenth as many calls that fail.
    let once = profile(&host, "once@.service");
    assert_eq!(calls(&once), onces * 3 * 110);
    assert_eq!(once["starts"], onces);
    assert_no_troubles(&host);

    assert_stops_cleanly(&scene, host, &before);
}

#[test]
fn windows_of_a_partial_duty_are_taken_over_as_they_are() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let (host, before) = pinning(&scene, "50%");
    host.systemctl(&["start", "ceaseless.service"]);
    let is_attached = || status(&host)["attached"] == true;
    wait_until("it is seen", || {
        calls(&profile(&host, "ceaseless.service")) > 0
    });
    // Windows stay open for half a minute after what is new.
    wait_until("a window is closed", || !is_attached());
    for round in 0..6 {
        end_and_begin(&host, matches!(round, 1 | 4));
        wait_until("a window is open", is_attached);
    }
    wait_until("it is closed by the one that has taken it over", || {
        !is_attached()
    });
    let said = said(&host);
    let ceaseless = profile(&host, "ceaseless.service");
    let counted = calls(&ceaseless);
    assert!(0 < counted && counted < said, "{counted} of {said}");
    let observation = &ceaseless["observation"];
    assert_eq!(observation.get("gaps"), None, "{observation:#}");
    assert_no_troubles(&host);
    assert_stops_cleanly(&scene, host, &before);
}

#[test]
fn what_a_full_disk_cannot_take_is_left_to_the_next_and_recorded_when_there_is_room() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let (host, before) = pinning(&scene, "100%");
    host.systemctl(&["stop", "louped.service"]);
    host.shell("mount -t tmpfs -o size=4m small /var/lib/loupe");
    host.systemctl(&["start", "louped.service"]);
    host.systemctl(&["start", "ceaseless.service"]);
    wait_until("something is recorded", || {
        calls(&profile(&host, "ceaseless.service")) > 0
    });
    // Ends when no byte more goes in.
    host.shell("! dd if=/dev/zero of=/var/lib/loupe/filler bs=4k status=none");
    let once = |number: u32| {
        let unit = format!("once@{number}.service");
        host.systemctl(&["start", &unit]);
        wait_until("it has ended", || {
            host.property(&unit, "ActiveState") == "inactive"
        });
    };
    once(1);
    let troubles = || status(&host)["troubles"].to_string();
    wait_until("it is told", || troubles().contains("disk is full"));
    for number in 2..4 {
        host.systemctl(&["restart", "louped.service"]);
        once(number);
    }
    host.shell("rm /var/lib/loupe/filler");
    let said = said(&host);
    let ceaseless = profile(&host, "ceaseless.service");
    assert_eq!(
        calls(&ceaseless),
        said,
        "{}",
        host.journal("louped.service")
    );
    let once = profile(&host, "once@.service");
    assert_eq!(calls(&once), 3 * 3 * 110);
    assert_eq!(once["starts"], 3);
    assert_no_troubles(&host);
    // Nothing is kept twice.
    host.systemctl(&["restart", "louped.service"]);
    assert_eq!(calls(&profile(&host, "ceaseless.service")), said);
    assert_stops_cleanly(&scene, host, &before);
}

#[test]
fn what_another_louped_has_pinned_is_refused_and_goes() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let (host, before) = pinning(&scene, "100%");
    let rename = |from: &Path, to: &str| {
        fs::rename(from, from.with_file_name(to)).expect("a pin can be renamed");
    };
    let only = |directory: &Path| {
        let mut entries = fs::read_dir(directory).expect("readable");
        entries.next().expect("an entry").expect("readable").path()
    };
    for (told, spoil) in [
        ("programs of another build", 0),
        ("another boot", 1),
        ("the map FOREIGN is", 2),
    ] {
        let schema = only(&kept(&host).join("loupe"));
        let boot = only(&schema);
        let set = only(&boot);
        match spoil {
            0 => rename(&schema, "0123456789abcdef"),
            1 => rename(&boot, "00000000-0000-0000-0000-000000000000"),
            _ => {
                rename(&set.join("map_FOREIGN"), "map_other");
                rename(&set.join("map_FILES"), "map_FOREIGN");
            }
        }
        host.systemctl(&["restart", "louped.service"]);
        let troubles = status(&host)["troubles"].to_string();
        assert!(troubles.contains(told), "{troubles}");
        // What was begun anew is taken over again.
        host.systemctl(&["restart", "louped.service"]);
        assert_no_troubles(&host);
    }
    assert_stops_cleanly(&scene, host, &before);
}
