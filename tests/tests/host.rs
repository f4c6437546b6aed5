//! The test host itself: a systemd that is one, units that are units, and nothing left of it.

use loupe_tests::daemon::wait_until;
use loupe_tests::host::Host;
use loupe_tests::leftovers;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Replays, Systemd};
use loupe_tests::scene::Scene;

#[test]
fn a_host_runs_units_as_any_other_and_nothing_is_left_of_it() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = Host::boot(&scene);
    assert_eq!(host.shell("cat /proc/1/comm"), "systemd\n");
    assert_eq!(host.shell("hostname"), "host\n");

    host.write(
        "/etc/systemd/system/sleeps.service",
        "[Service]\nExecStart=/bin/sleep infinity\n",
    );
    host.systemctl(&["daemon-reload"]);
    host.systemctl(&["start", "sleeps.service"]);
    assert_eq!(host.property("sleeps.service", "ActiveState"), "active");
    let cgroup = host.cgroup().join("system.slice/sleeps.service");
    let procs = std::fs::read_to_string(cgroup.join("cgroup.procs")).expect("the unit's cgroup");
    assert_eq!(procs.lines().count(), 1, "{procs}");

    // What it changes is its own.
    host.shell("touch /usr/bin/of-the-host; useradd --system of-the-host");
    assert!(!std::path::Path::new("/usr/bin/of-the-host").exists());
    let settings = host.run(&["sysctl", "-w", "kernel.pid_max=400000"]);
    assert_ne!(settings.code(), Some(0), "{settings:?}");
    host.down();
    scene.assert_nothing_left();
}

#[test]
fn two_hosts_know_nothing_of_each_other() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let (one, other) = (
        Host::boot_named(&scene, "one"),
        Host::boot_named(&scene, "two"),
    );
    one.shell("touch /etc/mark");
    assert_eq!(other.run(&["test", "-e", "/etc/mark"]).code(), Some(1));
    assert_ne!(
        one.shell("cat /etc/machine-id"),
        other.shell("cat /etc/machine-id")
    );
    one.down();
    assert_eq!(
        other
            .shell("systemctl is-system-running || true")
            .lines()
            .count(),
        1
    );
    drop(other);
    scene.assert_nothing_left();
}

#[test]
fn louped_serves_there_by_its_units_and_leaves_nothing() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = Host::boot(&scene);
    host.install_loupe();
    host.systemctl(&["start", "louped.socket"]);
    assert_eq!(host.property("louped.service", "ActiveState"), "inactive");
    // The first client starts it.
    let jobs = host.run(&["loupe", "jobs", "--json"]).expect_code(0).json();
    assert_eq!(jobs["jobs"], serde_json::json!([]));
    assert_eq!(host.property("louped.service", "ActiveState"), "active");
    let printed = host.run(&["loupe", "run", "--", "/bin/echo", "from", "louped"]);
    assert_eq!(printed.expect_code(0).stdout, "from louped\n");
    host.systemctl(&["stop", "louped.socket", "louped.service"]);
    let unit = host.cgroup().join("system.slice/louped.service");
    wait_until("the unit's cgroup is gone", || !unit.exists());
    assert_eq!(leftovers::run_cgroups(), 0);
    host.down();
    scene.assert_nothing_left();
}
