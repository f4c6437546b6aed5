//! The file that says how much each application counts:
//!
//! ```toml
//! [applications]
//! nginx = 10
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::make::Weights;
use super::select::Named;
use crate::text::Wrong;

/// The largest weight of an application: larger ones make sums that nobody can compare.
const MAX_WEIGHT: i64 = 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    applications: BTreeMap<String, Spanned<i64>>,
}

/// What is wrong with the file, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {what}")]
pub struct WeightsError {
    pub line: usize,
    pub what: String,
    /// The line itself, with a mark below what is meant.
    pub picture: Option<String>,
}

/// Reads weights for these applications.
pub fn read(text: &str, needs: &[Named]) -> Result<Weights, WeightsError> {
    let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    let wrong = |line: usize, what: String| WeightsError {
        line,
        what,
        picture: None,
    };
    let document: Document = toml::from_str(text).map_err(|error| {
        let found = Wrong::new(text, Path::new(""), &error);
        WeightsError {
            picture: Some(found.picture()),
            ..wrong(found.line(), found.what().to_owned())
        }
    })?;
    let mut weights = Weights::new();
    for (name, weight) in document.applications {
        let (at, weight) = (line(weight.span().start), weight.into_inner());
        if !(1..=MAX_WEIGHT).contains(&weight) {
            let what =
                format!("the weight of {name} must be a whole number from 1 to {MAX_WEIGHT}");
            return Err(wrong(at, what));
        }
        let is_meant = |named: &&Named| named.name == name || named.need.name() == name;
        let Some(named) = needs.iter().find(is_meant) else {
            return Err(wrong(at, format!("{name} is not in the plan")));
        };
        if weights
            .insert(named.name.clone(), weight.unsigned_abs())
            .is_some()
        {
            let what = format!("{} has two weights", named.name);
            return Err(wrong(at, what));
        }
    }
    Ok(weights)
}
