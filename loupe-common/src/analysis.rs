//! The result of an analysis, as it is stored, sent and printed by `--json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::errno::Errno;
use crate::feature::{Depth, Feature};
use crate::impact::{Comparison, Impact};
use crate::phase::PhaseCost;
use crate::policy::{Action, Policy};
use crate::verdict::Verdict;

/// The value of `schema` in the JSON of an [`Analysis`].
pub const SCHEMA: &str = "loupe.analysis/1";

/// A replay that passed and yet looks wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Suspicion {
    pub replay: i64,
    /// What differs from the baseline, as a sentence about "it".
    pub what: String,
}

/// What a workload's test made of a sabotaged application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct TestCheck {
    /// What was done, as a sentence.
    pub what: String,
    /// Whether the replay failed, as it should; `None` where it could not be used.
    pub noticed: Option<bool>,
    pub outcome: String,
    /// The last lines that the test printed.
    pub output: String,
}

/// What one way of leaving a feature out (stubbed alone, or faked alone) showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Trial {
    /// Replays that could be used, and in which the injection answered a call.
    pub runs: u32,
    pub passes: u32,
    /// Replays that passed without a call to answer: they say nothing, and are not among the runs.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub idle: u32,
    /// Times that the injection answered a call, over all runs.
    pub injections: u64,
    /// `None`: not decided (never fired, or replicas disagree).
    pub works: Option<bool>,
    /// If decided: the chance that this is wrong, as far as chance goes (a workload that fails
    /// now and then, a feature that is needed only now and then), is at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_bound: Option<f64>,
    /// Ids of the replays in the database, in the order of their replica numbers; replays
    /// that could not be used are among them.
    #[serde(default)]
    pub replays: Vec<i64>,
    /// What is odd about passing replays, each thing once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspicious: Vec<Suspicion>,
    /// What the counts above are: replays of this feature alone, or of a group.
    #[serde(default)]
    pub basis: Basis,
    /// What it costs. Absent if it was not asked for, or does not work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<Impact>,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What a verdict rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Replays of this feature alone.
    #[default]
    Measured,
    /// Passes of at least one way are of groups, all of which were left out at once, no other
    /// feature in each of these replays; this is the first replay of a group.
    Implied { replay: i64 },
    /// Somebody else's measurement, read from a data set: there are no replays to show.
    Imported,
}

/// Where an analysis comes from that was not made here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Origin {
    /// The format of the data set: `loupedb`.
    pub format: String,
    /// Which run of the workload it is, as the data set names it.
    pub run: String,
}

/// One row of the verdict table.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct FeatureVerdict {
    pub feature: Feature,
    pub kind: String,
    pub verdict: Verdict,
    /// Calls in the first baseline replay.
    pub calls: u64,
    /// Baseline replays in which it was seen at all; fewer than all of them means that the
    /// application does not always use it.
    #[serde(default)]
    pub seen_in: u32,
    pub stub: Trial,
    pub fake: Trial,
    /// Faked with what a success would return; absent where it was not asked for, or where no
    /// such value is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plausible: Option<Trial>,
    /// Stubs with other errnos than ENOSYS, tried where ENOSYS does not work and on request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errnos: BTreeMap<Errno, Trial>,
    pub basis: Basis,
    /// What was seen is a call of the tool that measured, and nothing is known of the
    /// application's own: an OS need not have it for its sake.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub harness: bool,
    /// If decided: the chance that the verdict is wrong is at most this (both ways together).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_bound: Option<f64>,
}

impl FeatureVerdict {
    /// Every way that was tried to leave it out alone, with what that showed.
    pub fn trials(&self) -> impl Iterator<Item = (Action, &Trial)> {
        let errnos = self.errnos.iter();
        [(Action::STUB, &self.stub), (Action::Fake, &self.fake)]
            .into_iter()
            .chain(
                self.plausible
                    .iter()
                    .map(|trial| (Action::Plausible, trial)),
            )
            .chain(errnos.map(|(errno, trial)| (Action::Stub(*errno), trial)))
    }

    /// As [`FeatureVerdict::trials`].
    pub fn trials_mut(&mut self) -> impl Iterator<Item = (Action, &mut Trial)> {
        let errnos = self.errnos.iter_mut();
        [
            (Action::STUB, &mut self.stub),
            (Action::Fake, &mut self.fake),
        ]
        .into_iter()
        .chain(
            self.plausible
                .iter_mut()
                .map(|trial| (Action::Plausible, trial)),
        )
        .chain(errnos.map(|(errno, trial)| (Action::Stub(*errno), trial)))
    }
}

