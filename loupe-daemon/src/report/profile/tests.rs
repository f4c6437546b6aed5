//! Profiles as they are printed: made-up ones of an nginx that was upgraded, of something that was
//! never observed, and of somebody who tries to steer the terminal.

use insta::{assert_json_snapshot, assert_snapshot};
use loupe_common::profile::{
    FleetRole, FleetStatus, Happening, Interval, Maturity, Observation, ProfileEvent, ProfileLost,
    ProfileStatus, SubjectKind, SubjectStatus, TargetStatus, Unseen,
};
use loupe_common::trace::ForeignCall;

use super::*;
use crate::plan::coverage::Coverage;
use crate::plan::drift::Drift;
use crate::plan::samples::{DAY_MS, NGINX, SYSTEMD, profile, used, version};
use crate::report::tests::{TABLE, TEXT, well_formed};

/// 2026-11-15 00:00.
const START_MS: u64 = 1_794_700_800_000;
const HOUR_MS: u64 = 3_600_000;

fn at(mut profile: Profile) -> Profile {
    for used in profile.features.iter_mut().chain(&mut profile.operations) {
        used.first_seen_ms += START_MS;
        used.last_seen_ms += START_MS;
    }
    profile.observation.from_ms += START_MS;
    profile.observation.until_ms += START_MS;
    if let Maturity::Stable { since_ms } = &mut profile.maturity {
        *since_ms += START_MS;
    }
    profile
}

/// At 5 %, with two gaps.
fn nginx() -> Profile {
    let mut nginx = version(profile("nginx.service", NGINX, &[]), "1.22.1-9");
    nginx.subject.executable.build_id = Some("3fa9c1d2e4b5a697".to_owned());
    nginx.features = vec![
        used("sendfile", 4_711, HOUR_MS, 13 * DAY_MS),
        used("epoll_wait", 123_456_789, 0, 14 * DAY_MS),
        used("accept4", 987_654, 0, 14 * DAY_MS),
        used("fcntl", 12, 0, DAY_MS),
        used("/proc/sys/kernel/ngroups_max", 2, 0, DAY_MS),
        used("io_uring:IORING_OP_READV", 7, 2 * DAY_MS, 3 * DAY_MS),
    ];
    nginx.features[2].counts.errors = [("EAGAIN", 12_345), ("ENFILE", 3)]
        .map(|(name, number)| (name.parse().expect("an errno"), number))
        .into();
    nginx.operations = vec![
        used("fcntl:F_SETFL", 4, 0, DAY_MS),
        used("fcntl:F_SETFD", 8, 0, DAY_MS),
        used("accept4:SOCK_NONBLOCK", 987_654, 0, 14 * DAY_MS),
    ];
    nginx.observation = Observation {
        from_ms: 0,
        until_ms: 14 * DAY_MS,
        observed_ms: 316 * HOUR_MS / 20,
        gaps: vec![
            Interval {
                from_ms: START_MS + DAY_MS,
                until_ms: START_MS + DAY_MS + 18 * HOUR_MS,
            },
            Interval {
                from_ms: START_MS + 5 * DAY_MS,
                until_ms: START_MS + 5 * DAY_MS + 2 * HOUR_MS,
            },
        ],
    };
    nginx.maturity = Maturity::Stable {
        since_ms: 5 * DAY_MS,
    };
    nginx.unseen = Some(Unseen {
        chance: 0.001,
        at_most: 0.003_98,
        minutes: 948,
    });
    at(nginx)
}

fn systemd() -> Profile {
    let mut start = profile("nginx.service", SYSTEMD, &[("prctl", 9), ("execve", 1)]);
    start.observation.observed_ms = 2_000;
    start.observation.until_ms = 20_000;
    start.maturity = Maturity::Learning;
    start.foreign = vec![ForeignCall {
        abi: "i386".to_owned(),
        number: 4,
        calls: 2,
    }];
    start.lost = ProfileLost {
        events: 3,
        calls: 120,
        foreign: 1,
        ..ProfileLost::default()
    };
    at(start)
}

fn hostile() -> Profile {
    let mut hostile = profile("x\x1b[2J\u{202e}.service", "/tmp/a\nb", &[("read", 1)]);
    hostile.subject.executable.package = Some("p\x07".to_owned());
    hostile.subject.executable.build_id = Some("\x1b[31m".to_owned());
    hostile.features.push(used("/proc/self/task", 1, 0, 0));
    hostile.foreign = vec![ForeignCall {
        abi: "\x1b]0;".to_owned(),
        number: 1,
        calls: 1,
    }];
    at(hostile)
}

fn shown(all: &[Profile], operations: bool, style: Style) -> String {
    profiles(&Service::all(all), None, operations, style)
}

