//! Files as the tools write them, and odd ones.

use super::*;
use crate::plan::os::{document, read_over};

fn feature(name: &str) -> Feature {
    name.parse().expect("a feature")
}

fn over(text: &str, file: &str, base: Option<&OsProfile>) -> ReadProfile {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(file);
    std::fs::write(&path, text).expect("written");
    read_over(&path, base).expect("readable")
}

fn told(read: &ReadProfile) -> String {
    let remarks = read.remarks.iter();
    let remarks: Vec<&str> = remarks.map(|remark| remark.what.as_str()).collect();
    remarks.join("\n")
}

/// As runsc of Debian 12 wrote it.
const RUNSC: &str = "\
I1129 11:31:05.000000   12385 main.go:214] Args: [runsc-sandbox boot]
I1129 11:31:05.633554   12385 compat.go:123] Unsupported syscall rseq(0x7fe162ca5be0,0x20,0x0,0x53053053,0x0,0x0). It is likely that you can safely ignore this message and that this is not the cause of any error. Please, refer to https://gvisor.dev/c/linux/amd64/rseq for more information.
I1129 11:31:05.741218   12385 compat.go:123] Unsupported syscall pidfd_open(0x1,0x0,0x7fe162c481d8,0xa62748,0x7fe162a028b0,0x6). It is likely
I1129 11:31:05.741293   12385 compat.go:123] Unsupported syscall sys_449(0x0,0x0,0x0,0x0,0x0,0x6). It is likely
I1129 11:31:05.800000   12385 compat.go:123] Unsupported syscall fcntl(0x1,0x407,0x1000,0x0,0x0,0x0). It is likely
I1129 11:31:05.800001   12385 compat.go:123] Unsupported syscall sys_9999(0x0,0x0,0x0,0x0,0x0,0x0). It is likely
";

#[test]
fn the_log_of_gvisor_takes_away_what_it_names_from_what_is_built_in() {
    let read = over(RUNSC, "boot.log", None);
    let os = &read.profile;
    for name in ["rseq", "pidfd_open", "futex_waitv"] {
        let is_there = built_in::read("gvisor").expect("there").expect("readable");
        let was = is_there.profile.answer(&feature(name));
        match was {
            Answer::Implement => assert!(os.partial.contains(&feature(name)), "{name}"),
            _ => assert_eq!(os.answer(&feature(name)), Answer::Stub, "{name}"),
        }
    }
    assert_eq!(os.answer(&feature("openat")), Answer::Implement);
    // One command of a call that is there.
    assert_eq!(os.answer(&feature("fcntl")), Answer::Implement);
    assert!(os.partial.contains(&feature("fcntl")));
    assert!(
        os.stub.contains(&feature("fcntl:F_SETPIPE_SZ")),
        "{:?}",
        os.stub
    );
    assert_eq!(told(&read), "unknown syscall `sys_9999`; left out");
    let files = os.source.files.as_deref().expect("said");
    assert!(files.contains("linux64.go; over it"), "{files}");
}

#[test]
fn the_log_of_gvisor_is_put_over_another_profile_where_that_is_asked_for() {
    let base = OsProfile {
        implement: [feature("read")].into(),
        ..OsProfile::default()
    };
    let os = over(RUNSC, "boot.log", Some(&base)).profile;
    assert_eq!(os.answer(&feature("rseq")), Answer::Stub);
    assert_eq!(os.answer(&feature("fcntl")), Answer::Stub);
    assert_eq!(os.implement, base.implement);
}

