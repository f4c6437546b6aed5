//! Data sets in and out, OS profiles, gaps, plans, figures, differences: the whole way, on a
//! small data set of the test's own.

use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};

use super::daemon::Daemon;
use super::{analysis, assert_fails, home, loupe, run, stderr, stdout};

const HEADER: &str = "# syscall, used, works faked, works stubbed, works both\n";

/// A home with a data set in it: `a` requires read and open, `b` read and write, `c` read, and
/// to stub brk; `d` read, and to fake brk.
pub(super) struct World {
    home: tempfile::TempDir,
}

impl World {
    pub(super) fn new() -> World {
        let world = World { home: home() };
        for (application, rows) in [
            ("a", &[(0, "Y,N,N,N"), (2, "Y,N,N,N")][..]),
            ("b", &[(0, "Y,N,N,N"), (1, "Y,N,N,N")]),
            ("c", &[(0, "Y,N,N,N"), (12, "Y,N,Y,N")]),
            ("d", &[(0, "Y,N,N,N"), (12, "Y,Y,N,N")]),
        ] {
            let mut text = HEADER.to_owned();
            for number in 0..=334 {
                let row = rows.iter().find(|(wanted, _)| *wanted == number);
                let cells = row.map_or("N,N,N,N", |(_, cells)| cells);
                text.push_str(&format!("{number},{cells}\n"));
            }
            world.file(&format!("set/{application}/bench/r1/data/dyn.csv"), &text);
        }
        world.file("set/Tiny.syscalls", "close\nclose\nfutimensat\n");
        world
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    pub(super) fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    /// In the home, on a database there.
    pub(super) fn run(&self, line: &str) -> Output {
        let mut command = loupe(self.home.path());
        command.current_dir(self.home.path());
        run(command.args(["--db", "db/l.db"]).args(line.split(' ')))
    }

    #[track_caller]
    pub(super) fn json(&self, line: &str) -> Value {
        let output = self.run(&format!("{line} --json"));
        let document = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        crate::schema::assert_fits(&document);
        document
    }

    #[track_caller]
    pub(super) fn works(&self, line: &str) -> Output {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        output
    }

    pub(super) fn imported() -> World {
        let world = World::new();
        world.works("import loupedb set");
        world
    }
}

fn names(value: &Value) -> Vec<&str> {
    let list = value.as_array().expect("a list");
    list.iter()
        .map(|name| name.as_str().expect("text"))
        .collect()
}

#[test]
fn a_data_set_goes_in_and_comes_out_with_the_same_verdicts() {
    let world = World::new();
    let output = world.works("import loupedb set");
    assert_eq!(
        stdout(&output),
        "Imported 4 runs of 4 applications, and 1 OS profiles.\n"
    );
    let told = stderr(&output);
    assert!(
        told.contains("Tiny.syscalls:3: unknown syscall `futimensat`"),
        "{told}"
    );
    assert!(
        told.contains("1 name is there more than once: close"),
        "{told}"
    );
    let again = stdout(&world.works("import loupedb set"));
    assert!(again.contains("(4 of them were there already)"), "{again}");
    world.works("export loupedb out a b c d");
    for application in ["a", "b", "c", "d"] {
        let file = |top: &str| {
            let path = world.path(&format!("{top}/{application}/bench/r1/data/dyn.csv"));
            std::fs::read_to_string(path).expect("readable")
        };
        assert_eq!(file("set"), file("out"));
    }
    assert_fails(&world.run("export loupedb out a"), 2, "is there already");
    assert_fails(
        &world.run("export loupedb new z"),
        2,
        "no finished analysis of z",
    );
    let show = stdout(&world.works("show c"));
    assert!(show.contains("imported from loupedb, run r1"), "{show}");
    let explain = stdout(&world.works("explain c brk"));
    assert!(
        explain.contains("measured elsewhere and imported"),
        "{explain}"
    );
}

#[test]
fn a_damaged_run_is_left_out_and_the_others_are_not() {
    let world = World::new();
    let damaged = format!("{HEADER}0,Y,N,N,N\n1,Y,perhaps,N,N\n");
    world.file("set/b/bench/r1/data/dyn.csv", &damaged);
    let output = world.run("import loupedb set");
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).starts_with("Imported 3 runs of 3 applications"));
    let told = stderr(&output);
    assert!(told.contains("not imported: b/bench/r1"), "{told}");
    assert!(
        told.contains("dyn.csv:3: `perhaps` is neither Y nor N"),
        "{told}"
    );
    assert_fails(&world.run("show b"), 2, "no finished analysis of b");
    std::fs::create_dir(world.path("empty")).expect("made");
    assert_fails(
        &world.run("import loupedb empty"),
        2,
        "there is no run in empty",
    );
}

