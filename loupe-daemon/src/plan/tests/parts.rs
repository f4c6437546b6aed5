//! Below the syscall: operations, flags and pseudo-files in needs, gaps and plans.

use loupe_common::analysis::Analysis;
use proptest::collection::vec;

use super::*;
use crate::plan::gap::{Gap, Missing, not_asked};
use crate::plan::what_if::WhatIf;

const WHOLE: &str = "fcntl";
const PARTS: [&str; 3] = ["fcntl:F_GETLK", "fcntl:F_SETLK", "fcntl:F_GETFL"];
/// All operations that have no name here.
const REST: &str = "the rest";
/// Without parts; two are no syscalls.
const OTHERS: [&str; 4] = ["read", "write", "/proc/cpuinfo", "/dev/urandom"];

fn one(name: &str) -> Feature {
    name.parse().expect("a feature")
}

fn all(names: &[&str]) -> BTreeSet<Feature> {
    names.iter().map(|name| one(name)).collect()
}

/// An application by the class of each name: 1 required, 2 stub, 3 fake, 4 any.
fn application(name: &str, classes: &[(&str, u8)]) -> Named {
    let class = |wanted: Option<u8>| -> BTreeSet<Feature> {
        let of = classes.iter();
        let of = of.filter(|(_, class)| wanted.map_or(*class != 0, |wanted| wanted == *class));
        of.map(|(name, _)| one(name)).collect()
    };
    let mut named = super::named(name, &[]);
    named.need.used = class(None);
    named.need.required = class(Some(1));
    named.need.stub_only = class(Some(2));
    named.need.fake_only = class(Some(3));
    named.need.any = class(Some(4));
    named
}

/// An OS by what it does with each name: 0 nothing, 1 implement, 2 stub, 3 fake, 4 end its caller.
fn os(answers: &[(&str, u8)]) -> OsProfile {
    let class = |wanted: u8| {
        let of = answers.iter().filter(|(_, answer)| *answer == wanted);
        of.map(|(name, _)| one(name)).collect()
    };
    OsProfile {
        name: "toy".to_owned(),
        implement: class(1),
        stub: class(2),
        fake: class(3),
        kill: class(4),
        ..OsProfile::default()
    }
}

fn plan(os: &OsProfile, needs: &[Named]) -> Plan {
    make(os, needs, Strategy::Area, &Weights::new())
}

fn steps(plan: &Plan) -> Vec<Vec<String>> {
    let steps = plan.steps.iter().skip(1);
    let names = |step: &Step| step.implement.iter().map(Feature::to_string).collect();
    steps.map(names).collect()
}

/// Of an analysis with these rows and, of what has to be implemented, stubbed and faked, this joint
/// policy.
fn analysis(rows: &[(&str, &str)], joint: Option<[&[&str]; 3]>) -> Analysis {
    let row = |(name, verdict): &(&str, &str)| {
        serde_json::json!({
            "feature": name, "kind": "", "verdict": verdict, "calls": 1,
            "stub": {"runs": 0, "passes": 0, "injections": 0},
            "fake": {"runs": 0, "passes": 0, "injections": 0}, "basis": "measured",
        })
    };
    let joint = joint.map(|[implement, stub, fake]| {
        serde_json::json!({
            "implement": implement, "stub": stub, "fake": fake,
            "runs": 3, "passes": 3, "replays": [],
        })
    });
    let json = serde_json::json!({
        "schema": "", "application": "a", "workload": "w", "replays": 0, "lost_events": 0,
        "wall_seconds": 0, "baseline_ms": 0, "baseline_runs": 0, "pseudo_files": true,
        "features": rows.iter().map(row).collect::<Vec<_>>(), "joint": joint,
    });
    serde_json::from_value(json).expect("an analysis")
}

/// sqlite's locks, in short.
const ROWS: [(&str, &str); 7] = [
    ("read", "required"),
    ("fcntl", "required"),
    ("fcntl:F_GETLK", "required"),
    ("fcntl:F_SETLK", "fake"),
    ("fcntl:F_GETFL", "any"),
    ("/proc/cpuinfo", "required"),
    ("/dev/urandom", "stub"),
];

