//! How large a fleet's database becomes, and how long questions take. Asserts what does not depend on
//! the machine; `LOUPE_FLEET=HOSTSxUNITS cargo test --release … -- --ignored --nocapture` prints the
//! figures of docs/fleet.md.

use std::time::Instant;

use loupe_common::syscalls::Arch;

use crate::plan::os::OsProfile;

use super::*;

const SETS: u32 = 300;
const FEATURES: u32 = 60;

/// A unit has one of three sets of its own, by the host.
fn synthetic(host: u32, units: u32) -> Bundle {
    let names: Vec<&str> = Arch::NATIVE.table().iter().map(|(_, name)| *name).collect();
    let members = (0..units).map(|unit| {
        let variant = match (host * 31 + unit) % 100 {
            0 => 2,
            1..10 => 1,
            _ => 0,
        };
        let set = (unit * 3 + variant) % SETS;
        let first = 480_000 + host % 50;
        let features: Vec<(&str, u32)> = (0..FEATURES)
            .map(|at| {
                // Most are seen in the first hour; one is not, on some hosts.
                let later = u32::from(at == set % FEATURES && host.is_multiple_of(10)) * 7;
                (
                    names[((set * 7 + at * 5) % names.len() as u32) as usize],
                    first + later,
                )
            })
            .collect();
        let mut member = member(first, 490_000, &features);
        member.calendar = (1..29)
            .map(|day| (format!("2026-11-{day:02}"), 4_320_000))
            .collect();
        (
            subject(&format!("unit{unit}.service"), "daemon", "1"),
            member,
        )
    });
    bundle(host, 1, members.collect())
}

fn measure(hosts: u32, units: u32) -> u64 {
    let directory = tempfile::tempdir().expect("a directory");
    let mut fleet = open(directory.path(), "fleet");
    let began = Instant::now();
    for host in 0..hosts {
        fleet.merge(&synthetic(host, units)).expect("merged");
    }
    println!(
        "{hosts} hosts x {units} units, merged in {:?}",
        began.elapsed()
    );
    let timed = |what: &str, ask: &mut dyn FnMut()| {
        let began = Instant::now();
        ask();
        println!("{what}: {:?}", began.elapsed());
    };
    timed("who read", &mut || {
        let who = fleet.who("read").expect("readable");
        assert_eq!(who.fleet, u64::from(hosts));
    });
    timed("show unit7.service", &mut || {
        let shown = fleet.show("unit7.service").expect("readable");
        assert_eq!(shown[0].hosts, u64::from(hosts));
    });
    timed("gap", &mut || {
        let os = OsProfile::default();
        let gap = fleet.gap(&os).expect("readable");
        assert_eq!(gap.lacking.len() as u32, units);
    });
    timed("drift", &mut || {
        let drift = fleet.drift(480_020).expect("readable");
        assert!(drift.new_units.is_empty());
    });
    timed("hosts", &mut || {
        assert_eq!(fleet.hosts().expect("readable").len() as u32, hosts);
    });
    let pages: i64 = fleet
        .read(|connection| {
            connection.query_row(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                [],
                |row| row.get(0),
            )
        })
        .expect("readable");
    let path = directory.path().join("bundle");
    super::super::write_bundle(&path, &synthetic(3, units)).expect("written");
    let one = std::fs::metadata(&path).expect("there").len();
    println!(
        "{} bytes in all, {} a host; a bundle has {one}",
        pages,
        pages / i64::from(hosts)
    );
    pages.unsigned_abs() / u64::from(hosts)
}

#[test]
fn a_host_is_little_more_than_references_to_sets() {
    let few = measure(50, 40);
    // What each further host adds: far less than 40 units with 60 names each would take.
    assert!(few < 40 * 60 * 8, "{few} bytes a host");
}

#[test]
#[ignore = "takes minutes; prints figures"]
fn figures_of_a_large_fleet() {
    let wanted = std::env::var("LOUPE_FLEET").unwrap_or_else(|_| "2000x100".to_owned());
    let (hosts, units) = wanted.split_once('x').expect("HOSTSxUNITS");
    measure(hosts.parse().expect("hosts"), units.parse().expect("units"));
}
