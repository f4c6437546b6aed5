//! What was reported as recorded survives SIGKILL, at whatever moment it comes.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use super::*;

const DATABASE: &str = "LOUPE_TEST_STORE_DATABASE";
/// What a line of the child starts with, after whatever the test harness prints before it.
const RECORDED: &str = "recorded replica ";

/// Records replays and says so, until it is killed.
#[test]
#[ignore = "the process that the next test kills"]
fn child_that_records_replays_until_it_is_killed() {
    let Some(path) = std::env::var_os(DATABASE) else {
        return; // Asked for by --include-ignored, not by the next test.
    };
    let store = Store::open(Path::new(&path)).expect("opened");
    let run = store
        .begin_analysis(&workload("nginx", "wrk"), "f", false)
        .expect("begun");
    let first = u32::try_from(store.recorded(&run)).expect("few");
    for replica in first.. {
        let id = store
            .record_replay(
                run.id,
                replica,
                None,
                &replay(single("brk", Action::STUB), true),
            )
            .expect("recorded");
        // Unbuffered: what the parent reads was said after the call had returned.
        let line = format!("\n{RECORDED}{replica} as {id}\n");
        nix::unistd::write(std::io::stdout(), line.as_bytes()).expect("the parent reads");
    }
}

#[test]
fn a_recorded_replay_survives_kill_9() {
    let scratch = Scratch::new();
    let mut reported = Vec::new();
    // The database of each round is what the kill of the one before has left.
    for (round, lines_before_kill) in (1..).zip([1, 2, 50, 7, 200]) {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("store::tests::kill::child_that_records_replays_until_it_is_killed")
            .env(DATABASE, scratch.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut records = output.lines().filter_map(|line| {
            let line = line.expect("readable");
            let (replica, id) = line.strip_prefix(RECORDED)?.split_once(" as ")?;
            Some((
                replica.parse::<u32>().expect("a number"),
                id.parse::<i64>().expect("a number"),
            ))
        });
        reported.extend(records.by_ref().take(lines_before_kill));
        child.kill().expect("killed");
        // It went on until the signal came; that was reported, too.
        reported.extend(records);
        let status = child.wait().expect("reaped");
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{status}");

        let store = scratch.open();
        let run = store
            .begin_analysis(&workload("nginx", "wrk"), "f", false)
            .expect("continued: the claim of the dead is gone");
        let recorded = reported.len() as u64;
        // At most one replay a round was recorded and not yet reported.
        assert!((recorded..=recorded + round).contains(&store.recorded(&run)));
        let policy = single("brk", Action::STUB);
        for (replica, id) in &reported {
            let found = store
                .find_replay(run.id, &policy, *replica)
                .expect("readable");
            assert_eq!(found, Some((*id, replay(policy.clone(), true))));
        }
    }
}
