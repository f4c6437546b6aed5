//! What is exported holds: an application passes under the profiles that were made from its
//! analysis, and what a bad profile breaks is named.

use loupe_tests::binaries::workloads;
use loupe_tests::ground_truth::victim;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{OwnBinfmt, Program, Replays};
use loupe_tests::scene::Scene;

#[test]
fn sqlite_passes_under_the_profiles_made_from_its_analysis() {
    require!(Replays, Program("sqlite3"));
    let scene = Scene::new();
    let workload = workloads().join("sqlite.toml");
    let workload = workload.to_str().expect("a plain path");
    scene.run(&["analyze", workload, "--json"]).expect_code(0);
    for format in ["seccomp", "systemd"] {
        for reduced in [false, true] {
            let mut words = vec!["export", format, "sqlite"];
            words.extend(reduced.then_some("--reduced"));
            let profile = scene.run(&words).expect_code(0).stdout;
            let file = scene.write("profile", &profile);
            let file = file.to_str().expect("a plain path");
            let result = scene
                .run(&["emulate", "--profile", file, workload, "--json"])
                .expect_code(0)
                .json();
            assert_eq!(result["schema"], "loupe.emulation/1");
            assert_eq!(result["passed"], true);
            // All but what it needs is left out, at once.
            assert!(result["left_out"].as_u64() > Some(250), "{result:#}");
            let called = result["answered"].as_array().expect("a list").len();
            assert_eq!(called > 5, reduced, "{format}: {result:#}");
        }
    }
    // Emulations are no analyses.
    let list = scene.run(&["list", "--json"]).expect_code(0).json();
    assert_eq!(
        list["analyses"].as_array().map(Vec::len),
        Some(1),
        "{list:#}"
    );
    scene.assert_nothing_left();
}

#[test]
fn what_breaks_an_application_first_is_named_and_so_is_the_rest() {
    require!(Replays);
    let scene = Scene::new();
    let truth = victim("needs-result");
    let workload = scene.workload(truth);
    let workload = workload.to_str().expect("a plain path");
    let bad = scene.write(
        "bad.conf",
        "[Service]\nSystemCallErrorNumber=EPERM\nSystemCallFilter=~acct uname swapon\n",
    );
    let bad = bad.to_str().expect("a plain path");
    let finished = scene
        .run(&["emulate", "--profile", bad, "--all", workload, "--json"])
        .expect_code(1);
    let result = finished.json();
    assert_eq!(result["passed"], false);
    assert_eq!(result["complete"], true, "{result:#}");
    let broken = result["broken"].as_array().expect("a list");
    assert_eq!(broken.len(), 1, "{result:#}");
    assert_eq!(broken[0]["feature"], "uname");
    assert_eq!(broken[0]["action"], "stub=EPERM");
    let told = scene
        .run(&["emulate", "--profile", bad, workload])
        .expect_code(1);
    assert!(
        told.stdout
            .contains("first broken by: uname failing with EPERM"),
        "{}",
        told.stdout
    );
    assert!(
        told.stdout.lines().all(|line| line.chars().count() <= 80),
        "{}",
        told.stdout
    );
    scene.assert_nothing_left();
}

#[test]
fn a_profile_that_cannot_be_used_is_refused_with_the_reason() {
    require!(Replays);
    let scene = Scene::new();
    let workload = scene.workload(victim("needs-result"));
    let workload = workload.to_str().expect("a plain path");
    let file = scene.write(
        "bad.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["uname"], "action": "SCMP_ACT_ERNO"}]}"#,
    );
    let file = file.to_str().expect("a plain path");
    scene
        .run(&["emulate", "--profile", file, workload])
        .expect_code(2)
        .expect_message(&["bad.json", "rule 1", "(uname)", "SCMP_ACT_ERNO", "hint:"]);
    for format in ["seccomp", "systemd"] {
        scene
            .run(&["export", format])
            .expect_code(2)
            .expect_message(&["which applications", "loupe list", "--all"]);
    }
    scene
        .run(&["emulate", "--profile", "/nonexistent", workload])
        .expect_code(2)
        .expect_message(&["/nonexistent", "no such file"]);
    scene
        .run(&["export", "seccomp", "nothing"])
        .expect_code(2)
        .expect_message(&["no database"]);
    scene.assert_nothing_left();
}

