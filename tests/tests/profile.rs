//! Profiles of real units on a host with a real systemd: every call counted once, whoever's it is,
//! from the first on; nothing that is not there; and what a restart, a kill, an upgrade leave.

use std::collections::BTreeMap;

use loupe_tests::daemon::wait_until;
use loupe_tests::host::Host;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays, Systemd};
use loupe_tests::scene::Scene;
use serde_json::Value;

const VICTIM: &str = "/usr/bin/victim";

/// How much of something a test makes: little, or all that the docs promise with
/// `LOUPE_TEST_FULL=1`, which takes minutes.
fn size(quick: u64, full: u64) -> u64 {
    match std::env::var_os("LOUPE_TEST_FULL").is_some_and(|value| value == "1") {
        true => full,
        false => quick,
    }
}

/// A host on which louped runs and watches these.
fn observed(scene: &Scene, watched: &[&str]) -> Host {
    let host = Host::boot(scene);
    host.install_loupe();
    // At a measured duty there are times in which nothing is counted.
    host.write("/etc/loupe/louped.toml", "[profile]\nduty = \"100%\"\n");
    host.copy(&scene.victim(), VICTIM);
    host.systemctl(&["start", "louped.socket"]);
    let words: Vec<&str> = [&["loupe", "profile", "add"], watched].concat();
    // 1: no such unit is there yet.
    let added = host.run(&words);
    assert!(matches!(added.code(), Some(0 | 1)), "{added:#?}");
    host
}

/// A unit that runs the victim.
fn unit(host: &Host, name: &str, kind: &str, words: &str) {
    host.write(
        &format!("/etc/systemd/system/{name}"),
        &format!("[Service]\nType={kind}\nExecStart={VICTIM} {words}\n"),
    );
    host.systemctl(&["daemon-reload"]);
}

/// What the profiles of a name say, by executable.
fn profiles(host: &Host, name: &str) -> Vec<Value> {
    let shown = host.run(&["loupe", "profile", "show", name, "--json"]);
    let json = shown.expect_code(0).json();
    json["profiles"].as_array().expect("a list").clone()
}

fn of_executable<'a>(profiles: &'a [Value], path: &str) -> &'a Value {
    let mut found = profiles.iter();
    found
        .find(|profile| profile["subject"]["executable"]["path"] == path)
        .unwrap_or_else(|| panic!("no profile of {path}: {profiles:#?}"))
}

/// A feature's row, of syscalls and pseudo-files or of operations.
fn row<'a>(profile: &'a Value, feature: &str) -> Option<&'a Value> {
    ["features", "operations"]
        .iter()
        .filter_map(|list| profile[list].as_array())
        .flatten()
        .find(|row| row["feature"] == feature)
}

fn calls(profile: &Value, feature: &str) -> u64 {
    row(profile, feature).map_or(0, |row| row["counts"]["calls"].as_u64().expect("a number"))
}

fn errors(profile: &Value, feature: &str, errno: &str) -> u64 {
    let row = row(profile, feature);
    row.and_then(|row| row["counts"]["errors"][errno].as_u64())
        .unwrap_or(0)
}

fn assert_nothing_lost(profile: &Value) {
    let lost = profile["lost"].as_object().expect("an object");
    assert!(lost.values().all(|count| count == 0), "{lost:#?}");
}