#[test]
fn a_service_of_one_executable() {
    let all = [nginx()];
    well_formed(&TABLE, |style| shown(&all, true, style));
    assert_snapshot!(shown(&all, true, Style::PLAIN));
}

#[test]
fn each_executable_has_a_table_and_losses_are_told_apart_from_gaps() {
    let all = [nginx(), systemd()];
    well_formed(&TABLE, |style| shown(&all, false, style));
    assert_snapshot!(shown(&all, false, Style::PLAIN));
}

#[test]
fn what_was_not_observed_is_not_called_unused() {
    let mut empty = profile("idle.service", "/usr/bin/idle", &[]);
    empty.observation.observed_ms = 0;
    empty.maturity = Maturity::Learning;
    let mut seen = empty.clone();
    seen.subject.kind = SubjectKind::Container;
    seen.observation.observed_ms = HOUR_MS;
    let all = [empty, seen];
    well_formed(&TABLE, |style| shown(&all, false, style));
    assert_snapshot!(shown(&all, false, Style::PLAIN));
}

#[test]
fn names_from_outside_steer_no_terminal() {
    let all = [hostile()];
    well_formed(&TABLE, |style| shown(&all, true, style));
    let text = shown(&all, true, Style::PLAIN);
    assert!(text.starts_with(r"x\x1b[2J\u{202e}.service: "), "{text}");
    let status = status();
    well_formed(&TABLE, |style| profile_status(&status, START_MS, style));
    well_formed(&TABLE, |style| profile_top(&status, None, style));
    let event = event(Happening::Stable);
    assert!(
        !profile_event(&event, Style::PLAIN)
            .trim_end()
            .contains(char::is_control)
    );
}

#[test]
fn the_json_is_the_model() {
    let json = profile_json(&[systemd()], Some(7));
    assert_eq!(json["schema"], "loupe.profile/1");
    assert_eq!(json["since_ms"], 7);
    let back: Vec<Profile> = serde_json::from_value(json["profiles"].clone()).expect("readable");
    assert_eq!(back, [systemd()]);
    let status_json = profile_status_json(&status());
    let back: ProfileStatus = serde_json::from_value(status_json).expect("readable");
    assert_eq!(back, status());
    assert_json_snapshot!(profile_event_json(&event(Happening::Stable)));
}

#[test]
fn a_bound_on_what_is_unseen_is_never_rounded_down() {
    let mut one = nginx();
    one.unseen = Some(Unseen {
        chance: 0.0,
        at_most: 0.000_123_4,
        minutes: 1,
    });
    let all = [one];
    let sentence = profile_sentence(&Service::all(&all)[0]);
    assert!(sentence.ends_with("is at most 0.013 %."), "{sentence}");
}

fn status_of(profile: Profile, calls_per_second: f64) -> SubjectStatus {
    SubjectStatus {
        features: profile.features.len() as u64,
        calls: crate::plan::service::calls(&profile),
        calls_per_second,
        new_last_hour: 1,
        maturity: profile.maturity,
        observation: profile.observation,
        lost: profile.lost,
        processes: 3,
        subject: profile.subject,
    }
}

fn target(text: &str, configured: bool, cgroups: u64) -> TargetStatus {
    TargetStatus {
        target: text.parse().expect("a target"),
        configured,
        cgroups,
    }
}

fn status() -> ProfileStatus {
    ProfileStatus {
        since_ms: START_MS,
        targets: vec![
            target("unit:nginx.service", false, 1),
            target("unit:php*", true, 0),
        ],
        subjects: vec![
            status_of(systemd(), 0.0),
            status_of(nginx(), 1_234.5),
            status_of(hostile(), 2.0),
        ],
        duty: 0.05,
        duty_measured: true,
        attached: false,
        overhead: Some(0.003_4),
        lost: systemd().lost,
        store_bytes: 12_345_678,
        troubles: vec!["the disk is full: nothing\nis kept".to_owned()],
        fleet: None,
    }
}

#[test]
fn the_status_says_what_is_watched_at_what_price_and_what_is_wrong() {
    assert_snapshot!(profile_status(
        &status(),
        START_MS + 3 * DAY_MS,
        Style::PLAIN
    ));
    let nothing = ProfileStatus {
        targets: Vec::new(),
        subjects: Vec::new(),
        overhead: None,
        troubles: Vec::new(),
        fleet: None,
        lost: ProfileLost::default(),
        duty: 1.0,
        duty_measured: false,
        attached: true,
        ..status()
    };
    assert_snapshot!(profile_status(&nothing, START_MS, Style::PLAIN));
}