#[test]
fn profiles_are_kept_by_name_and_found_by_file() {
    let world = World::imported();
    let list = world.json("os list");
    assert_eq!(list["profiles"][0]["name"], "Tiny");
    assert_eq!(
        stdout(&world.works("os show tiny")),
        "name = \"Tiny\"\nimplement = [\"close\"]\n\n[source]\n\
         url = \"https://github.com/unikraft/loupedb\"\ndate = \"2023\"\n\
         files = \"Tiny.syscalls\"\n"
    );
    world.file("mine.toml", "implement = [\"read\"]\nfake = [\"brk\"]\n");
    world.works("os import mine.toml");
    assert_eq!(world.json("os show mine"), world.json("os show mine.toml"));
    let difference = world.json("os diff Tiny mine");
    assert_eq!(difference["changes"].as_array().map(Vec::len), Some(3));
    world.file("mine.toml", "implement = [\"write\"]\n");
    assert_fails(
        &world.run("os import mine.toml"),
        2,
        "is there already, and it differs",
    );
    world.works("os import mine.toml --force");
    assert_fails(&world.run("gap --os mime a"), 2, "did you mean mine?");
    let told = stdout(&world.works("os list"));
    assert!(
        told.contains("gvisor") && told.contains("3c5eee17"),
        "{told}"
    );
    let gvisor = stdout(&world.works("os show gvisor"));
    assert!(gvisor.contains("date = \"2026-08-21\""), "{gvisor}");
    assert_eq!(
        world.json("os show gvisor"),
        world.json("os show gvisor@2026")
    );
    assert_fails(&world.run("gap --os gvisr a"), 2, "did you mean gvisor?");
    let foreign = world.run("gap --os moss d");
    assert!(stderr(&foreign).contains("of another architecture"));
    world.file("bad.syscalls", "raed\n");
    assert_fails(&world.run("os show bad.syscalls"), 2, "names nothing");
}

#[test]
fn profiles_keep_what_is_smaller_than_a_syscall() {
    let world = World::imported();
    let text = "implement = [\"read\", \"open\"]\nstub = [\"open:O_TMPFILE\"]\n";
    world.file("flags.toml", text);
    world.file(
        "asterinas/open.scml",
        "open(path, flags = O_RDONLY | O_CREAT, mode);\nread(fd, buffer, size);\n",
    );
    world.works("os import flags.toml asterinas");
    let kept = world.json("os show flags");
    assert_eq!(names(&kept["stub"]), ["open:O_TMPFILE"]);
    let missing = world.json("os show asterinas");
    let missing = names(&missing["stub"]);
    assert!(missing.contains(&"open:O_WRONLY"), "{missing:?}");
    assert!(!missing.contains(&"open:O_CREAT"), "{missing:?}");
    // As SCML, and read again.
    let written = world.works("os export scml flags");
    assert!(
        stdout(&written).contains("\nread(..);\n"),
        "{}",
        stdout(&written)
    );
    world.file("again.scml", &stdout(&written));
    let again = world.json("os diff flags again.scml");
    assert_eq!(again["changes"].as_array().map(Vec::len), Some(0));
    let told = stderr(&world.works("os export scml gvisor"));
    assert!(
        told.contains("in comments only: ") && told.lines().count() == 1,
        "{told}"
    );
    let difference = world.json("os diff flags asterinas");
    let changes = difference["changes"].as_array().expect("a list").iter();
    let changed: Vec<&Value> = changes.map(|change| &change["feature"]).collect();
    assert!(changed.contains(&&"open:O_WRONLY".into()), "{changed:?}");
    // What was measured as a whole syscall asks for no flag, and for every operation.
    world.works("gap --os asterinas a");
    world.file(
        "half.toml",
        "implement = [\"read\", \"open\"]\nstub = [\"open:O_CREAT\"]\n",
    );
    world.works("gap --os half.toml a");
}