/// Something that the application uses and that cannot be left out on its own: an operation of
/// io_uring. Without `io_uring_setup` it is left out with all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct NotInjected {
    pub feature: Feature,
    pub kind: String,
    /// The most in one replay of the baseline.
    pub calls: u64,
}

/// The application's plan B: without one feature it uses another, which it did not use before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Fallback {
    /// What was left out…
    pub feature: Feature,
    /// … and how.
    pub action: Action,
    /// What showed up then, in every usable replay of this policy and in none of the baseline.
    pub appears: Feature,
    /// The most calls in one replay.
    pub calls: u64,
    /// Whether the workload passed then; otherwise the feature may only be part of its end
    /// (`tgkill` of an abort).
    pub passed: bool,
    /// A replay that shows it.
    pub replay: i64,
}

/// What an OS may leave out all at once, and seen to pass so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Joint {
    /// What is left to implement. Features that only this policy makes the application use
    /// are among them. Instead of a syscall that was opened, its operations are.
    pub implement: Vec<Feature>,
    /// What is stubbed (ENOSYS) in the replays that were seen to pass.
    pub stub: Vec<Feature>,
    /// What is faked in them.
    pub fake: Vec<Feature>,
    pub runs: u32,
    pub passes: u32,
    /// Of the stubbed and faked features, those that were never called then: the rest of the
    /// policy keeps the application from them.
    #[serde(default)]
    pub unused: Vec<Feature>,
    /// Of all the above, those that the baseline never used.
    #[serde(default)]
    pub fallbacks: Vec<Feature>,
    #[serde(default)]
    pub replays: Vec<i64>,
    /// Whether the search came to its end and left nothing undecided, so that no single feature more can
    /// be left out. `None`: not known, of an older Loupe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_least: Option<bool>,
    /// Rules that pass alone while the workload does less than an eighth of its work, by its metric, and
    /// that a failing policy had: whether they pass is up to the host's speed, so their features are
    /// among those to implement.
    #[serde(default, skip_serializing_if = "Policy::is_empty")]
    pub undecided: Policy,
    /// What is odd about passing replays, each thing once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspicious: Vec<Suspicion>,
}

impl Joint {
    /// What is left out, and how.
    pub fn policy(&self) -> Policy {
        let rule = |action: Action| move |feature: &Feature| (feature.clone(), action);
        let stubs = self.stub.iter().map(rule(Action::STUB));
        stubs
            .chain(self.fake.iter().map(rule(Action::Fake)))
            .collect()
    }
}

/// Rules that fail together, although without any one of them the others pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Conflict {
    pub policy: Policy,
    /// Usable replays of exactly these rules.
    pub runs: u32,
    pub passes: u32,
    pub replays: Vec<i64>,
}