#[test]
fn a_plan_from_an_os_without_anything_holds_when_it_is_tried() {
    require!(Replays, Program("sqlite3"));
    let scene = Scene::new();
    let sqlite = workloads().join("sqlite.toml");
    let sqlite = sqlite.to_str().expect("a plain path");
    scene.run(&["analyze", sqlite, "--json"]).expect_code(0);
    let victim = scene.workload(victim("needs-result"));
    let victim = victim.to_str().expect("a plain path");
    scene.run(&["analyze", victim, "--json"]).expect_code(0);
    let os = scene.write("tiny.syscalls", "read\nwrite\n");
    let os = os.to_str().expect("a plain path");
    let result = scene
        .run(&["plan", "--os", os, "--json", "--verify", sqlite, victim])
        .expect_code(0)
        .json();
    assert_eq!(result["schema"], "loupe.plan-verify/1");
    assert_eq!(result["kept"], true, "{result:#}");
    let applications = result["applications"].as_array().expect("a list");
    assert_eq!(applications.len(), 2);
    for one in applications {
        // Each comes alive at its step, not before.
        assert_eq!(one["emulation"]["passed"], true, "{one:#}");
        if one["step"] != 0 {
            assert_eq!(one["before"]["passed"], false, "{one:#}");
        }
    }
    assert!(applications.iter().any(|one| one["step"] != 0));

    let plan = scene.run(&["plan", "--os", os, "--json"]).expect_code(0);
    let file = scene.write("plan.json", &plan.stdout);
    let file = file.to_str().expect("a plain path");
    // After all steps everything runs; before any, neither does.
    scene
        .run(&["emulate", "--plan", file, sqlite])
        .expect_code(0);
    let lacking = scene
        .run(&["emulate", "--os", os, "--all", "--json", sqlite])
        .expect_code(1)
        .json();
    assert_eq!(lacking["complete"], true, "{lacking:#}");
    scene
        .run(&["emulate", "--plan", file, "--step", "99", sqlite])
        .expect_code(2)
        .expect_message(&["no step 99"]);
    scene.assert_nothing_left();
}

#[test]
fn a_unit_passes_with_what_systemd_adds_to_its_list_and_without_what_it_ignores() {
    require!(Replays);
    let scene = Scene::new();
    let workload = scene.write(
        "cat.toml",
        "application = \"cat\"\nworkload = \"unit\"\nmode = \"batch\"\n\
         command = [\"sh\", \"-c\", \"cat /etc/hostname > /tmp/result\"]\ntarget = \"/bin/cat\"\n\
         test = [\"cmp\", \"/tmp/result\", \"/etc/hostname\"]\n",
    );
    let workload = workload.to_str().expect("a plain path");
    scene.run(&["analyze", workload, "--json"]).expect_code(0);
    let analysis = scene.run(&["show", "cat", "--json"]).expect_code(0).json();
    let rows = analysis["features"].as_array().expect("a list");
    let used: Vec<&str> = rows
        .iter()
        .filter(|row| row["kind"] == "syscall")
        .filter_map(|row| row["feature"].as_str())
        .collect();
    let added = ["mmap", "brk", "munmap"];
    assert!(added.iter().all(|name| used.contains(name)), "{used:?}");
    let listed: Vec<&str> = used
        .into_iter()
        .filter(|name| !added.contains(name))
        .collect();
    let unit = scene.write(
        "unit.conf",
        &format!(
            "[Service]\nSystemCallErrorNumber=EPERM\nSystemCallFilter={}\n\
             SystemCallFilter=_llseek mmap2 raed\n",
            listed.join(" ")
        ),
    );
    let unit = unit.to_str().expect("a plain path");
    scene
        .run(&["emulate", "--profile", unit, workload])
        .expect_code(0)
        .expect_message(&["_llseek, mmap2, raed", "ignored", "systemd 2"]);
    scene.assert_nothing_left();
}

#[test]
fn the_calls_of_the_vdso_are_let_through_unless_they_were_measured() {
    require!(Replays);
    let scene = Scene::new();
    let workload = scene.workload(victim("needs-result"));
    let workload = workload.to_str().expect("a plain path");
    let allowed = |options: &[&str]| {
        let mut words = vec!["analyze", workload, "--json", "--no-joint"];
        words.extend(options);
        scene.run(&words).expect_code(0);
        let profile = scene
            .run(&["export", "seccomp", "needs-result"])
            .expect_code(0)
            .json();
        let rules = profile["syscalls"].as_array().expect("a list").clone();
        ["getcpu", "clock_gettime", "gettimeofday", "time"].map(|name| {
            rules
                .iter()
                .any(|rule| rule["names"][0] == name && rule["action"] == "SCMP_ACT_ALLOW")
        })
    };
    assert_eq!(allowed(&[]), [true; 4]);
    // The victim asks for no time.
    assert_eq!(allowed(&["--no-vdso"]), [false; 4]);
    scene.assert_nothing_left();
}