#[test]
fn logs_and_tables_become_profiles_over_what_is_known() {
    let world = World::imported();
    world.file(
        "toy.status.tsv",
        "syscall\tstatus\terrno\tnote\nread\tfull\t\t\nbpf\terror\tEPERM\tno\n",
    );
    let told = stdout(&world.works("os import toy.status.tsv"));
    assert!(
        told.starts_with("Kept toy (1 implemented, 0 stubbed, 0 faked)"),
        "{told}"
    );
    assert_eq!(world.json("os show toy")["error"]["EPERM"][0], "bpf");
    world.file(
        "boot.txt",
        "I1129 compat.go:123] Unsupported syscall openat2(0x0,0x0,0x0,0x0,0x0,0x0). It is\n",
    );
    world.works("os import boot.txt --name here");
    let here = world.json("os show here");
    assert!(names(&here["stub"]).contains(&"openat2"), "{here:#}");
    assert!(names(&here["implement"]).contains(&"openat"));
    world.file(
        "x.strace",
        "1 close(1) = 0\n1 read(3, \"\", 1) = -1 ENOSYS (Function)\n",
    );
    let output = world.works("os import x.strace --base toy");
    assert!(!stderr(&output).contains("counts as missing"));
    let seen = world.json("os show x");
    assert_eq!(names(&seen["implement"]), ["close"]);
    assert_eq!(names(&seen["stub"]), ["read"]);
    assert_eq!(seen["error"]["EPERM"][0], "bpf");
    assert_fails(
        &world.run("os import x.strace --base nosuch"),
        2,
        "there is no OS profile",
    );
}

#[test]
fn gramine_mocks_what_it_lacks() {
    let world = World::imported();
    world.file(
        "g.toml",
        "name = \"g\"\nimplement = [\"read\"]\nstub = [\"brk\"]\n",
    );
    let output = world.works("export gramine --os g.toml c");
    let text = stdout(&output);
    assert!(text.contains("{ name = \"brk\", return = -38 }"), "{text}");
    let output = world.works("export gramine --os g.toml b d");
    let text = stdout(&output);
    assert!(text.contains("{ name = \"brk\", return = 0 }"), "{text}");
    assert!(stderr(&output).contains("mocks are not enough: g does not have write"));
    let today = stdout(&world.works("export gramine a"));
    assert!(today.contains("sys.debug__mock_syscalls = [\n]"), "{today}");
    assert_fails(&world.run("export gramine"), 2, "for which applications?");
}

#[test]
fn a_gap_is_told_by_class() {
    let world = World::imported();
    let gap = world.json("gap --os Tiny d");
    assert_eq!(names(&gap["single"]["implement"]), ["read"]);
    assert_eq!(names(&gap["single"]["fake"]), ["brk"]);
    assert_eq!(gap["joint"], Value::Null);
    let output = world.run("gap --os Tiny d");
    assert_eq!(output.status.code(), Some(1), "something is missing");
    let text = stdout(&output);
    assert!(text.contains("to fake, or to implement (1): brk"), "{text}");
    let csv = stdout(&world.run("gap --os Tiny d --csv"));
    assert_eq!(
        csv,
        "feature,missing,basis\nread,implement,single\nbrk,fake,single\n"
    );
    world.file("mine.toml", "implement = [\"read\"]\n");
    world.works("gap --os mine.toml c");
    // What ends its caller is no stub, whatever the application could do without.
    world.file("kills.toml", "unknown = \"kill\"\nimplement = [\"read\"]\n");
    let kills = world.json("gap --os kills.toml d");
    assert_eq!(names(&kills["single"]["fake"]), ["brk"], "{kills:#}");
}

pub(super) fn save(world: &World, plan: &Value) {
    world.file("plan.json", &plan.to_string());
}

#[test]
fn a_plan_holds_and_one_that_does_not_is_found_out() {
    let world = World::imported();
    let plan = world.json("plan --os Tiny");
    assert_eq!(
        (&plan["schema"], &plan["os"]),
        (&"loupe.plan/1".into(), &"Tiny".into())
    );
    assert_eq!(plan["steps"][0]["implement"], Value::Array(Vec::new()));
    // read and one of the two conflicting ones; then a, b and the other one, a syscall each.
    assert_eq!(
        (&plan["area"], &plan["lower_bound"]),
        (&7.into(), &7.into())
    );
    assert_eq!(plan["conflicts"][0]["feature"], "brk");
    save(&world, &plan);
    let output = world.works("plan --check plan.json");
    assert!(stdout(&output).contains("4 of 4 applications run"));
    let mut broken = plan.clone();
    broken["steps"][1]["implement"] = Value::Array(Vec::new());
    save(&world, &broken);
    let output = world.run("plan --check plan.json");
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    assert!(
        text.contains("BROKEN: read (required, but stubbed"),
        "{text}"
    );
    let mut foreign = plan.clone();
    foreign["data"] = "0".into();
    save(&world, &foreign);
    assert_fails(
        &world.run("plan --check plan.json"),
        2,
        "from other measurements",
    );
    save(&world, &Value::Null);
    assert_fails(&world.run("plan --check plan.json"), 2, "is no plan");
}

