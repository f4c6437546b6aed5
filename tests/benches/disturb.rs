//! What an analysis makes of being disturbed: processes of its replays are killed or stopped by
//! somebody else, one kind at a time, at random moments. It must end with the verdicts of an
//! undisturbed one, or with an error that says what happened; and leave nothing behind.
//!
//! `cargo xtask bench disturb [-- ROUNDS [SEED] [KIND...]]`: ROUNDS disturbances of each kind
//! (default 15), or of those alone that are named (`SIGKILL-Test`).
//! Ends with exit code 1 where a verdict is wrong, an end is unexplained or something is left.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use loupe_tests::analysis::Analysis;
use loupe_tests::command::{self, Running};
use loupe_tests::leftovers::lineage;
use loupe_tests::scene::{PORT, Scene};

/// Disturbances of each kind, unless the command line says otherwise.
const ROUNDS: u64 = 15;
/// A disturbance comes this long after the start of an analysis at the latest.
const LATEST: Duration = Duration::from_millis(600);
/// How long an analysis may take before it counts as hanging.
const HANG: Duration = Duration::from_secs(180);

/// A victim that serves until it is ended.
const SERVER: &str = "serve-polling";

/// Whom a disturbance meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Launcher,
    Keeper,
    Application,
    Test,
}

const VICTIMS: [Victim; 4] = [
    Victim::Launcher,
    Victim::Keeper,
    Victim::Application,
    Victim::Test,
];

fn main() {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let kinds: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word.starts_with("SIG"))
        .collect();
    let rounds = numbers.first().copied().unwrap_or(ROUNDS);
    let mut chance = Chance(numbers.get(1).copied().unwrap_or(1));
    let scene = Scene::new();
    let workload = scene.write(
        "disturbed.toml",
        &format!(
            "application = {SERVER:?}\nworkload = \"disturbed\"\nmode = \"server\"\n\
             command = [\"./victim\", {SERVER:?}, {PORT:?}]\n\
             test = \"./probe echo {PORT} && exec sleep 0.03\"\n\
             limits = {{ start = 2.0, test = 2.0 }}\n"
        ),
    );
    let path = workload.to_str().expect("a plain path");
    let words = ["analyze", "--fresh", "--json", path];
    let truth = verdicts(&Analysis::new(scene.run(&words).expect_code(0).json()));
    let mut wrong = 0;
    for (signal, name) in [(libc::SIGKILL, "SIGKILL"), (libc::SIGSTOP, "SIGSTOP")] {
        for victim in VICTIMS {
            let kind = format!("{name}-{victim:?}");
            if !kinds.is_empty() && !kinds.contains(&kind) {
                continue;
            }
            let mut tally = Tally::default();
            for _ in 0..rounds {
                let running = command::start(scene.loupe(&words));
                let met = disturb(&running, victim, signal, &mut chance);
                tally.note(running, met, &truth);
                scene.assert_nothing_left();
            }
            println!("{kind}: {tally:?}");
            wrong += tally.wrong + tally.unexplained + tally.hung;
        }
    }
    std::process::exit(i32::from(wrong > 0));
}

/// What came of the disturbances of one kind.
#[derive(Debug, Default)]
struct Tally {
    /// Whoever was to be met was met.
    met: u32,
    /// Ended with the verdicts of an undisturbed analysis.
    same: u32,
    /// Some features stayed undecided, no verdict is wrong.
    undecided: u32,
    /// Ended with an error that says what happened.
    explained: u32,
    wrong: u32,
    unexplained: u32,
    hung: u32,
}

impl Tally {
    fn note(&mut self, running: Running, met: bool, truth: &[(String, String)]) {
        self.met += u32::from(met);
        if !running.ends_within(HANG) {
            self.hung += 1;
            running.signal(libc::SIGKILL);
            running.wait();
            return;
        }
        let finished = running.wait();
        match finished.code() {
            Some(0 | 1) => {
                let found = verdicts(&Analysis::new(finished.json()));
                let differ: Vec<_> = found.iter().filter(|row| !truth.contains(row)).collect();
                if differ.is_empty() && found.len() == truth.len() {
                    self.same += 1;
                } else if differ.iter().all(|(_, verdict)| verdict == "undecided") {
                    self.undecided += 1;
                } else {
                    self.wrong += 1;
                    println!("wrong: {differ:?}");
                }
            }
            Some(3 | 125) if finished.stderr.contains("loupe:") => {
                self.explained += 1;
                println!("  {}", finished.stderr.trim().replace('\n', "\n  "));
            }
            other => {
                self.unexplained += 1;
                println!("ended with {other:?}: {}", finished.stderr);
            }
        }
    }
}

fn verdicts(analysis: &Analysis) -> Vec<(String, String)> {
    let rows = analysis.0["features"].as_array().expect("a table").iter();
    let word = |value: &serde_json::Value| value.as_str().expect("a word").to_owned();
    rows.map(|row| (word(&row["feature"]), word(&row["verdict"])))
        .collect()
}

/// Waits for a random moment, then sends the signal to the first victim that it finds.
fn disturb(running: &Running, victim: Victim, signal: i32, chance: &mut Chance) -> bool {
    let after = LATEST.mul_f64(chance.next());
    if running.ends_within(after) {
        return false;
    }
    let deadline = Instant::now() + LATEST;
    while Instant::now() < deadline && !running.ends_within(Duration::ZERO) {
        if let Some(pid) = find(running.pid(), victim) {
            // SAFETY: a system call without memory. It descends from our child; one that has
            // ended meanwhile is no error.
            return unsafe { libc::kill(pid as i32, signal) } == 0;
        }
    }
    false
}

/// A process of this kind below an analysis.
fn find(analysis: u32, victim: Victim) -> Option<u32> {
    let of_analysis = |pid: &u32| lineage(*pid).skip(1).any(|above| above == analysis);
    let is_victim = |pid: &u32| match victim {
        // The analysis has one child, the launcher, and that one has the keepers.
        Victim::Launcher => lineage(*pid).nth(1) == Some(analysis),
        Victim::Keeper => lineage(*pid).nth(2) == Some(analysis),
        Victim::Application => program(*pid).is_some_and(|name| name == "victim"),
        Victim::Test => program(*pid).is_some_and(|name| name == "sleep"),
    };
    let entries = fs::read_dir("/proc").ok()?.flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid| is_victim(pid) && of_analysis(pid))
}

fn program(pid: u32) -> Option<String> {
    let exe: PathBuf = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(exe.file_name()?.to_string_lossy().into_owned())
}

/// Uniform from 0 to 1, by a linear congruence: the same seed disturbs at the same moments.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}
