//! A fleet for real: hosts that are a louped each, a NATS server, a hub. What a host has observed is at
//! the hub exactly once, whatever is killed on the way, and nobody speaks for another.

mod intruder;
mod studies;

use loupe_tests::daemon::wait_until;
use loupe_tests::fleet::{Fleet, Node, behave};
use loupe_tests::network::Network;
use loupe_tests::random::Random;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::Scene;
use serde_json::Value;

/// Behaviours of the victim that end by themselves; each has calls of its own.
const BEHAVIOURS: [&str; 16] = [
    "accepts-enosys",
    "accepts-eperm",
    "accepts-eperm-or-zero",
    "accepts-zero-only",
    "must-fail",
    "segfaults-on-error",
    "aborts-on-error",
    "naps-on-error",
    "retries-for-ever",
    "at-exit",
    "other-path",
    "late-grandchild",
    "shell-child",
    "threads-call",
    "exec-from-thread",
    "io-uring",
];

/// Little, or all that the docs promise with `LOUPE_TEST_FULL=1`, which takes minutes.
fn size(quick: u64, full: u64) -> u64 {
    match std::env::var_os("LOUPE_TEST_FULL").is_some_and(|value| value == "1") {
        true => full,
        false => quick,
    }
}

fn who(fleet: &Fleet<'_>, feature: &str) -> Option<Value> {
    let finished = fleet.run(&["who", feature, "--json"]);
    (finished.code() == Some(0)).then(|| finished.json())
}

/// The names of the hosts on which anything uses it.
fn users(fleet: &Fleet<'_>, feature: &str) -> Vec<String> {
    let answer = who(fleet, feature).unwrap_or_default();
    let hosts = answer["hosts"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> = hosts
        .iter()
        .map(|host| host.as_str().expect("a name").to_owned())
        .collect();
    names.sort();
    names
}

/// Waits until the hub has what these hosts, which have ended, know.
fn assert_the_hub_has_it_exactly(fleet: &Fleet<'_>, nodes: &[&Node<'_>]) {
    let bundles: Vec<_> = nodes.iter().map(|node| node.export("last.loupe")).collect();
    let direct = fleet.content_of_files(&bundles);
    assert!(direct.len() > 20, "{direct:#?}");
    wait_until("the hub has what the hosts know", || {
        fleet.content(&fleet.database()) == direct
    });
}

#[test]
fn what_a_host_observed_is_asked_for_after_an_import_of_its_bundle() {
    require!(Replays);
    let scene = Scene::new();
    let fleet = Fleet::found(&scene, &["a"]);
    let mut node = fleet.node("a");
    // It belongs to no fleet: nothing leaves it but by its bundle.
    node.start_with(&[]);
    let victim = node.watched("nginx");
    behave(&victim, "accepts-enosys");
    wait_until("what it used is shown", || {
        let shown = node.profile(&["show", victim.to_str().expect("a plain path")]);
        shown.stdout.contains("getpriority")
    });
    assert_eq!(node.status(), Value::Null);
    node.stop(libc::SIGTERM).expect("it ran").expect_code(0);
    let bundle = node.export("a.loupe");
    let bundle = bundle.to_str().expect("a plain path");
    fleet.run(&["import", bundle]).expect_code(0);
    assert_eq!(users(&fleet, "getpriority"), ["a"]);
    assert_eq!(users(&fleet, "kexec_load"), Vec::<String>::new());
    // Its operations by name: the C library asks for this limit as it starts a program.
    assert_eq!(users(&fleet, "prlimit64:RLIMIT_STACK"), ["a"]);
    let answer = who(&fleet, "getpriority").expect("an answer");
    let user = &answer["users"][0];
    assert_eq!(
        (&user["name"], &user["executable"]),
        (&"nginx".into(), &"nginx".into())
    );
    // Again, it changes nothing.
    let before = fleet.content(&fleet.database());
    fleet.run(&["import", bundle]).expect_code(0);
    assert_eq!(fleet.content(&fleet.database()), before);
}