/// As strace 6.1 writes it: to a file, to a terminal, with times, in two parts.
const STRACE: &str = "\
12479 execve(\"/usr/bin/ls\", [\"ls\", \"/a (b) = 3\"], 0x7ffecb0df7d8 /* 35 vars */) = 0
12479 brk(NULL)                         = 0x5602c635c000
12479 access(\"/etc/ld.so.preload\", R_OK) = -1 ENOENT (No such file or directory)
12479 rseq(0x7fb5d9a1c000, 0x20, 0, 0x53053053) = -1 ENOSYS (Function not implemented)
[pid 12491] wait4(-1,  <unfinished ...>
[pid 12491] <... vfork resumed>)        = 12492
11:31:05.5 openat(AT_FDCWD, \"x\", O_RDONLY) = -1 ENOENT (No such file or directory)
12 11:31:05 0.000012 openat(AT_FDCWD, \"x\", O_RDONLY) = 3
fcntl(3, F_GETFL)                       = 0x8000 (flags O_RDONLY|O_LARGEFILE)
fcntl(3, 0x9999)                        = -1 ENOSYS (Function not implemented)
frobnicate(1)                           = 0
12479 exit_group(2)                     = ?
12479 +++ exited with 2 +++
12479 --- SIGCHLD {si_signo=SIGCHLD} ---
";

#[test]
fn a_trace_tells_what_came_back_and_with_what() {
    let read = over(STRACE, "ls.log", None);
    let os = &read.profile;
    assert_eq!(os.name, "ls");
    let names = [
        "execve",
        "brk",
        "access",
        "vfork",
        "openat",
        "fcntl",
        "exit_group",
    ];
    let implemented = names.map(feature).into_iter().collect();
    assert_eq!(os.implement, implemented);
    assert_eq!(os.stub, [feature("rseq")].into());
    assert_eq!(os.partial, ["access", "fcntl"].map(feature).into());
    assert_eq!(
        os.notes[&feature("access")],
        "was only seen to fail, with ENOENT"
    );
    let told = told(&read);
    assert!(told.contains("unknown syscall `frobnicate`"), "{told}");
    assert!(
        told.contains("what it does not show counts as missing"),
        "{told}"
    );
}

#[test]
fn a_trace_over_a_profile_changes_only_what_it_shows() {
    let base = built_in::read("gramine").expect("there").expect("readable");
    let read = over(STRACE, "ls.log", Some(&base.profile));
    assert!(!told(&read).contains("counts as missing"));
    let changes = crate::plan::os::OsDifference::between(&base.profile, &read.profile).changes;
    let changed: Vec<String> = changes
        .iter()
        .map(|change| format!("{} {}", change.feature, change.to))
        .collect();
    assert!(changed.is_empty(), "gramine has all of it: {changed:?}");
    assert_eq!(read.profile.source.url, base.profile.source.url);
}

fn report(tests: &[(&str, &str, &str)]) -> String {
    let tests: Vec<String> = tests
        .iter()
        .map(|(name, status, log)| {
            format!(
                r#"{{"test_fqn": "{name}", "status": "{status}", "test": {{"command": "{name}",
                "arguments": [], "log": "{log}", "retval": ["0"], "duration": 0.1}}}}"#
            )
        })
        .collect();
    format!(
        r#"{{"results": [{}], "stats": {{"runtime": 1.0}}, "environment": {{"arch": "x86_64"}}}}"#,
        tests.join(",")
    )
}

#[test]
fn tests_of_a_syscall_tell_how_far_it_is_implemented() {
    let text = report(&[
        ("accept01", "pass", ""),
        ("accept4_01", "fail", "accept4: ENOSYS (38)"),
        ("dup201", "pass", ""),
        ("dup202", "brok", "boom"),
        ("dup01", "pass", ""),
        ("fallocate01", "fail", "wrong size"),
        ("io_uring01", "pass", ""),
        ("send01", "pass", ""),
        ("pread02_64", "pass", ""),
        (
            "mq_open01",
            "conf",
            "syscall(240) __NR_mq_open not supported on your arch",
        ),
        ("swapon01", "conf", "no swap"),
        ("df01_sh", "pass", ""),
    ]);
    let read = over(&text, "report.json", None);
    let os = &read.profile;
    let implemented = ["accept", "dup", "dup2", "sendto", "pread64"];
    assert_eq!(os.implement, implemented.map(feature).into());
    assert_eq!(os.partial, [feature("dup2")].into());
    assert_eq!(
        os.notes[&feature("dup2")],
        "1 of 2 LTP tests pass; not dup202"
    );
    assert_eq!(
        os.stub,
        ["accept4", "fallocate", "mq_open"].map(feature).into()
    );
    assert_eq!(
        os.notes[&feature("fallocate")],
        "none of 1 LTP tests passes"
    );
    let told = told(&read);
    assert!(told.contains("2 tests are named like no syscall"), "{told}");
    assert!(told.contains("1 syscalls had no test that could run, and are left out: swapon"));
}

#[test]
fn a_profile_in_json_and_a_list_of_names_are_no_evidence() {
    let json = r#"{"name": "x", "implement": ["read"]}"#;
    assert_eq!(kind_of(Path::new("x.json"), json), None);
    assert_eq!(
        kind_of(Path::new("x.syscalls"), "read\nwrite # (all) = 3\n"),
        None
    );
    assert!(document::read_json(Path::new("x.json"), json).is_ok());
}

#[test]
fn a_profile_over_another_keeps_what_it_does_not_mention() {
    let base = built_in::read("docker-default")
        .expect("there")
        .expect("readable");
    let read = over(
        "implement = [\"bpf\"]\nstub = [\"read\"]\n",
        "mine.toml",
        Some(&base.profile),
    );
    let os = read.profile;
    assert_eq!(os.name, "mine");
    assert_eq!(os.answer(&feature("bpf")), Answer::Implement);
    assert_eq!(os.answer(&feature("read")), Answer::Stub);
    assert_eq!(os.answer(&feature("write")), Answer::Implement);
    assert_eq!(os.unknown, base.profile.unknown);
}

/// As the probe prints it: a result a line.
fn probed(results: &str) -> String {
    format!(
        r#"{{"schema":"loupe.probe/1","arch":"x86_64","os":{{"sysname":"Toy","release":"1","version":"x","machine":"x86_64"}},"time":1795964451,"root":true,"isolated":true,"results":[
{results}
]}}
"#
    )
}

