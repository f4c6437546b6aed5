//! What an OS lacks for many applications, as it is printed.

use insta::assert_snapshot;
use serde_json::json;

use super::{TABLE, TEXT, well_formed};
use crate::plan::because::explain;
use crate::plan::distance::Distances;
use crate::plan::make::Weights;
use crate::plan::what_if::WhatIf;
use crate::plan::{Named, OsProfile, Plan, Strategy, make};
use crate::report::{
    Style, distances_csv, distances_table, plan_issues, plan_markdown, plan_next, plan_table,
    what_if_table,
};

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
    well_formed(&TABLE, |style| distances_table(&distances, "Toy", style));
    assert_snapshot!(distances_table(&distances, "Toy", Style::PLAIN));
    assert_snapshot!(distances_csv(&distances));
}

#[test]
fn a_gate_names_all_that_is_missing() {
    let needs: Vec<Named> = world().into_iter().skip(3).collect();
    let distances = Distances::of(&os(), &needs, true);
    assert_snapshot!(distances_table(&distances, "Toy", Style::PLAIN));
}

/// With a conflict: redis must have prctl fail.
fn plan(steps: usize) -> Plan {
    let mut needs = world();
    needs[4] = named("redis", &["read", "openat"], &["prctl"], &["futex"]);
    let mut plan = make(&os(), &needs, Strategy::Area, &Weights::new());
    explain(&mut plan, &os(), &needs);
    plan.cut(steps, &needs);
    plan
}

#[test]
fn the_next_step_and_what_speaks_for_it() {
    well_formed(&TABLE, |style| plan_next(&plan(1), "--os Toy", style));
    assert_snapshot!(plan_next(&plan(1), "--os Toy", Style::PLAIN));
    let idle: Vec<Named> = world().into_iter().take(2).collect();
    let idle = make(&os(), &idle, Strategy::Area, &Weights::new());
    assert_snapshot!(plan_next(&idle, "--os Toy", Style::PLAIN));
}

#[test]
fn stubs_are_folded_unless_they_are_asked_for() {
    well_formed(&TEXT, |style| plan_table(&plan(2), false, style));
    assert_snapshot!(plan_table(&plan(2), false, Style::PLAIN));
    assert_snapshot!(plan_table(&plan(9), true, Style::PLAIN));
}

#[test]
fn a_checklist_has_reasons_and_what_accepts_each_step() {
    assert_snapshot!(plan_markdown(&plan(9), "Toy"));
    let issues = plan_issues(&plan(9), "Toy");
    let names: Vec<&str> = issues.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["step-000.md", "step-001.md", "step-002.md", "step-003.md"]
    );
}

#[test]
fn what_would_run_with_some_more() {
    let wanted = ["openat", "read", "mremap"].map(|name| name.parse().expect("a syscall"));
    let what = WhatIf::of(&os(), &world(), &wanted.into());
    well_formed(&TABLE, |style| what_if_table(&what, style));
    assert_snapshot!(what_if_table(&what, Style::PLAIN));
}