#[test]
fn what_hosts_observe_is_at_the_hub_while_they_run() {
    require!(Replays, Program("nats-server"), Program("sqlite3"));
    let scene = Scene::new();
    let mut fleet = Fleet::found(&scene, &["a", "b"]);
    let (mut a, mut b) = (fleet.node("a"), fleet.node("b"));
    // Nobody needs the server in order to start, or to observe.
    a.start();
    let victim = a.watched("nginx");
    behave(&victim, "accepts-enosys");
    wait_until("what it used waits", || {
        let status = a.status();
        status["connected"] == false && status["backlog"].as_u64() > Some(0)
    });
    fleet.start_server();
    // The hub as a role of louped; the agent b has its database beside its own.
    b.start();
    let other = b.watched("redis");
    behave(&other, "accepts-eperm");
    let mut hub = fleet.node("hub");
    std::fs::copy(fleet.hub_credentials(), scene.path("hub/key")).expect("copied");
    let words = ["--hub", &fleet.url(), "--credentials", "hub/key"];
    hub.start_with(&words.map(Into::into));
    let database = scene.path("hub/fleet.db");
    let asked = |feature: &str| {
        let answer = fleet.run_on(&database, &["who", feature, "--json"]);
        answer.code() == Some(0)
            && !answer.json()["users"]
                .as_array()
                .expect("a list")
                .is_empty()
    };
    wait_until("both hosts' facts are there", || {
        asked("getpriority") && asked("sysinfo")
    });
    // What is new later comes, too.
    behave(&victim, "late-grandchild");
    wait_until("a later fact is there", || asked("uname"));
    wait_until("nothing waits any more", || {
        let status = a.status();
        status["connected"] == true && status["backlog"] == 0 && status["last_ms"].is_u64()
    });
    let told = a.profile(&["status"]).expect_code(0).stdout;
    assert!(
        told.contains("Tells the fleet at tls://localhost:"),
        "{told}"
    );
    let status = hub.status();
    assert_eq!(
        (&status["role"], &status["refused"]),
        (&"hub".into(), &0.into())
    );
    let hosts = fleet
        .run_on(&database, &["hosts", "--json"])
        .expect_code(0)
        .json();
    let hosts = hosts["hosts"].as_array().expect("a list");
    assert_eq!(hosts.len(), 2, "{hosts:#?}");
    for host in hosts {
        let heard = &host["heard"];
        assert!(
            heard["at_ms"].is_u64() && heard["offset_ms"].is_i64(),
            "{host:#}"
        );
        // One clock: what is seen is the way of the message.
        assert!(
            heard["offset_ms"].as_i64().expect("a number").abs() < 60_000,
            "{host:#}"
        );
    }
    // What they end with is told as well, and all of it is what their bundles say.
    for node in [&mut a, &mut b] {
        node.stop(libc::SIGTERM).expect("it ran").expect_code(0);
    }
    let bundles = [&a, &b].map(|node| node.export("last.loupe"));
    let direct = fleet.content_of_files(&bundles);
    wait_until("the hub has exactly that", || {
        fleet.content(&database) == direct
    });
    // A second hub on the same database is refused.
    let (url, key) = (fleet.url(), fleet.hub_credentials());
    let words = [
        "hub",
        &url,
        "--credentials",
        key.to_str().expect("a plain path"),
    ];
    fleet
        .run_on(&database, &words)
        .expect_code(125)
        .expect_message(&["another hub"]);
    hub.stop(libc::SIGTERM).expect("it ran").expect_code(0);
}

/// Times that the clocks of hosts are off, in seconds.
const CLOCKS: [i64; 2] = [-600, 600];

