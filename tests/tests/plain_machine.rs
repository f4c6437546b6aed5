//! A sandbox is a machine like any other to what runs in it, and nobody else's.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use loupe_tests::command;
use loupe_tests::daemon::Daemon;
use loupe_tests::member::NOBODY;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::Scene;

/// What a script says in a sandbox. It is a workload's test that says no, so that one replay is
/// all there is, and what the script said is shown.
#[track_caller]
fn said(scene: &Scene, script: &str) -> String {
    said_with(scene, script, "")
}

#[track_caller]
fn said_with(scene: &Scene, script: &str, more: &str) -> String {
    scene.write("script.sh", &format!("{script}\nexit 1\n"));
    let text = format!(
        "application = \"says\"\nworkload = \"what\"\nmode = \"batch\"\n\
         command = [\"/bin/true\"]\ntest = [\"/bin/sh\", \"script.sh\"]\n{more}"
    );
    scene.write("says.toml", &text);
    scene.run(&["analyze", "says.toml"]).expect_code(3).stderr
}

#[test]
fn a_directory_of_the_host_is_renamed_and_the_names_of_a_file_stay_one() {
    require!(Replays);
    let scene = Scene::new();
    std::fs::create_dir(scene.path("state")).expect("a directory");
    scene.write("state/kept", "kept\n");
    scene.write("one", "first\n");
    std::fs::hard_link(scene.path("one"), scene.path("other")).expect("a link");
    let script = "
        # Not `mv`, which copies where it cannot rename.
        perl -e 'rename \"state\", \"state.old\" or print \"rename: $!\\n\"'
        cat state.old/kept
        mkdir state && rmdir state && echo made again
        before=$(stat -c %d:%i one)
        echo second >> one
        echo \"the other has $(tail -n 1 other) and $(stat -c %h other) names\"
        test \"$before\" = \"$(stat -c %d:%i one)\" && echo the same file
        rm -r state.old && test ! -e state.old && echo removed";
    let said = said(&scene, script);
    for line in [
        "| kept",
        "| made again",
        "| the other has second and 2 names",
        "| the same file",
        "| removed",
    ] {
        assert!(said.contains(line), "{line:?} is not in: {said}");
    }
    for (name, content) in [("state/kept", "kept\n"), ("one", "first\n")] {
        let left = std::fs::read_to_string(scene.path(name)).expect("the host's file");
        assert_eq!(left, content);
    }
    std::fs::remove_file(scene.path("other")).expect("removed");
    std::fs::remove_dir_all(scene.path("state")).expect("removed");
    scene.assert_nothing_left();
}

#[test]
fn root_in_a_sandbox_changes_no_setting_of_the_host() {
    require!(Replays);
    let scene = Scene::new();
    let setting = "/proc/sys/fs/lease-break-time";
    let read = || std::fs::read_to_string(setting).expect("a setting");
    let before = read();
    // Most of these do not exist on every machine. The shell says why it could not write.
    let script = format!(
        "for file in {setting} /proc/sys/vm/swappiness /proc/sys/kernel/core_pattern
        do sh -c \"cat $file > /tmp/v; cat /tmp/v > $file\" 2>&1 && echo wrote $file; done
        test ! -e /proc/sysrq-trigger || sh -c 'echo h > /proc/sysrq-trigger' 2>&1
        for file in irq/default_smp_affinity sys/kernel/hostname sys/net/ipv4/ip_forward \
            sys/kernel/msgmax self/oom_score_adj
        do test -w /proc/$file && echo writable $file; done
        echo 1 > /proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward
        echo renamed > /proc/sys/kernel/hostname && cat /proc/sys/kernel/hostname"
    );
    let said = said(&scene, &script);
    assert_eq!(before, read());
    assert!(!said.contains("wrote"), "{said}");
    assert!(said.matches("Read-only file system").count() >= 3, "{said}");
    for line in [
        "| writable sys/kernel/hostname",
        "| writable sys/net/ipv4/ip_forward",
        "| writable sys/kernel/msgmax",
        "| writable self/oom_score_adj",
        "| renamed",
    ] {
        assert!(said.contains(line), "{line:?} is not in: {said}");
    }
    assert!(!said.contains("writable irq"), "{said}");
    scene.assert_nothing_left();
}

#[test]
fn its_cgroup_has_a_path_in_its_own_hierarchy() {
    require!(Replays);
    let scene = Scene::new();
    let text = "application = \"says\"\nworkload = \"where\"\nmode = \"batch\"\n\
                command = [\"/bin/cat\", \"/proc/self/cgroup\"]\ntest = [\"/bin/false\"]\n";
    scene.write("where.toml", text);
    let said = scene.run(&["analyze", "where.toml"]).expect_code(3).stderr;
    assert!(said.contains("| 0::/target"), "{said}");
    assert!(!said.contains(".."), "{said}");
    scene.assert_nothing_left();
}

