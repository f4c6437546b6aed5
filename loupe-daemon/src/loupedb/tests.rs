//! Small data sets with everything that is odd in the real one; and the real one, if it is here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use loupe_common::verdict::Verdict;

use super::layout::Run;
use super::*;
use crate::store::StoredAnalysis;

const HEADER: &str = "# syscall, used, works faked, works stubbed, works both\n";

/// A whole table: these rows, all others unused.
fn rows(special: &[(u16, &str)], header: &str, last: u16) -> String {
    let mut text = header.to_owned();
    for number in 0..=last {
        let found = special.iter().find(|(wanted, _)| *wanted == number);
        let cells = found.map_or("N,N,N,N", |(_, cells)| cells);
        writeln!(text, "{number},{cells}").expect("a String");
    }
    text
}

struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Scratch {
        Scratch {
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(&path, text).expect("written");
        path
    }

    fn read(&self) -> DataSet {
        read(self.path(), &[]).expect("readable")
    }
}

fn remarks(set: &DataSet, root: &Path) -> Vec<String> {
    let root = format!("{}/", root.display());
    let told = set.remarks.iter().map(ToString::to_string);
    told.map(|remark| remark.replace(&root, "")).collect()
}

fn verdicts(run: &Run) -> Vec<(String, Verdict)> {
    let rows = run.analysis.features.iter();
    rows.map(|row| (row.feature.to_string(), row.verdict))
        .collect()
}

#[test]
fn the_columns_are_used_faked_stubbed_both() {
    let scratch = Scratch::new();
    let special = [
        (0, "Y,N,N,N"),
        (1, "Y,Y,N,N"),
        (2, "Y,N,Y,N"),
        (3, "Y,N,N,Y"),
        (4, "Y,Y,Y,Y"),
    ];
    scratch.file("app/bench/run/data/dyn.csv", &rows(&special, HEADER, 334));
    let set = scratch.read();
    let wanted = [
        ("read".to_owned(), Verdict::Required),
        ("open".to_owned(), Verdict::Stub),
        ("write".to_owned(), Verdict::Fake),
        ("close".to_owned(), Verdict::Any),
        ("stat".to_owned(), Verdict::Any),
    ];
    assert_eq!(verdicts(&set.runs[0]), wanted);
    assert_eq!(
        remarks(&set, scratch.path()),
        ["app/bench/run/data/dyn.csv: `both` is written Y,Y,Y,Y (not Y,N,N,Y), 1 times"]
    );
}

#[test]
fn an_exec_is_the_harness_s_unless_the_application_may_execute_something() {
    let scratch = Scratch::new();
    let needs = "Y,N,N,N";
    for (name, special) in [
        ("alone", &[(0, needs), (56, needs), (59, needs)][..]),
        (
            "parent",
            &[(0, needs), (56, needs), (59, needs), (61, needs)],
        ),
        ("forks", &[(58, "Y,Y,N,N"), (59, needs)]),
    ] {
        let text = rows(special, HEADER, 334);
        scratch.file(&format!("{name}/bench/run/data/dyn.csv"), &text);
    }
    let set = scratch.read();
    let marked: Vec<(&str, String)> = set
        .runs
        .iter()
        .flat_map(|run| {
            let rows = run.analysis.features.iter().filter(|row| row.harness);
            rows.map(|row| {
                assert_eq!(row.verdict, Verdict::Required, "what was measured stays");
                (run.analysis.application.as_str(), row.feature.to_string())
            })
        })
        .collect();
    assert_eq!(marked, [("alone", "execve".to_owned())]);
}

#[test]
fn everything_odd_is_told_once_and_read_all_the_same() {
    let scratch = Scratch::new();
    let special = [(0, "Y,N,N,N"), (21, "N,Y,Y,Y"), (7, "Y,Y,N,Y")];
    scratch.file("a/w/r/data/dyn.csv", &rows(&special, "", 335));
    let mut text = "N# syscall, used\n".to_owned();
    for number in 0..=333 {
        writeln!(text, "{number},{}", if number == 9 { "Y" } else { "N" }).expect("a String");
    }
    scratch.file("a/w/r/data/static_binary.csv", &text);
    scratch.file("a/w/r/data/static_sources.csv", "N0,Y\n0,Y\n");
    let set = scratch.read();
    assert!(set.damaged.is_empty(), "{:?}", set.damaged);
    let analysis = &set.runs[0].analysis;
    let mmap = "mmap".parse().expect("a syscall");
    assert_eq!(analysis.static_binary, Some(vec![mmap]));
    let told: Vec<String> = remarks(&set, scratch.path())
        .iter()
        .map(|remark| remark.chars().take(90).collect())
        .collect();
    assert_eq!(
        told,
        [
            "a/w/r/data/dyn.csv:1: there is no header",
            "a/w/r/data/dyn.csv: more rows than the 335 of the data set: 335 (unused; left out)",
            "a/w/r/data/dyn.csv: the columns of these contradict each other (taken as both): 7",
            "a/w/r/data/dyn.csv: these are not used, and yet can be stubbed or faked (taken as unused): 21",
            "a/w/r/data/static_binary.csv:1: the header begins with `N`",
            "a/w/r/data/static_binary.csv: no row (taken as unused): 334",
            "a/w/r/data/static_sources.csv:1: the first row begins with a stray `N`: `N0`",
            "a/w/r/data/static_sources.csv:1: there is no header",
            "a/w/r/data/static_sources.csv: rows that are there twice: 0",
            "a/w/r/data/static_sources.csv: no row (taken as unused): 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11",
        ]
        .map(|wanted| wanted.chars().take(90).collect::<String>())
    );
}