#[test]
fn kills_cuts_and_wrong_clocks_lose_nothing_and_double_nothing() {
    require!(
        Replays,
        Program("nats-server"),
        Program("sqlite3"),
        Program("ip"),
        Program("faketime")
    );
    let scene = Scene::new();
    let network = Network::lay();
    let mut fleet = Fleet::found_at(network.host(), &scene, &["a"]);
    let mut a = fleet.node("a");
    // Every run of the test is another; a failing one names its beginning.
    let mut random = Random::of_now();
    let clock_s = CLOCKS[random.below(2)];
    a.enter(&network);
    a.set_clock(clock_s);
    a.start();
    fleet.start_server();
    fleet.start_hub();
    let victims: Vec<_> = (0..4).map(|at| a.watched(&format!("tool{at}"))).collect();
    let mut faults = [0; 5];
    let mut earlier = Vec::new();
    for round in 0..size(20, 200) {
        behave(&victims[random.below(4)], BEHAVIOURS[random.below(16)]);
        std::thread::sleep(random.milliseconds_below(700));
        let which = random.below(faults.len());
        faults[which] += 1;
        match which {
            4 => {
                network.pull();
                behave(&victims[random.below(4)], BEHAVIOURS[random.below(16)]);
                std::thread::sleep(random.milliseconds_below(size(2_000, 20_000) as usize));
                network.plug();
            }
            3 => fleet.suspend_server(random.milliseconds_below(1_500)),
            0 => {
                fleet.stop_server(libc::SIGKILL);
                fleet.start_server();
            }
            1 => {
                fleet.stop_hub(libc::SIGKILL);
                fleet.start_hub();
            }
            _ => {
                a.stop(libc::SIGKILL);
                if round % 4 == 0 {
                    earlier.extend(a.export_what_there_is(&format!("{round}.loupe")));
                }
                a.start();
            }
        }
    }
    println!("clock {clock_s:+} s; kills of server, hub, host, standstills, cuts: {faults:?}");
    // What a killed louped had not recorded is gone; of this there is a profile. One that was started
    // just now listens before it watches, and answers after that.
    a.status();
    behave(&victims[0], BEHAVIOURS[0]);
    wait_until("something is recorded", || {
        let status = a.profile(&["status", "--json"]).expect_code(0).json();
        status["subjects"]
            .as_array()
            .is_some_and(|subjects| !subjects.is_empty())
    });
    // With everything up, what is left arrives.
    wait_until("the host is connected and nothing waits", || {
        let status = a.status();
        status["connected"] == true && status["backlog"] == 0
    });
    a.stop(libc::SIGTERM).expect("it ran").expect_code(0);
    assert_the_hub_has_it_exactly(&fleet, &[&a]);
    let hosts = fleet.run(&["hosts", "--json"]).expect_code(0).json();
    let offset_ms = &hosts["hosts"][0]["heard"]["offset_ms"];
    let apart = offset_ms.as_i64().expect("a number") - clock_s * 1_000;
    assert!(apart.abs() < 60_000, "{offset_ms}");
    // What was told long ago and comes again, doubled and out of order, changes nothing.
    let exact = fleet.content(&fleet.database());
    let mut again: Vec<_> = earlier.iter().chain(&earlier).collect();
    random.shuffle(&mut again);
    for bundle in &again {
        assert_eq!(intruder::publish_own(&fleet, "a", bundle), Ok(()));
    }
    wait_until("the hub has taken all of it", || {
        intruder::waiting(&fleet) == 0
    });
    assert_eq!(fleet.content(&fleet.database()), exact);
    fleet.stop_hub(libc::SIGINT).expect("it ran").expect_code(0);
}

#[test]
fn a_stream_at_its_limit_has_hosts_wait_and_loses_nothing() {
    require!(Replays, Program("nats-server"), Program("sqlite3"));
    let scene = Scene::new();
    let mut fleet = Fleet::found(&scene, &["a", "b"]);
    let (mut a, mut b) = (fleet.node("a"), fleet.node("b"));
    b.start_with(&[]);
    let other = b.watched("redis");
    behave(&other, "accepts-eperm");
    b.stop(libc::SIGTERM).expect("it ran").expect_code(0);
    let bundles = [b.export("b.loupe")];
    fleet.limit_store("16KB");
    fleet.start_server();
    fleet.start_hub();
    wait_until("the stream is there", || {
        intruder::publish_own(&fleet, "b", &bundles[0]).is_ok()
    });
    fleet.stop_hub(libc::SIGINT).expect("it ran").expect_code(0);
    let mut sent = 0;
    while intruder::publish_own(&fleet, "b", &bundles[0]).is_ok() {
        sent += 1;
        assert!(sent < 100, "it has no limit");
    }
    assert!(
        sent > 0 && intruder::waiting(&fleet) >= sent,
        "none of them was dropped"
    );
    a.start();
    let victim = a.watched("nginx");
    behave(&victim, "accepts-enosys");
    wait_until("the host waits, and says why", || {
        let status = a.status();
        let trouble = status["trouble"].as_str().unwrap_or_default().to_owned();
        status["backlog"].as_u64() > Some(0) && trouble.contains("insufficient resources")
    });
    fleet.start_hub();
    wait_until("it does not wait any more", || {
        let status = a.status();
        status["backlog"] == 0 && status["trouble"].is_null() && status["last_ms"].is_u64()
    });
    a.stop(libc::SIGTERM).expect("it ran").expect_code(0);
    assert_the_hub_has_it_exactly(&fleet, &[&a, &b]);
}

