//! The page of a fleet is whole, small, and says what it is asked, whatever units are called.

use std::collections::BTreeMap;

use super::*;
use crate::fleet::{Heard, Host, Use};

const HOSTILE: &str = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{DATA}}";
const DAY_MS: u64 = 86_400_000;
/// 2026-11-28T00:00Z, in hours.
const BEGIN: u32 = 498_840;
const NOW_MS: u64 = (BEGIN as u64 + 72) * 3_600_000;

fn host(number: u32, kernel: &str, heard_ms: u64) -> HostRow {
    HostRow {
        host: Host {
            made_ms: NOW_MS,
            id: format!("{number:032x}"),
            name: None,
            kernel: kernel.to_owned(),
            arch: "x86_64".to_owned(),
            loupe: "0.1.0".to_owned(),
            kept_home: 0,
        },
        subjects: 3,
        lost: u64::from(number == 1),
        heard: Some(Heard {
            at_ms: heard_ms,
            offset_ms: 0,
            backlog: 1,
        }),
    }
}

fn unit(name: &str, hosts: u64, uses: &[(&str, u64, u32)]) -> UnitOverview {
    let uses = uses.iter().map(|(feature, hosts, later)| {
        let used = Use {
            hosts: *hosts,
            first_hour: BEGIN + later,
        };
        ((*feature).to_owned(), used)
    });
    UnitOverview {
        name: name.to_owned(),
        hosts,
        first_hour: BEGIN,
        uses: uses.collect(),
    }
}

fn gap(os: &str) -> FleetGap {
    let feature = || "io_uring_setup".parse().expect("a feature");
    FleetGap {
        schema: "loupe.fleet-gap/1",
        os: os.to_owned(),
        units: 2,
        lacking: vec![crate::fleet::Lacking {
            name: HOSTILE.to_owned(),
            hosts: 3,
            would_not_run: 1,
            missing: [feature()].into(),
        }],
        missing: vec![crate::fleet::Missing {
            feature: feature(),
            units: 1,
            places: 1,
        }],
        unknown: Default::default(),
    }
}

fn page() -> String {
    let hosts = [
        host(1, "6.12.1", NOW_MS),
        host(2, "6.12.1", NOW_MS - 2 * DAY_MS),
        host(3, HOSTILE, NOW_MS),
    ];
    let units = [
        unit(
            "nginx.service",
            3,
            &[("read", 3, 0), ("io_uring_setup", 1, 30)],
        ),
        unit(HOSTILE, 1, &[("read", 1, 0)]),
    ];
    let page = FleetPage {
        hosts: &hosts,
        units: &units,
        gaps: &[gap("myos"), gap("other")],
        asked: 1,
        written_ms: NOW_MS,
    };
    page.html().expect("serializable")
}

#[test]
fn the_page_tells_the_fleet_in_a_sentence_and_each_part_by_itself() {
    let html = page();
    for part in [
        "3 hosts run 2 units, which were seen to use 2 features.</h2>",
        "<li>myos: 1 of 2 units would not run everywhere; io_uring_setup is missing most.</li>",
        "2 of 3 hosts told something in the last 24 hours; on 1 host, something was lost.",
        "The last that was new: io_uring_setup in nginx.service, 2026-11-29 06:00 UTC.",
        "<title>6.12.1 x86_64: 2 hosts</title>",
        "<title>2026-11-29: 1 new use, 0 new units</title>",
        "<title>2026-11-28: 0 new uses, 2 new units</title>",
        "[\"nginx.service\",3,[0,1,1,3]]",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("<li>other: "), "nobody asked for it by name");
}

#[test]
fn what_units_are_called_stays_text() {
    let html = page();
    assert_eq!(html.matches("<script").count(), 2);
    assert_eq!(html.matches("</script").count(), 2);
    assert!(!html.contains("<img"));
    // It was filled in once, wherever it stands.
    assert!(html.contains("{{DATA}}"));
}

#[test]
fn an_empty_fleet_has_a_page() {
    let page = FleetPage {
        hosts: &[],
        units: &[],
        gaps: &[],
        asked: 0,
        written_ms: NOW_MS,
    };
    let html = page.html().expect("serializable");
    assert!(html.contains("0 hosts run 0 units"), "{html}");
    assert!(!html.contains("href=\"#gap\""), "{html}");
}

#[test]
fn a_page_of_ten_thousand_hosts_is_below_a_megabyte() {
    let hosts: Vec<HostRow> = (0..10_000)
        .map(|at| host(at, &format!("6.{}.0-{}-amd64", at % 13, at % 40), NOW_MS))
        .collect();
    let names: Vec<&str> = loupe_common::syscalls::Arch::X86_64
        .table()
        .iter()
        .map(|(_, name)| *name)
        .collect();
    let units: Vec<UnitOverview> = (0..3_000)
        .map(|at| {
            let uses = names
                .iter()
                .enumerate()
                .filter(|(number, _)| (number + at) % 5 < 2);
            let uses: BTreeMap<String, Use> = uses
                .map(|(number, name)| {
                    let used = Use {
                        hosts: 10_000 - (number as u64 * 7),
                        first_hour: BEGIN + (number * at % 9_000) as u32,
                    };
                    ((*name).to_owned(), used)
                })
                .collect();
            UnitOverview {
                name: format!("a-service-with-a-long-name-{at}.service"),
                hosts: 10_000,
                first_hour: BEGIN,
                uses,
            }
        })
        .collect();
    let missing: std::collections::BTreeSet<loupe_common::feature::Feature> = names
        .iter()
        .map(|name| name.parse().expect("a feature"))
        .collect();
    let gaps: Vec<FleetGap> = (0..31)
        .map(|at| {
            let mut gap = gap(&format!("os-{at}"));
            gap.units = 3_000;
            gap.lacking = (0..3_000)
                .map(|at| crate::fleet::Lacking {
                    name: format!("a-service-with-a-long-name-{at}.service"),
                    hosts: 10_000,
                    would_not_run: 10_000,
                    missing: missing.clone(),
                })
                .collect();
            gap
        })
        .collect();
    let page = FleetPage {
        hosts: &hosts,
        units: &units,
        gaps: &gaps,
        asked: 2,
        written_ms: NOW_MS,
    };
    let html = page.html().expect("serializable");
    assert!(html.len() < 1_000_000, "{}", html.len());
    // All of these do not fit; what is left out is said.
    assert!(html.contains("\"left_out\":2"), "{}", html.len());
}
