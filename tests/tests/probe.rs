//! `loupe probe`: on this kernel everything works that it has, and under any policy the probe finds
//! that policy again. So the probe is tested by the injector, and the injector by the probe.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use loupe_common::operations::Operation;
use loupe_tests::random::Random;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::Scene;
use serde_json::Value;

/// What kernels need not have, or refuse to a guest: each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("iopl", "CONFIG_X86_IOPL_IOPERM"),
    ("ioperm", "CONFIG_X86_IOPL_IOPERM"),
    ("pkey_alloc", "a processor with protection keys"),
    (
        "prctl:PR_SET_IO_FLUSHER",
        "CAP_SYS_RESOURCE, which not every root has",
    ),
    ("prctl:PR_SET_VMA", "CONFIG_ANON_VMA_NAME"),
    ("prctl:PR_SET_PTRACER", "CONFIG_SECURITY_YAMA"),
];

/// What the probe stands on itself: without these it prints nothing, or cannot be started.
const FEET: &[&str] = &["write", "execve", "exit_group"];

/// Nothing tells whether these did anything: to the probe, a fake is as good.
const INVISIBLE: &[&str] = &["sched_yield", "sync", "/dev/null"];

/// Of the policies that are tried, unless `LOUPE_TEST_SEED` says another.
const SEED: u64 = 11;

/// Policies that are tried, unless `LOUPE_TEST_POLICIES` says how many.
const POLICIES: usize = 4;

/// A result as one word: `works`, `ENOSYS`, `errno 1`, `lies`, `not tried`.
type Results = BTreeMap<String, (String, Option<String>)>;

fn results(document: &Value) -> Results {
    let rows = document["results"].as_array().expect("results");
    let rows = rows.iter().map(|row| {
        let text = |name: &str| row[name].as_str().map(str::to_owned);
        let mut result = text("result").expect("a result");
        if let Some(errno) = row["errno"].as_u64() {
            result = format!("errno {errno}");
        }
        let name = text("feature").expect("a feature");
        (name, (result, text("needs")))
    });
    rows.collect()
}

/// The program, as a user gets it.
fn probe(scene: &Scene) -> PathBuf {
    let path = scene.write("loupe-probe", "");
    let words = ["probe", "--write", "loupe-probe"];
    scene.run(&words).expect_code(0);
    path
}

/// What it prints under these rules.
fn under(scene: &Scene, rules: &[(String, &str)]) -> Value {
    let mut words = vec!["run"];
    for (rule, way) in rules {
        words.extend([way, rule.as_str()]);
    }
    words.extend(["--", "./loupe-probe"]);
    scene.run(&words).expect_code(0).json()
}