#[test]
fn every_call_of_a_unit_is_counted_from_its_first_on() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = observed(&scene, &["*.service"]);
    // It has ended before anybody could have looked at its cgroup.
    unit(
        &host,
        "counts.service",
        "oneshot",
        "counts /tmp/counts 1000 2 3",
    );
    unit(&host, "looks.service", "oneshot", "looks-around /tmp/looks");
    unit(
        &host,
        "each@.service",
        "oneshot",
        "counts /tmp/each-%i 50 0 0",
    );
    host.systemctl(&["start", "counts.service", "looks.service"]);
    host.systemctl(&["start", "each@1.service", "each@2.service"]);
    host.systemctl(&["start", "counts.service"]);

    let counts = profiles(&host, "counts.service");
    let counts = of_executable(&counts, VICTIM);
    // Two runs of six tasks, and a tenth as many that fail.
    assert_eq!(calls(counts, "getpriority"), 2 * 6 * 1100);
    assert_eq!(errors(counts, "getpriority", "EINVAL"), 2 * 6 * 100);
    assert_eq!(calls(counts, "exit_group"), 2 * 4);
    assert_eq!(calls(counts, "execve"), 2);
    assert_eq!(counts["starts"], 2);
    assert_nothing_lost(counts);

    let looks = profiles(&host, "looks.service");
    let looks = of_executable(&looks, VICTIM);
    for (file, expected) in [
        ("/proc/self/limits", 7),
        ("/proc/<pid>/limits", 3),
        ("/dev/zero", 2),
        ("/etc/hostname", 0),
    ] {
        assert_eq!(calls(looks, file), expected, "{file}");
    }
    assert_eq!(errors(looks, "/proc/loupe-is-not-there", "ENOENT"), 5);
    assert_eq!(calls(looks, "fcntl:F_GETFL"), 4);
    assert_eq!(calls(looks, "fcntl"), 4);

    // The instances are one.
    let each = profiles(&host, "each@.service");
    assert_eq!(calls(of_executable(&each, VICTIM), "getpriority"), 2 * 55);
    host.down();
    scene.assert_nothing_left();
}

#[test]
fn nothing_is_missing_of_many_short_lives_and_of_units_that_come_and_go() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = observed(&scene, &["--all-services"]);
    let (processes, units) = (size(3_000, 10_000), size(60, 500));
    unit(
        &host,
        "children.service",
        "oneshot",
        &format!("children /tmp/children {processes} 200 /bin/true"),
    );
    host.systemctl(&["start", "children.service"]);
    let children = profiles(&host, "children.service");
    let victim = of_executable(&children, VICTIM);
    assert_eq!(calls(victim, "getppid"), processes);
    assert_nothing_lost(victim);
    let truth = children.iter().find(|profile| {
        let path = profile["subject"]["executable"]["path"].as_str();
        path.is_some_and(|path| path.ends_with("/bin/true"))
    });
    let truth = truth.expect("what was executed has a profile of its own");
    assert_eq!(truth["starts"], 200);
    assert_eq!(calls(truth, "exit_group"), 200);

    unit(&host, "many@.service", "oneshot", "counts /tmp/many 20 0 0");
    for first in (0..units).step_by(20) {
        let names: Vec<String> = (first..first + 20)
            .map(|number| format!("many@{number}.service"))
            .collect();
        let words: Vec<&str> = names.iter().map(String::as_str).collect();
        host.systemctl(&[&["start"][..], &words].concat());
    }
    let many = profiles(&host, "many@.service");
    let many = of_executable(&many, VICTIM);
    assert_eq!(calls(many, "getpriority"), units * 22);
    assert_eq!(many["starts"], units);
    assert_nothing_lost(many);
    // What differs from unit to unit is no feature.
    let systemd = profiles(&host, "many@.service");
    let systemd = of_executable(&systemd, "/usr/lib/systemd/systemd");
    let features = systemd["features"].as_array().expect("a list");
    let of_cgroups = features.iter().filter(|row| {
        let name = row["feature"].as_str().expect("a name");
        name.starts_with("/sys/fs/cgroup/")
    });
    assert!(of_cgroups.count() < 30, "{features:#?}");
    host.down();
    scene.assert_nothing_left();
}

/// Calls that threads are in when another ends their process.
const WAITS: [&str; 3] = ["futex", "epoll_wait", "restart_syscall"];

/// What strace saw, by syscall, where it is the parent of the service.
fn strace_counts(host: &Host, path: &str) -> BTreeMap<String, u64> {
    let summary = host.shell(&format!("cat {path}"));
    let rows = summary.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let calls = words.next()?.parse().ok()?;
        Some((words.next()?.to_owned(), calls))
    });
    rows.filter(|(name, _)| name != "total").collect()
}

