//! What two OS profiles answer differently.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use serde::Serialize;

use super::{OsProfile, Unknown};
use crate::plan::need::Answer;

/// One feature that two profiles answer differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct OsChange {
    pub feature: Feature,
    pub from: Answer,
    pub to: Answer,
}

/// From one profile to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct OsDifference {
    pub schema: &'static str,
    pub from: String,
    pub to: String,
    /// Sorted by feature.
    pub changes: Vec<OsChange>,
    /// What a syscall gets that neither mentions, where that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<[Unknown; 2]>,
}

impl OsDifference {
    /// A stub that is listed and one that is not are the same answer. What an unknown call gets
    /// is one change, and not one for every call that nobody mentions.
    pub fn between(from: &OsProfile, to: &OsProfile) -> OsDifference {
        let named: BTreeSet<&Feature> = [from, to]
            .into_iter()
            .flat_map(OsProfile::mentioned)
            .collect();
        let changes = named
            .into_iter()
            .map(|feature| OsChange {
                feature: feature.clone(),
                from: from.answer(feature),
                to: to.answer(feature),
            })
            .filter(|change| change.from != change.to)
            .collect();
        OsDifference {
            schema: "loupe.os-diff/1",
            from: from.name.clone(),
            to: to.name.clone(),
            changes,
            unknown: (from.unknown != to.unknown).then_some([from.unknown, to.unknown]),
        }
    }
}
