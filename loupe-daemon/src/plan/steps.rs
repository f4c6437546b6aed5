//! A plan as data: ordered steps and what they promise. How plans are made and checked is not
//! here.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use serde::{Deserialize, Serialize};

use super::because::Because;
use super::os::OsProfile;

/// The value of `schema` in the JSON of a [`Plan`].
pub const SCHEMA: &str = "loupe.plan/1";

/// What to do, and what runs once it is done. Sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Step {
    #[serde(default)]
    pub implement: Vec<Feature>,
    /// What must fail with ENOSYS from this step on, for the applications that it unlocks. It fails
    /// by itself unless an earlier step faked it.
    #[serde(default)]
    pub stub: Vec<Feature>,
    #[serde(default)]
    pub fake: Vec<Feature>,
    /// Applications that run from here on. `application/workload` where one application is
    /// planned for with several workloads.
    pub unlocks: Vec<String>,
    /// Features newly implemented, this step's and those of all before.
    #[serde(default)]
    pub implemented: usize,
    /// Applications that run after this step.
    #[serde(default)]
    pub supported: usize,
    /// Applications that the plan was not made for, and that run from here on all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub along: Vec<String>,
    /// Why each feature is implemented, in the order of `implement`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Because>,
}

/// What was cut off from a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Left {
    pub steps: usize,
    /// Applications that only these steps unlock.
    pub applications: usize,
}

/// A feature that some applications need failing and others need succeeding, so that only an
/// implementation serves all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Clash {
    pub feature: Feature,
    /// Applications that a fake of it breaks.
    pub needs_stub: Vec<String>,
    /// Applications that a stub of it breaks.
    pub needs_fake: Vec<String>,
    /// The OS fakes it already.
    #[serde(default)]
    pub faked_by_os: bool,
    /// The step that implements it.
    pub step: Option<usize>,
}

/// An ordered list of steps, the first of which (step 0) implements nothing: it is what the
/// applications that run already still need stubbed or faked.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Plan {
    pub schema: String,
    /// The name of the profile.
    pub os: String,
    pub strategy: String,
    /// The published measure: sum over the applications, in the order of the plan, of the
    /// number of features that must newly be implemented for it and those before it. What is
    /// implemented to settle a conflict is not in it.
    pub area: u64,
    /// The same with what settles conflicts: the features in the steps, counted.
    #[serde(default)]
    pub area_total: u64,
    /// The area in units of work: 1 for an implementation, 0.2 for a fake, 0.1 for a stub. Each
    /// application counts by its weight, where weights are given.
    pub area_weighted: f64,
    /// A bound: no plan has a smaller `area`.
    pub lower_bound: u64,
    pub steps: Vec<Step>,
    /// The workload of each application, by the name that it has in the steps.
    #[serde(default)]
    pub applications: BTreeMap<String, String>,
    #[serde(default)]
    pub conflicts: Vec<Clash>,
    /// How much each application counts; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, u64>,
    /// What the plan starts from. Absent in plans made elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<OsProfile>,
    /// Stands for the needs that the plan was made from: a plan is only good for those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Absent in a whole plan. Where something was cut off, the areas are still those of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Left>,
}
