//! Questions about all hosts, of histories that are small enough to be answered by hand.

use crate::plan::os::OsProfile;

use super::*;

const HOUR: u32 = 490_000;

fn nginx(version: &str) -> FleetSubject {
    subject("nginx.service", "nginx", version)
}

fn start() -> FleetSubject {
    subject("nginx.service", "systemd-executor", "252")
}

/// Five hosts with nginx, of which one has a newer one that uses io_uring since hour 50; one of them has
/// redis, which began at hour 60.
fn fleet(directory: &Path) -> Fleet {
    let mut fleet = open(directory, "fleet");
    let old = || member(HOUR, HOUR + 90, &[("read", HOUR), ("write", HOUR + 3)]);
    let before = || member(HOUR, HOUR + 90, &[("prctl", HOUR), ("read", HOUR)]);
    for host in 0..4 {
        let mut all = vec![(nginx("1.22"), old()), (start(), before())];
        if host == 0 {
            let redis = member(HOUR + 60, HOUR + 90, &[("futex", HOUR + 60)]);
            all.push((subject("redis.service", "redis-server", "7"), redis));
        }
        fleet.merge(&bundle(host, 5, all)).expect("merged");
    }
    let new = member(
        HOUR + 50,
        HOUR + 90,
        &[("read", HOUR + 50), ("io_uring_setup", HOUR + 52)],
    );
    let all = vec![
        (nginx("1.22"), old()),
        (nginx("1.26"), new),
        (start(), before()),
    ];
    fleet.merge(&bundle(4, 9, all)).expect("merged");
    fleet
}

#[test]
fn a_host_is_told_with_its_newest_state() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut fleet = fleet(directory.path());
    let mut late = bundle(4, 3, Vec::new());
    late.host.kernel = "5.10".to_owned();
    fleet.merge(&late).expect("merged");
    let hosts = fleet.hosts().expect("readable");
    assert_eq!(hosts.len(), 5);
    assert_eq!(hosts[0].host.name.as_deref(), Some("host4"));
    assert_eq!(hosts[0].host.kernel, "6.12.1");
    assert_eq!(hosts[0].subjects, 3);
}

#[test]
fn who_uses_a_feature_is_told_by_version_with_its_hosts_and_since_when() {
    let directory = tempfile::tempdir().expect("a directory");
    let fleet = fleet(directory.path());
    let who = fleet.who("io_uring_setup").expect("readable");
    assert_eq!(who.hosts, ["host4".to_owned()].into());
    let [user] = &who.users[..] else {
        panic!("one version: {who:?}");
    };
    assert_eq!(user.version.version.as_deref(), Some("1.26"));
    assert_eq!((user.hosts, user.first_hour), (1, HOUR + 52));
    let read = fleet.who("read").expect("readable");
    assert_eq!((read.hosts.len(), read.users.len()), (5, 3));
    assert_eq!(read.users[0].first_hour, HOUR);
    assert!(fleet.who("ptrace").expect("readable").users.is_empty());
}

#[test]
fn a_unit_is_the_union_over_hosts_and_counts_each_host_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let fleet = fleet(directory.path());
    let shown = fleet.show("nginx").expect("readable");
    let [nginx] = &shown[..] else {
        panic!("one unit: {shown:?}");
    };
    assert_eq!(nginx.hosts, 5);
    let old = &nginx.versions[0];
    assert_eq!(
        (old.hosts, old.observed_ms),
        (5, 5 * u64::from(HOUR + 90) * 60_000)
    );
    let rows: Vec<(&str, u64, u32, bool)> = nginx
        .features
        .iter()
        .map(|row| (&*row.feature, row.hosts, row.first_hour - HOUR, row.outlier))
        .collect();
    assert_eq!(
        rows,
        [
            ("prctl", 5, 0, false),
            ("read", 5, 0, false),
            ("write", 5, 3, false),
            ("io_uring_setup", 1, 52, true),
        ]
    );
    assert_eq!(fleet.show("*").expect("readable").len(), 2);
    assert!(fleet.show("postgres").expect("readable").is_empty());
}

