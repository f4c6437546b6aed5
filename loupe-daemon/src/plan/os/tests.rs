//! Readers on whole files, good and bad.

use super::*;

fn lines(text: &str) -> ReadProfile {
    lines::read(Path::new("Toy.syscalls"), text).expect("readable")
}

fn set(names: &[&str]) -> BTreeSet<Feature> {
    names
        .iter()
        .map(|name| name.parse().expect("a syscall"))
        .collect()
}

fn remarks(read: &ReadProfile) -> Vec<String> {
    read.remarks.iter().map(Remark::to_string).collect()
}

#[test]
fn a_list_has_names_and_numbers_and_comments() {
    let read = lines("read\n1\n\n# the rest\nopenat # yes\r\n");
    assert_eq!(read.profile.name, "Toy");
    assert_eq!(read.profile.implement, set(&["read", "write", "openat"]));
    assert!(read.remarks.is_empty());
}

#[test]
fn what_is_odd_in_a_list_is_told_with_the_nearest_names() {
    let read = lines("read\nfutimensat\nread\nread\n9999\nbrk\nbrk\n");
    assert_eq!(read.profile.implement, set(&["read", "brk"]));
    assert_eq!(
        remarks(&read),
        [
            "Toy.syscalls:2: unknown syscall `futimensat` (did you mean futimesat, utimensat?); \
             left out",
            "Toy.syscalls:5: no syscall of x86-64 has the number 9999; left out",
            "Toy.syscalls: 2 names are there more than once: brk, read",
        ]
    );
}

#[test]
fn toml_and_json_say_the_same_and_survive_a_round_trip() {
    let toml = "name = \"toy\"\nimplement = [\"read\"]\nfake = [\"brk\"]\nstub = [\"rseq\"]\n";
    let json = r#"{"name":"toy","implement":["read"],"fake":["brk"],"stub":["rseq"]}"#;
    let from_toml = document::read_toml(Path::new("t.toml"), toml).expect("readable");
    let from_json = document::read_json(Path::new("t.json"), json).expect("readable");
    assert_eq!(from_toml, from_json);
    let written = to_toml(&from_toml.profile).expect("writable");
    let again = document::read_toml(Path::new("x.toml"), &written).expect("readable");
    assert_eq!(again, from_toml);
}

#[test]
fn what_is_no_whole_syscall_is_told_and_left_out() {
    let read = lines("read\nfcntl:F_GETFL\n/proc/cpuinfo\nio_uring:IORING_OP_READV\n");
    assert_eq!(read.profile.implement, set(&["read"]));
    let told = remarks(&read);
    for (told, name) in told
        .iter()
        .zip(["fcntl:F_GETFL", "/proc/cpuinfo", "io_uring:"])
    {
        assert!(
            told.contains("whole syscalls") && told.contains(name),
            "{told}"
        );
    }
    assert_eq!(told.len(), 3);
}

#[test]
fn what_is_odd_in_a_document_is_told_with_its_line() {
    let text = "implement = [\n  \"read\",\n  \"raed\",\n]\n";
    let read = document::read_toml(Path::new("t.toml"), text).expect("readable");
    assert_eq!(
        remarks(&read),
        ["t.toml:3: unknown syscall `raed` (did you mean read, rseq?); left out"]
    );
    let error = document::read_toml(Path::new("t.toml"), "implement = [\"read\"]\nfoke = []\n");
    let text = error.expect_err("no such key").to_string();
    assert!(text.starts_with("t.toml:2: unknown field `foke`"), "{text}");
}

#[test]
fn a_feature_in_two_lists_is_a_contradiction() {
    let text = "implement = [\"read\"]\nfake = [\"read\"]\n";
    let error = document::read_toml(Path::new("t.toml"), text).expect_err("contradictory");
    assert_eq!(
        error.to_string(),
        "t.toml: read is both in `implement` and in `fake`"
    );
}

const SCML: &str = "\
// Flags; of two calls
modes = O_RDONLY | // for reading
        O_RDWR;
struct pollfd = {
    events = POLLIN,
    ..
};
open(path, flags = <modes>, mode);
open(path, flags = O_CREAT, mode);
close(fd);
poll(fds = [ <pollfd> ],
     nfds, timeout);
sigpending(set);
";

#[test]
fn scml_is_read_by_its_calls_and_its_limits_are_told() {
    let read = scml::read(Path::new("a.scml"), SCML).expect("readable");
    assert_eq!(read.profile.implement, set(&["open", "close", "poll"]));
    assert_eq!(
        remarks(&read),
        [
            "a.scml:13: unknown syscall `sigpending` (did you mean rt_sigpending?); left out",
            "a.scml: taken as implemented as a whole, though limited to some arguments: open, poll",
        ]
    );
}

#[test]
fn broken_scml_is_refused_with_its_line() {
    for (text, wrong) in [
        (
            "close(fd);\nopen(path",
            "a.scml:2: this statement has no `;`",
        ),
        ("close(fd;\n", "a.scml:1: this call has no `)`"),
        ("\n\n<x>;\n", "a.scml:3: neither a call nor"),
    ] {
        let error = scml::read(Path::new("a.scml"), text).expect_err(text);
        assert!(error.to_string().starts_with(wrong), "{error}");
    }
}

#[test]
fn a_shelf_finds_profiles_by_path_and_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let shelf = Shelf::at(directory.path().join("os"));
    assert_eq!(shelf.all().expect("empty").len(), 0);
    let profile = lines("read\n").profile;
    assert!(shelf.keep(&profile, false).expect("kept"));
    assert!(!shelf.keep(&profile, false).expect("the same again"));
    assert_eq!(shelf.find("toy").expect("found").profile, profile);
    let other = lines("read\nwrite\n").profile;
    assert!(matches!(
        shelf.keep(&other, false),
        Err(OsError::Taken { .. })
    ));
    assert!(shelf.keep(&other, true).expect("replaced"));
    let path = directory.path().join("os/Toy.toml");
    let by_path = shelf.find(path.to_str().expect("text")).expect("found");
    assert_eq!(by_path.profile, other);
    let error = shelf.find("toi").expect_err("not there").to_string();
    assert_eq!(error, "there is no OS profile `toi`; there are Toy");
    let bad = OsProfile {
        name: "../x".to_owned(),
        ..other
    };
    assert!(matches!(
        shelf.keep(&bad, false),
        Err(OsError::BadName { .. })
    ));
}

#[test]
fn profiles_differ_in_what_applications_see() {
    let (old, new) = (
        OsProfile {
            name: "old".to_owned(),
            implement: set(&["read"]),
            stub: set(&["rseq"]),
            fake: set(&["brk", "futex"]),
        },
        OsProfile {
            name: "new".to_owned(),
            implement: set(&["read", "brk"]),
            ..OsProfile::default()
        },
    );
    let changes = OsDifference::between(&old, &new).changes;
    let told: Vec<_> = changes
        .iter()
        .map(|change| (change.feature.to_string(), change.from, change.to))
        .collect();
    assert_eq!(
        told,
        [
            ("brk".to_owned(), Answer::Fake, Answer::Implement),
            ("futex".to_owned(), Answer::Fake, Answer::Stub),
        ]
    );
}
