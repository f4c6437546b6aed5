//! What is written is what other programs take, and read back it means the same.

use std::process::Command;

use loupe_common::analysis::{Analysis, Fallback, FeatureVerdict, Joint, Trial};
use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::syscalls::Arch;
use loupe_common::verdict::Verdict;

use super::need::Row;
use super::*;

mod reading;
mod vdso;

fn read_profile(text: &str) -> Result<Profile, ProfileError> {
    super::read_profile(text, &host())
}

fn host() -> Host {
    Host {
        groups: Groups::built_in(),
        kernel: (6, 1),
    }
}

fn feature(name: &str) -> Feature {
    name.parse().expect("a syscall")
}

fn features(names: &[&str]) -> Vec<Feature> {
    names.iter().map(|name| feature(name)).collect()
}

fn row(name: &str, stub: bool, fake: bool) -> FeatureVerdict {
    let trial = |works| Trial {
        works: Some(works),
        ..Trial::default()
    };
    FeatureVerdict {
        feature: feature(name),
        kind: "syscall".to_owned(),
        verdict: Verdict::from_works(stub, fake),
        calls: 1,
        seen_in: 3,
        stub: trial(stub),
        fake: trial(fake),
        plausible: None,
        errnos: Default::default(),
        harness: false,
        basis: Default::default(),
        error_bound: None,
    }
}

fn analysis(application: &str, rows: Vec<FeatureVerdict>) -> Analysis {
    Analysis {
        application: application.to_owned(),
        workload: "w".to_owned(),
        features: rows,
        ..Analysis::default()
    }
}

/// Needs `accept` when `accept4` is stubbed, which one of its verdicts alone does not tell.
fn server() -> Analysis {
    Analysis {
        joint: Some(Joint {
            implement: features(&["accept", "read", "write"]),
            stub: features(&["accept4", "brk", "madvise"]),
            fake: features(&["sysinfo"]),
            fallbacks: features(&["accept"]),
            runs: 3,
            passes: 3,
            ..Joint::default()
        }),
        fallbacks: vec![Fallback {
            feature: feature("accept4"),
            action: Action::STUB,
            appears: feature("accept"),
            calls: 1,
            passed: true,
            replay: 1,
        }],
        ..analysis(
            "server",
            vec![
                row("read", false, false),
                row("write", false, false),
                row("accept4", true, false),
                row("brk", true, true),
                row("madvise", true, false),
                row("sysinfo", false, true),
            ],
        )
    }
}

fn class(needs: &Needs, name: &str) -> Option<(Class, bool)> {
    find(needs, name).map(|row| (row.class, row.conflict))
}

fn find<'a>(needs: &'a Needs, name: &str) -> Option<&'a Row> {
    let feature = feature(name);
    needs.rows.iter().find(|row| row.feature == feature)
}

#[test]
fn several_applications_get_the_least_that_serves_all() {
    let tool = analysis(
        "tool",
        vec![
            row("brk", false, true),
            row("madvise", false, true),
            row("sysinfo", false, false),
            row("read", true, true),
        ],
    );
    let needs = Needs::of([&server(), &tool], &[]);
    // Faked for both, since the server lives with either.
    assert_eq!(class(&needs, "brk"), Some((Class::Fake, false)));
    // One insists on failure, the other on success.
    assert_eq!(class(&needs, "madvise"), Some((Class::Implement, true)));
    assert_eq!(class(&needs, "sysinfo"), Some((Class::Implement, false)));
    assert_eq!(class(&needs, "accept4"), Some((Class::Stub, false)));
    assert_eq!(class(&needs, "getpid"), None);
    let read = find(&needs, "read").expect("used");
    assert_eq!(read.applications, ["server/w"], "the tool does without");
    assert_eq!(needs.not_joint, ["tool/w"]);
}

