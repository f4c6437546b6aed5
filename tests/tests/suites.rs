//! A real test suite, gzip's own out of Debian's sources: shell scripts that start gzip some two
//! hundred times, among a thousand other programs. Gzip alone is counted and injected into, each
//! time that it is started.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use loupe_tests::analysis::Analysis;
use loupe_tests::binaries::workloads;
use loupe_tests::command::{self, Finished};
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays, Suite};
use loupe_tests::requirement::{find_program, suite};
use loupe_tests::scene::Scene;
use loupe_tests::trace::{self, Counts, Image};
use serde_json::Value;

const SUITE: &str = "gzip-1.12";

/// The tests that are run: all of the suite but two slow ones.
const TESTS: usize = 24;

/// Loops of three tests alone start gzip more often than this.
const STARTS: u64 = 200;

/// What it takes to start a program and to wait for it. Gzip does neither.
const SHELLS_OWN: [&str; 5] = ["clone", "vfork", "wait4", "pipe2", "dup2"];

/// The suite's driver, its options, and where it leaves a line for each test.
fn check(options: &[&str], results: &Path) -> Vec<String> {
    let suite = suite(SUITE);
    let driver = workloads().join("gzip/check.sh");
    let mut words: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    words.insert(0, text(&driver));
    words.extend([text(&suite), text(results)]);
    words
}

fn text(path: &Path) -> String {
    path.to_str().expect("a plain path").to_owned()
}

fn gzip() -> PathBuf {
    let gzip = find_program("gzip").expect("gzip is required by the test");
    gzip.canonicalize().expect("gzip is there")
}

fn results(path: &Path) -> String {
    std::fs::read_to_string(path).expect("the driver leaves its results")
}

fn passed(results: &str) -> BTreeSet<&str> {
    let lines = results.lines();
    lines
        .filter_map(|line| line.strip_prefix("PASS: "))
        .collect()
}

/// What strace saw of an undisturbed run: gzip's images, and all others.
static STRACE: LazyLock<(Vec<Image>, Vec<Image>)> = LazyLock::new(|| {
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = place.path().join("results");
    let images = trace::strace_images(&check(&[], &path), place.path());
    assert_eq!(passed(&results(&path)).len(), TESTS);
    let gzip = gzip();
    images
        .into_iter()
        .partition(|image| image.program.as_ref() == Some(&gzip))
});

fn sum(images: &[Image]) -> Counts {
    let mut sum = Counts::new();
    for (name, calls) in images.iter().flat_map(|image| &image.calls) {
        *sum.entry(name.clone()).or_default() += calls;
    }
    sum
}

/// One run of the suite by `loupe run`.
struct Ran {
    finished: Finished,
    report: Value,
    results: String,
}

impl Ran {
    /// The calls that were answered, if there was one rule.
    fn injections(&self) -> u64 {
        number(&self.report["injections"][0]["times"])
    }