#[test]
fn a_hub_without_room_on_its_disk_waits_and_then_has_all() {
    require!(Replays, Program("nats-server"), Program("sqlite3"));
    let scene = Scene::new();
    let mut fleet = Fleet::found(&scene, &["a"]);
    let mut a = fleet.node("a");
    a.start_with(&[]);
    for (name, behaviour) in [("nginx", "accepts-enosys"), ("redis", "accepts-eperm")] {
        behave(&a.watched(name), behaviour);
    }
    a.stop(libc::SIGTERM).expect("it ran").expect_code(0);
    fleet.start_server();
    let mut hub = fleet.node("hub");
    let disk = SmallDisk::mount(&scene.path("hub"), "4m");
    std::fs::write(scene.path("hub/louped.toml"), "").expect("written");
    std::fs::copy(fleet.hub_credentials(), scene.path("hub/key")).expect("copied");
    let words = ["--hub", &fleet.url(), "--credentials", "hub/key"];
    hub.start_with(&words.map(Into::into));
    wait_until("the hub is connected", || hub.status()["connected"] == true);
    disk.fill();
    let bundle = a.export("a.loupe");
    wait_until("the stream is there", || {
        intruder::publish_own(&fleet, "a", &bundle).is_ok()
    });
    wait_until("the hub says that its disk is full", || {
        let status = hub.status();
        status["trouble"]
            .as_str()
            .is_some_and(|it| it.contains("disk is full"))
    });
    assert!(intruder::waiting(&fleet) > 0, "nothing was acknowledged");
    disk.make_room();
    let direct = fleet.content_of_files(&[bundle]);
    let database = scene.path("hub/fleet.db");
    wait_until("the hub has all", || fleet.content(&database) == direct);
    wait_until("nothing waits", || intruder::waiting(&fleet) == 0);
    hub.stop(libc::SIGTERM).expect("it ran").expect_code(0);
}

/// A file system in memory that is soon full. It is gone when this is dropped.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(place: &std::path::Path, size: &str) -> SmallDisk {
        let options = format!("size={size},mode=700");
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(place)
            .status();
        assert!(status.expect("mount").success());
        SmallDisk(place.to_owned())
    }

    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.0.join("filler")).expect("made");
        while file.write_all(&[1; 4096]).is_ok() {}
        // What is left of a page.
        while file.write_all(&[1]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let umount = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
        assert!(umount.expect("umount").success());
    }
}

#[test]
fn a_stolen_credential_speaks_for_its_own_host_only_and_hears_nothing() {
    require!(Replays, Program("nats-server"), Program("sqlite3"));
    let scene = Scene::new();
    let mut fleet = Fleet::found(&scene, &["a", "b"]);
    let (mut a, mut b) = (fleet.node("a"), fleet.node("b"));
    for (node, name) in [(&mut a, "nginx"), (&mut b, "redis")] {
        // Files to send: what they hold is sound.
        node.start_with(&[]);
        let victim = node.watched(name);
        behave(&victim, "accepts-enosys");
        node.stop(libc::SIGTERM).expect("it ran").expect_code(0);
    }
    let bundles = [a.export("a.loupe"), b.export("b.loupe")];
    fleet.start_server();
    fleet.start_hub();
    wait_until("the hub takes what a tells", || {
        intruder::publish_own(&fleet, "a", &bundles[0]).is_ok()
    });
    wait_until("a is known", || users(&fleet, "getpriority") == ["a"]);
    let before = fleet.content(&fleet.database());

    // What a's key cannot do.
    let found = intruder::try_everything(&fleet, "a", "b", &bundles[1]);
    assert!(found.is_empty(), "a's key could: {found:#?}");
    wait_until("what a told of b is refused", || {
        let hosts = fleet.run(&["hosts", "--json"]).expect_code(0).json();
        !hosts["refused"].as_array().expect("a list").is_empty()
    });
    let told = fleet.run(&["hosts"]).expect_code(0).stdout;
    assert!(told.contains("not the one that sent it"), "{told}");
    assert_eq!(
        fleet.content(&fleet.database()),
        before,
        "nothing of b came from a"
    );

    // Nothing of what was tried is in the way of the others.
    assert_eq!(intruder::publish_own(&fleet, "b", &bundles[1]), Ok(()));
    wait_until("b is known", || users(&fleet, "getpriority") == ["a", "b"]);
    assert_eq!(
        fleet.content(&fleet.database()),
        fleet.content_of_files(&bundles)
    );

    // A key that was renewed is worth nothing.
    let directory = scene.path("fleet");
    let directory = directory.to_str().expect("a plain path");
    let stolen = std::fs::read(fleet.credentials("a")).expect("read");
    let renew = ["add-host", directory, "--host", "a", "--renew"];
    fleet.run(&renew).expect_code(0);
    fleet.reload_server();
    let fresh = std::fs::read(fleet.credentials("a")).expect("read");
    std::fs::write(fleet.credentials("a"), &stolen).expect("written");
    wait_until("the stolen key is refused", || {
        intruder::publish_own(&fleet, "a", &bundles[0]).is_err()
    });
    std::fs::write(fleet.credentials("a"), &fresh).expect("written");
    wait_until("the new one is not", || {
        intruder::publish_own(&fleet, "a", &bundles[0]).is_ok()
    });
}
