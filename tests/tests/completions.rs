//! What a shell is told while a command line is being typed: names from the database, of OSes, of
//! syscalls; from the scripts that the package has, in a real shell. Nothing is made by asking.

use std::process::Command;

use loupe_tests::ground_truth::victim;
use loupe_tests::requirement::Requirement::{Program, Replays};
use loupe_tests::scene::Scene;
use loupe_tests::{binaries, command, require};

/// What the protocol answers to a line that is being typed; its last word may be empty.
fn asked(scene: &Scene, shell: &str, line: &[&str]) -> Vec<String> {
    let mut ask = Command::new(binaries::loupe());
    ask.args(["--", "loupe"])
        .args(line)
        .current_dir(scene.directory())
        .env("COMPLETE", shell)
        .env("_CLAP_IFS", "\n")
        .env("_CLAP_COMPLETE_INDEX", line.len().to_string())
        .env("LOUPE_DB", scene.database());
    let said = command::run(ask).expect_code(0);
    assert_eq!(said.stderr, "", "{line:?}");
    said.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn names_are_completed_from_the_database_and_the_tables() {
    require!(Replays);
    let scene = Scene::new();
    let truth = victim("accepts-enosys");
    let workload = scene.workload(truth);
    let path = workload.to_str().expect("a plain path");
    scene.run(&["analyze", path]).expect_code(0);
    let ask = |line: &[&str]| asked(&scene, "bash", line);
    let both = ["accepts-enosys", "accepts-enosys/truth"];
    for verb in [
        &["show"][..],
        &["explain"],
        &["list"],
        &["rm"],
        &["diff"],
        &["report"],
    ] {
        let offered = ask(&[verb, &["acc"]].concat());
        // `diff` takes files, too.
        assert_eq!(offered[..2], both, "{verb:?}");
    }
    assert_eq!(
        ask(&["plan", "--apps", "other,acc"])[0],
        "other,accepts-enosys"
    );
    assert_eq!(ask(&["show", "1"]), ["1"]);
    assert_eq!(ask(&["gap", "--os", "gvis"]), ["gvisor"]);
    assert_eq!(ask(&["os", "show", "GVIS"]), ["gvisor"]);
    assert!(ask(&["explain", "accepts-enosys", "fut"]).contains(&"futex".to_owned()));
    assert!(ask(&["sho"]).contains(&"show".to_owned()));
    // For people the number says what it is of.
    assert_eq!(
        asked(&scene, "fish", &["show", "1"]),
        ["1\taccepts-enosys/truth"]
    );
    assert_eq!(
        asked(&scene, "zsh", &["show", "1"]),
        ["1:accepts-enosys/truth"]
    );
    // The database is named in the line that is typed, too.
    let other = scene.path("other.db");
    let other = other.to_str().expect("plain");
    assert_eq!(ask(&["show", "--db", other, "acc"]), Vec::<String>::new());
    assert!(!scene.path("other.db").exists(), "to ask makes nothing");
    scene.assert_nothing_left();
}

#[test]
fn without_a_database_nothing_is_made_and_nothing_is_said() {
    let scene = Scene::new();
    for verb in ["show", "list", "stats"] {
        let mut offered = asked(&scene, "bash", &[verb, ""]);
        offered.retain(|word| !word.starts_with('-'));
        assert_eq!(offered, Vec::<String>::new(), "{verb}");
    }
    assert!(!scene.database().exists());
    assert_eq!(
        asked(&scene, "bash", &["os", "show", "asteri"]),
        ["asterinas"]
    );
    // No shell: a variable of somebody else's.
    let mut version = Command::new(binaries::loupe());
    version.arg("--version").env("COMPLETE", "1");
    let said = command::run(version).expect_code(0);
    assert!(said.stdout.starts_with("loupe "), "{}", said.stdout);
    scene.assert_nothing_left();
}

/// A scene with an analysis of `accepts-enosys`, and a directory with the package's scripts.
fn analysed() -> (Scene, tempfile::TempDir) {
    let scene = Scene::new();
    let workload = scene.workload(victim("accepts-enosys"));
    let path = workload.to_str().expect("a plain path");
    scene.run(&["analyze", path]).expect_code(0);
    let documents = tempfile::tempdir().expect("a directory");
    let mut write = Command::new(binaries::loupe());
    write.arg("write-documents").arg(documents.path());
    command::run(write).expect_code(0);
    (scene, documents)
}

/// A shell that finds this `loupe`, and asks it about this scene.
fn shell(name: &str, scene: &Scene) -> Command {
    let loupe = binaries::loupe();
    let directory = loupe.parent().expect("a directory");
    let mut shell = Command::new(name);
    shell
        .current_dir(scene.directory())
        .env("PATH", format!("{}:/usr/bin:/bin", directory.display()))
        .env("HOME", scene.directory())
        .env("LOUPE_DB", scene.database());
    shell
}

#[test]
fn the_packages_script_completes_in_a_real_bash() {
    require!(Replays, Program("bash"));
    let (scene, documents) = analysed();
    let completed = |words: &[&str]| -> Vec<String> {
        let mut bash = shell("bash", &scene);
        let line = "source \"$1\"; shift; complete -p loupe > /dev/null || exit 1; \
                    COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9; \
                    _clap_complete_loupe loupe \"${COMP_WORDS[COMP_CWORD]}\" x; \
                    printf '%s\\n' \"${COMPREPLY[@]}\"";
        bash.args(["--norc", "-c", line, "bash"])
            .arg(documents.path().join("completions/loupe.bash"))
            .arg("loupe")
            .args(words);
        let said = command::run(bash).expect_code(0);
        said.stdout.lines().map(str::to_owned).collect()
    };
    assert_eq!(
        completed(&["show", "acc"]),
        ["accepts-enosys", "accepts-enosys/truth"]
    );
    assert_eq!(completed(&["os", "show", "gvis"]), ["gvisor"]);
    scene.assert_nothing_left();
}

#[test]
fn the_packages_script_completes_in_a_real_fish() {
    require!(Replays, Program("fish"));
    let (scene, documents) = analysed();
    let completed = |line: &str| -> Vec<String> {
        let mut fish = shell("fish", &scene);
        fish.args(["--no-config", "-c", "source $argv[1]; complete -C $argv[2]"])
            .arg(documents.path().join("completions/loupe.fish"))
            .arg(line);
        let said = command::run(fish).expect_code(0);
        said.stdout.lines().map(str::to_owned).collect()
    };
    assert_eq!(
        completed("loupe show acc"),
        ["accepts-enosys", "accepts-enosys/truth"]
    );
    assert_eq!(completed("loupe os export scml gvis"), ["gvisor"]);
    // What the number is of stands behind a tab.
    assert_eq!(completed("loupe show 1"), ["1\taccepts-enosys/truth"]);
}

/// In a terminal of its own: types the second word and a tab, and writes what the line is then to the
/// third. The first is where the script is found by itself.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty inner 'TERM=dumb zsh -f -i'
zpty -w inner "fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D
    tell() { print -r -- \$BUFFER > ${(q)3}; print TO''LD; BUFFER= }
    zle -N tell; bindkey '^X' tell; print REA''DY"
zpty -r inner line '*READY*'
zpty -n -w inner "$2"$'\t\x18'
zpty -r inner line '*TOLD*'
zpty -d inner
"#;

#[test]
fn the_packages_script_completes_in_a_real_zsh() {
    require!(Replays, Program("zsh"));
    let (scene, documents) = analysed();
    let completed = |line: &str| -> String {
        let mut zsh = shell("zsh", &scene);
        zsh.args(["-f", "-c", ZSH, "zsh"])
            .arg(documents.path().join("completions"))
            .arg(line)
            .arg(scene.path("line"));
        command::run(zsh).expect_code(0);
        std::fs::read_to_string(scene.path("line")).expect("the line")
    };
    assert_eq!(completed("loupe os show gvis"), "loupe os show gvisor \n");
    // As much as both names have.
    assert_eq!(completed("loupe show acc"), "loupe show accepts-enosys\n");
}