#[test]
fn a_full_profile_lets_through_all_that_is_used_and_what_starting_takes() {
    let needs = Needs::of([&server()], &[]);
    let profile = Profile::of(&needs, Extent::Full, Errno::ENOSYS, Starter::Container);
    for name in [
        "accept4",
        "brk",
        "read",
        "sysinfo",
        "execve",
        "exit_group",
        "rt_sigreturn",
    ] {
        assert_eq!(profile.answer(&feature(name)), None, "{name}");
    }
    for name in ["ptrace", "mount", "accept"] {
        assert_eq!(profile.answer(&feature(name)), Some(Action::STUB), "{name}");
    }
    let policy = profile.policy();
    assert!(policy.len() > 300, "{}", policy.len());
    assert_eq!(policy.get(&feature("mount")), Some(Action::STUB));
    assert_eq!(policy.get(&feature("read")), None);
}

#[test]
fn a_reduced_profile_leaves_stubs_out_and_lets_their_fallbacks_through() {
    let needs = Needs::of([&server()], &[]);
    let eperm: Errno = "EPERM".parse().expect("an errno");
    let profile = Profile::of(&needs, Extent::Reduced, eperm, Starter::Container);
    let json = write_oci(&profile).expect("serializable");
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value["defaultAction"], "SCMP_ACT_ERRNO");
    assert_eq!(value["defaultErrnoRet"], 1);
    assert_eq!(value["architectures"][0], "SCMP_ARCH_X86_64");
    let entries = value["syscalls"].as_array().expect("a list");
    let names: Vec<&str> = entries
        .iter()
        .map(|entry| {
            let names = entry["names"].as_array().expect("names");
            assert_eq!(names.len(), 1, "one name an entry");
            names[0].as_str().expect("a name")
        })
        .collect();
    assert!(names.is_sorted(), "{names:?}");
    let entry = |name: &str| {
        let index = names.iter().position(|other| *other == name);
        index.map(|index| &entries[index])
    };
    let stubbed = entry("accept4").expect("listed");
    assert_eq!(stubbed["action"], "SCMP_ACT_ERRNO");
    assert_eq!(stubbed["errnoRet"], 38);
    for name in ["accept", "read", "sysinfo"] {
        let allowed = entry(name).expect("listed");
        assert_eq!(allowed["action"], "SCMP_ACT_ALLOW", "{name}");
        assert!(allowed.get("errnoRet").is_none());
    }
    assert!(entry("mount").is_none());
}

#[test]
fn what_is_written_means_the_same_when_it_is_read() {
    let needs = Needs::of([&server()], &[]);
    for extent in [Extent::Full, Extent::Reduced] {
        for errno in ["ENOSYS", "EPERM"] {
            let profile = Profile::of(
                &needs,
                extent,
                errno.parse().expect("an errno"),
                Starter::Service,
            );
            let json = write_oci(&profile).expect("serializable");
            assert_eq!(read_profile(&json).expect("readable"), profile);
            let drop_in = write_drop_in(
                &profile,
                &["a\nSystemCallFilter=mount".to_owned()],
                &["b\nSystemCallFilter=mount".to_owned()],
            );
            let read = read_profile(&drop_in).expect("readable");
            let mut expected = profile.clone();
            // systemd allows these whatever is listed.
            let groups = Groups::built_in();
            let always = groups.syscalls("@default").expect("a group");
            let always = always.iter().filter_map(|name| name.parse().ok());
            expected.allow.extend(always.filter(|name: &Feature| {
                let syscall = name.syscall().expect("a syscall");
                syscall.number_on(Arch::NATIVE).is_some() && !profile.answers.contains_key(name)
            }));
            expected.notes = read.notes.clone();
            assert_eq!(expected.notes.len(), 1, "{:?}", expected.notes);
            assert_eq!(read, expected, "{drop_in}");
            assert!(
                drop_in.lines().skip(1).all(|line| line.len() <= 100),
                "{drop_in}"
            );
        }
    }
}

/// An application may be called anything.
fn hostile() -> Analysis {
    Analysis {
        application: "*/ \\\n\"?\u{202e}#error".to_owned(),
        ..server()
    }
}