#[test]
fn one_limit_binds_all_that_a_sandbox_writes() {
    require!(Replays);
    let scene = Scene::new();
    let script = "
        left() { stat -f -c '%f %S' $1 | { read blocks size; echo $((blocks * size >> 20)); }; }
        for place in /tmp /run /dev /dev/shm /var/tmp; do
            before=$(left /)
            head -c 64M /dev/zero > $place/block
            for other in / /tmp /run /dev /dev/shm .; do
                less=$((before - $(left $other)))
                test $less -ge 64 -a $less -le 66 || echo \"less than 64 MiB: $less, $place, $other\"
            done
        done
        echo \"of $(stat -f -c '%b %S' /tmp | { read b s; echo $((b * s >> 20)); }) MiB\"";
    let said = said(&scene, script);
    assert!(said.contains("| of 2048 MiB"), "{said}");
    assert!(!said.contains("less than"), "{said}");
    scene.assert_nothing_left();
}

/// A workload whose command does not end by itself, with a limit.
#[track_caller]
fn ends_at(scene: &Scene, script: &str, limit: &str, reached: &str) {
    let text = format!(
        "application = \"takes\"\nworkload = \"all\"\nmode = \"batch\"\n\
         command = [\"/bin/sh\", \"-c\", '''{script}'''] \n\
         test = [\"/bin/true\"]\n{limit}\n"
    );
    scene.write("takes.toml", &text);
    let finished = scene.run(&["analyze", "takes.toml"]).expect_code(3);
    finished.expect_message(&[reached]);
    scene.assert_nothing_left();
}

#[test]
fn a_replay_that_forks_without_end_is_ended_at_its_limit() {
    require!(Replays);
    let scene = Scene::new();
    ends_at(
        &scene,
        "b() { b & b; }; b",
        "limits.processes = 200",
        "limit reached: 200 processes and threads (`limits.processes`)",
    );
}

#[test]
fn a_replay_that_takes_memory_without_end_is_ended_at_its_limit() {
    require!(Replays);
    let scene = Scene::new();
    ends_at(
        &scene,
        "exec perl -e \"while (1) { push @a, chr(120) x 1000000 }\"",
        "limits.memory = 200",
        "limit reached: 200 MiB of memory (`limits.memory`)",
    );
}

#[test]
fn what_a_test_leaves_running_counts_too() {
    require!(Replays);
    let scene = Scene::new();
    let said = said_with(&scene, "b() { b & b; }; b", "limits.processes = 100\n");
    assert!(said.contains("limit reached: 100 processes"), "{said}");
    scene.assert_nothing_left();
}

#[test]
fn a_replay_that_fails_with_its_file_systems_full_says_so() {
    require!(Replays);
    let scene = Scene::new();
    let said = said(
        &scene,
        "cat /dev/zero > /dev/shm/all; echo more > /tmp/x || echo full",
    );
    assert!(said.contains("| full"), "{said}");
    let reached = "limit reached: 2048 MiB of files, all that a sandbox may write";
    assert!(said.contains(reached), "{said}");
    scene.assert_nothing_left();
}

#[test]
fn words_that_are_not_text_reach_a_command_and_its_report() {
    require!(Replays);
    let scene = Scene::new();
    let odd = OsStr::from_bytes(b"a\xff");
    let script = "printf %s \"$1$ODD\" | od -An -tx1";
    for verb in ["run", "trace"] {
        let mut loupe = scene.loupe(&[verb, "--", "/bin/sh", "-c", script, "sh"]);
        loupe.arg(odd).env("ODD", odd);
        let finished = command::run(loupe).expect_code(0);
        assert_eq!(finished.stdout.trim(), "61 ff 61 ff", "{finished:?}");
        assert!(!finished.stderr.contains("UTF-8"), "{finished:?}");
    }
    let mut loupe = scene.loupe(&["run", "--json", "-", "--", "/bin/true"]);
    loupe.arg(odd).arg("text");
    let command = &command::run(loupe).expect_code(0).json()["command"];
    assert_eq!(
        *command,
        serde_json::json!(["/bin/true", [97, 255], "text"])
    );
    // Where it runs, too.
    let directory = scene.directory().join(odd);
    std::fs::create_dir(&directory).expect("a directory");
    let mut loupe = scene.loupe(&["run", "--", "/bin/pwd"]);
    loupe.current_dir(&directory);
    command::run(loupe).expect_code(0);
    std::fs::remove_dir(&directory).expect("removed");
    scene.assert_nothing_left();
}

/// Six words of 100,000 characters.
fn long_words() -> impl Iterator<Item = String> {
    ('a'..='f').map(|character| character.to_string().repeat(100_000))
}

