//! What is answered of an OS and many applications at once.

use super::*;
use crate::plan::distance::Distances;

fn names(distances: &Distances) -> Vec<&str> {
    let all = distances.applications.iter();
    all.map(|away| away.application.as_str()).collect()
}

#[test]
fn the_nearest_application_comes_first_and_fakes_are_less_than_implementations() {
    let os = profile(&[1, 0, 0, 0, 0, 3]);
    let needs = [
        named("far", &[1, 1, 1]),
        named("near", &[1, 0, 0, 1]),
        named("fakes", &[1, 3, 3]),
        named("unfakes", &[1, 0, 0, 0, 0, 2]),
        named("there", &[1, 2, 4]),
    ];
    let distances = Distances::of(&os, &needs, false);
    assert_eq!(
        names(&distances),
        ["there", "unfakes", "fakes", "near", "far"]
    );
    assert_eq!(
        (
            distances.runs,
            distances.need_no_implementation,
            distances.count
        ),
        (1, 2, 5)
    );
    assert!(distances.kept(), "nobody was asked to run");
}

#[test]
fn a_gate_holds_only_if_everybody_asked_for_runs() {
    let os = profile(&[1, 0]);
    let (runs, fails) = (named("a", &[1, 2]), named("b", &[1, 3]));
    let kept = |needs: &[Named]| Distances::of(&os, needs, true).kept();
    assert!(kept(std::slice::from_ref(&runs)));
    assert!(!kept(&[runs, fails]));
}

#[test]
fn what_is_required_for_want_of_a_verdict_is_told() {
    let mut unsure = named("a", &[1, 1]);
    unsure.need.unsure = set([0, 1]);
    let distances = Distances::of(&profile(&[1, 0]), &[unsure], false);
    assert_eq!(distances.applications[0].unsure, [feature(1)]);
}