#[test]
fn real_servers_are_seen_as_strace_sees_them() {
    require!(
        Replays,
        Systemd,
        Program("strace"),
        Program("nginx"),
        Program("redis-server")
    );
    let scene = Scene::new();
    let host = observed(&scene, &["*.service"]);
    host.write(
        "/etc/web.conf",
        "daemon off; pid /run/web.pid; error_log stderr; events {}\n\
         http { access_log off; server { listen 17784; root /usr/share; } }\n",
    );
    let servers = [
        ("web", "/usr/sbin/nginx", "/usr/sbin/nginx -c /etc/web.conf"),
        (
            "cache",
            "/usr/bin/redis-server",
            "/usr/bin/redis-server --port 17781 --save ''",
        ),
    ];
    for (name, _, command) in servers {
        // strace is the service's own parent, and an executable of its own in the profile.
        let service = format!(
            "[Service]\nExecStart=/usr/bin/strace -f -c -U calls,name -o /tmp/{name}.strace {command}\nKillMode=mixed\n"
        );
        host.write(&format!("/etc/systemd/system/{name}.service"), &service);
    }
    host.systemctl(&["daemon-reload"]);
    host.systemctl(&["start", "web.service", "cache.service"]);
    wait_until("both serve", || {
        host.run(&["redis-cli", "-p", "17781", "ping"]).code() == Some(0)
            && host
                .run(&["curl", "--silent", "http://127.0.0.1:17784/"])
                .code()
                == Some(0)
    });
    host.shell("for n in 1 2 3; do redis-cli -p 17781 set key $n; done");
    host.shell("curl --silent http://127.0.0.1:17784/doc > /dev/null || true");
    // strace, asked to end, would end without its table.
    host.shell("kill -TERM $(cat /run/web.pid); redis-cli -p 17781 shutdown nosave");
    for (name, _, _) in servers {
        let unit = format!("{name}.service");
        wait_until("the service has ended", || {
            host.property(&unit, "ActiveState") != "active"
        });
    }
    for (name, executable, _) in servers {
        let profiles = profiles(&host, &format!("{name}.service"));
        // The kernel's name for it: Debian's redis-server is a link.
        let executable = std::fs::canonicalize(executable).expect("it is installed");
        let profile = of_executable(&profiles, &executable.display().to_string());
        let seen = strace_counts(&host, &format!("/tmp/{name}.strace"));
        assert!(seen.len() > 20, "{seen:#?}");
        for (syscall, count) in &seen {
            let mine = calls(profile, syscall);
            // strace does not count the calls that threads wait in when their process ends.
            let as_many = match WAITS.contains(&syscall.as_str()) {
                true => mine >= *count,
                false => mine == *count,
            };
            assert!(as_many, "{name}: {syscall}: {mine}, and by strace {count}");
        }
        for row in profile["features"].as_array().expect("a list") {
            let feature = row["feature"].as_str().expect("a name");
            // strace counts what comes back.
            let never_returns = ["exit", "exit_group"].contains(&feature);
            let is_syscall = !feature.starts_with('/');
            assert!(
                never_returns || !is_syscall || seen.contains_key(feature),
                "{name}: {feature} is not what strace saw"
            );
        }
        assert_nothing_lost(profile);
    }
    host.down();
    scene.assert_nothing_left();
}

#[test]
fn timers_users_without_a_name_and_transient_units_are_units_as_others() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = observed(&scene, &["--slice", "system.slice"]);
    let calls_of = |name: &str| {
        let profiles = profiles(&host, name);
        calls(of_executable(&profiles, VICTIM), "getpriority")
    };
    let victim = format!("{VICTIM} counts /tmp/result 40 0 0");
    host.write(
        "/etc/systemd/system/dynamic.service",
        &format!("[Service]\nType=oneshot\nDynamicUser=yes\nExecStart={victim}\n"),
    );
    host.write(
        "/etc/systemd/system/often.service",
        &format!("[Service]\nType=oneshot\nExecStart={victim}\n"),
    );
    host.write(
        "/etc/systemd/system/often.timer",
        "[Timer]\nOnActiveSec=0\nAccuracySec=1ms\nUnit=often.service\n",
    );
    host.systemctl(&["daemon-reload"]);
    host.systemctl(&["start", "dynamic.service", "often.timer"]);
    host.shell(&format!("systemd-run --wait --unit=passing {victim}"));
    assert_eq!(calls_of("dynamic.service"), 44);
    assert_eq!(calls_of("passing.service"), 44);
    wait_until("the timer has run out", || {
        host.property("often.service", "ExecMainExitTimestampMonotonic") != "0"
    });
    assert_eq!(calls_of("often.service"), 44);
    host.down();
    scene.assert_nothing_left();
}