#[test]
fn a_plan_made_elsewhere_is_checked_by_its_steps_alone() {
    let world = World::imported();
    let plan = json!({
        "schema": "loupe.plan/1", "os": "Tiny", "strategy": "by hand", "area": 1,
        "area_weighted": 1.0, "lower_bound": 1,
        "steps": [{"implement": ["read"], "stub": [], "fake": [], "unlocks": ["c", "d"]}],
    });
    save(&world, &plan);
    assert_fails(
        &world.run("plan --check plan.json"),
        2,
        "does not say what Tiny implements",
    );
    let output = world.run("plan --check plan.json --os Tiny --csv");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stdout(&output),
        "application,promised,runs_from,checked,unmet\nc,0,0,kept,\n\
         d,0,,broken,\"brk (fake only, but stubbed at step 0)\"\n"
    );
    let mut foreign = plan;
    foreign["steps"][0]["unlocks"] = json!(["nginx"]);
    save(&world, &foreign);
    assert_fails(
        &world.run("plan --check plan.json --os Tiny"),
        2,
        "it promises nginx",
    );
}

#[test]
fn bad_input_to_plans_is_refused_with_a_cure() {
    let world = World::imported();
    for (line, says) in [
        ("plan --os Tiny --apps a,zz", "no finished analysis of zz"),
        ("plan --os Tiny --apps a,a", "a is named twice"),
        (
            "plan --os Tiny --workload suite",
            "none of the 4 applications",
        ),
        ("plan --os /no/such", "cannot read /no/such"),
        ("plan --os Tiny --weights w.toml", "w.toml:3: duplicate key"),
        ("stats zz", "no finished analysis of zz"),
        ("diff a 99", "no finished analysis 99"),
        ("diff a missing.json", "cannot read missing.json"),
    ] {
        world.file("w.toml", "[applications]\na = 1\na = 2\n");
        assert_fails(&world.run(line), 2, says);
    }
    let empty = World::new();
    std::fs::create_dir(empty.path("db")).expect("made");
    assert_fails(
        &empty.run("plan --os set/Tiny.syscalls"),
        2,
        "there is no database",
    );
}

#[test]
fn figures_and_differences_are_for_people_and_programs() {
    let world = World::imported();
    let figures = world.json("stats");
    assert_eq!(
        (&figures["used"], &figures["required"]),
        (&4.into(), &3.into())
    );
    assert_eq!(
        (&figures["half_required"], &figures["half_used"]),
        (&1.into(), &3.into())
    );
    assert!(stdout(&world.works("stats")).contains("Half of them run with 1 syscall"));
    assert!(stdout(&world.works("stats a --csv")).ends_with("a,bench,2,2,0,0,0,1,,,\n"));
    assert!(stdout(&world.works("diff a a")).contains("Nothing changed."));
    let output = world.run("diff a b --csv");
    assert_eq!(output.status.code(), Some(1), "write is newly required");
    assert_eq!(
        stdout(&output),
        "change,feature,before,after\ngained,write,,required\nlost,open,required,\n"
    );
    let shown = world.works("show c --json");
    std::fs::write(world.path("before.json"), &shown.stdout).expect("written");
    assert_eq!(world.run("diff before.json d").status.code(), Some(0));
}

#[test]
fn the_daemon_is_asked_for_all_results_at_once() {
    let home = home();
    let _daemon = Daemon::start(home.path(), |mut talk| {
        assert_eq!(talk.request()["request"], "results");
        let entry = json!({
            "id": 1, "fingerprint": "f", "started_ms": 1, "finished_ms": 2,
            "analysis": analysis("required"),
        });
        talk.say(&json!({"loupe": 1, "reply": "results", "entries": [entry]}));
    });
    let output = run(loupe(home.path()).args(["stats", "--json"]));
    let figures: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    crate::schema::assert_fits(&figures);
    assert_eq!(figures["applications"][0]["application"], "cat");
    assert_eq!(figures["required"], 1);
    // What was written elsewhere would not be found behind this daemon, whoever wrote it.
    let output = run(loupe(home.path()).args(["import", "loupedb", "."]));
    assert_fails(&output, 2, "not by the daemon");
}
