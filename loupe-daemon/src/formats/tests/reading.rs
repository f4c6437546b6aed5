//! Profiles are read as those read them whom they are for, or refused.

use super::*;

fn eperm() -> Option<Action> {
    Some(Action::Stub("EPERM".parse().expect("an errno")))
}

#[track_caller]
fn answers(profile: &Profile, names: &[&str], expected: Option<Action>) {
    for name in names {
        assert_eq!(profile.answer(&feature(name)), expected, "{name}");
    }
}

#[test]
fn systemd_adds_what_it_always_allows_to_a_list_of_its_own_release() {
    let text = "[Service]\nSystemCallErrorNumber=EPERM\nSystemCallFilter=read write\n";
    let profile = read_profile(text).expect("readable");
    answers(
        &profile,
        &["read", "mmap", "brk", "munmap", "futex", "execve", "rseq"],
        None,
    );
    answers(&profile, &["openat", "getcpu", "mount"], eperm());
    assert!(
        profile.notes[0].contains("systemd 252"),
        "{:?}",
        profile.notes
    );

    let listing = "@default\n    execve\n@two\n    read\n    llseek_of_another\n    @default\n";
    let other = Host {
        groups: Groups::parse("systemd 999".to_owned(), listing).expect("groups"),
        ..host()
    };
    let text = "SystemCallErrorNumber=EPERM\nSystemCallFilter=@two @three\n";
    let profile = super::super::read_profile(text, &other).expect("readable");
    answers(&profile, &["read", "execve"], None);
    answers(&profile, &["mmap", "brk"], eperm());
    let told = profile.notes.join("\n");
    for part in ["systemd 999", "@three"] {
        assert!(told.contains(part), "{told}");
    }
    // A group's own foreign names are nobody's mistake.
    assert!(!told.contains("llseek"), "{told}");
}

#[test]
fn groups_are_taken_in_and_away_like_names() {
    let profile = read_profile(
        "SystemCallErrorNumber=EPERM\nSystemCallFilter=@system-service\n\
         SystemCallFilter=~@chown brk uname:EBUSY getpid:0\n",
    )
    .expect("readable");
    answers(&profile, &["openat", "accept4", "mmap"], None);
    answers(&profile, &["chown", "fchownat", "brk", "mount"], eperm());
    let busy = Some(Action::Stub("EBUSY".parse().expect("an errno")));
    answers(&profile, &["uname"], busy);
    answers(&profile, &["getpid"], Some(Action::Fake));

    let profile = read_profile(
        "SystemCallFilter=~@mount:ENOSYS\nSystemCallFilter=~@swap:7\nSystemCallFilter=umount2\n",
    )
    .expect("errnos of their own");
    answers(&profile, &["mount", "pivot_root"], Some(Action::STUB));
    answers(
        &profile,
        &["swapon"],
        Some(Action::Stub("7".parse().expect("an errno"))),
    );
    answers(&profile, &["umount2", "read"], None);
}

