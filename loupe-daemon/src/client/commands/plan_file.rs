//! Plans from files.

use std::path::Path;

use loupe_common::wire::Failure;

use crate::plan::Plan;
use crate::plan::steps::SCHEMA as PLAN;

/// A plan from its file.
pub fn read(path: &Path) -> Result<Plan, Failure> {
    let unusable = || Failure::usage(format!("{} is no plan", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("cannot read {}", path.display())).because(Some(&error))
    })?;
    let hint = "`loupe plan --json` writes one";
    let plan: Plan =
        serde_json::from_str(&text).map_err(|error| unusable().because(Some(&error)).hint(hint))?;
    match plan.schema == PLAN {
        true => Ok(plan),
        false => Err(unusable().hint(format!("its schema is not {PLAN}; {hint}"))),
    }
}
