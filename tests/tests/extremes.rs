//! Amounts that nobody planned for are bounded, and nothing of them is left.

use loupe_tests::analysis::Analysis;
use loupe_tests::ground_truth::{Mode, Need, Victim};
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::{PORT, Scene};

fn batch(name: &'static str, extra: &'static [&'static str]) -> Victim {
    Victim {
        name,
        mode: Mode::Batch,
        extra,
        needs: Need::Nothing,
        rows: &[],
    }
}

/// Analyses with one replica, because every replay is costly here.
fn analyze(scene: &Scene, victim: &Victim) -> (Analysis, i64) {
    let workload = scene.workload(victim);
    let path = workload.to_str().expect("a plain path");
    let finished = scene
        .run(&["analyze", path, "--json", "--replicas", "1"])
        .expect_code(0);
    (Analysis::new(finished.json()), finished.max_rss_kib)
}

#[test]
fn gigabytes_of_output_are_not_kept() {
    require!(Replays);
    let scene = Scene::new();
    // Some forty replays of 64 MiB each are gigabytes in all.
    let (analysis, max_rss_kib) = analyze(&scene, &batch("prints", &["64"]));
    assert_eq!(analysis.verdict("openat"), Some("required"));
    assert!(max_rss_kib < 300 * 1024, "{max_rss_kib} KiB");
    let database = std::fs::metadata(scene.database())
        .expect("a database")
        .len();
    assert!(database < 8 << 20, "the database has {database} bytes");
    scene.assert_nothing_left();
}

#[test]
fn a_single_run_prints_gigabytes_past_us() {
    require!(Replays);
    let scene = Scene::new();
    let script = "./victim prints /dev/null 2048 | tail -n 1";
    let words = ["run", "--target", "./victim", "--", "/bin/sh", "-c", script];
    let finished = scene.run(&words).expect_code(0);
    assert_eq!(finished.stdout, "the last line\n");
    assert!(
        finished.max_rss_kib < 300 * 1024,
        "{} KiB",
        finished.max_rss_kib
    );
}

#[test]
fn a_disk_that_is_filled_is_the_replays_own() {
    require!(Replays);
    let scene = Scene::new();
    let free = || {
        // SAFETY: all-zero is a valid `statvfs`, and the call fills it.
        let mut status: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: a string with a NUL and a structure that live across the call.
        assert_eq!(unsafe { libc::statvfs(c"/".as_ptr(), &mut status) }, 0);
        status.f_bavail * status.f_frsize
    };
    let before = free();
    // A test that says no ends the analysis after the baseline, with what the application said.
    let text = "application = \"fills\"\nworkload = \"disk\"\nmode = \"batch\"\n\
                command = [\"./victim\", \"fills-disk\", \"/tmp/result\", \"65536\"]\n\
                test = [\"/bin/false\"]\n";
    scene.write("fills.toml", text);
    let finished = scene.run(&["analyze", "fills.toml"]).expect_code(3);
    finished.expect_message(&["the disk was full"]);
    assert!(
        before.abs_diff(free()) < 512 << 20,
        "{before} bytes, then {}",
        free()
    );
    scene.assert_nothing_left();
}

#[test]
fn a_thousand_children_that_ignore_sigterm_are_ended() {
    require!(Replays);
    let scene = Scene::new();
    let text = format!(
        "application = \"stubborn\"\nworkload = \"children\"\nmode = \"server\"\n\
         command = [\"./victim\", \"serve-stubborn\", \"{PORT}\", \"1000\"]\n\
         test = \"./probe echo {PORT} && exit 42\"\nstop = \"term\"\nlimits.stop = 0.1\n"
    );
    scene.write("stubborn.toml", &text);
    // As above: the baseline's replays are enough.
    let finished = scene.run(&["analyze", "stubborn.toml"]).expect_code(3);
    finished.expect_message(&["exit status 42"]);
    scene.assert_nothing_left();
}