#[test]
fn what_systemd_ignores_is_ignored_and_named() {
    let profile = read_profile(
        "SystemCallErrorNumber=EPERM\n\
         SystemCallFilter=read io_pgetevents_time64 _llseek mmap2 raed @nonsense uname:EBUSY\n\
         RestrictNamespaces=yes\nProtectClock=no\nSystemCallArchitectures=native\n",
    )
    .expect("readable");
    answers(&profile, &["read", "mmap"], None);
    answers(&profile, &["uname"], eperm());
    let told = profile.notes.join("\n");
    for part in [
        "_llseek, io_pgetevents_time64, mmap2, raed",
        "raed (did you mean read",
        "@nonsense",
        "uname:EBUSY",
        "RestrictNamespaces=",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    for part in ["ProtectClock", "SystemCallArchitectures"] {
        assert!(!told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_list_of_what_is_refused_lets_the_rest_through() {
    let profile = read_profile(
        "# mine\n[Service]\nSystemCallFilter=~mount \\\n  umount2\nSystemCallFilter=mount\n\
         SystemCallErrorNumber=EPERM\n",
    )
    .expect("readable");
    answers(&profile, &["mount", "read"], None);
    assert!(profile.answer(&feature("umount2")).is_some());
    assert_eq!(profile.policy().len(), 1);
}

#[test]
fn a_profile_of_docker_is_understood() {
    let profile = read_profile(
        r#"{"defaultAction": "SCMP_ACT_ERRNO", "archMap": [], "syscalls": [
            {"names": ["read", "memfd_future"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
            {"names": ["chown"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_CHOWN"]}},
            {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64"]}},
            {"names": ["brk"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["kcmp"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2"}},
            {"names": ["uname"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "comment": "x",
             "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"name": "clone3", "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "args": null,
             "includes": {}, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["bpf"], "action": "SCMP_ACT_ERRNO", "errno": "EBUSY"}]}"#,
    )
    .expect("readable");
    answers(
        &profile,
        &["mount", "chown", "brk", "kcmp", "uname"],
        eperm(),
    );
    answers(&profile, &["clone3"], Some(Action::STUB));
    answers(
        &profile,
        &["bpf"],
        Some(Action::Stub("EBUSY".parse().expect("one"))),
    );
    answers(
        &profile,
        &[
            "read",
            "chroot",
            "arch_prctl",
            "ptrace",
            "personality",
            "clone",
        ],
        None,
    );
    assert_eq!(profile.notes.len(), 2, "{:?}", profile.notes);
}

#[test]
fn a_rule_that_is_not_understood_is_an_error_that_names_it() {
    let rule = |rule: &str| {
        format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                {{"names": ["brk"], "action": "SCMP_ACT_ALLOW"}}, {rule}]}}"#
        )
    };
    for (text, told) in [
        (
            r#"{"names": ["mount"], "action": "SCMP_ACT_ERNO"}"#,
            "SCMP_ACT_ERNO",
        ),
        (
            r#"{"names": ["mount"], "action": "SCMP_ACT_TRAP"}"#,
            "SCMP_ACT_TRAP",
        ),
        (r#"{"names": ["mount"]}"#, "no action"),
        (r#"{"nams": ["mount"], "action": "SCMP_ACT_ERRNO"}"#, "nams"),
        (
            r#"{"names": [], "action": "SCMP_ACT_ERRNO"}"#,
            "names no syscall",
        ),
        (
            r#"{"names": ["mount"], "action": "SCMP_ACT_ERRNO",
                "args": [{"index": 0, "value": 1, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]}"#,
            "by their arguments",
        ),
        (
            r#"{"names": ["mount"], "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_LIKE"}]}"#,
            "SCMP_CMP_LIKE",
        ),
        (
            r#"{"names": ["mount"], "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}"#,
            "no argument 6",
        ),
        (
            r#"{"names": ["mount"], "action": "SCMP_ACT_ERRNO", "includes": {"kernel": "4.8"}}"#,
            "kernel",
        ),
        (
            r#"{"names": ["mount"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "4"}}"#,
            "`4` is no kernel",
        ),
        (
            r#"{"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errno": "EX"}"#,
            "EX",
        ),
        (
            r#"{"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 70000}"#,
            "70000",
        ),
        (r#"["mount"]"#, "rule 2"),
    ] {
        let error = read_profile(&rule(text)).expect_err(text);
        let said = error.to_string();
        assert!(said.contains(told), "{said}");
        assert!(said.contains("rule 2"), "{said}");
        assert!(
            said.contains("mount") || !text.contains("names\": [\"m"),
            "{said}"
        );
        assert!(error.hint().is_some(), "{said}");
    }
}

#[test]
fn what_cannot_be_emulated_is_refused_with_the_place() {
    for (text, told) in [
        ("{", "neither"),
        (r#"{"defaultAction": "SCMP_ACT_KILL"}"#, "SCMP_ACT_KILL"),
        (r#"{"defaultAction": "SCMP_ACT_ALOW"}"#, "no action"),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscals": []}"#,
            "syscals",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 70000}"#,
            "70000",
        ),
        ("[Service]\n", "no SystemCallFilter="),
        ("SystemCallFilter=read\n", "kill"),
        (
            "SystemCallFilter=~uname:kill\nSystemCallErrorNumber=1\n",
            "uname with kill",
        ),
        ("SystemCallErrorNumber=EWHAT\n", "EWHAT"),
        ("\nSystemCallFilter=~uname:EWHAT\n", "line 2"),
    ] {
        let error = read_profile(text).expect_err(text);
        assert!(error.to_string().contains(told), "{error}");
    }
}
