//! Readers on whole files, good and bad.

use super::*;
use crate::plan::need::Answer;

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
    let written = to_toml(&from_toml.profile);
    let again = document::read_toml(Path::new("x.toml"), &written).expect("readable");
    assert_eq!(again, from_toml);
}

#[test]
fn every_format_holds_features_of_every_level() {
    let names = [
        "read",
        "fcntl:F_GETFL",
        "openat:O_CREAT",
        "/proc/cpuinfo",
        "io_uring:IORING_OP_READV",
    ];
    let read = lines(&names.join("\n"));
    assert_eq!(read.profile.implement, set(&names));
    assert_eq!(remarks(&read), [""; 0]);
    let written = to_toml(&read.profile);
    let again = document::read_toml(Path::new("x.toml"), &written).expect("readable");
    assert_eq!(again.profile, read.profile);
    let odd = lines("read\nfcntl:F_GETFLX\n/etc/passwd\n");
    assert_eq!(odd.profile.implement, set(&["read"]));
    let told = remarks(&odd);
    assert!(told[0].contains("did you mean F_GETFL"), "{told:?}");
    assert!(told[1].contains("no pseudo-file"), "{told:?}");
}

#[test]
fn a_part_is_answered_as_its_syscall_unless_it_is_named() {
    let os = OsProfile {
        implement: set(&["fcntl", "ioctl:TCGETS"]),
        stub: set(&["fcntl:F_GETLK"]),
        fake: set(&["ioctl"]),
        ..OsProfile::default()
    };
    let answer = |name: &str| os.answer(&name.parse().expect("a feature"));
    assert_eq!(answer("fcntl:F_SETLK"), Answer::Implement);
    assert_eq!(answer("fcntl:F_GETLK"), Answer::Stub);
    assert_eq!(answer("ioctl:TCGETS"), Answer::Implement);
    assert_eq!(answer("ioctl:FIONREAD"), Answer::Fake);
    assert_eq!(answer("lseek:SEEK_SET"), Answer::Stub);
    assert_eq!(answer("/proc/cpuinfo"), Answer::Implement, "nobody asked");
    let whole = |name: &str| os.implements(&name.parse().expect("a feature"));
    assert!(!whole("fcntl") && whole("fcntl:F_SETLK"));
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
    assert!(
        text.starts_with("t.toml:2:1: unknown key `foke` (did you mean fake?)"),
        "{text}"
    );
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
fn scml_keeps_flags_and_tells_what_it_cannot_keep() {
    let read = scml::read(Path::new("a.scml"), SCML).expect("readable");
    assert_eq!(read.profile.implement, set(&["open", "close", "poll"]));
    let answer = |name: &str| read.profile.answer(&name.parse().expect("a feature"));
    for there in ["open:O_RDONLY", "open:O_RDWR", "open:O_CREAT"] {
        assert_eq!(answer(there), Answer::Implement, "{there}");
    }
    for missing in ["open:O_WRONLY", "open:O_DIRECT"] {
        assert_eq!(answer(missing), Answer::Stub, "{missing}");
    }
    assert_eq!(
        remarks(&read),
        [
            "a.scml:13: unknown syscall `sigpending` (did you mean rt_sigpending?); left out",
            "a.scml: limited to some arguments in a way that is not kept: poll",
        ]
    );
}

#[test]
fn scml_keeps_operations() {
    let text = "\
locks = F_GETLK | F_SETLK;
fcntl(fd, cmd = <locks>, arg);
fcntl(fd, cmd = F_DUPFD | F_WHAT, arg);
socket(family = AF_UNIX, type = SOCK_STREAM | SOCK_CLOEXEC, protocol);
getsockopt(sockfd, level = SOL_SOCKET, optname = SO_ERROR, ..);
futex(uaddr, op, val);
lseek(fd, offset, whence = <missing>);
prctl(op = PR_SET_NAME, ..);
prctl(..);
";
    let read = scml::read(Path::new("a.scml"), text).expect("readable");
    let expected = [
        "fcntl:F_GETLK",
        "fcntl:F_SETLK",
        "fcntl:F_DUPFD",
        "socket:AF_UNIX/SOCK_STREAM",
        "socket:SOCK_CLOEXEC",
        "getsockopt:SOL_SOCKET/SO_ERROR",
        "futex",
        "lseek",
        "prctl",
    ];
    assert_eq!(read.profile.implement, set(&expected));
    assert_eq!(read.profile.stub, set(&[]));
    assert_eq!(
        remarks(&read),
        [
            "a.scml:3: unknown operations or flags of fcntl, left out: F_WHAT",
            "a.scml: limited to some arguments in a way that is not kept: lseek",
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
    let kept = |shelf: &Shelf| {
        let all = shelf.all().expect("readable").into_iter();
        all.filter(|(_, origin)| *origin == Origin::Kept).count()
    };
    assert_eq!(kept(&shelf), 0);
    let profile = lines("read\n").profile;
    assert!(shelf.keep(&profile, false).expect("kept"));
    assert!(!shelf.keep(&profile, false).expect("the same again"));
    assert_eq!(shelf.find("toy").expect("found").read.profile, profile);
    let other = lines("read\nwrite\n").profile;
    assert!(matches!(
        shelf.keep(&other, false),
        Err(OsError::Taken { .. })
    ));
    assert!(shelf.keep(&other, true).expect("replaced"));
    let path = directory.path().join("os/Toy.toml");
    let by_path = shelf.find(path.to_str().expect("text")).expect("found");
    assert_eq!(by_path.read.profile, other);
    let error = shelf.find("toi").expect_err("not there").to_string();
    assert_eq!(kept(&shelf), 1);
    assert_eq!(error, "there is no OS profile `toi` (did you mean Toy?)");
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
            ..OsProfile::default()
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

#[test]
fn a_profile_with_everything_survives_a_round_trip() {
    let text = r#"name = "toy"
title = "Toy \"OS\""
arch = "aarch64"
unknown = "EPERM"
implement = ["read"]
partial = ["openat"]
fake = ["brk"]
stub = ["rseq"]
kill = ["mount"]

[error]
EACCES = ["keyctl"]
EINVAL = ["add_key", "request_key"]

[source]
url = "https://example.org/toy"
commit = "0123abcd"
date = "2026-11-28"
files = "table.c"
read = "by hand"

[runner]
command = ["toy", "-c", '''
one line
and another
''', "run"]
trace = ["toy", "--log=%LOG%", "run"]

[verified]
right = 29
of = 30
on = "Toy 3"
date = "2026-11-29"

[notes]
openat = "no O_PATH"
"#;
    let read = document::read_toml(Path::new("t.toml"), text).expect("readable");
    assert_eq!(read.remarks, []);
    let os = &read.profile;
    assert_eq!(to_toml(os), text);
    let answer = |name: &str| os.answer(&name.parse().expect("a syscall")).to_string();
    for (name, wanted) in [
        ("read", "implement"),
        ("openat", "implement"),
        ("brk", "fake"),
        ("rseq", "stub"),
        ("mount", "kill"),
        ("keyctl", "stub=EACCES"),
        ("futex", "stub=EPERM"),
    ] {
        assert_eq!(answer(name), wanted, "{name}");
    }
    let json = serde_json::to_string(os).expect("writable");
    let again = document::read_json(Path::new("t.json"), &json).expect("readable");
    assert_eq!(again, read);
}

#[test]
fn a_call_is_in_one_list_after_it_was_set() {
    let mut os = OsProfile {
        implement: set(&["read", "openat"]),
        partial: set(&["openat"]),
        error: BTreeMap::from([("EPERM".parse().expect("an errno"), set(&["mount"]))]),
        ..OsProfile::default()
    };
    let openat = "openat".parse().expect("a syscall");
    os.set(&openat, Answer::Kill);
    os.set(&"mount".parse().expect("a syscall"), Answer::Implement);
    assert_eq!(os.answer(&openat), Answer::Kill);
    assert!(os.partial.is_empty() && os.error.is_empty());
    assert_eq!(os.implement, set(&["read", "mount"]));
}

#[test]
fn a_wrong_word_for_what_is_unknown_is_told_with_its_line() {
    let text = "name = \"toy\"\nunknown = \"panic\"\nimplement = [\"read\"]\n";
    let error = document::read_toml(Path::new("t.toml"), text).expect_err("wrong");
    assert_eq!(
        error.to_string(),
        "t.toml:2:11: `panic` is neither an errno nor `kill`: what does an unknown syscall get?"
    );
    let twice = "kill = [\"read\"]\n[error]\nEPERM = [\"read\"]\n";
    let error = document::read_toml(Path::new("t.toml"), twice).expect_err("a contradiction");
    assert_eq!(
        error.to_string(),
        "t.toml: read is both in `kill` and in `error.EPERM`"
    );
}

/// A shelf with the paper's profile of an OS that Loupe has one of, too.
fn shelf_with_kerla(directory: &Path) -> Shelf {
    let shelf = Shelf::at(directory.to_owned());
    let paper = OsProfile {
        name: "Kerla".to_owned(),
        implement: set(&["read"]),
        source: Source {
            date: Some("2023".to_owned()),
            ..Source::default()
        },
        ..OsProfile::default()
    };
    assert!(shelf.keep(&paper, false).expect("kept"));
    shelf
}

#[test]
fn a_name_is_what_is_kept_then_what_is_built_in_then_what_is_spelt_alike() {
    let directory = tempfile::tempdir().expect("a directory");
    let shelf = shelf_with_kerla(directory.path());
    let found = |wanted: &str| shelf.find(wanted).expect("found");
    let kept = found("Kerla");
    assert_eq!((kept.origin, kept.note), (Origin::Kept, None));
    let today = found("kerla");
    assert_eq!(today.origin, Origin::BuiltIn);
    assert_eq!(
        today.note.as_deref(),
        Some("kerla: kerla@2026-02-23 (built in) is meant, and not Kerla@2023 (kept)")
    );
    assert_eq!(found("kerla@2023").origin, Origin::Kept);
    assert_eq!(found("Kerla@2026-02").origin, Origin::BuiltIn);
    assert_eq!(found("kerla@d8b173a7").origin, Origin::BuiltIn);
    assert_eq!(found("GVISOR").read.profile.name, "gvisor");
    assert_eq!(found("linux-6.1").read.profile.name, "linux-6.1");
    let error = shelf.find("KERLA").expect_err("two fit").to_string();
    assert_eq!(
        error,
        "`KERLA` fits several OS profiles: Kerla@2023 (kept), kerla@2026-02-23 (built in)"
    );
    for (wanted, near) in [
        ("gvisr", "gvisor"),
        ("kerla@2019", "Kerla, kerla"),
        ("docker", "docker-default"),
    ] {
        let error = shelf.find(wanted).expect_err("there is none").to_string();
        let wanted = format!("there is no OS profile `{wanted}` (did you mean {near}?)");
        assert_eq!(error, wanted);
    }
}

#[test]
fn a_kept_profile_of_the_name_of_a_built_in_one_goes_before_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let shelf = Shelf::at(directory.path().to_owned());
    let own = OsProfile {
        name: "gvisor".to_owned(),
        implement: set(&["read"]),
        ..OsProfile::default()
    };
    shelf.keep(&own, false).expect("kept");
    let found = shelf.find("gvisor").expect("found");
    assert_eq!(found.read.profile, own);
    let note = found.note.expect("it is told");
    assert!(note.contains("not gvisor@2026-08-21 (built in)"), "{note}");
    assert_eq!(
        shelf.find("gvisor@2026").expect("found").origin,
        Origin::BuiltIn
    );
}

#[test]
fn a_profile_that_only_says_more_of_its_source_is_kept_without_force() {
    let directory = tempfile::tempdir().expect("a directory");
    let shelf = Shelf::at(directory.path().to_owned());
    let old = OsProfile {
        name: "toy".to_owned(),
        implement: set(&["read"]),
        ..OsProfile::default()
    };
    shelf.keep(&old, false).expect("kept");
    let mut new = old.clone();
    new.source.date = Some("2023".to_owned());
    assert!(shelf.keep(&new, false).expect("kept"));
    assert!(!shelf.keep(&new, false).expect("there already"));
    assert!(matches!(
        shelf.keep(&old, false),
        Err(OsError::Taken { .. })
    ));
}

#[test]
fn a_table_says_of_each_call_how_far_it_is_there() {
    let text = "# of the toy\nnumber\tsyscall\tstatus\terrno\tnote\n0\tread\tfull\t\t\n\
                2\topen\tpartial\t\tno O_PATH\n12\tbrk\tfake\t\t\n157\tprctl\tstub\tENOSYS\ttodo\n\
                250\tkeyctl\terror\tEPERM\tno keys\n165\tmount\tkill\t\t\n16\tioctl\tENOTTY\t\t\n";
    let read = table::read(Path::new("toy.status.tsv"), text).expect("readable");
    assert_eq!(read.remarks, []);
    assert_eq!(
        to_toml(&read.profile),
        "name = \"toy\"\nimplement = [\"read\"]\npartial = [\"open\"]\nfake = [\"brk\"]\n\
         stub = [\"prctl\"]\nkill = [\"mount\"]\n\n[error]\nEPERM = [\"keyctl\"]\n\
         ENOTTY = [\"ioctl\"]\n\n[notes]\nkeyctl = \"no keys\"\nopen = \"no O_PATH\"\n\
         prctl = \"todo\"\n"
    );
}

#[test]
fn what_is_odd_in_a_table_is_told_with_its_line() {
    let text = "name,status,note\nread,yes,\"with, commas\"\nraed,yes,\nwrite,perhaps,\n\
                close,error,\nread,no,\n";
    assert!(table::is_table(text));
    let read = table::read(Path::new("toy.csv"), text).expect("readable");
    assert_eq!(read.profile.stub, set(&["read", "close"]));
    let told = remarks(&read).join("\n");
    for what in [
        "toy.csv:3: unknown syscall `raed`",
        "toy.csv:4: `perhaps` is no status (full, partial, fake, stub, error, kill or an errno)",
        "toy.csv:5: which errno is not said; close is taken to fail with ENOSYS",
        "toy.csv:6: read is in line 2 already; this one counts",
    ] {
        assert!(told.contains(what), "{told}");
    }
    assert!(!table::is_table("read\nwrite\n"));
    assert!(!table::is_table("name, no table\n"));
}
