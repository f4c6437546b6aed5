//! What is answered of an OS and many applications at once.

use super::*;
use crate::plan::because::explain;
use crate::plan::distance::Distances;
use crate::plan::part::Until;
use crate::plan::what_if::WhatIf;

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

/// Those that the plan promises, which are what a part of it is checked with.
fn promised(plan: &Plan, needs: &[Named]) -> Vec<Named> {
    let all = needs.iter();
    all.filter(|named| plan.applications.contains_key(&named.name))
        .cloned()
        .collect()
}

proptest! {
    #[test]
    fn every_part_of_a_plan_is_sound((profile, needs) in world(7), steps in 0_usize..6) {
        for strategy in STRATEGIES {
            let whole = make(&profile, &needs, strategy, &Weights::new());
            let mut part = whole.clone();
            part.cut(steps, &needs);
            prop_assert_eq!(part.wanted(), needs.len());
            prop_assert_eq!(part.steps.len(), whole.steps.len().min(steps + 1));
            prop_assert_eq!(part.left.is_none(), part.steps.len() == whole.steps.len());
            assert_sound(&profile, &part, &promised(&part, &needs));
        }
    }

    /// A reason holds by the literal reading: what a feature alone unlocks is what runs with it and
    /// with every fake that this application asks for.
    #[test]
    fn reasons_are_counted_from_the_needs((profile, needs) in world(7)) {
        let mut plan = make(&profile, &needs, Strategy::Area, &Weights::new());
        explain(&mut plan, &profile, &needs);
        for step in &plan.steps {
            let explained: Vec<&Feature> = step.because.iter().map(|why| &why.feature).collect();
            prop_assert_eq!(explained, step.implement.iter().collect::<Vec<_>>());
            for why in &step.because {
                let count = |class: fn(&Need) -> &BTreeSet<Feature>| {
                    needs.iter().filter(|named| class(&named.need).contains(&why.feature)).count()
                };
                prop_assert_eq!(why.of, needs.len());
                prop_assert_eq!(why.used, count(|need| &need.used));
                prop_assert_eq!(why.required, count(|need| &need.required));
                let (any, stub) = (count(|need| &need.any), count(|need| &need.stub_only));
                prop_assert_eq!(why.fakeable, any + count(|need| &need.fake_only));
                prop_assert_eq!(why.stubbable, any + stub);
            }
        }
    }
}

#[test]
fn a_step_that_unlocks_by_its_sum_says_that_no_part_of_it_does() {
    let needs = [named("a", &[1, 1, 0]), named("b", &[1, 1, 1])];
    let mut plan = make(&profile(&[0; 3]), &needs, Strategy::Area, &Weights::new());
    explain(&mut plan, &profile(&[0; 3]), &needs);
    let alone = |step: usize| -> Vec<usize> {
        let because = plan.steps[step].because.iter();
        because.map(|why| why.alone).collect()
    };
    assert_eq!((alone(1), alone(2)), (vec![0, 0], vec![1]));
    let examples: Vec<&Option<String>> = plan.steps[1]
        .because
        .iter()
        .map(|why| &why.example)
        .collect();
    assert_eq!(examples, [&Some("a/w".to_owned()); 2]);
}

#[test]
fn until_is_a_share_rounded_up_or_a_number() {
    let parse = |text: &str| text.parse::<Until>();
    assert_eq!(parse("50%"), Ok(Until::Percent(50.0)));
    assert_eq!(parse("7"), Ok(Until::Applications(7)));
    for wrong in ["0", "0%", "101%", "-1", "half", "NaN%", ""] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
    let needs = [
        named("a", &[1, 0, 0]),
        named("b", &[0, 1, 0]),
        named("c", &[0, 0, 1]),
    ];
    let plan = make(&profile(&[0; 3]), &needs, Strategy::Area, &Weights::new());
    let steps = |text: &str| plan.steps_until(parse(text).expect("valid"));
    assert_eq!(
        [steps("1%"), steps("50%"), steps("100%"), steps("99")],
        [1, 2, 3, 3]
    );
}

#[test]
fn a_plan_for_a_goal_has_no_other_work_and_names_who_runs_along() {
    let os = profile(&[0; 4]);
    let goal = [named("goal", &[1, 1, 0, 0])];
    let others = [named("along", &[0, 1, 2, 0]), named("not", &[0, 0, 0, 1])];
    let mut plan = make(&os, &goal, Strategy::Area, &Weights::new());
    plan.note_others(&os, &others);
    let work: usize = plan.steps.iter().map(|step| step.implement.len()).sum();
    assert_eq!(work, 2);
    assert_eq!(plan.steps[1].along, ["along"]);
    assert_sound(&os, &plan, &goal);
}

fn unlocked(what: &WhatIf) -> Vec<(&str, Vec<Feature>)> {
    let all = what.unlocks.iter();
    all.map(|one| (one.application.as_str(), one.fake.clone()))
        .collect()
}

