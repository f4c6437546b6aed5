//! Made-up hosts. A unit has one of three sets of its own, by the host: nearly all hosts the same.

use loupe_common::profile::SubjectKind;
use loupe_common::syscalls::Arch;
use loupe_daemon::benchmarks::fleet::{
    Bundle, FleetSubject, Host, Member, Piece, facts_of, schema,
};

const SETS: u32 = 300;
const FIRST_HOUR: u32 = 480_000;
const LAST_HOUR: u32 = 490_000;

pub struct Hosts {
    pub hosts: u32,
    pub units: u32,
    pub features: u32,
}

fn names() -> Vec<&'static str> {
    Arch::NATIVE.table().iter().map(|(_, name)| *name).collect()
}

fn subject(unit: u32) -> FleetSubject {
    FleetSubject {
        name: format!("unit{unit}.service"),
        kind: SubjectKind::Unit,
        executable: "daemon".to_owned(),
        build_id: Some(format!("b{unit}")),
        package: Some(format!("package{unit}")),
        version: Some("1".to_owned()),
    }
}

impl Hosts {
    /// Features of a host that are new in a minute: 0.1 %.
    pub fn news(&self) -> u32 {
        (self.units * self.features / 1000).max(1)
    }

    fn empty(&self, host: u32, made_ms: u64) -> Bundle {
        Bundle {
            schema: schema(),
            host: Host {
                made_ms,
                id: format!("{host:032x}"),
                name: Some(format!("host{host}")),
                kernel: "6.12.1".to_owned(),
                arch: "x86_64".to_owned(),
                loupe: "0.1.0".to_owned(),
                kept_home: 0,
            },
            sets: Default::default(),
            calendars: Default::default(),
            subjects: Vec::new(),
        }
    }

    /// All that a host knows, as its message and where that goes.
    pub fn whole(&self, host: u32) -> (String, Vec<u8>) {
        let names = names();
        let first = FIRST_HOUR + host % 50;
        let mut bundle = self.empty(host, 1);
        for unit in 0..self.units {
            let variant = match (host * 31 + unit) % 100 {
                0 => 2,
                1..10 => 1,
                _ => 0,
            };
            let set = (unit * 3 + variant) % SETS;
            let features = (0..self.features).map(|at| {
                // Most are seen in the first hour; one is not, on some hosts.
                let later = u32::from(at == set % self.features && host.is_multiple_of(10)) * 7;
                let name = names[((set * 7 + at * 5) % names.len() as u32) as usize];
                (name.to_owned(), first + later)
            });
            let member = Member {
                features: features.collect(),
                times: Some((first, LAST_HOUR)),
                magnitude: 5,
                calendar: (1..29)
                    .map(|day| (format!("2026-11-{day:02}"), 4_320_000))
                    .collect(),
                lost: 0,
            };
            bundle.tell(subject(unit), member);
        }
        message(&bundle)
    }

    /// What a host has to tell a minute later: one more feature each of some units.
    pub fn minute(&self, host: u32) -> (String, Vec<u8>) {
        let names = names();
        let first = FIRST_HOUR + host % 50;
        let mut bundle = self.empty(host, 2);
        for at in 0..self.news() {
            let unit = (host + at * 17) % self.units;
            let name = names[(unit as usize * 13 + 3) % names.len()];
            let member = Member {
                features: [(name.to_owned(), LAST_HOUR)].into(),
                times: Some((first, LAST_HOUR)),
                magnitude: 5,
                calendar: Default::default(),
                lost: 0,
            };
            bundle.tell(subject(unit), member);
        }
        message(&bundle)
    }
}

fn message(bundle: &Bundle) -> (String, Vec<u8>) {
    let piece = Piece::of(bundle).expect("packed");
    (facts_of(&bundle.host.id), piece.payload)
}