#[test]
fn operations_that_were_measured_stand_in_place_of_their_syscall() {
    let need = Need::of(&analysis(&ROWS, None));
    assert_eq!(
        need.required,
        all(&["read", "fcntl:F_GETLK", "/proc/cpuinfo"])
    );
    assert_eq!(need.fake_only, all(&["fcntl:F_SETLK"]));
    assert_eq!(need.any, all(&["fcntl:F_GETFL"]));
    assert_eq!(need.stub_only, all(&["/dev/urandom"]));
    assert!(!need.used.contains(&one(WHOLE)));
    let joint = [
        &["read", "fcntl:F_GETLK"][..],
        &["fcntl:F_GETFL", "/proc/cpuinfo"],
        &["fcntl:F_SETLK"],
    ];
    let need = Need::of(&analysis(&ROWS, Some(joint)));
    assert_eq!(need.basis, NeedBasis::Joint);
    assert_eq!(need.required, all(&["read", "fcntl:F_GETLK"]));
    assert_eq!(need.stub_only, all(&["/proc/cpuinfo"]));
    assert_eq!(need.fake_only, all(&["fcntl:F_SETLK"]));
    assert_eq!(need.any, all(&["fcntl:F_GETFL"]));
    let whole = need.of_syscalls();
    assert_eq!(whole.required, all(&["read", "fcntl"]), "for figures");
    assert_eq!(whole.used, whole.required);
}

#[test]
fn a_syscall_stays_whole_where_no_operation_of_it_has_to_be_there() {
    let rows = [
        ("fcntl", "required"),
        ("fcntl:F_GETFL", "any"),
        ("openat", "required"),
        ("openat:O_CREAT", "required"),
    ];
    let need = Need::of(&analysis(&rows, None));
    assert_eq!(need.used, all(&["fcntl", "openat", "openat:O_CREAT"]));
    // The search below the syscall came to nothing: the syscall is what was seen to do.
    let joint = [&["fcntl", "openat"][..], &[], &[]];
    let need = Need::of(&analysis(&ROWS, Some(joint)));
    assert_eq!(need.required, all(&["fcntl", "openat"]));
}

#[test]
fn a_gap_and_a_plan_name_the_operation_that_is_missing() {
    let half = os(&[("read", 1), ("fcntl:F_SETLK", 1)]);
    let gap = Gap::between(&half, &analysis(&ROWS, None));
    assert_eq!(gap.single.implement, [one("fcntl:F_GETLK")]);
    assert_eq!(gap.single.spared, [one("fcntl:F_GETFL")]);
    let needs = [Named {
        name: "a".to_owned(),
        need: Need::asked_of_os(&analysis(&ROWS, None)),
    }];
    let made = plan(&half, &needs);
    assert_eq!(steps(&made), [["fcntl:F_GETLK"]]);
    assert_eq!(made.steps[1].because[..], []);
    let checks = check(&made, None, &needs).expect("a plan");
    assert_eq!(checks[0].checked, Checked::Kept);
    let mut short = made.clone();
    short.steps[1].implement = vec![one("fcntl:F_SETLKW")];
    let checks = check(&short, None, &needs).expect("a plan");
    assert_eq!(
        checks[0].unmet,
        ["fcntl:F_GETLK (required, but stubbed at step 1)"]
    );
}

#[test]
fn an_operation_that_an_os_leaves_out_of_a_syscall_is_a_step_of_its_own() {
    let but_one = os(&[("fcntl", 1), ("fcntl:F_GETLK", 2)]);
    let lock = application("lock", &[("fcntl:F_GETLK", 1), ("fcntl:F_SETLK", 1)]);
    let flags = application("flags", &[("fcntl:F_GETFL", 1)]);
    let needs = [lock, flags];
    let made = plan(&but_one, &needs);
    assert_eq!(made.steps[0].unlocks, ["flags"]);
    assert_eq!(steps(&made), [["fcntl:F_GETLK"]]);
    // Whoever was not asked down to operations may use any of them.
    let whole = application("whole", &[("fcntl", 1)]);
    let needs = [needs[0].clone(), needs[1].clone(), whole];
    let made = plan(&but_one, &needs);
    assert_eq!(made.steps[0].unlocks, ["flags"]);
    assert_eq!(steps(&made), [["fcntl"]]);
    assert_eq!(made.steps[1].unlocks, ["lock", "whole"]);
    assert_eq!((made.area, made.area_total), (2, 2));
}

#[test]
fn a_flag_is_asked_for_only_where_flags_were_measured() {
    let limited = os(&[("openat", 1), ("openat:O_TMPFILE", 2)]);
    let plain = application("plain", &[("openat", 1)]);
    let deep = application("deep", &[("openat", 1), ("openat:O_TMPFILE", 1)]);
    let made = plan(&limited, &[plain, deep.clone()]);
    assert_eq!(made.steps[0].unlocks, ["plain"]);
    assert_eq!(steps(&made), [["openat:O_TMPFILE"]]);
    let lacking = Missing::between(&os(&[]), &deep.need);
    assert_eq!(lacking.implement, [one("openat")], "with its flags");
}

