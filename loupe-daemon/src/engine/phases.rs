//! Adds up where an analysis spends its time, from the progress that it tells. Decides nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use loupe_common::feature::Feature;
use loupe_common::phase::{PhaseCost, PurposeCost};
use loupe_common::progress::Progress;

use crate::lock;

/// What stands for the names of features in a purpose.
const NAMES: &str = "…";

/// The phases of one analysis so far.
pub struct Phases(Mutex<State>);

struct State {
    /// In the order in which they first began.
    all: Vec<Phase>,
    /// The one that is on, and since when.
    on: (usize, Instant),
}

#[derive(Default)]
struct Phase {
    cost: PhaseCost,
    purposes: BTreeMap<String, PurposeCost>,
}

impl Phases {
    /// From now on, in the phase of this name.
    pub fn begin(name: &str) -> Phases {
        Phases(Mutex::new(State {
            all: vec![Phase::named(name)],
            on: (0, Instant::now()),
        }))
    }

    pub fn note(&self, step: &Progress) {
        let mut state = lock(&self.0);
        match step {
            Progress::Phase { name, .. } => state.enter(name),
            Progress::Replayed {
                purpose,
                wall_us,
                cpu_us,
                reused: false,
                ..
            } => {
                let (phase, purpose) = state.on(purpose);
                phase.replays += 1;
                purpose.replays += 1;
                add(phase, purpose, *wall_us, *cpu_us);
            }
            Progress::Begun {
                purpose,
                wall_us,
                cpu_us,
                ..
            } => {
                let (phase, purpose) = state.on(purpose);
                phase.beginnings += 1;
                purpose.beginnings += 1;
                add(phase, purpose, *wall_us, *cpu_us);
            }
            Progress::Replayed { .. } | Progress::Counts { .. } | Progress::Notice { .. } => {}
        }
    }

    /// What they took. The last one ends now.
    pub fn costs(&self) -> Vec<PhaseCost> {
        let mut state = lock(&self.0);
        state.pause();
        state.all.iter().map(Phase::cost).collect()
    }
}

impl State {
    fn enter(&mut self, name: &str) {
        self.pause();
        let known = self.all.iter().position(|phase| phase.cost.name == name);
        self.on.0 = known.unwrap_or_else(|| {
            self.all.push(Phase::named(name));
            self.all.len() - 1
        });
    }

    /// Adds the time until now to the phase that is on.
    fn pause(&mut self) {
        let (on, since) = self.on;
        self.all[on].cost.wall_seconds += since.elapsed().as_secs_f64();
        self.on.1 = Instant::now();
    }

    fn on(&mut self, purpose: &str) -> (&mut PhaseCost, &mut PurposeCost) {
        let phase = &mut self.all[self.on.0];
        let purpose = without_names(purpose);
        let of = phase.purposes.entry(purpose.clone()).or_default();
        of.purpose = purpose;
        (&mut phase.cost, of)
    }
}

impl Phase {
    fn named(name: &str) -> Phase {
        let mut phase = Phase::default();
        name.clone_into(&mut phase.cost.name);
        phase
    }

    fn cost(&self) -> PhaseCost {
        let mut cost = self.cost.clone();
        cost.purposes = self.purposes.values().cloned().collect();
        let by_time = |a: &PurposeCost, b: &PurposeCost| {
            b.replay_seconds
                .total_cmp(&a.replay_seconds)
                .then_with(|| a.purpose.cmp(&b.purpose))
        };
        cost.purposes.sort_by(by_time);
        cost
    }
}

fn add(phase: &mut PhaseCost, purpose: &mut PurposeCost, wall_us: u64, cpu_us: u64) {
    phase.replay_seconds += wall_us as f64 / 1e6;
    phase.cpu_seconds += cpu_us as f64 / 1e6;
    purpose.replay_seconds += wall_us as f64 / 1e6;
}

/// A purpose as all replays of its kind have it: `stub group 3 of 6` is a `stub group`, and
/// `confirms futex` is `confirms …`.
fn without_names(purpose: &str) -> String {
    let words: Vec<&str> = purpose.split(' ').collect();
    let is_number = |word: &str| word.parse::<u64>().is_ok();
    let mut kept: Vec<String> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let counts_of = *word == "of" && words.get(at + 1).is_some_and(|next| is_number(next));
        if is_number(word) || counts_of {
            continue;
        }
        let bare = word.trim_end_matches([':', ',']);
        match bare.parse::<Feature>().is_ok() {
            true => kept.push(format!("{NAMES}{}", &word[bare.len()..])),
            false => kept.push((*word).to_owned()),
        }
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests {
    use loupe_common::policy::{Action, Policy};
    use loupe_common::replay::Outcome;

    use super::*;

    fn policy(names: &[&str]) -> Policy {
        let rule = |name: &&str| (name.parse().expect("a feature"), Action::STUB);
        names.iter().map(rule).collect()
    }

    fn replayed(purpose: &str, names: &[&str], wall_us: u64, reused: bool) -> Progress {
        Progress::Replayed {
            id: 1,
            purpose: purpose.to_owned(),
            policy: policy(names),
            outcome: Outcome::Passed,
            wall_us,
            cpu_us: wall_us / 2,
            reused,
        }
    }

    #[test]
    fn a_purpose_loses_its_names_and_numbers() {
        for (purpose, kept) in [
            ("stub group 3 of 6", "stub group"),
            ("confirms futex", "confirms …"),
            ("confirms 8 that passed alone", "confirms that passed alone"),
            (
                "operations of fcntl: stub alone",
                "operations of …: stub alone",
            ),
            ("does /proc/stat appear again", "does … appear again"),
            (
                "joint policy: fallback brk another way",
                "joint policy: fallback … another way",
            ),
        ] {
            assert_eq!(without_names(purpose), kept);
        }
    }

    #[test]
    fn each_replay_counts_in_the_phase_in_which_it_ended() {
        let phases = Phases::begin("baseline");
        phases.note(&replayed("baseline", &[], 4_000_000, false));
        phases.note(&replayed("baseline", &[], 4_000_000, true));
        for name in ["single", "joint", "single"] {
            let name = name.to_owned();
            phases.note(&Progress::phase(name));
            phases.note(&replayed("confirms brk", &["brk"], 1_000_000, false));
            phases.note(&replayed("stub alone", &["brk"], 3_000_000, false));
        }
        phases.note(&Progress::Begun {
            purpose: "begins without brk".to_owned(),
            policy: policy(&["brk"]),
            wall_us: 500_000,
            cpu_us: 250_000,
        });
        let costs = phases.costs();
        let told: Vec<_> = costs
            .iter()
            .map(|cost| (cost.name.as_str(), cost.replays, cost.beginnings))
            .collect();
        assert_eq!(
            told,
            [("baseline", 1, 0), ("single", 4, 1), ("joint", 2, 0)]
        );
        assert_eq!(costs[1].replay_seconds, 8.5);
        assert_eq!(costs[1].cpu_seconds, 4.25);
        let purposes: Vec<_> = costs[1]
            .purposes
            .iter()
            .map(|cost| (cost.purpose.as_str(), cost.replays, cost.beginnings))
            .collect();
        let wanted = [
            ("stub alone", 2, 0),
            ("confirms …", 2, 0),
            ("begins without …", 0, 1),
        ];
        assert_eq!(purposes, wanted);
    }
}