#[test]
fn the_status_says_how_the_fleet_is_told() {
    let fleet = FleetStatus {
        role: FleetRole::Agent,
        url: "tls://hub:4222".to_owned(),
        connected: false,
        last_ms: Some(START_MS),
        backlog: 3,
        refused: 0,
        trouble: Some("refused\nby it".to_owned()),
    };
    let agent = ProfileStatus {
        fleet: Some(fleet.clone()),
        ..status()
    };
    let text = profile_status(&agent, START_MS + 60_000, Style::PLAIN);
    let lines = "Tells the fleet at tls://hub:4222: not connected; last told 1 min ago; 3\n  messages \
                 wait.\nthe fleet: refused\\nby it\n";
    assert!(text.contains(lines), "{text}");
    let hub = FleetStatus {
        role: FleetRole::Hub,
        connected: true,
        refused: 2,
        last_ms: None,
        trouble: None,
        ..fleet
    };
    let hub = ProfileStatus {
        fleet: Some(hub),
        ..status()
    };
    let text = profile_status(&hub, START_MS + 60_000, Style::PLAIN);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = "connected; nothing merged since its start; 3 messages wait; 2 messages refused.";
    assert!(words.join(" ").contains(line), "{text}");
}

#[test]
fn the_busiest_subject_is_on_top_and_a_small_terminal_has_the_rest_counted() {
    assert_snapshot!(profile_top(&status(), None, Style::PLAIN));
    let small = profile_top(&status(), Some(10), Style::PLAIN);
    assert!(small.ends_with("… and 1 more\n"), "{small}");
}

#[test]
fn what_add_and_remove_did_is_said_target_by_target() {
    let targets = status().targets;
    assert_eq!(
        watched(&targets),
        "watching unit:nginx.service: 1 cgroup\nwatching unit:php*: nothing that runs now (it is in \
         the configuration, too)\n"
    );
    assert_eq!(
        unwatched(&targets),
        "no longer watching unit:nginx.service; what was observed is kept\nstill watching unit:php*: \
         it is in the configuration; take it out of /etc/loupe/louped.toml, then `systemctl reload \
         louped`\n"
    );
}

fn event(what: Happening) -> ProfileEvent {
    ProfileEvent {
        at_ms: START_MS + 61_000,
        subject: match what {
            Happening::Stable => hostile().subject,
            _ => nginx().subject,
        },
        what,
    }
}

#[test]
fn each_event_is_a_line() {
    let feature = || "io_uring_setup".parse().expect("a syscall");
    let drift = |before: Option<&str>, now: Option<&str>| Happening::Drift {
        feature: feature(),
        before: before.map(str::to_owned),
        now: now.map(str::to_owned),
    };
    let lines = [
        Happening::FirstSeen { feature: feature() },
        drift(Some("1.22.1-9"), Some("1.26.0-1")),
        drift(Some("1.22.1-9"), Some("1.22.1-9")),
        drift(None, None),
        Happening::Stable,
    ]
    .map(|what| profile_event(&event(what), Style::PLAIN));
    assert_snapshot!(lines.concat());
}

fn upgraded() -> [Profile; 3] {
    let mut new = version(nginx(), "1.26.0-1");
    new.observation.from_ms += 7 * DAY_MS;
    new.features = vec![
        used("epoll_wait", 5, 8 * DAY_MS, 9 * DAY_MS),
        used("io_uring_setup", 2, 8 * DAY_MS, 9 * DAY_MS),
    ];
    for used in &mut new.features {
        used.first_seen_ms += START_MS;
        used.last_seen_ms += START_MS;
    }
    let mut old = nginx();
    old.observation.until_ms -= 7 * DAY_MS;
    for used in &mut old.features {
        used.last_seen_ms = used.last_seen_ms.min(START_MS + 6 * DAY_MS);
    }
    [old, new, systemd()]
}

#[test]
fn drift_tells_what_an_upgrade_brought_and_what_is_gone() {
    let all = upgraded();
    let drift = Drift::since(&Service::all(&all)[0], START_MS + 6 * DAY_MS, false);
    let drift = drift.expect("comparable");
    well_formed(&TABLE, |style| profile_drift(&drift, style));
    assert_snapshot!(profile_drift(&drift, Style::PLAIN));
    let same = [nginx()];
    let calm = Drift::since(&Service::all(&same)[0], START_MS + 3 * DAY_MS, false);
    let calm = calm.expect("comparable");
    well_formed(&TEXT, |style| profile_drift(&calm, style));
    assert!(calm.new.is_empty());
    assert_snapshot!(profile_drift(&calm, Style::PLAIN));
}

#[test]
fn what_the_workload_never_did_is_listed_and_what_was_not_compared_is_said() {
    let analysis = loupe_common::analysis::Analysis {
        application: "nginx".to_owned(),
        workload: "wrk".to_owned(),
        ..Default::default()
    };
    let all = [nginx(), systemd()];
    let coverage = Coverage::of(&Service::all(&all)[0], &analysis);
    well_formed(&TABLE, |style| profile_coverage(&coverage, style));
    assert_snapshot!(profile_coverage(&coverage, Style::PLAIN));
}