#[test]
fn a_restart_of_louped_loses_nothing_and_counts_nothing_twice() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = observed(&scene, &["stays.service"]);
    unit(&host, "stays.service", "exec", "stays /tmp/stays 700");
    host.systemctl(&["start", "stays.service"]);
    let done = host.path("/tmp/stays");
    wait_until("the calls are made", || done.exists());
    for _ in 0..size(3, 50) {
        // systemd lets nobody start more than five times in ten seconds.
        host.systemctl(&["reset-failed", "louped.service"]);
        host.systemctl(&["restart", "louped.service"]);
        // What was asked for is kept.
        let status = host.run(&["loupe", "profile", "status", "--json"]);
        let status = status.expect_code(0).json();
        assert_eq!(status["targets"][0]["target"], "unit:stays.service");
    }
    let stays = profiles(&host, "stays.service");
    assert_eq!(calls(of_executable(&stays, VICTIM), "getpriority"), 700);
    std::fs::remove_file(&done).expect("it was there");
    host.systemctl(&["restart", "stays.service"]);
    wait_until("the calls are made again", || done.exists());
    let stays = profiles(&host, "stays.service");
    let stays = of_executable(&stays, VICTIM);
    assert_eq!(calls(stays, "getpriority"), 1400);

    // Killed: what was recorded stays, and it goes on.
    let killed = ["systemctl", "kill", "--signal=KILL", "louped.service"];
    host.run(&killed).expect_code(0);
    wait_until("louped is back", || {
        host.run(&["loupe", "profile", "status"]).code() == Some(0)
    });
    let stays = profiles(&host, "stays.service");
    assert_eq!(calls(of_executable(&stays, VICTIM), "getpriority"), 1400);

    host.systemctl(&["stop", "louped.socket", "louped.service"]);
    host.down();
    scene.assert_nothing_left();
}

#[test]
fn other_peoples_services_are_not_shown_to_members_of_the_group() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = observed(&scene, &["counts.service"]);
    unit(
        &host,
        "counts.service",
        "oneshot",
        "counts /tmp/counts 10 0 0",
    );
    host.systemctl(&["start", "counts.service"]);
    host.shell("useradd --system --groups loupe member; useradd --system --groups loupe,loupe-profile other");
    let as_user = |user: &str, words: &[&str]| {
        let all = [
            &["setpriv", "--init-groups", "--reuid", user, "--regid", user],
            words,
        ]
        .concat();
        host.run(&all)
    };
    let show = ["loupe", "profile", "show", "counts.service", "--json"];
    as_user("other", &show).expect_code(0);
    assert_eq!(as_user("member", &show).code(), Some(2));
    let add = ["loupe", "profile", "add", "cron.service"];
    let refused = as_user("member", &add).expect_code(125);
    assert!(refused.stderr.contains("loupe-profile"), "{refused:#?}");
    host.down();
    scene.assert_nothing_left();
}

#[test]
fn cgroups_processes_and_executables_are_watched_without_any_unit() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = observed(&scene, &["--executable", VICTIM]);
    host.shell(&format!("{VICTIM} counts /tmp/free 100 0 1"));
    let free = profiles(&host, VICTIM);
    assert_eq!(calls(of_executable(&free, VICTIM), "getpriority"), 2 * 110);

    host.shell("mkdir -p /sys/fs/cgroup/jobs/one/inner");
    host.run(&["loupe", "profile", "add", "--cgroup", "/jobs/one"])
        .expect_code(0);
    let inside = |path: &str, result: &str| {
        host.shell(&format!(
            "sh -c 'echo $$ > /sys/fs/cgroup/{path}/cgroup.procs; exec {VICTIM} counts {result} 30 0 0'"
        ));
    };
    inside("jobs/one", "/tmp/one");
    inside("jobs/one/inner", "/tmp/inner");
    host.shell("mkdir /sys/fs/cgroup/jobs/one/inner/deeper");
    inside("jobs/one/inner/deeper", "/tmp/deeper");
    let jobs = profiles(&host, "/jobs/one");
    assert_eq!(calls(of_executable(&jobs, VICTIM), "getpriority"), 3 * 33);
    host.down();
    scene.assert_nothing_left();
}

