//! How likely a feature is to work when left out, before anything was measured: what the
//! paper's data set says about other applications. Priors only choose the order of
//! replays; no verdict rests on them.
//!
//! `priors/loupedb.csv` is derived from the Loupe results database
//! (<https://github.com/unikraft/loupedb>, commit a076cf972d7d7bacc73693455d979a9522ed2c5a;
//! H. Lefeuvre et al., "Loupe: Driving the Development of OS Compatibility Layers",
//! ASPLOS'24), licensed under CC BY 4.0
//! (<https://creativecommons.org/licenses/by/4.0/>). `derivation` makes it: for each
//! syscall the number of data sets (`dyn.csv` files, each one application under one workload)
//! in which it was used, and of these in how many it worked stubbed, and faked. Its
//! test says how to repeat it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use loupe_common::feature::Feature;
use loupe_common::syscalls::Syscall;

/// In how many data sets a syscall was used, and worked when left out one way and the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    used: u32,
    stub: u32,
    fake: u32,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.used += other.used;
        self.stub += other.stub;
        self.fake += other.fake;
    }
}

struct Table {
    by_syscall: BTreeMap<Syscall, Counts>,
    all: Counts,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let by_syscall = parse(include_str!("priors/loupedb.csv"));
    let mut all = Counts::default();
    for counts in by_syscall.values() {
        all.add(*counts);
    }
    Table { by_syscall, all }
});

/// The committed table; lines starting with `#` and the header line have no numbers.
fn parse(table: &str) -> BTreeMap<Syscall, Counts> {
    let row = |line: &str| {
        let mut cells = line.split(',');
        let syscall = Syscall::from_name(cells.next()?)?;
        let mut number = || cells.next()?.parse().ok();
        let counts = Counts {
            used: number()?,
            stub: number()?,
            fake: number()?,
        };
        Some((syscall, counts))
    };
    table.lines().filter_map(row).collect()
}

/// Data sets that the average over all syscalls counts for, beside a syscall's own.
const WEIGHT_OF_AVERAGE: f64 = 2.0;

fn chance(works: u32, of: u32, works_on_average: u32, of_average: u32) -> f64 {
    let average = f64::from(works_on_average) / f64::from(of_average.max(1));
    (f64::from(works) + WEIGHT_OF_AVERAGE * average) / (f64::from(of) + WEIGHT_OF_AVERAGE)
}

fn counts(feature: &Feature) -> Counts {
    let counts = feature
        .syscall()
        .and_then(|syscall| TABLE.by_syscall.get(&syscall));
    counts.copied().unwrap_or_default()
}

/// Of pseudo-files the data set says nothing; most are looked at for information that there is
/// a default for.
const PSEUDO_FILE: f64 = 0.75;

/// The chance that an application works when this feature is stubbed.
pub(super) fn stub(feature: &Feature) -> f64 {
    if feature.syscall().is_none() {
        return PSEUDO_FILE;
    }
    let (own, all) = (counts(feature), TABLE.all);
    chance(own.stub, own.used, all.stub, all.used)
}

/// The chance that an application works when this feature is faked.
pub(super) fn fake(feature: &Feature) -> f64 {
    if feature.syscall().is_none() {
        return PSEUDO_FILE;
    }
    let (own, all) = (counts(feature), TABLE.all);
    chance(own.fake, own.used, all.fake, all.used)
}

/// Over all syscalls of the data set: of 2488 that work stubbed 2146 work faked, too (86 %), and of 3050
/// that do not 610 (20 %).
const FAKE_IF_STUB_WORKS: f64 = 2146.0 / 2488.0;
const FAKE_IF_STUB_FAILS: f64 = 610.0 / 3050.0;

/// The chance that an application works when a feature is faked, if it is known whether it does when
/// that is stubbed.
pub(super) fn fake_if(stub_works: bool) -> f64 {
    match stub_works {
        true => FAKE_IF_STUB_WORKS,
        false => FAKE_IF_STUB_FAILS,
    }
}

#[cfg(test)]
mod derivation;

#[cfg(test)]
mod tests {
    use super::derivation::derive;
    use super::*;

    fn feature(name: &str) -> Feature {
        name.parse().expect("a syscall")
    }

    #[test]
    fn a_feature_that_works_both_ways_counts_for_each() {
        let file = "# syscall, used, works faked, works stubbed, works both\n\
                    0,Y,N,N,N\n1,Y,Y,N,N\n2,N,Y,Y,Y\n3,Y,N,N,Y\n12,Y,Y,Y,Y\n9999,Y,N,N,N\n";
        let table = derive([file.to_owned(), "3,Y,N,Y,N".to_owned()]);
        let rows: Vec<&str> = table.lines().skip(3).collect();
        assert_eq!(
            rows,
            ["brk,1,1,1", "close,2,2,1", "read,1,0,0", "write,1,0,1"]
        );
    }

    /// Repeats the derivation: `LOUPEDB=/path/to/loupedb cargo test -p loupe-daemon --lib
    /// priors -- --ignored`. With `LOUPEDB_WRITE=1` too, it replaces the table.
    #[test]
    #[ignore = "needs a copy of the data set"]
    fn the_table_is_what_the_derivation_makes_of_the_data_set() {
        let root = std::env::var_os("LOUPEDB").expect("LOUPEDB names a copy of the data set");
        let mut files = Vec::new();
        let mut directories = vec![std::path::PathBuf::from(root)];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("a directory entry").path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.ends_with("dyn.csv") {
                    files.push(std::fs::read_to_string(path).expect("a text file"));
                }
            }
        }
        assert_eq!(files.len(), 125);
        let table = derive(files);
        if std::env::var_os("LOUPEDB_WRITE").is_some() {
            let path = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/explore/priors/loupedb.csv"
            );
            std::fs::write(path, &table).expect("writable");
        }
        assert_eq!(table, include_str!("priors/loupedb.csv"));
    }

    #[test]
    fn the_table_is_consistent() {
        assert!(TABLE.by_syscall.len() > 200);
        for (syscall, counts) in &TABLE.by_syscall {
            let Counts { used, stub, fake } = *counts;
            assert!(stub.max(fake) <= used && used <= 125, "{syscall}");
        }
    }

    #[test]
    fn what_everybody_needs_is_unlikely_to_work_and_what_nobody_needs_likely() {
        for needed in ["read", "mmap", "openat"] {
            assert!(stub(&feature(needed)) < 0.1, "{needed}");
        }
        for idle in ["set_tid_address", "brk", "set_robust_list"] {
            assert!(stub(&feature(idle)) > 0.8, "{idle}");
        }
        let close = feature("close");
        assert!(fake(&close) > 0.6 && stub(&close) < 0.1);
    }

    #[test]
    fn an_unknown_syscall_gets_the_average() {
        let unknown = feature("syscall_511");
        assert!((0.3..0.6).contains(&stub(&unknown)));
        assert!((0.3..0.6).contains(&fake(&unknown)));
    }
}