#[test]
fn pseudo_files_are_asked_of_an_os_that_speaks_of_them() {
    let needs = [application("a", &[("read", 1), ("/proc/cpuinfo", 1)])];
    let silent = os(&[("read", 1)]);
    assert_eq!(plan(&silent, &needs).steps[0].unlocks, ["a"]);
    let note = not_asked(&silent, &[&needs[0].need]).expect("a note");
    assert!(note.contains("a/w needs /proc/cpuinfo"), "{note}");
    let speaks = os(&[("read", 1), ("/dev/null", 1)]);
    assert_eq!(not_asked(&speaks, &[&needs[0].need]), None);
    assert_eq!(steps(&plan(&speaks, &needs)), [["/proc/cpuinfo"]]);
    let what = WhatIf::of(&silent, &needs, &all(&["/dev/null"]));
    assert_eq!(
        (what.runs, what.would_run),
        (1, 1),
        "one file more is no less"
    );
}

#[test]
fn what_if_takes_operations() {
    let half = os(&[("fcntl:F_SETLK", 1)]);
    let needs = [application("a", &[("fcntl:F_GETLK", 1)])];
    let with = |name: &str| WhatIf::of(&half, &needs, &all(&[name]));
    assert_eq!(with("fcntl:F_GETLK").would_run, 1);
    assert_eq!(with("fcntl").would_run, 1);
    let other = with("fcntl:F_GETFL");
    assert_eq!((other.would_run, other.unused.len()), (0, 1));
}

#[test]
fn reasons_for_a_syscall_count_those_who_need_a_part_of_it() {
    let needs = [
        application("part", &[("fcntl:F_GETLK", 1)]),
        application("whole", &[("fcntl", 1)]),
        application("fake", &[("fcntl", 3)]),
    ];
    let nothing = os(&[]);
    let mut made = plan(&nothing, &needs);
    because::explain(&mut made, &nothing, &needs);
    let why = &made.steps[1].because[0];
    assert_eq!(why.feature, one(WHOLE));
    assert_eq!((why.used, why.required, why.fakeable), (3, 2, 1));
}

/// What an OS does with each smallest thing, thought of in another way than profiles are.
type Model = BTreeMap<&'static str, u8>;

/// The smallest things that a name stands for.
fn atoms(name: &str) -> Vec<&'static str> {
    match name == WHOLE {
        true => PARTS.into_iter().chain([REST]).collect(),
        false => {
            let known = PARTS.into_iter().chain(OTHERS);
            known.filter(|known| *known == name).collect()
        }
    }
}

fn model(os: &OsProfile) -> Model {
    let mut model = Model::new();
    let lists = [
        (&os.stub, 2),
        (&os.fake, 3),
        (&os.kill, 4),
        (&os.implement, 1),
    ];
    // The syscall first, so that its parts have the last word.
    for wholes in [true, false] {
        for (list, answer) in lists {
            for feature in list.iter().filter(|one| one.is_syscall() == wholes) {
                let atoms = atoms(&feature.to_string());
                model.extend(atoms.into_iter().map(|atom| (atom, answer)));
            }
        }
    }
    let files = OTHERS.iter().filter(|name| name.starts_with('/'));
    if files.clone().all(|file| !model.contains_key(file)) {
        model.extend(files.map(|file| (*file, 1)));
    }
    model
}

fn follow(model: &mut Model, step: &Step) {
    for (list, answer) in [(&step.implement, 1), (&step.stub, 2), (&step.fake, 3)] {
        for feature in list {
            for atom in atoms(&feature.to_string()) {
                if model.get(atom) != Some(&1) {
                    model.insert(atom, answer);
                }
            }
        }
    }
}

fn runs(model: &Model, need: &Need) -> bool {
    let breaks: [(&BTreeSet<Feature>, &[u8]); 4] = [
        (&need.required, &[2, 3, 4]),
        (&need.stub_only, &[3, 4]),
        (&need.fake_only, &[2, 4]),
        (&need.any, &[4]),
    ];
    breaks.into_iter().all(|(class, answers)| {
        let mut atoms = class.iter().flat_map(|feature| atoms(&feature.to_string()));
        atoms.all(|atom| !answers.contains(model.get(atom).unwrap_or(&2)))
    })
}