#[test]
fn on_this_kernel_everything_works_that_it_has() {
    require!(Replays);
    let scene = Scene::new();
    let document = scene.run(&["probe", "--json"]).expect_code(0).json();
    assert_eq!(document["isolated"], true);
    let results = results(&document);
    let excused = |name: &str| EXCEPTIONS.iter().any(|(known, _)| *known == name);
    let wrong: Vec<_> = results
        .iter()
        .filter(|(name, (result, needs))| match result.as_str() {
            "works" => false,
            "not tried" => needs.as_ref().is_some_and(|needs| !excused(needs)),
            _ => !excused(name),
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let rows = document["results"].as_array().expect("results");
    let without = rows.iter().filter(|row| row["reason"] == "no case yet");
    let without: Vec<_> = without.map(|row| &row["feature"]).collect();
    assert!(
        without.is_empty(),
        "neither tried nor with a reason: {without:?}"
    );
    let works = |kind: fn(&str) -> bool| {
        let all = results.iter();
        all.filter(|(name, (result, _))| kind(name) && result == "works")
            .count()
    };
    let syscalls = works(|name| !name.contains(':') && !name.starts_with('/'));
    let operations = works(|name| name.contains(':') && !is_flag(name));
    let flags = works(is_flag);
    let submitted = works(|name| name.starts_with("io_uring:"));
    assert!(
        syscalls > 200 && operations > 400 && flags > 80 && submitted > 30,
        "{syscalls}, {operations}, {flags} and {submitted}"
    );
    scene.assert_nothing_left();
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

/// A flag of a syscall, of which a call may have several.
fn is_flag(feature: &str) -> bool {
    feature
        .parse::<Operation>()
        .is_ok_and(|part| part.is_flag())
}

fn syscall_of(feature: &str) -> &str {
    feature.split(':').next().unwrap_or(feature)
}

/// What the probe must find of a feature under this rule.
fn expected(feature: &str, rule: Option<&str>) -> String {
    match rule {
        None => "works".to_owned(),
        Some("fake") => "lies".to_owned(),
        Some("stub") if feature.starts_with('/') => format!("errno {}", libc::ENOENT),
        Some("stub") => "ENOSYS".to_owned(),
        Some("stub=EPERM") => format!("errno {}", libc::EPERM),
        Some(other) => panic!("{other}"),
    }
}

#[test]
fn under_any_policy_it_finds_that_policy_again() {
    require!(Replays);
    let scene = Scene::new();
    probe(&scene);
    // A filter that answers nothing that is tried: who has one cannot become strict, for example.
    let inert = [("acct".to_owned(), "--stub")];
    let plain = results(&under(&scene, &inert));
    let usable: Vec<&String> = plain
        .iter()
        .filter(|(name, (result, _))| {
            let whole = syscall_of(name);
            result == "works" && !FEET.contains(&whole) && !INVISIBLE.contains(&whole)
        })
        .map(|(name, _)| name)
        .collect();
    // What is submitted to a ring is answered by no rule.
    let injectable = usable.iter().filter(|name| !name.starts_with("io_uring:"));
    let injectable: Vec<&String> = injectable.copied().collect();
    let mut random = Random::of_seed(SEED);
    let seed = random.seed();
    let count = number_from("LOUPE_TEST_POLICIES").map_or(POLICIES, |count| count as usize);
    for size in [1, 4, 12, 30].into_iter().cycle().take(count) {
        let mut policy: BTreeMap<String, &str> = BTreeMap::new();
        for _ in 0..size {
            let feature = injectable[random.below(injectable.len())].clone();
            let actions: &[&str] = match feature.starts_with('/') {
                true => &["stub", "fake"],
                false => &["stub", "stub=EPERM", "fake"],
            };
            policy.insert(feature, actions[random.below(actions.len())]);
        }
        let rules: Vec<(String, &str)> = policy
            .iter()
            .map(|(feature, action)| match action.split_once('=') {
                Some((_, errno)) => (format!("{feature}={errno}"), "--stub"),
                None if *action == "fake" => (feature.clone(), "--fake"),
                None => (feature.clone(), "--stub"),
            })
            .collect();
        let rule_of = |feature: &str| -> Option<&str> {
            let whole = syscall_of(feature);
            policy.get(feature).or_else(|| policy.get(whole)).copied()
        };
        let found = results(&under(&scene, &rules));
        // What it needs has a rule, or needs something else that has one. None of these works.
        let is_blocked = |feature: &str| {
            let mut needs = found[feature].1.as_deref();
            for _ in 0..found.len() {
                match needs {
                    Some(other) if found[other].0 == "works" => return false,
                    Some(other) if rule_of(other).is_some() => return true,
                    Some(other) => needs = found[other].1.as_deref(),
                    None => return false,
                }
            }
            false
        };
        // A syscall is known by its operations, where it has any: by those that could be tried.
        let all_ruled = |whole: &str| {
            let mut parts = usable.iter().filter(|name| {
                let part = name.split_once(':');
                part.is_some_and(|(syscall, _)| syscall == whole) && !is_flag(name)
            });
            let some = parts.clone().next().is_some();
            some && parts.all(|part| rule_of(part).is_some() || is_blocked(part))
        };
        // A call with a flag that has a rule of its own is answered by that.
        let flag_ruled = |whole: &str| {
            let mut ruled = policy.keys();
            ruled.any(|other| syscall_of(other) == whole && is_flag(other))
        };
        let wrong: BTreeSet<_> = usable
            .iter()
            .filter(|feature| {
                let right = found[**feature].0 == expected(feature, rule_of(feature));
                // What cannot be looked at without something that is left out is not known, and said so.
                let is_known = !is_blocked(feature) && !all_ruled(feature);
                !right && is_known && !(policy.contains_key(**feature) && flag_ruled(feature))
            })
            .map(|feature| (feature, rule_of(feature), &found[*feature]))
            .collect();
        assert!(
            wrong.is_empty(),
            "LOUPE_TEST_SEED={seed}: {policy:#?}: {wrong:#?}"
        );
    }
    scene.assert_nothing_left();
}

#[test]
fn a_profile_of_an_os_is_made_of_it() {
    require!(Replays);
    let scene = Scene::new();
    probe(&scene);
    let rules = [
        ("mkdir".to_owned(), "--stub"),
        ("fcntl:F_SETFD".to_owned(), "--fake"),
    ];
    let printed = under(&scene, &rules).to_string();
    scene.write("out.json", &printed);
    let words = ["os", "import", "--probe", "out.json", "--name", "toy"];
    scene.run(&words).expect_code(0);
    let os = scene
        .run(&["os", "show", "toy", "--json"])
        .expect_code(0)
        .json();
    let has = |list: &str, name: &str| {
        os[list]
            .as_array()
            .is_some_and(|list| list.iter().any(|known| known == name))
    };
    assert!(
        has("stub", "mkdir") && has("fake", "fcntl:F_SETFD"),
        "{os:#}"
    );
    assert!(
        has("implement", "mkdirat") && has("partial", "fcntl"),
        "{os:#}"
    );
    // Over a list that knows better, or not.
    let words = [
        "os",
        "import",
        "--probe",
        "out.json",
        "--base",
        "linux-6.12",
        "--name",
        "both",
    ];
    scene.run(&words).expect_code(0).expect_message(&[
        "disagree",
        "mkdir (works, ENOSYS)",
        "the probe wins",
    ]);
}

#[test]
fn an_os_without_other_processes_is_tried_in_one() {
    require!(Replays);
    let scene = Scene::new();
    probe(&scene);
    let forks = ["fork", "clone", "clone3", "vfork"].map(|name| (name.to_owned(), "--stub"));
    let document = under(&scene, &forks);
    assert_eq!(document["isolated"], false);
    let results = results(&document);
    for works in [
        "read",
        "mmap",
        "rename",
        "poll",
        "socketpair:AF_UNIX/SOCK_STREAM",
    ] {
        assert_eq!(results[works].0, "works", "{works}");
    }
    assert_eq!(results["fork"].0, "ENOSYS");
    scene.assert_nothing_left();
}

#[test]
fn a_call_that_never_comes_back_is_told_and_the_rest_goes_on() {
    require!(Replays);
    let scene = Scene::new();
    probe(&scene);
    // The alarm that would end the pause is only said to be set.
    let words = [
        "run",
        "--fake",
        "setitimer",
        "--",
        "./loupe-probe",
        "--only",
        "pause",
        "--only",
        "read",
    ];
    let results = results(&scene.run(&words).expect_code(0).json());
    assert_eq!(results["pause"].0, "hangs");
    assert_eq!(results["read"].0, "works");
}
