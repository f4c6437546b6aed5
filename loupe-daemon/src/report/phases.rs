//! Where an analysis spent its time, a line for each phase.

use loupe_common::analysis::Analysis;
use loupe_common::phase::{PhaseCost, PurposeCost};

use crate::text::{counted, printable, seconds};

/// Purposes of a phase that are told by name.
const NAMED_PURPOSES: usize = 4;

/// A line for each phase that took any time.
pub fn phase_lines(analysis: &Analysis) -> Vec<String> {
    let took = |phase: &&PhaseCost| phase.replays + phase.beginnings > 0;
    let phases = analysis.phases.iter().filter(took);
    phases.map(|phase| line(phase, analysis.cpus)).collect()
}

fn line(phase: &PhaseCost, cpus: u64) -> String {
    let busy = phase.efficiency(cpus) * 100.0;
    let purposes: Vec<String> = phase
        .purposes
        .iter()
        .take(NAMED_PURPOSES)
        .map(purpose)
        .collect();
    let others = match phase.purposes.len().saturating_sub(NAMED_PURPOSES) {
        0 => String::new(),
        others => format!(", and {}", counted(others as u64, "other purpose")),
    };
    format!(
        "{}: {} in {}, {:.1} at a time, CPUs {busy:.0} % used: {}{others}",
        printable(&phase.name),
        ran(phase.replays, phase.beginnings),
        seconds(phase.wall_seconds),
        phase.at_a_time(),
        purposes.join(", "),
    )
}

fn purpose(cost: &PurposeCost) -> String {
    format!(
        "{} ({}, {})",
        printable(&cost.purpose),
        ran(cost.replays, cost.beginnings),
        seconds(cost.replay_seconds)
    )
}

fn ran(replays: u64, beginnings: u64) -> String {
    match (replays, beginnings) {
        (replays, 0) => counted(replays, "replay"),
        (0, beginnings) => counted(beginnings, "beginning"),
        _ => format!(
            "{} and {}",
            counted(replays, "replay"),
            counted(beginnings, "beginning")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_took_the_time() {
        let cost = |purpose: &str, replays, beginnings, replay_seconds| PurposeCost {
            purpose: purpose.to_owned(),
            replays,
            beginnings,
            replay_seconds,
        };
        let analysis = Analysis {
            cpus: 2,
            phases: vec![
                PhaseCost {
                    name: "single features".to_owned(),
                    wall_seconds: 4.0,
                    replays: 12,
                    beginnings: 30,
                    replay_seconds: 7.6,
                    cpu_seconds: 6.0,
                    purposes: vec![
                        cost("stub alone", 10, 0, 6.0),
                        cost("confirms …", 2, 0, 1.0),
                        cost("begins without …", 0, 30, 0.6),
                        cost("a", 1, 0, 0.02),
                        cost("b", 0, 0, 0.0),
                    ],
                },
                PhaseCost::default(),
            ],
            ..Analysis::default()
        };
        assert_eq!(
            phase_lines(&analysis),
            [
                "single features: 12 replays and 30 beginnings in 4.00 s, 1.9 at a time, CPUs 75 % \
              used: stub alone (10 replays, 6.00 s), confirms … (2 replays, 1.00 s), begins \
              without … (30 beginnings, 600 ms), a (1 replay, 20.0 ms), and 1 other purpose"
            ]
        );
    }
}