/// Applications that ask for `fcntl` as a whole, by operations, or not at all; an OS that says
/// anything of any of it.
fn world() -> impl Generator<Value = (OsProfile, Vec<Named>)> {
    let class =
        || prop_oneof![3 => Just(0_u8), 3 => Just(1), 2 => Just(2), 2 => Just(3), 1 => Just(4)];
    let locks = prop_oneof![
        class().prop_map(|class| vec![(WHOLE, class)]),
        (0_usize..3, vec(class(), 3)).prop_map(|(required, mut classes)| {
            classes[required] = 1;
            PARTS.into_iter().zip(classes).collect()
        }),
    ];
    let others = vec(class(), OTHERS.len());
    let app = (locks, others).prop_map(|(locks, others)| -> Vec<(&str, u8)> {
        locks
            .into_iter()
            .chain(OTHERS.into_iter().zip(others))
            .collect()
    });
    let answers = vec(prop_oneof![4 => Just(0_u8), 1 => 1..5_u8], 8);
    (answers, vec(app, 1..7)).prop_map(|(answers, apps)| {
        let names = [WHOLE].into_iter().chain(PARTS).chain(OTHERS);
        let answers: Vec<(&str, u8)> = names.zip(answers).collect();
        let needs = apps.iter().enumerate();
        let needs = needs.map(|(at, classes)| application(&format!("app{at}"), classes));
        (os(&answers), needs.collect())
    })
}

proptest! {
    #[test]
    fn a_profile_answers_as_its_smallest_things_do((os, needs) in world()) {
        let model = model(&os);
        for name in PARTS.into_iter().chain(OTHERS) {
            let answer = match model.get(name) {
                Some(1) => need::Answer::Implement,
                Some(3) => need::Answer::Fake,
                Some(4) => need::Answer::Kill,
                _ => need::Answer::Stub,
            };
            prop_assert_eq!(os.answer(&one(name)), answer, "{}", name);
        }
        for Named { need, .. } in &needs {
            prop_assert_eq!(need.unmet(&os).next().is_none(), runs(&model, need));
            prop_assert_eq!(Missing::between(&os, need).is_none(), runs(&model, need));
        }
    }

    #[test]
    fn a_plan_that_is_followed_to_its_end_leaves_no_gap((os, needs) in world()) {
        for strategy in STRATEGIES {
            let plan = make(&os, &needs, strategy, &Weights::new());
            let mut model = model(&os);
            let running: Vec<BTreeSet<String>> = plan
                .steps
                .iter()
                .map(|step| {
                    follow(&mut model, step);
                    let running = needs.iter().filter(|named| runs(&model, &named.need));
                    running.map(|named| named.name.clone()).collect()
                })
                .collect();
            assert_promised(&running, &plan, &needs);
            let end = os.after(&plan.steps);
            for Named { need, .. } in &needs {
                prop_assert!(Missing::between(&end, need).is_none());
            }
        }
    }

    #[test]
    fn an_os_with_a_whole_syscall_lacks_no_part_of_it((os, needs) in world()) {
        let mut with = os.clone();
        with.implement(&one(WHOLE));
        for Named { need, .. } in &needs {
            let missing = Missing::between(&with, need);
            let lists = [&missing.implement, &missing.fake, &missing.unfake, &missing.stub];
            let mut all = lists.into_iter().flatten();
            prop_assert!(all.all(|feature| feature.whole() != one(WHOLE)));
        }
    }

    #[test]
    fn no_step_has_a_syscall_and_a_part_of_it((os, needs) in world()) {
        let plan = plan(&os, &needs);
        for step in &plan.steps {
            let whole = step.implement.contains(&one(WHOLE));
            let parts = step.implement.iter().any(|feature| feature.parent().is_some());
            prop_assert!(!(whole && parts));
        }
    }
}

/// A service whose `fcntl` was counted by operations, all of it or not.
#[test]
fn a_service_is_told_by_its_operations_if_each_call_was_counted_as_one() {
    let uses = [("read", 9), ("fcntl", 5), ("/proc/stat", 1)];
    let need = |locks: u64| {
        let mut profile = samples::profile("nginx.service", samples::NGINX, &uses);
        profile.operations = vec![
            samples::used("fcntl:F_GETLK", locks, 0, 9),
            samples::used("fcntl:F_SETLK", 1, 0, 9),
            samples::used("openat:O_CREAT", 1, 0, 9),
        ];
        Need::of_use(&Service::all(&[profile])[0])
    };
    let in_full = ["read", "fcntl:F_GETLK", "fcntl:F_SETLK", "/proc/stat"];
    assert_eq!(need(4).required, all(&in_full));
    assert_eq!(need(3).required, all(&["read", "fcntl", "/proc/stat"]));
}
