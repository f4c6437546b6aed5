//! What an OS lacks for many applications, as it is printed.

use insta::assert_snapshot;
use serde_json::json;

use super::{TABLE, well_formed};
use crate::plan::distance::Distances;
use crate::plan::{Named, OsProfile};
use crate::report::{Style, distances_csv, distances_table};

/// An application that uses these syscalls, by class.
fn named(name: &str, required: &[&str], stub_only: &[&str], fake_only: &[&str]) -> Named {
    let used = [required, stub_only, fake_only].concat();
    let need = json!({
        "application": name, "workload": "bench", "basis": "single",
        "used": used,
        "required": required, "stub_only": stub_only, "fake_only": fake_only, "any": [],
    });
    Named {
        name: name.to_owned(),
        need: serde_json::from_value(need).expect("a need"),
    }
}

fn os() -> OsProfile {
    let profile = json!({
        "name": "Toy", "implement": ["read", "write", "brk"], "fake": ["madvise"],
    });
    serde_json::from_value(profile).expect("a profile")
}

fn world() -> Vec<Named> {
    let many = [
        "read", "openat", "mmap", "munmap", "close", "fstat", "lseek", "socket", "bind", "listen",
        "accept4",
    ];
    vec![
        named("cat", &["read", "write"], &["lseek"], &[]),
        named("ls", &["read"], &[], &["futex"]),
        named("malloc", &["brk"], &["madvise"], &[]),
        named("nginx", &many, &["madvise"], &["prctl"]),
        named("redis", &["read", "openat"], &[], &["futex"]),
    ]
}

#[test]
fn the_distance_of_each_application() {
    let distances = Distances::of(&os(), &world(), false);
    well_formed(&TABLE, |style| distances_table(&distances, style));
    assert_snapshot!(distances_table(&distances, Style::PLAIN));
    assert_snapshot!(distances_csv(&distances));
}

#[test]
fn a_gate_names_all_that_is_missing() {
    let needs: Vec<Named> = world().into_iter().skip(3).collect();
    let distances = Distances::of(&os(), &needs, true);
    assert_snapshot!(distances_table(&distances, Style::PLAIN));
}