#[test]
fn the_header_compiles() {
    let directory = tempfile::tempdir().expect("a directory");
    let header = c_header(&Needs::of([&hostile()], &[]), Arch::X86_64);
    std::fs::write(directory.path().join("calls.h"), &header).expect("written");
    let program = "\
        #include \"calls.h\"\n#include <string.h>\n#include <sys/syscall.h>\n\
        struct entry { int number; const char *name; enum loupe_action action; };\n\
        #define ROW(number, name, what) { number, #name, LOUPE_##what },\n\
        static const struct entry table[] = { LOUPE_SYSCALLS(ROW) };\n\
        #define CHECK(number, name, what) \
            _Static_assert(number == SYS_##name, \"the kernel's number\");\n\
        LOUPE_SYSCALLS(CHECK)\n\
        int main(void) { return table[0].action != LOUPE_IMPLEMENT\n\
            || strcmp(table[0].name, \"read\") != 0\n\
            || sizeof table / sizeof *table != 7; }\n";
    let source = directory.path().join("main.c");
    std::fs::write(&source, program).expect("written");
    let binary = directory.path().join("main");
    let built = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o"])
        .args([&binary, &source])
        .output()
        .expect("a C compiler");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}\n{header}");
    let ran = Command::new(binary).status().expect("it runs");
    assert!(ran.success(), "{header}");
}

#[test]
fn the_rust_table_compiles() {
    let directory = tempfile::tempdir().expect("a directory");
    let table = rust_table(&Needs::of([&hostile()], &[]), Arch::X86_64);
    std::fs::write(directory.path().join("calls.rs"), &table).expect("written");
    let program = "mod calls;\nfn main() {\n\
        let row = calls::SYSCALLS.iter().find(|row| row.name == \"accept4\").unwrap();\n\
        assert_eq!((row.number, row.action), (288, calls::Action::Stub));\n\
        assert_eq!(row.applications.len(), 1);\n\
        assert_eq!(calls::SYSCALLS.len(), 7);\n}\n";
    let source = directory.path().join("main.rs");
    std::fs::write(&source, program).expect("written");
    let binary = directory.path().join("main");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition", "2021", "-o"])
        .args([&binary, &source])
        .output()
        .expect("rustc");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}\n{table}");
    assert!(Command::new(binary).status().expect("it runs").success());
}

#[test]
fn the_forms_are_as_they_were() {
    let needs = Needs::of([&server()], &[]);
    insta::assert_snapshot!("c", c_header(&needs, Arch::X86_64));
    insta::assert_snapshot!("rust", rust_table(&needs, Arch::X86_64));
    let profile = Profile::of(&needs, Extent::Reduced, Errno::ENOSYS, Starter::Service);
    insta::assert_snapshot!(
        "systemd",
        write_drop_in(&profile, &needs.applications, &needs.measured_on)
    );
}

#[test]
fn a_table_names_the_operations_that_alone_are_needed_and_pseudo_files() {
    let required = |name: &str| row(name, false, false);
    let locks = Analysis {
        features: vec![
            required("fcntl"),
            required("fcntl:F_GETLK"),
            row("fcntl:F_SETLK", true, true),
            required("/proc/cpuinfo"),
        ],
        joint: None,
        ..server()
    };
    let of = |analyses: &[&Analysis]| {
        let needs = Needs::of(analyses.iter().copied(), &[]);
        let (c, rust) = (
            c_header(&needs, Arch::X86_64),
            rust_table(&needs, Arch::X86_64),
        );
        c + &rust
    };
    let text = of(&[&locks]);
    assert_eq!(text.matches("only F_GETLK").count(), 2, "{text}");
    assert_eq!(text.matches("there: /proc/cpuinfo").count(), 2, "{text}");
    let whole = Analysis {
        features: vec![required("fcntl")],
        ..locks.clone()
    };
    assert!(!of(&[&locks, &whole]).contains("only"), "{text}");
}
