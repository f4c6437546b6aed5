//! The page of a fleet in a real browser: it loads without a complaint, each view has an address and fits a
//! phone, the matrix is filtered, and one unit is told in full. What units are called stays text.

use std::path::PathBuf;
use std::process::Command;

use loupe_common::profile::SubjectKind;
use loupe_daemon::benchmarks::fleet::{Bundle, FleetSubject, Host, Member, Piece, schema};
use loupe_tests::browser::{self, Browser};
use loupe_tests::requirement::Requirement::Program;
use loupe_tests::{binaries, command, require};
use serde_json::json;
use tempfile::TempDir;

const VIEWS: [&str; 7] = [
    "overview",
    "units",
    "units/nginx.service",
    "units?unit=a-unit",
    "hosts",
    "drift",
    "gap",
];
const HOSTILE: &str = "<img src=x onerror=alert(1)>";
/// 2026-10-01T00:00Z, in hours.
const BEGIN: u32 = 497_448;
const HOUR_MS: u64 = 3_600_000;

fn subject(name: &str) -> FleetSubject {
    FleetSubject {
        name: name.to_owned(),
        kind: SubjectKind::Unit,
        executable: "daemon".to_owned(),
        build_id: None,
        package: None,
        version: Some("1".to_owned()),
    }
}

/// Used since so many hours after the beginning.
fn member(uses: &[(&str, u32)]) -> Member {
    let features = uses
        .iter()
        .map(|(name, later)| ((*name).to_owned(), BEGIN + later));
    Member {
        features: features.collect(),
        times: Some((BEGIN, BEGIN + 1_000)),
        magnitude: 3,
        calendar: Default::default(),
        lost: 0,
    }
}

fn host(number: u32) -> Bundle {
    let mut bundle = Bundle {
        schema: schema(),
        host: Host {
            made_ms: u64::from(BEGIN + 1_000) * HOUR_MS,
            id: format!("{number:032x}"),
            name: Some(format!("web{number}")),
            kernel: format!("6.{}.0-amd64", number % 3),
            arch: "x86_64".to_owned(),
            loupe: "0.1.0".to_owned(),
            kept_home: 0,
        },
        sets: Default::default(),
        calendars: Default::default(),
        subjects: Vec::new(),
    };
    let mut nginx = vec![
        ("read", 0),
        ("openat", 0),
        ("epoll_wait", 3),
        ("fcntl", 0),
        ("fcntl:F_SETFD", 0),
    ];
    if number == 7 {
        nginx.push(("io_uring_setup", 400));
    }
    bundle.tell(subject("nginx.service"), member(&nginx));
    bundle.tell(
        subject("cron.service"),
        member(&[("read", 0), ("fork", 30)]),
    );
    bundle.tell(subject(HOSTILE), member(&[("read", 0), (HOSTILE, 9)]));
    for at in 0..30 {
        let name = format!("a-unit-with-a-rather-long-name-{at}.service");
        bundle.tell(subject(&name), member(&[("read", 0), ("mmap", at)]));
    }
    bundle
}

fn fleet(home: &TempDir, words: &[&str]) -> command::Finished {
    let mut loupe = Command::new(binaries::loupe());
    loupe
        .arg("fleet")
        .args(words)
        .arg("--fleet-db")
        .arg(home.path().join("fleet.db"))
        .arg("--db")
        .arg(home.path().join("none.db"));
    command::run(loupe)
}

/// A page of 40 hosts.
fn page(home: &TempDir) -> PathBuf {
    let mut words = vec!["import".to_owned()];
    for number in 0..40 {
        let path = home.path().join(format!("{number}.loupe"));
        let piece = Piece::of(&host(number)).expect("packed");
        std::fs::write(&path, piece.payload).expect("written");
        words.push(path.to_str().expect("a plain path").to_owned());
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    fleet(home, &words).expect_code(0);
    let page = home.path().join("fleet.html");
    let name = page.to_str().expect("a plain path");
    let words = ["report", "--html", name, "--os", "gvisor", "--os", "kerla"];
    fleet(home, &words).expect_code(0);
    page
}

#[test]
fn every_view_of_a_fleet_has_an_address_and_fits_a_phone() {
    require!(Program(browser::PROGRAM));
    let home = tempfile::tempdir().expect("a directory");
    let page = page(&home);
    let mut browser = Browser::start();
    for (width, height) in [(390, 844), (1440, 900)] {
        browser.size(width, height);
        for view in VIEWS {
            browser.load(&page, view);
            let shown = browser.run(
                "return [...document.querySelectorAll('section.view')]\
                     .filter((one) => !one.hidden).map((one) => one.id).join()",
            );
            let id = view.split(['/', '?']).next().expect("a name");
            assert_eq!(shown, id, "{view}");
            browser.assert_readable(&format!("{view} at {width} px"));
        }
    }
    browser.load(&page, "overview");
    let headline = browser.run("return document.querySelector('.headline').textContent");
    assert_eq!(
        headline,
        "40 hosts run 33 units, which were seen to use 9 features."
    );
    assert_eq!(browser.run("return document.images.length"), 0);
    browser.assert_no_complaints();
}

#[test]
fn the_matrix_of_a_fleet_is_filtered_and_one_unit_is_told_in_full() {
    require!(Program(browser::PROGRAM));
    let home = tempfile::tempdir().expect("a directory");
    let page = page(&home);
    let mut browser = Browser::start();
    browser.size(1440, 900);
    browser.load(&page, "units");
    let seen = "const rows = [...document.querySelectorAll('#units-place tbody tr')]; \
                const heads = [...document.querySelectorAll('#units-place thead th.feature')]; \
                return [rows.length, heads.map((one) => one.textContent), \
                        document.getElementById('units-count').textContent];";
    let all = browser.run(seen);
    assert_eq!(all[0], 33);
    assert_eq!(all[1][0], "read", "what is used most comes first: {all}");
    assert_eq!(all[2], "33 units by 8 features");
    browser.run("document.getElementById('use-parts').click()");
    assert_eq!(browser.run(seen)[2], "33 units by 9 features");
    browser.run("document.getElementById('use-parts').click()");
    browser.run(
        "const input = document.getElementById('find-use'); input.value = 'IO_URING'; \
         input.dispatchEvent(new Event('input'));",
    );
    assert_eq!(
        browser.run(seen),
        json!([1, ["io_uring_setup"], "1 unit by 1 feature"])
    );
    assert_eq!(browser.run("return location.hash"), "#units?use=IO_URING");
    let cell = browser.run("return document.querySelector('#units-place td').textContent");
    assert_eq!(cell, "1 of 40 hosts");
    let title = browser.run(
        "const cell = document.querySelector('#units-place td'); \
         cell.dispatchEvent(new PointerEvent('pointerover', { bubbles: true })); return cell.title;",
    );
    assert_eq!(title, "nginx.service: io_uring_setup, 1 of 40 hosts");
    browser.turn("document.querySelector('#units-place tbody th a').click()");
    let told = browser.run("return document.getElementById('unit').textContent");
    let told = told.as_str().expect("a text");
    assert!(
        told.contains("6 features on 40 hosts") && told.contains("On fewio_uring_setup"),
        "{told}"
    );
    browser.turn("document.querySelector('#unit a').click()");
    assert_eq!(
        browser.run("return document.getElementById('unit').textContent"),
        ""
    );
    // On paper, details are open.
    browser.load(&page, "gap");
    browser.run("dispatchEvent(new Event('beforeprint'))");
    let open = browser
        .run("return [...document.querySelectorAll('#gap details')].every((one) => one.open)");
    assert_eq!(open, true);
    browser.assert_no_complaints();
}