#[test]
fn units_below_a_watched_cgroup_are_its_own_where_nobody_asks_for_them() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = observed(&scene, &["--cgroup", "/system.slice"]);
    unit(&host, "mine.service", "oneshot", "counts /tmp/mine 20 0 0");
    host.run(&["loupe", "profile", "add", "mine.service"])
        .expect_code(0);
    const UNITS: u64 = 10;
    let words = "counts /tmp/other 10 0 0";
    unit(&host, "other@.service", "oneshot", words);
    for number in 0..UNITS {
        // It has ended before user space could have said whose it is.
        host.systemctl(&["start", &format!("other@{number}.service")]);
    }
    host.systemctl(&["start", "mine.service"]);
    let slice = profiles(&host, "/system.slice");
    assert_eq!(
        calls(of_executable(&slice, VICTIM), "getpriority"),
        UNITS * 11
    );
    let mine = profiles(&host, "mine.service");
    assert_eq!(calls(of_executable(&mine, VICTIM), "getpriority"), 22);
    host.down();
    scene.assert_nothing_left();
}

/// A root for containers that has the host's programs and files of its own.
fn container_root(host: &Host, path: &str) {
    host.shell(&format!(
        "mkdir -p {path}/usr {path}/tmp {path}/etc; cp /etc/os-release {path}/etc/; \
         for name in bin sbin lib lib64; do ln -s usr/$name {path}/$name; done"
    ));
}

#[test]
fn real_containers_are_known_by_their_names() {
    require!(
        Replays,
        Systemd,
        Program("podman"),
        Program("systemd-nspawn")
    );
    let scene = Scene::new();
    let host = observed(&scene, &["--container", "web", "--container", "box"]);
    container_root(&host, "/srv/box");
    // Nobody registers it: there is no systemd-machined on this host.
    host.shell(&format!(
        "systemd-nspawn --quiet --register=no --machine=box --bind-ro=/usr -D /srv/box \
         {VICTIM} counts /tmp/inside 30 0 1"
    ));
    let nspawn = profiles(&host, "box");
    let nspawn = of_executable(&nspawn, VICTIM);
    assert_eq!(calls(nspawn, "getpriority"), 2 * 33);
    assert_eq!(nspawn["subject"]["kind"], "container");
    assert_nothing_lost(nspawn);

    // What a host in namespaces does not allow: overlays, limits of memory, counts of processes,
    // settings of the kernel.
    host.write(
        "/etc/containers/containers.conf",
        "[containers]\ndefault_sysctls = []\n",
    );
    // The host's view of this machine's files is its own: what podman has kept there is of another
    // driver.
    host.shell("rm -rf /var/lib/containers/storage");
    // Each run is another container, by its id, of the same name.
    for _ in 0..2 {
        host.shell(&format!(
            "podman --storage-driver=vfs run --rm --name web --privileged --ulimit host \
             --pids-limit=-1 --network=none --log-driver=none --volume /usr:/usr:ro \
             --rootfs /srv/box {VICTIM} counts /tmp/inside 40 0 0"
        ));
    }
    let podman = profiles(&host, "web");
    let podman = of_executable(&podman, VICTIM);
    assert_eq!(calls(podman, "getpriority"), 2 * 44);
    assert_eq!(podman["subject"]["kind"], "container");
    assert_eq!(podman["subject"]["name"], "web");
    assert_nothing_lost(podman);
    host.down();
    scene.assert_nothing_left();
}

#[test]
fn what_cannot_be_watched_is_refused_with_its_cure() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = observed(&scene, &["counts.service"]);
    for (words, parts) in [
        (vec!["--cgroup", "/not/there"], ["no cgroup", "find "]),
        (
            vec!["--executable", "/nowhere"],
            ["no executable", "/nowhere"],
        ),
        (vec!["--pid", "4194304"], ["no process", "4194304"]),
    ] {
        let all = [&["loupe", "profile", "add"][..], &words].concat();
        let refused = host.run(&all).expect_code(2);
        for part in parts {
            assert!(refused.stderr.contains(part), "{part}: {refused:#?}");
        }
    }
    host.down();
    scene.assert_nothing_left();
}
