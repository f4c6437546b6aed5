//! Below the syscall: which operations of a required one are, and with `--depth flag`, which
//! flags. A parent that can be left out whole is not opened.
//!
//! Operations are measured as syscalls are, by the same rules; only the baseline that they are
//! features of is another.

pub(super) mod joint;

use std::collections::BTreeMap;

use loupe_common::analysis::FeatureVerdict;
use loupe_common::feature::{Depth, Feature};
use loupe_common::operations::Unreachable;
use loupe_common::operations::meaning::Row;
use loupe_common::verdict::Verdict;

use super::baseline::{Baseline, Seen};
use super::ledger::{Asker, Stop};
use super::run::Run;
use super::{ExploreOptions, single};

/// The required syscalls that have parts, and these.
pub(super) struct Opened<'a> {
    /// The baseline, as if the parts were all that it used; `None` if there are none.
    pub baseline: Option<Baseline<'a>>,
    /// Parts that cannot be injected, because the kernel reads them from memory.
    pub in_memory: Vec<Feature>,
    depth: Depth,
}

impl Opened<'_> {
    /// Whether every call of a syscall is of one operation of its own, and these are measured.
    pub fn selects(&self, parent: &Feature) -> bool {
        let row = parent.syscall().and_then(Row::of);
        row.is_some_and(Row::selects) && self.has(parent)
    }

    /// Whether a part of this parent is measured.
    fn has(&self, parent: &Feature) -> bool {
        let baseline = self.baseline.as_ref();
        let mut parts = baseline.into_iter().flat_map(|it| it.features.keys());
        parts.any(|part| part.parent().as_ref() == Some(parent))
    }

    /// The parts of opened syscalls that a replay used.
    pub fn used<'r>(&self, run: &'r Run) -> impl Iterator<Item = &'r Feature> {
        run.operations.keys().filter(|part| self.measures(part))
    }

    /// Whether this is a part of an opened syscall.
    pub fn measures(&self, part: &Feature) -> bool {
        let is_opened = || part.parent().is_some_and(|parent| self.has(&parent));
        self.depth.reaches(part) && is_reachable(part) && is_opened()
    }
}

/// What to measure below the syscalls whose verdicts are known.
pub(super) fn open<'a>(
    depth: Depth,
    baseline: &Baseline<'a>,
    verdicts: &[FeatureVerdict],
) -> Opened<'a> {
    let required = |part: &Feature| {
        let parent = part.parent();
        verdicts
            .iter()
            .any(|row| row.verdict == Verdict::Required && Some(&row.feature) == parent.as_ref())
    };
    let mut parts: BTreeMap<Feature, Seen> = BTreeMap::new();
    for (index, run) in baseline.runs.iter().enumerate() {
        for (part, calls) in &run.operations {
            if !depth.reaches(part) || !required(part) {
                continue;
            }
            let seen = parts.entry(part.clone()).or_default();
            seen.replays += 1;
            if index == 0 {
                seen.calls = *calls;
            }
        }
    }
    let in_memory = parts.keys().filter(|part| !is_reachable(part));
    let in_memory: Vec<Feature> = in_memory.cloned().collect();
    parts.retain(|part, _| is_reachable(part));
    let baseline = (!parts.is_empty()).then(|| Baseline {
        ruling: baseline.ruling.clone(),
        runs: baseline.runs.clone(),
        features: parts,
        test: baseline.test,
        rule: baseline.rule,
    });
    Opened {
        baseline,
        in_memory,
        depth,
    }
}

fn is_reachable(part: &Feature) -> bool {
    match part {
        Feature::Operation(part) => part.tests() != Err(Unreachable::InMemory),
        _ => true,
    }
}

/// Each operation stubbed alone and faked alone.
pub(super) fn measure<'a>(
    asker: &mut Asker<'a>,
    options: &ExploreOptions,
    opened: &Opened<'a>,
) -> Result<Vec<FeatureVerdict>, Stop> {
    let Some(baseline) = &opened.baseline else {
        return Ok(Vec::new());
    };
    asker.phase = match opened.depth {
        Depth::Flag => "operations and flags",
        _ => "operations",
    };
    single::measure(asker, options, baseline)
}

/// The rows of the parts, each behind its parent's.
pub(super) fn insert(
    rows: Vec<FeatureVerdict>,
    mut parts: Vec<FeatureVerdict>,
) -> Vec<FeatureVerdict> {
    parts.sort_by(|a, b| (a.verdict, &a.feature).cmp(&(b.verdict, &b.feature)));
    let mut all = Vec::with_capacity(rows.len() + parts.len());
    for row in rows {
        let parent = row.feature.clone();
        all.push(row);
        let own = |part: &FeatureVerdict| part.feature.parent().as_ref() == Some(&parent);
        all.extend(parts.iter().filter(|part| own(part)).cloned());
    }
    all
}
