//! What changed between two analyses: of two versions, two kernels, two C libraries.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::analysis::Analysis;
use loupe_common::feature::{Depth, Feature};
use loupe_common::provenance::Changed;
use loupe_common::verdict::Verdict;
use serde::Serialize;

/// A feature of which the verdict changed; `None`: it was not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct VerdictChange {
    pub feature: Feature,
    pub from: Option<Verdict>,
    pub to: Option<Verdict>,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Side {
    pub application: String,
    pub workload: String,
    /// In the database; `None`: it was read from a file.
    pub analysis: Option<i64>,
    pub used: usize,
    pub required: usize,
}

/// From one analysis to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Difference {
    pub schema: &'static str,
    pub from: Side,
    pub to: Side,
    /// What they were measured on, where that is another one; absent where one of them does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Vec<Changed>>,
    /// Used now, and not before.
    pub gained: Vec<VerdictChange>,
    /// Used before, and not now.
    pub lost: Vec<VerdictChange>,
    /// Used in both, with another verdict.
    pub changed: Vec<VerdictChange>,
    /// What an OS must implement that did for the first one. A CI gate fails if there is any.
    pub newly_required: Vec<Feature>,
}

impl Difference {
    /// `ids` are those of the analyses in the database.
    pub fn between(from: &Analysis, to: &Analysis, ids: [Option<i64>; 2]) -> Difference {
        let (before, after) = (verdicts(from), verdicts(to));
        let all: BTreeSet<&Feature> = before.keys().chain(after.keys()).copied().collect();
        let mut difference = Difference {
            schema: "loupe.diff/1",
            from: side(from, ids[0]),
            to: side(to, ids[1]),
            provenance: match (&from.provenance, &to.provenance) {
                (Some(from), Some(to)) => Some(from.changes(to)),
                _ => None,
            },
            gained: Vec::new(),
            lost: Vec::new(),
            changed: Vec::new(),
            newly_required: Vec::new(),
        };
        let looked_at = |feature: &&Feature| looks_at(from, feature) && looks_at(to, feature);
        for feature in all.into_iter().filter(looked_at) {
            let (from, to) = (before.get(feature).copied(), after.get(feature).copied());
            if to == Some(Verdict::Required) && from != to {
                difference.newly_required.push(feature.clone());
            }
            let list = match (from, to) {
                (None, _) => &mut difference.gained,
                (_, None) => &mut difference.lost,
                _ if from != to => &mut difference.changed,
                _ => continue,
            };
            list.push(VerdictChange {
                feature: feature.clone(),
                from,
                to,
            });
        }
        difference
    }

    pub fn is_empty(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty() && self.changed.is_empty()
    }
}

/// Whether an analysis would have a verdict on it if it were used. What only one of two looks at
/// did not change.
fn looks_at(analysis: &Analysis, feature: &Feature) -> bool {
    match feature.syscall() {
        Some(_) => analysis.depth.unwrap_or(Depth::Syscall).reaches(feature),
        None => analysis.pseudo_files,
    }
}

fn verdicts(analysis: &Analysis) -> BTreeMap<&Feature, Verdict> {
    let rows = analysis.features.iter();
    rows.map(|row| (&row.feature, row.verdict)).collect()
}

fn side(analysis: &Analysis, id: Option<i64>) -> Side {
    let rows = analysis.features.iter();
    let whole = rows.filter(|row| row.feature.is_syscall());
    let required = whole.clone().filter(|row| row.verdict == Verdict::Required);
    Side {
        application: analysis.application.clone(),
        workload: analysis.workload.clone(),
        analysis: id,
        used: whole.count(),
        required: required.count(),
    }
}