#[test]
fn a_damaged_file_keeps_its_run_out_whole_and_is_told_with_its_line() {
    for (text, wrong) in [
        (
            rows(&[(5, "Y,N,N")], HEADER, 334),
            "dyn.csv:7: 4 columns instead of 5",
        ),
        (
            rows(&[(5, "Y,N,maybe,N")], HEADER, 334),
            "dyn.csv:7: `maybe` is neither Y nor N",
        ),
        (
            format!("{HEADER}read,Y,N,N,N\n"),
            "dyn.csv:2: `read` is no number of a syscall",
        ),
        (
            format!("{HEADER}1,Y,N,N,N\n1,N,N,N,N\n"),
            "dyn.csv:3: 1 is also in line 2",
        ),
        (String::new(), "dyn.csv: no row"),
        (rows(&[], HEADER, 334), "dyn.csv: no syscall is used"),
    ] {
        let scratch = Scratch::new();
        scratch.file("bad/w/r/data/dyn.csv", &text);
        scratch.file("bad/w/r/data/static_binary.csv", "0,Y\n");
        let good = rows(&[(0, "Y,N,N,N")], HEADER, 334);
        scratch.file("good/w/r/data/dyn.csv", &good);
        let set = scratch.read();
        assert_eq!(set.runs.len(), 1, "the other run is read");
        assert_eq!(set.damaged.len(), 1);
        assert_eq!(set.damaged[0].of, "bad/w/r");
        let told = set.damaged[0].remark.to_string();
        assert!(told.contains(wrong), "{told}");
    }
}

#[test]
fn a_damaged_static_table_keeps_its_run_out_too() {
    let scratch = Scratch::new();
    let good = rows(&[(0, "Y,N,N,N")], HEADER, 334);
    scratch.file("a/w/r/data/dyn.csv", &good);
    scratch.file("a/w/r/data/static_binary.csv", "# syscall, used\n0,Y,Y\n");
    let set = scratch.read();
    assert!(set.runs.is_empty());
    let told = set.damaged[0].remark.to_string();
    assert!(
        told.ends_with("static_binary.csv:2: 3 columns instead of 2"),
        "{told}"
    );
}

#[test]
fn of_several_runs_the_named_one_is_taken_else_the_last() {
    let scratch = Scratch::new();
    for (run, number) in [("aaa", 0), ("bbb", 1)] {
        let text = rows(&[(number, "Y,N,N,N")], HEADER, 334);
        scratch.file(&format!("a/w/{run}/data/dyn.csv"), &text);
    }
    let set = scratch.read();
    assert_eq!(set.runs[0].name.run, "bbb");
    assert_eq!(
        remarks(&set, scratch.path()),
        ["a/w: 2 runs: bbb is taken, the last by name; left out: aaa"]
    );
    let choice = |text: &str| text.parse::<Choice>().expect("a choice");
    let set = read(scratch.path(), &[choice("a/w/aaa")]).expect("readable");
    assert_eq!(set.runs[0].name.run, "aaa");
    for (wrong, told) in [
        ("a/w/ccc", "there is no run a/w/ccc in"),
        ("b/w/aaa", "there is no run b/w/aaa in"),
    ] {
        let error = read(scratch.path(), &[choice(wrong)]).expect_err("no such run");
        assert!(error.to_string().starts_with(told), "{error}");
    }
    assert!("a/w".parse::<Choice>().is_err());
}

#[test]
fn a_directory_without_runs_is_no_data_set() {
    let scratch = Scratch::new();
    scratch.file("a/b/readme", "nothing\n");
    let error = read(scratch.path(), &[]).expect_err("empty");
    assert!(matches!(error, LoupedbError::Empty { .. }), "{error}");
    let absent = scratch.path().join("absent");
    assert!(matches!(read(&absent, &[]), Err(LoupedbError::Read { .. })));
}