    fn starts(&self) -> u64 {
        number(&self.report["target_execs"])
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn run(scene: &Scene, policy: &[&str], options: &[&str]) -> Ran {
    let (report, path) = (scene.path("report.json"), scene.path("results"));
    let temporary = scene.path("temporary");
    std::fs::create_dir(&temporary).expect("the scene can be written to");
    let report_text = text(&report);
    let mut words = vec!["run", "--json", &report_text, "--target", "/usr/bin/gzip"];
    words.extend(policy);
    words.push("--");
    let check = check(options, &path);
    words.extend(check.iter().map(String::as_str));
    let mut loupe = scene.loupe(&words);
    loupe.env("TMPDIR", &temporary);
    let finished = command::run(loupe);
    let json = std::fs::read_to_string(&report);
    let json = json.unwrap_or_else(|error| panic!("no report ({error}): {finished:#?}"));
    let ran = Ran {
        finished,
        report: serde_json::from_str(&json).expect("the report is JSON"),
        results: results(&path),
    };
    // Fails unless it is empty: the suite's own `rm` must have worked.
    std::fs::remove_dir(&temporary).expect("the suite has removed its files");
    for file in [report, path] {
        std::fs::remove_file(file).expect("the test's own file");
    }
    ran
}

#[test]
fn the_suites_own_calls_are_not_counted() {
    require!(Replays, Program("gzip"), Program("strace"), Suite(SUITE));
    let scene = Scene::new();
    let ran = run(&scene, &[], &[]);
    assert_eq!(passed(&ran.results).len(), TESTS, "{:#?}", ran.finished);

    let (gzips, others) = &*STRACE;
    assert!(ran.starts() >= STARTS, "{}", ran.starts());
    assert_eq!(ran.starts(), gzips.len() as u64);
    let mut ours = trace::counts(&ran.report["trace"]);
    let (mut theirs, others) = (sum(gzips), sum(others));
    // How many reads it takes to empty a pipe depends on when its writer writes.
    let reads = [&mut ours, &mut theirs].map(|counts| counts.remove("read"));
    assert!(reads.iter().all(|reads| *reads > Some(0)), "{reads:?}");
    assert_eq!(ours, theirs);

    // They were there to be counted.
    let shells_own = SHELLS_OWN.iter().filter(|name| others.contains_key(**name));
    assert!(shells_own.count() >= 3, "{others:?}");
    for name in SHELLS_OWN {
        assert!(!ours.contains_key(name), "{name}: {ours:?}");
    }
    assert_eq!(number(&ran.report["trace"]["forks"]), 0);
    assert_eq!(number(&ran.report["trace"]["execs"]), 0);
    scene.assert_nothing_left();
}

/// Every program calls `rseq` once, and none minds that it fails.
#[test]
fn a_harmless_stub_reaches_every_start_of_the_target() {
    require!(Replays, Program("gzip"), Program("strace"), Suite(SUITE));
    let scene = Scene::new();
    let ran = run(&scene, &["--stub", "rseq"], &[]);
    assert_eq!(ran.finished.code(), Some(0), "{:#?}", ran.finished);
    assert_eq!(passed(&ran.results).len(), TESTS, "{:#?}", ran.finished);

    let (gzips, others) = &*STRACE;
    assert_eq!(ran.injections(), ran.starts());
    assert_eq!(ran.injections(), sum(gzips)["rseq"]);
    // What it would have been with the suite's own.
    assert!(sum(others)["rseq"] > 2 * ran.injections());
    let starts = ran.starts().to_string();
    ran.finished.expect_message(&[&starts, "started"]);
    scene.assert_nothing_left();
}

/// No program starts without `mprotect`. So gzip never does; everything else of the suite does, or
/// it would not come to its end.
#[test]
fn a_deadly_stub_reaches_every_start_of_the_target_and_nothing_else() {
    require!(Replays, Program("gzip"), Program("strace"), Suite(SUITE));
    let scene = Scene::new();
    let ran = run(&scene, &["--stub", "mprotect"], &["-k"]);
    assert_eq!(ran.finished.code(), Some(1), "{:#?}", ran.finished);
    assert_eq!(ran.results.lines().count(), TESTS, "{}", ran.results);
    assert!(passed(&ran.results).len() < TESTS / 2, "{}", ran.results);

    // Each died of its first.
    assert!(ran.starts() >= TESTS as u64, "{}", ran.starts());
    assert_eq!(ran.injections(), ran.starts());
    let errors = trace::errors(&ran.report["trace"], "mprotect");
    assert_eq!(errors, Counts::from([("ENOSYS".to_owned(), ran.starts())]));
    let (_, others) = &*STRACE;
    assert!(sum(others)["mprotect"] > 0);
    let output = format!("{}{}", ran.finished.stdout, ran.finished.stderr);
    let deaths = || {
        let lines = output.lines();
        lines.filter(|line| line.contains("error while loading shared libraries"))
    };
    assert!(deaths().count() > 0, "{output}");
    let stranger = deaths().find(|line| !line.contains("gzip: error while"));
    assert_eq!(stranger, None);
    scene.assert_nothing_left();
}

/// Gzip removes the file that it has packed; the suite's `rm` removes directories. Both by
/// `unlinkat`.
#[test]
fn the_suite_keeps_what_the_target_is_denied() {
    require!(Replays, Program("gzip"), Program("strace"), Suite(SUITE));
    let scene = Scene::new();
    // This also checks that the suite has removed all that it made.
    let ran = run(&scene, &["--stub", "unlinkat"], &["-k"]);
    assert_eq!(ran.results.lines().count(), TESTS, "{}", ran.results);
    let passed = passed(&ran.results);
    for (test, passes) in [("keep", false), ("upper-suffix", false), ("stdin", true)] {
        assert_eq!(passed.contains(test), passes, "{test}: {}", ran.results);
    }
    let errors = trace::errors(&ran.report["trace"], "unlinkat");
    assert!(ran.injections() > 0);
    let injections = Counts::from([("ENOSYS".to_owned(), ran.injections())]);
    assert_eq!(errors, injections);
    assert_eq!(
        trace::counts(&ran.report["trace"])["unlinkat"],
        ran.injections()
    );
    let (gzips, others) = &*STRACE;
    assert!(ran.injections() <= sum(gzips)["unlinkat"]);
    assert!(sum(others)["unlinkat"] > sum(gzips)["unlinkat"]);
    scene.assert_nothing_left();
}

/// An analysis by some of the suite's quick tests: all of it takes a minute.
#[test]
fn an_analysis_by_a_suite_is_one_of_the_target() {
    require!(Replays, Program("gzip"), Suite(SUITE));
    let scene = Scene::new();
    let results = Path::new("/tmp/results");
    let tests = ["keep", "stdin", "two-files", "upper-suffix", "zdiff"];
    let mut command = check(&[], results);
    command.extend(tests.map(str::to_owned));
    let count = format!("test \"$(grep -c '^PASS: ' {})\" = 5", results.display());
    let workload = scene.write(
        "suite.toml",
        &format!(
            "application = \"gzip\"\nworkload = \"some\"\nkind = \"suite\"\nmode = \"batch\"\n\
             command = {command:?}\ntarget = \"/usr/bin/gzip\"\ntest = {count:?}\n\
             directory = {:?}\n",
            workloads().join("gzip")
        ),
    );
    let words = ["analyze", &text(&workload), "--json"];
    let analysis = Analysis::new(scene.run(&words).expect_code(0).json());
    assert!(analysis.number("target_execs") > tests.len() as u64);
    for (kind, found) in [("suite", true), ("bench", false)] {
        let stats = scene.run(&["stats", "--workload", kind]);
        assert_eq!(stats.stdout.contains("gzip/some"), found, "{stats:#?}");
    }
    for name in SHELLS_OWN.into_iter().chain(["execve"]) {
        assert_eq!(analysis.row(name), None);
    }
    for feature in ["read", "write", "openat", "mmap", "unlinkat"] {
        assert_eq!(analysis.verdict(feature), Some("required"), "{feature}");
    }
    // The suite calls them too, and there they would be missed.
    for feature in ["mprotect", "close"] {
        assert_eq!(analysis.verdict(feature), Some("fake"), "{feature}");
    }
    assert_eq!(analysis.verdict("rseq"), Some("any"));
    scene.assert_nothing_left();
}
