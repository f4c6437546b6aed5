//! How an analysis is done. Decides nothing.

use loupe_common::feature::Depth;

/// How the analysis is done.
#[derive(Clone, Debug, PartialEq)]
pub struct ExploreOptions {
    /// Replays at a time.
    pub jobs: usize,
    /// CPUs that they share. Where these are fewer, replays run in a crowd.
    pub cpus: usize,
    /// Replays that must all pass before a policy is said to work. With more than one, a
    /// failure counts only when a second one confirms it.
    pub replicas: u32,
    /// Replays of the baseline.
    pub baseline_replicas: u32,
    /// Instead of a number of replicas: go on until a decision is right with this chance (below
    /// 1). A workload that fails now and then is then measured, not refused.
    pub confidence: Option<f64>,
    /// Every replica is of one feature alone; otherwise what passed alone is confirmed together.
    pub exhaustive: bool,
    /// So many replays share a CPU: a test that does as much as it can in a fixed time may reach
    /// no more than such a part of the baseline's best, and nothing is wrong with it. 1 where
    /// replays do not get in each other's way.
    pub crowd: f64,
    /// Where a feature cannot be stubbed with ENOSYS, try other errnos too.
    pub errnos: bool,
    /// Measure plausible fakes, too.
    pub plausible: bool,
    /// A replay that passes but looks wrong (next to no calls, nothing sent, new complaints, a
    /// metric far off) counts as failed.
    pub strict: bool,
    /// Replay the baseline as controls, to see whether the measuring itself changes the workload.
    pub controls: bool,
    /// Some rules are answered by a supervisor.
    pub notifies: bool,
    /// Find out, too, what can be left out all at once.
    pub joint: bool,
    /// How long that may take.
    pub effort: Effort,
    /// How far required syscalls are opened.
    pub depth: Depth,
    /// Find out, too, what each way that works costs in speed and resources.
    pub impact: Option<ImpactOptions>,
}

impl ExploreOptions {
    /// Replays outnumber the CPUs.
    pub(super) fn is_crowded(&self) -> bool {
        self.jobs > self.cpus
    }
}

/// How costs are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImpactOptions {
    /// Replays of each way; the baseline, which every one is compared with, gets twice as many.
    pub replays: u32,
    /// Of these, so many at a time: not more than there are CPUs.
    pub jobs: usize,
}

/// When the search for the joint policy ends, at the latest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effort {
    /// When nothing better can be found.
    #[default]
    All,
    /// When it has taken about as long as what came before it, with so many replays at a time.
    AsMuchAgain { jobs: u64 },
    /// When it has taken so many times as long as the workload itself does.
    Natives(u32),
}

impl Default for ExploreOptions {
    fn default() -> ExploreOptions {
        ExploreOptions {
            jobs: 1,
            cpus: usize::MAX,
            replicas: 3,
            baseline_replicas: 3,
            confidence: None,
            exhaustive: false,
            crowd: 1.0,
            errnos: false,
            plausible: false,
            strict: false,
            controls: true,
            notifies: false,
            joint: true,
            effort: Effort::All,
            depth: Depth::default(),
            impact: None,
        }
    }
}