#[test]
fn what_if_tells_those_that_run_at_once_from_those_that_want_fakes() {
    let os = profile(&[1, 0, 0, 0]);
    let needs = [
        named("there", &[1]),
        named("once", &[1, 1, 2]),
        named("faked", &[1, 1, 0, 3]),
        named("only-fakes", &[1, 0, 0, 3]),
        named("far", &[1, 1, 1]),
    ];
    let what = WhatIf::of(&os, &needs, &set([0, 1, 40]));
    assert_eq!((what.runs, what.would_run), (1, 2));
    assert_eq!(
        unlocked(&what),
        [("once", vec![]), ("faked", vec![feature(3)])]
    );
    assert_eq!((what.already, what.unused), (set([0]), set([40])));
    assert_eq!(what.next.len(), 1);
    let what = WhatIf::of(&os, &needs, &set([3]));
    assert_eq!(unlocked(&what), [("only-fakes", vec![])]);
    assert!(what.unlocks[0].fakes_would_do);
}

#[test]
fn a_fake_that_breaks_who_runs_is_no_way() {
    let os = profile(&[0, 0]);
    let needs = [named("stub", &[0, 2]), named("fake", &[1, 3])];
    let what = WhatIf::of(&os, &needs, &set([0]));
    assert_eq!(unlocked(&what), []);
    let what = WhatIf::of(&os, &needs, &set([0, 1]));
    assert_eq!(unlocked(&what), [("fake", vec![])]);
}

/// What the tool that measured called, and what the kernel has processes call.
#[test]
fn what_is_no_need_of_the_application_is_in_no_gap_and_in_no_step() {
    for joint in [false, true] {
        let row = |name: &str, harness: bool| {
            serde_json::json!({
                "feature": name, "kind": "syscall", "verdict": "required", "calls": 1,
                "stub": {"runs": 0, "passes": 0, "injections": 0}, "harness": harness,
                "fake": {"runs": 0, "passes": 0, "injections": 0}, "basis": "imported",
            })
        };
        let joint = joint.then(|| {
            serde_json::json!({
                "implement": ["read", "execve", "restart_syscall"], "stub": [], "fake": [],
                "runs": 3, "passes": 3, "replays": [],
            })
        });
        let json = serde_json::json!({
            "schema": "", "application": "a", "workload": "w", "replays": 0, "lost_events": 0,
            "wall_seconds": 0, "baseline_ms": 0, "baseline_runs": 0, "joint": joint,
            "features": [row("read", false), row("execve", true), row("restart_syscall", false)],
        });
        let analysis: loupe_common::analysis::Analysis =
            serde_json::from_value(json).expect("an analysis");
        let need = Need::asked_of_os(&analysis);
        assert_eq!((&need.used, &need.required), (&set([0]), &set([0])));
        assert_eq!(Need::of(&analysis).required.len(), 3, "exports have it");
        let gap = gap::Gap::between(&OsProfile::default(), &analysis);
        assert_eq!((gap.used, gap.single.implement), (1, vec![feature(0)]));
        let needs = select::select(vec![need], &[], WorkloadKind::Any).expect("one");
        let plan = make(
            &OsProfile::default(),
            &needs.needs,
            Strategy::Area,
            &Weights::new(),
        );
        assert_eq!(plan.steps[1].implement, [feature(0)]);
    }
}

#[test]
fn on_the_papers_data_no_os_waits_for_what_the_prototype_called() {
    let Some(directory) = crate::testing::loupedb("what the prototype called") else {
        return;
    };
    let set = crate::loupedb::read(&directory, &[]).expect("readable");
    let asked: Vec<Need> = set
        .runs
        .iter()
        .map(|run| Need::asked_of_os(&run.analysis))
        .collect();
    let needs = select::select(asked, &[], WorkloadKind::Bench).expect("some");
    for profile in &set.profiles {
        let plan = make(profile, &needs.needs, Strategy::Area, &Weights::new());
        assert_sound(profile, &plan, &needs.needs);
        let mut work = plan.steps.iter().flat_map(|step| &step.implement);
        assert!(!work.any(need::is_restart), "{}", profile.name);
    }
}

#[test]
fn all_that_a_service_was_seen_to_use_is_required_but_what_the_kernel_has_it_call() {
    let all = [
        samples::profile(
            "nginx.service",
            samples::NGINX,
            &[("read", 9), ("restart_syscall", 1), ("/proc/stat", 1)],
        ),
        samples::profile("nginx.service", samples::SYSTEMD, &[("prctl", 1)]),
    ];
    let need = Need::of_use(&Service::all(&all)[0]);
    assert_eq!(need.name(), "profile:nginx.service");
    assert_eq!(need.used.len(), 3, "exports have everything");
    assert_eq!(need.pseudo_files().count(), 1);
    let need = need.without_restart();
    let asked = ["read", "/proc/stat"].map(|name| name.parse().expect("a feature"));
    let asked = BTreeSet::from(asked);
    assert_eq!((&need.used, &need.required), (&asked, &asked));
    let wanted = [need.name()];
    let selection = select::select(vec![need], &wanted, WorkloadKind::Any).expect("there is one");
    assert_eq!(selection.needs[0].name, "profile:nginx.service");
    let notes = selection.notes.join("\n");
    assert!(notes.contains("counts as to be implemented"), "{notes}");
}
