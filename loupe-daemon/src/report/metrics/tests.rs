use loupe_common::profile::{
    Executable, Interval, Maturity, Observation, ProfileLost, Subject, SubjectStatus,
};

use super::units::MOST_UNITS;
use super::*;

const FORMS: [MetricsForm; 2] = [MetricsForm::OpenMetrics, MetricsForm::Prometheus];

fn subject(kind: SubjectKind, name: &str, path: &str, calls: u64) -> SubjectStatus {
    SubjectStatus {
        subject: Subject {
            kind,
            name: name.to_owned(),
            executable: Executable {
                path: path.to_owned(),
                ..Executable::default()
            },
            uid: 0,
        },
        features: 3,
        calls,
        calls_per_second: 1.0,
        new_last_hour: 1,
        maturity: Maturity::Stable { since_ms: 0 },
        observation: Observation {
            from_ms: 1000,
            until_ms: 11_000,
            observed_ms: 1500,
            gaps: vec![Interval {
                from_ms: 2000,
                until_ms: 4500,
            }],
        },
        lost: ProfileLost {
            calls: 2,
            ..ProfileLost::default()
        },
        processes: 4,
    }
}

fn readings(subjects: Vec<SubjectStatus>) -> Readings {
    let status = ProfileStatus {
        since_ms: 1000,
        targets: Vec::new(),
        subjects,
        duty: 0.05,
        duty_measured: true,
        attached: true,
        overhead: Some(0.002),
        lost: ProfileLost {
            events: 7,
            ..ProfileLost::default()
        },
        store_bytes: 4096,
        troubles: vec!["a full disk".to_owned()],
        fleet: None,
    };
    Readings {
        status,
        syscalls: BTreeMap::new(),
    }
}

fn written(readings: &Readings, form: MetricsForm) -> String {
    let measured = Measured {
        version: "0.1.0 (abc1234 2026-11-29)",
        started_ms: 1_796_000_000_500,
        configuration_refused: false,
        readings,
    };
    metrics(&measured, form).expect("memory can be written to")
}

#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(
            text.lines().any(|it| it == *line),
            "{line} is not in\n{text}"
        );
    }
}

#[test]
fn a_unit_has_its_rows_and_the_daemon_has_its_own_in_both_forms() {
    let unit = subject(SubjectKind::Unit, "nginx.service", "/usr/sbin/nginx", 10);
    let readings = readings(vec![unit]);
    for form in FORMS {
        let text = written(&readings, form);
        assert_lines(
            &text,
            &[
                "loupe_build_info{version=\"0.1.0 (abc1234 2026-11-29)\"} 1",
                "loupe_start_time_seconds 1796000000.5",
                "loupe_configuration_refused 0",
                "loupe_profile_attached 1",
                "loupe_profile_duty_ratio 0.05",
                "loupe_profile_overhead_ratio 0.002",
                "loupe_profile_store_bytes 4096",
                "loupe_profile_troubles 1",
                "loupe_profile_units_left_out 0",
                "loupe_profile_lost_total{what=\"events\"} 7",
                "loupe_profile_lost_total{what=\"executables\"} 0",
                "loupe_unit_calls_total{kind=\"unit\",unit=\"nginx.service\"} 10",
                "loupe_unit_features{kind=\"unit\",unit=\"nginx.service\"} 3",
                "loupe_unit_new_features{kind=\"unit\",unit=\"nginx.service\"} 1",
                "loupe_unit_processes{kind=\"unit\",unit=\"nginx.service\"} 4",
                "loupe_unit_stable{kind=\"unit\",unit=\"nginx.service\"} 1",
                "loupe_unit_known_seconds{kind=\"unit\",unit=\"nginx.service\"} 10.0",
                "loupe_unit_gaps_seconds{kind=\"unit\",unit=\"nginx.service\"} 2.5",
                "loupe_unit_observed_seconds{kind=\"unit\",unit=\"nginx.service\"} 1.5",
                "loupe_unit_lost_total{kind=\"unit\",unit=\"nginx.service\",what=\"calls\"} 2",
                "loupe_unit_lost_total{kind=\"unit\",unit=\"nginx.service\",what=\"foreign\"} 0",
            ],
        );
        let ends = text.ends_with("# EOF\n");
        assert_eq!(ends, form == MetricsForm::OpenMetrics, "{text}");
    }
}