/// A finished analysis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Analysis {
    pub schema: String,
    pub application: String,
    pub workload: String,
    /// The workload is the application's own test suite.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suite: bool,
    /// All replays, the baseline's included.
    pub replays: u64,
    /// Of these, replays that an earlier, interrupted analysis had finished.
    #[serde(default)]
    pub replays_reused: u64,
    pub wall_seconds: f64,
    /// Replays that ran at a time.
    #[serde(default)]
    pub jobs: u64,
    /// CPUs that it might use.
    #[serde(default)]
    pub cpus: u64,
    /// Where its time went, in the order of the phases. Empty where that was not noted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseCost>,
    /// Starts of the target in the first replay of the baseline (a test suite has many); absent
    /// where it was not noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_execs: Option<u64>,
    /// Median wall time of a baseline replay, in milliseconds.
    pub baseline_ms: f64,
    /// Usable replays of the baseline.
    pub baseline_runs: u32,
    /// Of these, the failed ones; only a confidence allows any.
    #[serde(default)]
    pub baseline_failures: u32,
    /// The chance that the workload fails for no reason, estimated from these replays (never 0:
    /// they are too few to exclude it).
    #[serde(default)]
    pub flake_rate: f64,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// How deep it went. Absent: whole syscalls only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<Depth>,
    /// Sorted by verdict, then by name; the operations and flags of a syscall follow it, sorted
    /// in the same way.
    pub features: Vec<FeatureVerdict>,
    /// Used, and not injected one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_injected: Vec<NotInjected>,
    /// Absent if it was not asked for.
    #[serde(default)]
    pub joint: Option<Joint>,
    #[serde(default)]
    pub conflicts: Vec<Conflict>,
    /// What the impacts of the trials were compared with. Absent if it was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<Comparison>,
    /// Sorted by feature, action and what appears.
    #[serde(default)]
    pub fallbacks: Vec<Fallback>,
    /// Calls of other ABIs that were seen and cannot be injected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<crate::trace::ForeignCall>,
    /// What a reader of the table must know (io_uring bypasses injection, …).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The application was told of a vDSO, which may answer `clock_gettime`, `getcpu`,
    /// `gettimeofday` and `time` without a syscall.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vdso: bool,
    /// Pseudo-files were looked for; else nothing is known of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pseudo_files: bool,
    pub lost_events: u64,
    /// What the test makes of sabotage, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test_check: Vec<TestCheck>,
    /// Absent: it was made by replays, here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// On what it was measured. Absent of what was imported, and of an older Loupe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<crate::provenance::Provenance>,
    /// What a static analysis of the binary finds. Absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_binary: Option<Vec<Feature>>,
    /// The same of its sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub static_sources: Option<Vec<Feature>>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn feature(name: &str) -> Feature {
        name.parse().expect("a syscall")
    }

    fn trial(passes: u32) -> Trial {
        Trial {
            runs: 3,
            passes,
            works: Some(passes == 3),
            ..Trial::default()
        }
    }

    fn analysis() -> Analysis {
        Analysis {
            schema: SCHEMA.to_owned(),
            application: "nginx".to_owned(),
            workload: "wrk".to_owned(),
            replays: 12,
            wall_seconds: 1.5,
            baseline_ms: 20.0,
            baseline_runs: 3,
            flake_rate: 0.125,
            features: vec![FeatureVerdict {
                feature: feature("fcntl"),
                kind: "syscall".to_owned(),
                verdict: Verdict::Fake,
                calls: 5,
                seen_in: 3,
                stub: trial(0),
                fake: trial(3),
                plausible: None,
                errnos: BTreeMap::from([(Errno::ENOSYS, trial(0))]),
                basis: Basis::Measured,
                harness: false,
                error_bound: Some(0.1),
            }],
            joint: Some(Joint {
                implement: vec![feature("read")],
                fake: vec![feature("fcntl")],
                runs: 3,
                passes: 3,
                ..Joint::default()
            }),
            ..Analysis::default()
        }
    }

    #[test]
    fn what_scripts_rely_on_is_where_they_look_for_it() {
        let json = serde_json::to_value(analysis()).expect("serializable");
        let row = &json["features"][0];
        assert_eq!(json["schema"], "loupe.analysis/1");
        assert_eq!(row["feature"], "fcntl");
        assert_eq!(row["verdict"], "fake");
        assert_eq!(row["basis"], "measured");
        assert_eq!(
            (&row["stub"]["runs"], &row["stub"]["passes"]),
            (&json!(3), &json!(0))
        );
        let joint = &json["joint"];
        assert_eq!(joint["implement"], json!(["read"]));
        assert_eq!(
            (&joint["stub"], &joint["fake"]),
            (&json!([]), &json!(["fcntl"]))
        );
        assert_eq!((&joint["runs"], &joint["passes"]), (&json!(3), &json!(3)));
        assert_eq!(
            (&json["conflicts"], &json["fallbacks"]),
            (&json!([]), &json!([]))
        );
        assert_eq!(json["lost_events"], 0);
        let mut without = analysis();
        without.joint = None;
        let json = serde_json::to_value(without).expect("serializable");
        assert_eq!(json["joint"], Value::Null);
    }

    #[test]
    fn without_impacts_nothing_of_them_is_in_the_json() {
        let json = serde_json::to_string(&analysis()).expect("serializable");
        assert!(!json.contains("impact"), "{json}");
    }

    #[test]
    fn an_analysis_survives_json() {
        let mut analysis = analysis();
        analysis.features[0].basis = Basis::Implied { replay: 7 };
        let text = serde_json::to_string(&analysis).expect("serializable");
        let back: Analysis = serde_json::from_str(&text).expect("readable");
        assert_eq!(back, analysis);
    }
}