/// Linux, which does this with one syscall.
fn linux_but(scene: &Scene, list: &str, syscall: &str) -> String {
    let shown = scene.run(&["os", "show", "linux-6.17"]).expect_code(0);
    let text: String = shown
        .stdout
        .replacen(&format!(" \"{syscall}\","), "", 1)
        .replacen("\nimplement = [", &format!("\n{list}\nimplement = ["), 1);
    assert!(text.contains(list), "{text}");
    let file = scene.write("os.toml", &text);
    file.to_str().expect("a plain path").to_owned()
}

#[test]
fn an_errno_and_an_end_of_the_caller_are_given_as_the_profile_of_an_os_says() {
    require!(Replays);
    let scene = Scene::new();
    // It takes EPERM for an answer, and nothing else.
    let workload = scene.workload(victim("accepts-eperm"));
    let workload = workload.to_str().expect("a plain path");
    for (list, code) in [
        ("unknown = \"EPERM\"", 0),
        ("error = { EPERM = [\"sysinfo\"] }", 0),
        ("error = { EACCES = [\"sysinfo\"] }", 1),
        ("stub = [\"sysinfo\"]", 1),
        ("kill = [\"sysinfo\"]", 1),
    ] {
        let os = linux_but(&scene, list, "sysinfo");
        let result = scene
            .run(&["emulate", "--os", &os, "--json", workload])
            .expect_code(code)
            .json();
        assert_eq!(result["passed"], code == 0, "{list}: {result:#}");
    }
    // It takes whatever comes back; nothing does.
    let workload = scene.workload(victim("ignores-errors"));
    let workload = workload.to_str().expect("a plain path");
    let os = linux_but(&scene, "kill = [\"personality\"]", "personality");
    let broken = scene
        .run(&["emulate", "--os", &os, workload])
        .expect_code(1);
    assert!(
        broken.stdout.contains("personality ending its caller"),
        "{}",
        broken.stdout
    );
    scene.assert_nothing_left();
}

/// `uname`, whose output the test looks at.
fn uname(scene: &Scene) -> String {
    let workload = scene.write(
        "uname.toml",
        "application = \"uname\"\nworkload = \"name\"\nmode = \"batch\"\n\
         command = [\"sh\", \"-c\", \"uname > result\"]\ntarget = \"/bin/uname\"\n\
         test = [\"grep\", \"-q\", \"Linux\", \"result\"]\n",
    );
    workload.to_str().expect("a plain path").to_owned()
}

#[test]
fn predictions_are_compared_with_what_really_happens() {
    require!(Replays, Program("strace"));
    let scene = Scene::new();
    let workload = &uname(&scene);
    // This host, which has what the profile says that it lacks.
    let here = "runner = { command = [\"env\"] }";
    let lacking = linux_but(&scene, here, "uname");
    scene
        .run(&["verify", "--os", &lacking, workload])
        .expect_code(2)
        .expect_message(&["there is no database", "loupe analyze"]);
    scene.run(&["analyze", workload, "--json"]).expect_code(0);
    let wrong = scene
        .run(&["verify", "--os", &lacking, "--json", workload])
        .expect_code(1)
        .json();
    assert_eq!(wrong["wrong_fails"], 1, "{wrong:#}");
    assert_eq!(wrong["applications"][0]["missing"][0], "uname");
    let whole = linux_but(&scene, here, "acct");
    let right = scene.run(&["verify", "--os", &whole, workload]);
    let right = right.expect_code(0).stdout;
    assert!(
        right.starts_with("predictions right: 1 of 1 on linux-6.17"),
        "{right}"
    );
    // An OS that has the call and on which nothing works.
    let broken = linux_but(
        &scene,
        "runner = { command = [\"env\", \"PATH=/nowhere\"] }",
        "acct",
    );
    scene
        .run(&["verify", "--os", &broken, workload])
        .expect_code(2)
        .expect_message(&["does not start `true`"]);
    let none = linux_but(&scene, "kill = []", "acct");
    scene
        .run(&["verify", "--os", &none, workload])
        .expect_code(2)
        .expect_message(&["does not say how to run a program there"]);
    // An OS whose profile is wrong: it has the call, and lacks it.
    let lies =
        "[\"strace\", \"-qqf\", \"-e\", \"inject=uname:error=ENOSYS\", \"-o\", \"%LOG%/calls\"]";
    let runner = format!("runner = {{ command = {lies}, trace = {lies} }}");
    let lying = linux_but(&scene, &runner, "acct");
    let verify = ["verify", "--os", &lying, workload];
    let told = scene.run(&verify).expect_code(1).stdout;
    assert!(
        told.contains("uname failed with ENOSYS; the application needs it"),
        "{told}"
    );
    let wrong = scene
        .run(&[verify.as_slice(), &["--json"]].concat())
        .expect_code(1)
        .json();
    assert_eq!(wrong["wrong_passes"], 1, "{wrong:#}");
    // The runner is no sandbox: what the workload writes is the user's.
    std::fs::remove_file(scene.path("result")).expect("it was written here");
    scene.assert_nothing_left();
}

