//! Plans on small worlds of any shape, and on the paper's.

mod answers;
mod parts;

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::syscalls::Arch;
use proptest::prelude::{Just, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generator;

use super::make::Weights;
use super::*;

const STRATEGIES: [Strategy; 3] = [Strategy::Paper, Strategy::Area, Strategy::Work];

fn feature(number: usize) -> Feature {
    Arch::X86_64.table()[number].1.parse().expect("a syscall")
}

fn set(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<Feature> {
    numbers.into_iter().map(feature).collect()
}

/// An application by the class of each feature: 0 unused, 1 required, 2 stub, 3 fake, 4 any.
fn named(name: &str, classes: &[u8]) -> Named {
    let class = |wanted: u8| {
        let of = classes.iter().enumerate();
        set(of.filter(|(_, class)| **class == wanted).map(|(at, _)| at))
    };
    let of = classes.iter().enumerate();
    let need = Need {
        application: name.to_owned(),
        workload: "w".to_owned(),
        suite: false,
        basis: NeedBasis::Single,
        used: set(of.filter(|(_, class)| **class != 0).map(|(at, _)| at)),
        required: class(1),
        stub_only: class(2),
        fake_only: class(3),
        any: class(4),
        unsure: BTreeSet::new(),
        standing: Default::default(),
    };
    Named {
        name: name.to_owned(),
        need,
    }
}

/// An OS by what it does with each feature: 0 nothing, 1 implement, 2 stub, 3 fake, 4 kill, 5
/// another errno than ENOSYS.
fn profile(answers: &[u8]) -> OsProfile {
    let class = |wanted: u8| {
        let of = answers.iter().enumerate();
        set(of
            .filter(|(_, answer)| **answer == wanted)
            .map(|(at, _)| at))
    };
    OsProfile {
        name: "toy".to_owned(),
        implement: class(1),
        stub: class(2),
        fake: class(3),
        kill: class(4),
        error: BTreeMap::from([(Errno::EIO, class(5))]),
        ..OsProfile::default()
    }
}

fn world(features: usize) -> impl Generator<Value = (OsProfile, Vec<Named>)> {
    let class =
        prop_oneof![4 => Just(0_u8), 3 => Just(1), 2 => Just(2), 2 => Just(3), 1 => Just(4)];
    let app = proptest::collection::vec(class, features);
    let os = proptest::collection::vec(prop_oneof![6 => Just(0_u8), 1 => 1..6_u8], features);
    (os, proptest::collection::vec(app, 1..8)).prop_map(|(os, apps)| {
        let needs = apps.iter().enumerate();
        let needs = needs.map(|(at, classes)| named(&format!("app{at}"), classes));
        (profile(&os), needs.collect())
    })
}

/// What a reader of the steps would do, written once more and differently: for each step the
/// applications that run.
fn literally(profile: &OsProfile, plan: &Plan, needs: &[Named]) -> Vec<BTreeSet<String>> {
    let mut answers: BTreeMap<Feature, &str> = BTreeMap::new();
    for (list, answer) in [
        (&profile.implement, "implement"),
        (&profile.fake, "fake"),
        (&profile.kill, "kill"),
    ] {
        answers.extend(list.iter().map(|feature| (feature.clone(), answer)));
    }
    let mut running = Vec::new();
    for step in &plan.steps {
        for (list, answer) in [
            (&step.stub, "stub"),
            (&step.fake, "fake"),
            (&step.implement, "implement"),
        ] {
            for feature in list {
                if answers.get(feature) != Some(&"implement") {
                    answers.insert(feature.clone(), answer);
                }
            }
        }
        let runs = needs.iter().filter(|named| {
            let answer = |feature: &Feature| *answers.get(feature).unwrap_or(&"stub");
            let need = &named.need;
            need.required
                .iter()
                .all(|feature| answer(feature) == "implement")
                && need
                    .stub_only
                    .iter()
                    .all(|feature| answer(feature) != "fake")
                && need
                    .fake_only
                    .iter()
                    .all(|feature| answer(feature) != "stub")
                && need.used.iter().all(|feature| answer(feature) != "kill")
        });
        running.push(runs.map(|named| named.name.clone()).collect());
    }
    running
}

fn assert_sound(profile: &OsProfile, plan: &Plan, needs: &[Named]) {
    assert_promised(&literally(profile, plan, needs), plan, needs);
}

/// `running`: who runs after each step.
fn assert_promised(running: &[BTreeSet<String>], plan: &Plan, needs: &[Named]) {
    let mut promised = BTreeSet::new();
    for (number, step) in plan.steps.iter().enumerate() {
        for name in &step.unlocks {
            assert!(promised.insert(name.clone()), "{name} twice");
            for later in &running[number..] {
                assert!(later.contains(name), "{name} from step {number}");
            }
            if let Some(before) = number.checked_sub(1) {
                assert!(!running[before].contains(name), "{name} is late");
            }
        }
    }
    assert_eq!(promised.len(), needs.len(), "nobody is left out");
    assert!(plan.steps[0].implement.is_empty());
    let checks = check(plan, None, needs).expect("a plan");
    assert!(checks.iter().all(|check| check.checked == Checked::Kept));
}

proptest! {
    #[test]
    fn every_plan_is_sound((profile, needs) in world(7)) {
        for strategy in STRATEGIES {
            let plan = make(&profile, &needs, strategy, &Weights::new());
            assert_sound(&profile, &plan, &needs);
        }
    }

    #[test]
    fn no_plan_is_worse_than_the_papers((profile, needs) in world(12)) {
        let paper = make(&profile, &needs, Strategy::Paper, &Weights::new());
        let ours = make(&profile, &needs, Strategy::Area, &Weights::new());
        prop_assert!(ours.area <= paper.area);
        prop_assert!(ours.lower_bound <= ours.area);
        prop_assert!(ours.area <= ours.area_total);
    }

    #[test]
    fn the_areas_are_what_the_steps_say((profile, needs) in world(7)) {
        for strategy in STRATEGIES {
            let plan = make(&profile, &needs, strategy, &Weights::new());
            let (mut implemented, mut total) = (0, 0);
            for step in &plan.steps {
                implemented += step.implement.len();
                total += (implemented * step.unlocks.len()) as u64;
            }
            prop_assert_eq!(plan.area_total, total);
        }
    }

    /// A feature taken out of a step that somebody waits for is noticed.
    #[test]
    fn a_plan_that_lacks_something_is_found_out((profile, needs) in world(7)) {
        let plan = make(&profile, &needs, Strategy::Area, &Weights::new());
        for number in 1..plan.steps.len() {
            let mut broken = plan.clone();
            let required = |feature: &Feature| {
                needs.iter().any(|named| named.need.required.contains(feature))
            };
            let step = &mut broken.steps[number];
            let Some(at) = step.implement.iter().position(required) else { continue };
            step.implement.remove(at);
            let checks = check(&broken, None, &needs).expect("a plan");
            prop_assert!(checks.iter().any(|check| check.checked == Checked::Broken));
        }
    }
}

#[test]
fn a_conflict_is_implemented_and_named() {
    let needs = [named("a", &[1, 2, 0]), named("b", &[1, 3, 0])];
    let plan = make(&profile(&[0; 3]), &needs, Strategy::Area, &Weights::new());
    assert_sound(&profile(&[0; 3]), &plan, &needs);
    let clash = &plan.conflicts[0];
    assert_eq!((&clash.feature, clash.step), (&feature(1), Some(2)));
    assert_eq!(clash.needs_stub, ["a"]);
    assert_eq!(clash.needs_fake, ["b"]);
    assert_eq!((plan.area, plan.area_total), (2, 3));
}

#[test]
fn step_0_has_what_runs_already_with_what_it_needs_stubbed_and_faked() {
    let os = profile(&[1, 0, 0, 0]);
    let needs = [named("a", &[1, 2, 3, 4]), named("b", &[1, 1, 0, 0])];
    let plan = make(&os, &needs, Strategy::Area, &Weights::new());
    let first = &plan.steps[0];
    assert_eq!(first.unlocks, ["a"]);
    assert_eq!(
        first.stub,
        [feature(1), feature(3)]
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    assert_eq!(first.fake, [feature(2)]);
    assert_eq!(plan.steps[1].implement, [feature(1)]);
    assert_eq!(plan.area_weighted, 1.8, "0.4 for a, 1.4 for b");
}

#[test]
fn what_the_os_fakes_is_implemented_for_those_whom_a_fake_breaks() {
    let os = profile(&[3]);
    let needs = [named("a", &[2])];
    for strategy in STRATEGIES {
        let plan = make(&os, &needs, strategy, &Weights::new());
        assert_sound(&os, &plan, &needs);
        assert!(plan.conflicts[0].faked_by_os);
    }
}

#[test]
fn weights_decide_who_comes_first() {
    let needs = [named("a", &[1, 0, 0]), named("b", &[0, 1, 1])];
    let first = |weights: &Weights| {
        let plan = make(&profile(&[0; 3]), &needs, Strategy::Area, weights);
        plan.steps[1].unlocks.clone()
    };
    assert_eq!(first(&Weights::new()), ["a"]);
    assert_eq!(first(&Weights::from([("b".to_owned(), 5)])), ["b"]);
}

#[test]
fn a_plan_for_other_verdicts_is_refused() {
    let needs = [named("a", &[1, 0]), named("b", &[0, 1])];
    let plan = make(&profile(&[0; 2]), &needs, Strategy::Area, &Weights::new());
    let refused = |plan: &Plan, needs: &[Named]| {
        let error = check(plan, None, needs).expect_err("another data set");
        error.to_string()
    };
    let told = refused(&plan, &[named("a", &[1, 0]), named("b", &[1, 1])]);
    assert!(told.ends_with("the verdicts differ"), "{told}");
    let told = refused(&plan, &needs[..1]);
    assert!(
        told.ends_with("it promises b, which is not among them"),
        "{told}"
    );
    let mut other = plan.clone();
    other.schema = "loupe.analysis/1".to_owned();
    assert!(refused(&other, &needs).starts_with("it is no plan"));
    let mut twice = plan.clone();
    twice.steps[2].unlocks.push("a".to_owned());
    assert!(refused(&twice, &needs).starts_with("a is promised twice"));
}

#[test]
fn promises_too_late_or_never_are_told() {
    let needs = [named("a", &[1, 0]), named("b", &[0, 1])];
    let mut plan = make(&profile(&[0; 2]), &needs, Strategy::Area, &Weights::new());
    let unlocks = std::mem::take(&mut plan.steps[1].unlocks);
    plan.steps[2].unlocks.extend(unlocks);
    let of = |plan: &Plan| -> BTreeSet<String> {
        let checks = check(plan, None, &needs).expect("a plan");
        let told = checks.iter().map(|check| format!("{:?}", check.checked));
        told.collect()
    };
    assert_eq!(of(&plan), ["Kept", "Late"].map(str::to_owned).into());
    plan.steps[2].unlocks.clear();
    assert_eq!(of(&plan), ["LeftOut".to_owned()].into());
}

#[test]
fn a_suite_is_known_by_its_kind_or_its_name() {
    let need = |workload: &str, suite: bool| {
        let mut need = Need::of(&loupe_common::analysis::Analysis {
            application: "a".to_owned(),
            workload: workload.to_owned(),
            suite,
            ..Default::default()
        });
        need.used.insert(feature(0));
        need
    };
    let needs = vec![
        need("check", true),
        need("load", false),
        need("suite-1", false),
    ];
    let chosen = |needs: &[Need], kind| {
        let selection = select::select(needs.to_vec(), &[], kind).expect("some");
        selection.needs[0].need.workload.clone()
    };
    assert_eq!(chosen(&needs[..2], WorkloadKind::Suite), "check");
    assert_eq!(chosen(&needs[..2], WorkloadKind::Bench), "load");
    assert_eq!(chosen(&needs[1..], WorkloadKind::Suite), "suite-1");
    assert_eq!(chosen(&needs, WorkloadKind::Any), "load");
    let none = select::select(needs[..1].to_vec(), &[], WorkloadKind::Bench);
    assert!(none.is_err(), "{none:?}");
}

/// The 111 applications of the paper's data set that have a benchmark.
fn papers(test: &str) -> Option<(Vec<OsProfile>, Vec<Named>)> {
    let directory = crate::testing::loupedb(test)?;
    let set = crate::loupedb::read(&directory, &[]).expect("readable");
    let needs = set.runs.iter().map(|run| Need::of(&run.analysis)).collect();
    let selection = select::select(needs, &[], WorkloadKind::Bench).expect("some");
    assert_eq!(selection.needs.len(), 111);
    Some((set.profiles, selection.needs))
}

#[test]
fn on_the_papers_data_every_plan_is_sound_and_the_areas_are_known() {
    let Some((profiles, needs)) = papers("plans on the paper's data") else {
        return;
    };
    let total = |strategy| -> (u64, u64, u64) {
        let plans: Vec<Plan> = profiles
            .iter()
            .map(|profile| make(profile, &needs, strategy, &Weights::new()))
            .collect();
        for (profile, plan) in profiles.iter().zip(&plans) {
            assert_sound(profile, plan, &needs);
        }
        (
            plans.iter().map(|plan| plan.area).sum(),
            plans.iter().map(|plan| plan.area_total).sum(),
            plans.iter().map(|plan| plan.lower_bound).sum(),
        )
    };
    let (area, paper_total, _) = total(Strategy::Paper);
    assert_eq!(area, 17_406, "what is published of the greedy rule");
    let (area, our_total, bound) = total(Strategy::Area);
    assert_eq!(
        (area, bound),
        (16_880, 16_880),
        "found, and nothing is better"
    );
    assert!(our_total <= paper_total, "{our_total} {paper_total}");
    println!("total with conflicts: paper {paper_total}, ours {our_total}");
}

#[test]
fn the_papers_figures_come_out_of_its_data() {
    let Some((_, needs)) = papers("figures of the paper's data") else {
        return;
    };
    let figures = statistics::statistics(&needs, &[]);
    assert_eq!(figures.count, 111);
    assert_eq!((figures.half_required, figures.half_used), (37, 98));
}

#[test]
fn figures_of_a_set_are_counted() {
    let needs = [named("a", &[1, 2, 3, 4]), named("b", &[0, 1, 0, 0])];
    let mut analysis = loupe_common::analysis::Analysis {
        application: "a".to_owned(),
        workload: "w".to_owned(),
        ..Default::default()
    };
    analysis.static_binary = Some((0..8).map(feature).collect());
    let figures = statistics::statistics(&needs, &[&analysis]);
    let a = &figures.applications[0];
    assert_eq!((a.used, a.required, a.stub, a.fake, a.any), (4, 1, 1, 1, 1));
    assert_eq!(
        (a.required_of_used, a.required_of_static),
        (0.25, Some(0.125))
    );
    assert_eq!((figures.used, figures.required), (4, 2));
    assert_eq!(
        (figures.static_binary, figures.static_sources),
        (Some(8), None)
    );
    assert_eq!((figures.half_required, figures.half_used), (1, 1));
}

#[test]
fn weights_that_contradict_each_other_are_refused() {
    let needs = [named("a", &[1])];
    let read = |text: &str| weights::read(text, &needs).map_err(|error| error.to_string());
    assert_eq!(
        read("[applications]\na = 3\n"),
        Ok([("a".to_owned(), 3)].into())
    );
    for (text, wrong) in [
        ("[applications]\na = 1\na = 2\n", "3: duplicate key"),
        ("[applications]\na = 1\n\"a/w\" = 2\n", "a has two weights"),
        ("[applications]\n\na = 0\n", "3: the weight of a must be"),
        ("[applications]\nb = 1\n", "2: b is not in the plan"),
        (
            "[apps]\n",
            "1: unknown key `apps`; possible are applications",
        ),
    ] {
        let told = read(text).expect_err(text);
        assert!(told.contains(wrong), "{told}");
    }
}

#[test]
fn a_change_that_makes_an_os_work_more_is_told_apart() {
    use loupe_common::verdict::Verdict::{Any, Required, Stub};
    let analysis = |rows: &[(usize, loupe_common::verdict::Verdict)]| {
        let features: Vec<_> = rows
            .iter()
            .map(|(number, verdict)| {
                serde_json::json!({
                    "feature": feature(*number), "kind": "syscall", "verdict": verdict,
                    "calls": 1, "stub": {"runs": 0, "passes": 0, "injections": 0},
                    "fake": {"runs": 0, "passes": 0, "injections": 0}, "basis": "measured",
                })
            })
            .collect();
        let json = serde_json::json!({
            "schema": "", "application": "a", "workload": "w", "replays": 0, "lost_events": 0,
            "wall_seconds": 0, "baseline_ms": 0, "baseline_runs": 0, "features": features,
        });
        serde_json::from_value(json).expect("an analysis")
    };
    let old = analysis(&[(0, Required), (1, Stub), (2, Any), (3, Required)]);
    let new = analysis(&[
        (0, Required),
        (1, Required),
        (3, Any),
        (4, Required),
        (5, Any),
    ]);
    let difference = change::Difference::between(&old, &new, [None, None]);
    let names = |changes: &[change::VerdictChange]| -> Vec<Feature> {
        changes
            .iter()
            .map(|change| change.feature.clone())
            .collect()
    };
    let wanted = |numbers: &[usize]| set(numbers.iter().copied()).into_iter().collect::<Vec<_>>();
    assert_eq!(names(&difference.gained), wanted(&[4, 5]));
    assert_eq!(names(&difference.lost), wanted(&[2]));
    assert_eq!(names(&difference.changed), wanted(&[1, 3]));
    assert_eq!(difference.newly_required, wanted(&[1, 4]));
    assert!(change::Difference::between(&old, &old, [None, None]).is_empty());
}

/// What was seen to work as a whole counts, not what was concluded from its parts.
#[test]
fn a_joint_policy_that_passed_is_the_need() {
    let mut analysis = loupe_common::analysis::Analysis::default();
    let names = |numbers: &[usize]| numbers.iter().map(|at| feature(*at)).collect::<Vec<_>>();
    let row = |number: usize, verdict: &str| {
        let json = serde_json::json!({
            "feature": feature(number), "kind": "syscall", "verdict": verdict, "calls": 1,
            "stub": {"runs": 0, "passes": 0, "injections": 0},
            "fake": {"runs": 0, "passes": 0, "injections": 0}, "basis": "measured",
        });
        serde_json::from_value(json).expect("a row")
    };
    analysis.features = vec![
        row(0, "required"),
        row(1, "stub"),
        row(2, "any"),
        row(3, "any"),
    ];
    let single = Need::of(&analysis);
    assert_eq!(
        (single.basis, &single.required),
        (NeedBasis::Single, &set([0]))
    );
    analysis.joint = Some(loupe_common::analysis::Joint {
        implement: names(&[0, 1]),
        stub: names(&[2, 5]),
        fake: names(&[3]),
        runs: 3,
        passes: 3,
        ..Default::default()
    });
    let need = Need::of(&analysis);
    assert_eq!(need.basis, NeedBasis::Joint);
    assert_eq!(need.required, set([0, 1]));
    assert_eq!(need.any, set([2]), "alone it can be faked too");
    assert_eq!(
        need.stub_only,
        set([5]),
        "of a fallback only the stub was seen"
    );
    assert_eq!(need.fake_only, set([3]));
    if let Some(joint) = &mut analysis.joint {
        joint.passes = 2;
    }
    assert_eq!(Need::of(&analysis).basis, NeedBasis::Single);
}

#[test]
fn what_only_one_analysis_looks_at_did_not_change() {
    let mut old = loupe_common::analysis::Analysis::default();
    let row = |name: &str| {
        let json = serde_json::json!({
            "feature": name, "kind": "", "verdict": "required", "calls": 1,
            "stub": {"runs": 0, "passes": 0, "injections": 0},
            "fake": {"runs": 0, "passes": 0, "injections": 0}, "basis": "measured",
        });
        serde_json::from_value(json).expect("a row")
    };
    old.features = vec![row("fcntl")];
    let mut new = old.clone();
    new.features
        .extend([row("fcntl:F_GETFL"), row("/proc/cpuinfo")]);
    new.depth = Some(loupe_common::feature::Depth::Operation);
    new.pseudo_files = true;
    assert!(change::Difference::between(&old, &new, [None, None]).is_empty());
    assert!(change::Difference::between(&new, &old, [None, None]).is_empty());
    (old.depth, old.pseudo_files) = (new.depth, true);
    let difference = change::Difference::between(&old, &new, [None, None]);
    assert_eq!(difference.newly_required.len(), 2);
    assert_eq!(difference.from.required, difference.to.required);
}
