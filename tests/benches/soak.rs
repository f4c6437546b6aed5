//! Whether one `louped` stays as small as it was: 1,500 replays of one workload in it, and what it
//! holds before and after. Ends with exit code 1 where something has grown.
//!
//! `cargo xtask bench soak [-- REPLAYS]`. The first tenth of the replays is its warming up.

use std::fs;
use std::path::Path;

use loupe_tests::daemon::Daemon;
use loupe_tests::leftovers::{bpf_objects, run_cgroups};
use loupe_tests::scene::{RESULT, Scene};

/// Replays in all, unless the command line says otherwise.
const REPLAYS: u64 = 1500;
/// How much the resident set may grow between the warming up and the end: the allocator keeps
/// some of what one large analysis needed.
const MEMORY_SLACK_KIB: u64 = 16 * 1024;

fn main() {
    let mut words = std::env::args().skip(1);
    let replays = words.find_map(|word| word.parse().ok()).unwrap_or(REPLAYS);
    let scene = Scene::new();
    let workload = scene.write(
        "soak.toml",
        &format!(
            "application = \"accepts-enosys\"\nworkload = \"soak\"\nmode = \"batch\"\n\
             command = [\"./victim\", \"accepts-enosys\", {RESULT:?}]\n\
             test = [\"./probe\", \"works\", {RESULT:?}]\n"
        ),
    );
    let path = workload.to_str().expect("a plain path");
    let daemon = Daemon::start(&scene);
    println!(
        "{:<24} {:>10} {:>12} {:>10} {:>8}",
        "", "memory KiB", "descriptors", "BPF", "cgroups"
    );
    let start = Held::by(daemon.pid());
    start.print("at the start");
    let warm = replay(&daemon, path, replays / 10);
    let warmed = Held::by(daemon.pid());
    warmed.print(&format!("after {warm} replays"));
    let more = replay(&daemon, path, replays.saturating_sub(warm));
    let end = Held::by(daemon.pid());
    end.print(&format!("after {} replays", warm + more));
    daemon.stop(libc::SIGTERM).expect_code(0);
    scene.assert_nothing_left();
    let grown = end.grown_since(&warmed);
    for what in &grown {
        println!("grown: {what}");
    }
    std::process::exit(i32::from(!grown.is_empty()));
}

/// Analyses the workload anew until at least this many replays have run; how many have.
fn replay(daemon: &Daemon<'_>, workload: &str, wanted: u64) -> u64 {
    let mut done = 0;
    while done < wanted {
        let analysis = daemon.analysis(&["analyze", "--fresh", "--exhaustive", "--json", workload]);
        done += analysis.number("replays");
    }
    done
}

/// What a process and the kernel on its behalf hold at one moment.
struct Held {
    memory_kib: u64,
    descriptors: usize,
    bpf_objects: usize,
    cgroups: usize,
}

impl Held {
    fn by(pid: u32) -> Held {
        let process = Path::new("/proc").join(pid.to_string());
        let status = fs::read_to_string(process.join("status")).expect("louped runs");
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = memory.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
        Held {
            memory_kib: memory.expect("a resident set"),
            descriptors: fs::read_dir(process.join("fd"))
                .expect("louped runs")
                .count(),
            bpf_objects: bpf_objects().len(),
            cgroups: run_cgroups(),
        }
    }

    fn print(&self, when: &str) {
        println!(
            "{when:<24} {:>10} {:>12} {:>10} {:>8}",
            self.memory_kib, self.descriptors, self.bpf_objects, self.cgroups
        );
    }

    fn grown_since(&self, before: &Held) -> Vec<&'static str> {
        [
            (
                "memory",
                self.memory_kib > before.memory_kib + MEMORY_SLACK_KIB,
            ),
            ("descriptors", self.descriptors > before.descriptors),
            ("BPF objects", self.bpf_objects > before.bpf_objects),
            ("cgroups", self.cgroups > before.cgroups),
        ]
        .into_iter()
        .filter_map(|(what, grown)| grown.then_some(what))
        .collect()
    }
}