#[test]
fn drift_is_what_no_host_had_before_in_any_version() {
    let directory = tempfile::tempdir().expect("a directory");
    let fleet = fleet(directory.path());
    let drift = fleet.drift(HOUR + 10).expect("readable");
    let new: Vec<(&str, &str, u32)> = drift
        .new
        .iter()
        .map(|row| (&*row.name, &*row.feature, row.first_hour - HOUR))
        .collect();
    // The newer nginx reads as the older one did: that is nothing new.
    assert_eq!(new, [("nginx.service", "io_uring_setup", 52)]);
    assert_eq!(drift.new_units.len(), 1);
    assert_eq!(drift.new_units[0].name, "redis.service");
    assert_eq!(drift.new_units[0].first_hour, HOUR + 60);
    // What came late to each of the hosts is new, too, from the other side of that hour.
    let early = fleet.drift(HOUR + 2).expect("readable");
    assert!(
        early
            .new
            .iter()
            .any(|row| row.feature == "write" && row.hosts == 5)
    );
    let nothing = fleet.drift(HOUR + 100).expect("readable");
    assert!(nothing.new.is_empty() && nothing.new_units.is_empty());
}

fn os(implement: &[&str]) -> OsProfile {
    OsProfile {
        name: "myos".to_owned(),
        implement: implement
            .iter()
            .map(|name| name.parse().expect("a feature"))
            .collect(),
        ..OsProfile::default()
    }
}

#[test]
fn a_gap_names_units_by_hosts_and_leaves_out_what_the_manager_does() {
    let directory = tempfile::tempdir().expect("a directory");
    let fleet = fleet(directory.path());
    let gap = fleet
        .gap(&os(&["read", "write", "futex"]))
        .expect("readable");
    let rows: Vec<(&str, u64, u64)> = gap
        .lacking
        .iter()
        .map(|row| (&*row.name, row.would_not_run, row.hosts))
        .collect();
    assert_eq!(rows, [("nginx.service", 1, 5)]);
    assert_eq!(gap.missing.len(), 1);
    let gap = fleet.gap(&os(&["write"])).expect("readable");
    assert_eq!(gap.missing[0].feature.to_string(), "read");
    assert_eq!((gap.missing[0].units, gap.missing[0].places), (1, 5));
}

#[test]
fn a_gap_and_a_plan_count_operations_where_hosts_tell_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut fleet = open(directory.path(), "fleet");
    let member = |words: &[&str]| {
        let words: Vec<(&str, u32)> = words.iter().map(|word| (*word, HOUR)).collect();
        member(HOUR, HOUR + 9, &words)
    };
    let tell = |fleet: &mut Fleet, host, words: &[&str]| {
        let one = (nginx("1.22"), member(words));
        fleet.merge(&bundle(host, 5, vec![one])).expect("merged");
    };
    tell(&mut fleet, 0, &["fcntl", "fcntl:F_SETFD"]);
    tell(&mut fleet, 1, &["fcntl", "fcntl:F_SETFD", "fcntl:F_GETLK"]);
    let mut lacks_locks = os(&["fcntl"]);
    lacks_locks
        .stub
        .insert("fcntl:F_GETLK".parse().expect("a feature"));
    let gap = fleet.gap(&lacks_locks).expect("readable");
    assert_eq!((gap.lacking[0].would_not_run, gap.lacking[0].hosts), (1, 2));
    assert_eq!(gap.missing[0].feature.to_string(), "fcntl:F_GETLK");
    // It has just these operations, and the syscall in no list.
    let gap = fleet.gap(&os(&["fcntl:F_SETFD"])).expect("readable");
    assert_eq!(gap.lacking[0].would_not_run, 1);
    // Of an OS that says nothing of operations, the syscall is missing.
    let gap = fleet.gap(&os(&["read"])).expect("readable");
    let missing: Vec<String> = gap
        .missing
        .iter()
        .map(|one| one.feature.to_string())
        .collect();
    assert_eq!(missing, ["fcntl"]);
    assert_eq!(gap.missing[0].places, 2);
    let required = |fleet: &Fleet| -> Vec<String> {
        let needs = fleet.needs().expect("readable");
        let required = needs[0].0.need.required.iter();
        required.map(ToString::to_string).collect()
    };
    assert_eq!(required(&fleet), ["fcntl:F_GETLK", "fcntl:F_SETFD"]);
    let who = fleet.who("fcntl:F_GETLK").expect("readable");
    assert_eq!(who.hosts, ["host1".to_owned()].into());
    // A host of an earlier release tells of the syscall only: then all of it may be needed.
    tell(&mut fleet, 2, &["fcntl"]);
    assert_eq!(required(&fleet), ["fcntl"]);
    let gap = fleet
        .gap(&os(&["fcntl:F_SETFD", "fcntl:F_GETLK"]))
        .expect("readable");
    assert_eq!((gap.lacking[0].would_not_run, gap.lacking[0].hosts), (1, 3));
    assert_eq!(gap.missing[0].feature.to_string(), "fcntl");
    // So does one where other operations were called that have no name.
    tell(&mut fleet, 3, &["fcntl", "fcntl:F_SETFD", "fcntl:…"]);
    let gap = fleet
        .gap(&os(&["fcntl:F_SETFD", "fcntl:F_GETLK"]))
        .expect("readable");
    assert_eq!(gap.lacking[0].would_not_run, 2);
    assert!(gap.unknown.is_empty(), "{:?}", gap.unknown);
    let units = fleet.overview().expect("readable");
    assert_eq!(units[0].uses.len(), 3, "{units:#?}");
}