#[test]
fn a_prediction_for_gvisor_comes_true_there() {
    require!(Replays, Program("runsc"));
    let scene = Scene::new();
    let workload = &uname(&scene);
    scene.run(&["analyze", workload, "--json"]).expect_code(0);
    let matrix = scene
        .run(&["verify", "--os", "gvisor", "--json", workload])
        .expect_code(0)
        .json();
    assert_eq!(matrix["right"], 1, "{matrix:#}");
    assert_eq!(matrix["passes"], 1, "{matrix:#}");
    scene.assert_nothing_left();
}

#[test]
fn a_prediction_for_qemu_comes_true_there_and_its_children_are_run_by_it_too() {
    require!(Replays, Program("qemu-x86_64-static"), OwnBinfmt);
    let scene = Scene::new();
    // What QEMU lacks is seen by a child of a child: `rseq` gets ENOSYS, and not EINVAL.
    let workload = scene.write(
        "rseq.toml",
        "application = \"rseq\"\nworkload = \"missing\"\nmode = \"batch\"\n\
         command = [\"sh\", \"-c\", \"perl -e 'syscall(334, 0, 0, 0, 0); print 0 + $!' > result\"]\n\
         target = \"/usr/bin/perl\"\ntest = [\"grep\", \"-qx\", \"22\", \"result\"]\n",
    );
    let workload = workload.to_str().expect("a plain path");
    scene.run(&["analyze", workload, "--json"]).expect_code(0);
    let matrix = scene
        .run(&["verify", "--os", "qemu-user", "--json", workload])
        .expect_code(0)
        .json();
    assert_eq!(matrix["fails"], 1, "{matrix:#}");
    assert_eq!(matrix["applications"][0]["missing"][0], "rseq");
    // What it wrote was thrown away with the OS.
    assert!(!scene.path("result").exists());
    scene.assert_nothing_left();
}

#[test]
fn an_application_comes_alive_on_gvisor_at_the_step_that_promises_it() {
    require!(Replays, Program("runsc"));
    let scene = Scene::new();
    let workload = &uname(&scene);
    scene.run(&["analyze", workload, "--json"]).expect_code(0);
    let runner =
        "runner = { command = [\"runsc\", \"--network=none\", \"--platform=ptrace\", \"do\"] }";
    let cut = linux_but(&scene, runner, "uname");
    let follow = [
        "plan",
        "--os",
        &cut,
        "--on-runner",
        "--json",
        "--verify",
        workload,
    ];
    let told = scene.run(&follow).expect_code(0).json();
    let one = &told["applications"][0];
    assert_eq!(one["before"]["passed"], false, "{told:#}");
    assert_eq!(one["after"]["passed"], true, "{told:#}");
    assert_eq!(told["come_alive"], 1, "{told:#}");
    // A target that is not started by its name has no filter, and that is said.
    let text = std::fs::read_to_string(workload).expect("readable");
    std::fs::write(
        workload,
        text.replace("uname > result", "/bin/uname > result"),
    )
    .expect("writable");
    scene
        .run(&follow)
        .expect_code(2)
        .expect_message(&["never got its filter", "by its name"]);
    scene.assert_nothing_left();
}
