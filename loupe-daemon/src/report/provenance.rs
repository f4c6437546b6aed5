//! On what analyses were measured, as a document beside what was made of them.

use serde_json::{Value, json};

use crate::store::StoredAnalysis;

/// The value of `schema`.
const SCHEMA: &str = "loupe.provenance/1";

/// What each was measured on; null: not recorded.
pub fn provenance_json(analyses: &[&StoredAnalysis]) -> Value {
    let entries: Vec<Value> = analyses
        .iter()
        .map(|stored| {
            let analysis = &stored.analysis;
            json!({
                "analysis": stored.id,
                "application": analysis.application,
                "workload": analysis.workload,
                "imported": analysis.origin,
                "provenance": analysis.provenance,
            })
        })
        .collect();
    json!({ "schema": SCHEMA, "analyses": entries })
}