#[test]
fn a_plan_has_each_unit_once_and_counts_its_hosts() {
    let directory = tempfile::tempdir().expect("a directory");
    let needs = fleet(directory.path()).needs().expect("readable");
    let rows: Vec<(&str, usize, u64)> = needs
        .iter()
        .map(|(named, hosts)| (&*named.name, named.need.required.len(), *hosts))
        .collect();
    assert_eq!(
        rows,
        [
            ("profile:nginx.service", 3, 5),
            ("profile:redis.service", 1, 1)
        ]
    );
}

#[test]
fn the_overview_says_when_anybody_saw_what_for_the_first_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut fleet = fleet(directory.path());
    // Two hosts that know one word late, each another one.
    for (host, late) in [(5, "mmap"), (6, "brk")] {
        let began = HOUR + host;
        let words = ["mmap", "brk"].map(|word| (word, began + if word == late { 9 } else { 0 }));
        let one = (
            subject("late.service", "late", "1"),
            member(began, HOUR + 90, &words),
        );
        fleet.merge(&bundle(host, 9, vec![one])).expect("merged");
    }
    let units = fleet.overview().expect("readable");
    let names: Vec<(&str, u64)> = units.iter().map(|it| (&*it.name, it.hosts)).collect();
    assert_eq!(
        names,
        [
            ("nginx.service", 5),
            ("late.service", 2),
            ("redis.service", 1)
        ]
    );
    let hours = |unit: &crate::fleet::UnitOverview| -> Vec<(String, u64, u32)> {
        let uses = unit.uses.iter();
        uses.map(|(name, used)| (name.clone(), used.hosts, used.first_hour - HOUR))
            .collect()
    };
    let told = |name: &str, hosts, hour| (name.to_owned(), hosts, hour);
    assert_eq!(hours(&units[1]), [told("brk", 2, 5), told("mmap", 2, 6)]);
    assert_eq!(units[1].first_hour, HOUR + 5);
    assert_eq!(
        hours(&units[0]),
        [
            told("io_uring_setup", 1, 52),
            told("prctl", 5, 0),
            told("read", 5, 0),
            told("write", 5, 3)
        ]
    );
    let later: Vec<&str> = units[0].later().map(|(name, _)| name).collect();
    assert_eq!(later, ["io_uring_setup", "write"]);
    // It says what each of the exact questions says.
    for unit in &units {
        for shown in fleet.show(&unit.name).expect("readable") {
            for row in shown.features {
                let used = unit.uses[&row.feature];
                assert_eq!((used.hosts, used.first_hour), (row.hosts, row.first_hour));
            }
        }
    }
}