#[test]
fn executables_and_builds_are_one_row_and_an_old_build_has_no_say_in_what_is_now() {
    let mut old = subject(SubjectKind::Unit, "a.service", "/usr/bin/a", 5);
    old.maturity = Maturity::Learning;
    let mut new = subject(SubjectKind::Unit, "a.service", "/usr/bin/a", 6);
    (new.observation.from_ms, new.observation.until_ms) = (11_000, 12_000);
    let beside = subject(SubjectKind::Unit, "a.service", "/usr/bin/b", 7);
    let text = written(&readings(vec![old, new, beside]), MetricsForm::Prometheus);
    assert_lines(
        &text,
        &[
            "loupe_unit_calls_total{kind=\"unit\",unit=\"a.service\"} 18",
            "loupe_unit_features{kind=\"unit\",unit=\"a.service\"} 6",
            "loupe_unit_stable{kind=\"unit\",unit=\"a.service\"} 1",
            // Two after each other, one beside them.
            "loupe_unit_observed_seconds{kind=\"unit\",unit=\"a.service\"} 3.0",
            "loupe_unit_lost_total{kind=\"unit\",unit=\"a.service\",what=\"calls\"} 6",
        ],
    );
}

#[test]
fn no_label_is_a_path_and_none_breaks_the_form() {
    let subjects = vec![
        subject(SubjectKind::Cgroup, "/my/own", "/opt/a b/run\"me", 5),
        subject(SubjectKind::Executable, "/usr/bin/foo", "/usr/bin/foo", 1),
        subject(SubjectKind::Other, "", "", 1),
        subject(SubjectKind::Unit, "a\\x2db\"\n.service", "/bin/a", 1),
    ];
    for form in FORMS {
        let text = written(&readings(subjects.clone()), form);
        assert_lines(
            &text,
            &[
                "loupe_unit_calls_total{kind=\"cgroup\",unit=\"own\"} 5",
                "loupe_unit_calls_total{kind=\"executable\",unit=\"foo\"} 1",
                "loupe_unit_calls_total{kind=\"other\",unit=\"other\"} 1",
                "loupe_unit_calls_total{kind=\"unit\",unit=\"a\\\\x2db\\\"\\n.service\"} 1",
            ],
        );
        let mut rows = text.lines().filter(|line| !line.starts_with('#'));
        assert!(rows.all(|row| !row.contains('/')), "{text}");
    }
}

#[test]
fn syscalls_are_rows_where_they_are_asked_for() {
    let nginx = subject(SubjectKind::Unit, "nginx.service", "/usr/sbin/nginx", 10);
    let mut readings = readings(vec![nginx]);
    let row =
        "loupe_unit_syscall_calls_total{kind=\"unit\",unit=\"nginx.service\",syscall=\"read\"} 8";
    assert!(!written(&readings, MetricsForm::OpenMetrics).contains("syscall"));
    let calls: SyscallCalls = [("read", 8), ("close", 2)]
        .map(|(name, calls)| (name.parse().expect("a syscall"), calls))
        .into();
    let of = |name: &str| (SubjectKind::Unit, name.to_owned());
    readings.syscalls.insert(of("nginx.service"), calls.clone());
    // One that has no rows of its own has none of these.
    readings.syscalls.insert(of("gone.service"), calls);
    for form in FORMS {
        let text = written(&readings, form);
        assert_lines(&text, &[row]);
        assert_eq!(text.matches("loupe_unit_syscall_calls_total{").count(), 2);
    }
}

#[test]
fn of_more_units_than_there_is_room_for_those_that_were_observed_last_have_rows() {
    let units = (0..MOST_UNITS as u64 + 50).map(|number| {
        let name = format!("run-{number}.service");
        let mut unit = subject(SubjectKind::Unit, &name, "/bin/x", number);
        unit.observation.until_ms = 100_000 + number;
        unit
    });
    let text = written(&readings(units.collect()), MetricsForm::OpenMetrics);
    assert_eq!(
        text.matches("\nloupe_unit_calls_total{").count(),
        MOST_UNITS
    );
    assert_lines(&text, &["loupe_profile_units_left_out 50"]);
    assert!(text.contains("\"run-50.service\"") && !text.contains("\"run-49.service\""));
}