fn stored(run: &Run) -> StoredAnalysis {
    StoredAnalysis {
        choice: None,
        id: 1,
        fingerprint: String::new(),
        started_ms: 0,
        finished_ms: 0,
        analysis: run.analysis.clone(),
    }
}

/// Everything goes out and comes in again.
fn round_trip(set: &DataSet) {
    let out = tempfile::tempdir().expect("a directory");
    for run in &set.runs {
        let written = write(out.path(), &stored(run)).expect("written");
        assert_eq!(written.remarks, [""; 0]);
    }
    let again = read(out.path(), &[]).expect("readable");
    assert!(again.damaged.is_empty() && again.remarks.is_empty());
    assert_eq!(again.runs, set.runs);
}

#[test]
fn what_is_written_reads_back_the_same() {
    let scratch = Scratch::new();
    let special = [
        (0, "Y,N,N,N"),
        (1, "Y,Y,N,N"),
        (2, "Y,N,Y,N"),
        (3, "Y,Y,Y,Y"),
    ];
    scratch.file("a/w/r/data/dyn.csv", &rows(&special, HEADER, 334));
    scratch.file("a/w/r/data/static_binary.csv", "0,Y\n1,Y\n");
    round_trip(&scratch.read());
}

#[test]
fn what_the_format_cannot_say_is_told_and_nothing_is_overwritten() {
    let scratch = Scratch::new();
    let text = rows(&[(0, "Y,N,N,N")], HEADER, 334) + "435,Y,N,Y,N\n";
    scratch.file("a/w/r/data/dyn.csv", &text);
    let mut run = scratch.read().runs.remove(0);
    run.analysis.features[0].verdict = Verdict::Undecided;
    let mut file = run.analysis.features[0].clone();
    file.feature = "/proc/cpuinfo".parse().expect("a pseudo-file");
    run.analysis.features.push(file);
    let out = tempfile::tempdir().expect("a directory");
    let written = write(out.path(), &stored(&run)).expect("written");
    assert_eq!(
        written.remarks,
        [
            "written as required, for want of a verdict: read",
            "dyn.csv: rows above 334, which other readers of the format may not know: 435",
            "dyn.csv: the format knows syscalls only, so left out: 1 pseudo-file",
        ]
    );
    let again = read(out.path(), &[]).expect("readable");
    assert_eq!(
        verdicts(&again.runs[0])[1],
        ("clone3".to_owned(), Verdict::Stub)
    );
    assert!(matches!(
        write(out.path(), &stored(&run)),
        Err(LoupedbError::Exists { .. })
    ));
    run.analysis.application = "../a".to_owned();
    assert!(matches!(
        write(out.path(), &stored(&run)),
        Err(LoupedbError::BadName { .. })
    ));
}

#[test]
fn the_whole_of_the_papers_data_set_survives_the_round_trip() {
    let Some(directory) = crate::testing::loupedb("the papers data set") else {
        return;
    };
    let set = read(&directory, &[]).expect("readable");
    assert!(set.damaged.is_empty(), "{:?}", set.damaged);
    assert_eq!(set.applications().len(), 116);
    assert_eq!(set.runs.len(), 123);
    assert_eq!(set.profiles.len(), 11);
    let told = remarks(&set, &directory);
    let count = |what: &str| told.iter().filter(|remark| remark.contains(what)).count();
    assert_eq!(count("more rows than the 335"), 18);
    assert_eq!(count("runs: "), 2);
    assert_eq!(count("unknown syscall `futimensat`"), 1);
    assert_eq!(count("names are there more than once"), 1);
    assert_eq!(count("there is no header"), 11);
    round_trip(&set);
}

proptest::proptest! {
    /// Whatever a file holds: it is read or refused, never a panic.
    #[test]
    fn no_table_makes_the_reader_panic(text in "([0-9]{0,3}[,YN# é]{0,10}\n?){0,20}") {
        drop(table::read::<4>(&text));
    }
}

#[test]
fn a_directory_whose_name_steers_a_terminal_is_not_imported() {
    let scratch = Scratch::new();
    let table = rows(&[(0, "Y,N,N,N")], HEADER, 334);
    for name in ["good", "e\u{202e}vil", "e\u{1b}]0;x\u{7}"] {
        scratch.file(&format!("{name}/bench/run/data/dyn.csv"), &table);
    }
    let set = scratch.read();
    assert_eq!(set.applications().into_iter().collect::<Vec<_>>(), ["good"]);
    let told: Vec<_> = set.damaged.iter().map(|damage| &damage.remark).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter()
            .all(|remark| remark.what.contains("its directory must be a name"))
    );
}