const RESULTS: &str = r#"{"feature":"read","result":"works"},
{"feature":"rseq","result":"ENOSYS"},
{"feature":"bpf","result":"errno","errno":1},
{"feature":"mlock","result":"lies"},
{"feature":"vhangup","result":"crashes"},
{"feature":"mount","result":"hangs"},
{"feature":"rmdir","result":"not tried","needs":"mkdir"},
{"feature":"reboot","result":"not tried","reason":"destroys"},
{"feature":"frobnicate","result":"works"},
{"feature":"fcntl","result":"works"},
{"feature":"fcntl:F_GETFD","result":"works"},
{"feature":"fcntl:F_GETLK","result":"errno","errno":22},
{"feature":"/proc/self/maps","result":"works"},
{"feature":"/proc/cpuinfo","result":"errno","errno":2},
{"feature":"/dev/urandom","result":"lies"}"#;

#[test]
fn what_the_probe_found_is_a_profile() {
    let read = over(&probed(RESULTS), "toy.json", None);
    let os = &read.profile;
    let answer = |name: &str| os.answer(&feature(name));
    assert_eq!(answer("read"), Answer::Implement);
    assert_eq!(answer("rseq"), Answer::Stub);
    assert_eq!(
        answer("bpf"),
        Answer::Error("EPERM".parse().expect("an errno"))
    );
    assert_eq!(answer("mlock"), Answer::Fake);
    assert_eq!(
        (answer("vhangup"), answer("mount")),
        (Answer::Kill, Answer::Kill)
    );
    assert_eq!(os.notes[&feature("mount")], "the probe found that it hangs");
    assert!(!os.mentions(&feature("rmdir")) && !os.mentions(&feature("reboot")));
    assert!(os.partial.contains(&feature("fcntl")) && !os.mentions(&feature("fcntl:F_GETFD")));
    assert_eq!(
        answer("fcntl:F_GETLK"),
        Answer::Error("EINVAL".parse().expect("an errno"))
    );
    assert_eq!(answer("/proc/self/maps"), Answer::Implement);
    assert_eq!(answer("/proc/cpuinfo"), Answer::Stub);
    assert_eq!(answer("/dev/urandom"), Answer::Fake);
    assert_eq!(
        (os.arch, os.source.date.as_deref()),
        (Some(Arch::X86_64), Some("2026-11-29"))
    );
    assert!(
        os.source
            .files
            .as_deref()
            .expect("said")
            .contains("loupe-probe on Toy 1")
    );
    let told = told(&read);
    assert!(told.contains("unknown feature `frobnicate`"), "{told}");
    assert!(told.contains("counts as missing"), "{told}");
}

#[test]
fn what_was_measured_and_published_is_readable() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/probed");
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).expect("docs/probed") {
        let path = entry.expect("an entry").path();
        let read = read_over(&path, None).expect("readable");
        assert_eq!(read.remarks, [], "{}", path.display());
        assert!(read.profile.implement.len() > 200, "{}", path.display());
        assert!(read.profile.source.read.is_some() && read.profile.arch.is_some());
        count += 1;
    }
    assert_eq!(count, 1);
}

#[test]
fn where_the_probe_and_a_list_disagree_the_probe_wins_and_both_are_kept() {
    let base = OsProfile {
        name: "list".to_owned(),
        implement: ["read", "rseq", "rmdir", "fcntl:F_GETFD", "fcntl"]
            .map(feature)
            .into(),
        fake: ["mlock"].map(feature).into(),
        notes: [(feature("rseq"), "on some".to_owned())].into(),
        ..OsProfile::default()
    };
    let read = over(&probed(RESULTS), "toy.json", Some(&base));
    let os = &read.profile;
    assert_eq!(os.answer(&feature("rseq")), Answer::Stub);
    assert_eq!(
        os.notes[&feature("rseq")],
        "the probe found: ENOSYS; the list says: works; on some"
    );
    // What the probe did not try is as the list says; what both say alike has no note.
    assert_eq!(os.answer(&feature("rmdir")), Answer::Implement);
    assert!(!os.notes.contains_key(&feature("mlock")));
    let told = told(&read);
    assert!(told.contains("the probe and list disagree on"), "{told}");
    assert!(
        told.contains("the probe wins, and the notes have both"),
        "{told}"
    );
    assert!(told.contains("rseq (works, ENOSYS)"), "{told}");
    assert!(!told.contains("counts as missing"), "{told}");
}

#[test]
fn what_another_version_of_the_probe_printed_or_half_of_it_is_refused_with_a_cure() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("toy.json");
    let refused = |text: &str| {
        std::fs::write(&path, text).expect("written");
        let error = read_over(&path, None).expect_err("refused");
        (error.to_string(), error.hint().expect("a cure"))
    };
    let whole = probed(RESULTS);
    let (what, cure) = refused(&whole.replace("loupe.probe/1", "loupe.probe/9"));
    assert!(
        what.contains("another version of the probe (loupe.probe/9)"),
        "{what}"
    );
    assert!(cure.contains("loupe probe --write"), "{cure}");
    let (what, cure) = refused(&whole[..whole.len() / 2]);
    assert!(what.contains("did not come to its end"), "{what}");
    assert!(cure.contains("--trace"), "{cure}");
    std::fs::write(&path, "read\n").expect("written");
    let other = crate::plan::os::check_probed(&path).expect_err("no result of a probe");
    assert!(other.to_string().contains("nothing that the probe printed"));
}