#[test]
fn half_a_megabyte_of_arguments_and_variables_is_a_command_as_any_other() {
    require!(Replays);
    let scene = Scene::new();
    let script = "echo $# ${#6} ${#f}";
    let mut loupe = scene.loupe(&["run", "--", "/bin/sh", "-c", script, "sh"]);
    loupe.args(long_words());
    loupe.envs(long_words().map(|word| (word[..1].to_owned(), word)));
    let finished = command::run(loupe).expect_code(0);
    assert_eq!(finished.stdout, "6 100000 100000\n");

    let variables: String = long_words()
        .map(|word| format!("{} = {word:?}\n", &word[..1]))
        .collect();
    let said = said_with(&scene, "echo ${#a} ${#f}", &format!("[env]\n{variables}"));
    assert!(said.contains("| 100000 100000"), "{said}");
    scene.assert_nothing_left();
}

#[test]
fn a_workload_of_roots_runs_as_the_user_that_it_names() {
    require!(Replays);
    let scene = Scene::new();
    let said = said_with(
        &scene,
        "id -un; id -gn; cat /etc/shadow",
        "user = \"nobody\"\n",
    );
    assert!(said.contains("| nobody\n"), "{said}");
    assert!(said.contains("/etc/shadow: Permission denied"), "{said}");
    scene.assert_nothing_left();
}

#[test]
fn many_words_and_odd_ones_reach_a_command_of_the_daemons() {
    require!(Replays);
    let scene = Scene::new();
    let daemon = Daemon::start(&scene);
    let odd = OsStr::from_bytes(b"a\xff");
    let script = "printf %s \"$1$ODD\" | od -An -tx1; echo $# ${#7}";
    let mut client = daemon.client_of(NOBODY, &["run", "--", "/bin/sh", "-c", script, "sh"]);
    // Quotation marks take twice the room on the way.
    client.arg(odd).args(["\"".repeat(100_000).as_str(); 6]);
    client.env("ODD", odd);
    let finished = command::run(client).expect_code(0);
    assert_eq!(
        finished.stdout, " 61 ff 61 ff\n7 100000\n",
        "{}",
        finished.stderr
    );

    // A user's workload can name that user, and nobody else.
    let text = "application = \"names\"\nworkload = \"root\"\nmode = \"batch\"\n\
                command = [\"/bin/true\"]\ntest = [\"/bin/true\"]\nuser = \"root\"\n";
    let path = scene.write("names.toml", text);
    let path = path.to_str().expect("a plain path");
    let finished = command::run(daemon.client_of(NOBODY, &["analyze", path]));
    assert_ne!(finished.code(), Some(0));
    finished.expect_message(&["only root can run a workload as somebody else"]);
    daemon.stop(libc::SIGTERM).expect_code(0);
    scene.assert_nothing_left();
}

/// Has a program start with a session keyring that holds a key of this name.
fn give_a_key(command: &mut Command, name: &'static CStr) {
    let make = move || {
        let (session, nothing) = (libc::KEY_SPEC_SESSION_KEYRING, std::ptr::null::<u8>());
        let join = libc::KEYCTL_JOIN_SESSION_KEYRING;
        // SAFETY: the kernel reads strings that live for good, and four bytes of one of them.
        let made = unsafe {
            libc::syscall(libc::SYS_keyctl, join, nothing) >= 0
                && libc::syscall(
                    libc::SYS_add_key,
                    c"user".as_ptr(),
                    name.as_ptr(),
                    c"data".as_ptr(),
                    4,
                    session,
                ) >= 0
        };
        made.then_some(()).ok_or_else(std::io::Error::last_os_error)
    };
    // SAFETY: between fork and exec only plain system calls are made.
    unsafe { command.pre_exec(make) };
}

#[test]
fn what_runs_for_others_finds_no_key_of_loupeds() {
    require!(Replays);
    let scene = Scene::new();
    let daemon = Daemon::start_with(&scene, |louped| give_a_key(louped, c"loupe-test"));
    let as_nobody = |words: &[&str]| command::run(daemon.client_of(NOBODY, words));
    let run = [
        "run",
        "--",
        "./victim",
        "finds-key",
        "/dev/null",
        "loupe-test",
    ];
    assert_eq!(as_nobody(&run).expect_code(0).stdout, "no key\n");
    // A workload of root's own neither.
    let text = "application = \"finds\"\nworkload = \"key\"\nmode = \"batch\"\n\
                command = [\"./victim\", \"finds-key\", \"/tmp/r\", \"loupe-test\"]\n\
                test = [\"/bin/false\"]\n";
    scene.write("finds.toml", text);
    let finished = daemon.run(&["analyze", "finds.toml"]).expect_code(3);
    finished.expect_message(&["| no key"]);
    daemon.stop(libc::SIGTERM).expect_code(0);

    // What root runs here has root's keys, as from a shell.
    let mut own = scene.loupe(&run);
    give_a_key(&mut own, c"loupe-test");
    assert_eq!(command::run(own).expect_code(0).stdout, "a key\n");
    scene.assert_nothing_left();
}
