//! The story of one verdict as data: why it came out, and every replay that it rests on.
//!
//! `explain --json` is this; the text of `explain` is printed from it.

use loupe_common::analysis::{Basis, FeatureVerdict, Trial};
use loupe_common::feature::Feature;
use loupe_common::impact::{Comparison, Impact};
use loupe_common::policy::{Action, Policy};
use loupe_common::replay::{ExitStatus, Outcome, OutputTail, Timing, Usage};
use loupe_common::trace::Trace;
use loupe_common::verdict::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::difference::Difference;
use crate::store::{Evidence, StoredAnalysis, StoredReplay};

/// The value of `schema` in the JSON of an [`Explanation`].
pub const SCHEMA: &str = "loupe.explain/1";

/// Why a feature of an analysis got its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Explanation {
    pub schema: String,
    pub application: String,
    pub workload: String,
    /// The analysis's id in the database.
    pub analysis: i64,
    pub feature: Feature,
    pub kind: String,
    pub verdict: Verdict,
    /// The verdict's reason, as a sentence.
    pub why: String,
    pub basis: Basis,
    /// Calls in the first baseline replay.
    pub calls: u64,
    pub baseline: BaselineStory,
    /// What impacts were compared with, if any were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// One for each action that was tried on this feature alone.
    pub trials: Vec<TrialStory>,
    /// Replays that stubbed or faked other features with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together: Vec<ReplayStory>,
}

/// What the replays are compared with.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct BaselineStory {
    pub runs: u64,
    pub passes: u64,
    /// Median wall time.
    pub wall_ms: f64,
    /// Ids in the database.
    pub replays: Vec<i64>,
}

/// What came of one action on the feature alone.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct TrialStory {
    pub action: Action,
    pub runs: u32,
    pub passes: u32,
    /// Passing replays in which it was not called, which say nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub idle: u32,
    pub injections: u64,
    /// `None`: not decided.
    pub works: Option<bool>,
    /// What it costs, if that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<Impact>,
    /// All replays of it, those for its impact too.
    pub replays: Vec<ReplayStory>,
}

/// One replay as evidence.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct ReplayStory {
    pub id: i64,
    pub replica: u32,
    pub policy: Policy,
    /// Why it was run; absent of replays from before that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    pub outcome: Outcome,
    /// The verdict rests on it.
    pub counted: bool,
    /// Absent where Loupe ended the application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_exit: Option<ExitStatus>,
    /// Absent where the test did not run, or not to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_exit: Option<ExitStatus>,
    /// Times that the explained feature's injection answered a call.
    pub injections: u64,
    pub target_execs: u64,
    /// Names of what the command had left, asleep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    pub timing: Timing,
    pub usage: Usage,
    pub application_output: OutputTail,
    pub test_output: OutputTail,
    /// Against the baseline; absent where that is not in the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
}

impl Explanation {
    /// `None`: the analysis has no verdict on the feature, because the baseline never used it.
    pub fn new(
        stored: &StoredAnalysis,
        feature: &Feature,
        evidence: &Evidence,
    ) -> Option<Explanation> {
        let analysis = &stored.analysis;
        let verdict = analysis
            .features
            .iter()
            .find(|verdict| verdict.feature == *feature)?;
        let baseline = &evidence.baseline;
        let passes = baseline.iter().filter(|b| b.replay.outcome.passed());
        Some(Explanation {
            schema: SCHEMA.to_owned(),
            application: analysis.application.clone(),
            workload: analysis.workload.clone(),
            analysis: stored.id,
            feature: feature.clone(),
            kind: verdict.kind.clone(),
            verdict: verdict.verdict,
            why: why(verdict),
            basis: verdict.basis.clone(),
            calls: verdict.calls,
            baseline: BaselineStory {
                runs: baseline.len() as u64,
                passes: passes.count() as u64,
                wall_ms: analysis.baseline_ms,
                replays: baseline.iter().map(|stored| stored.id).collect(),
            },
            comparison: analysis.impact.clone(),
            trials: trials(verdict, evidence),
            together: stories(
                &evidence.together.iter().collect::<Vec<_>>(),
                verdict,
                evidence,
            ),
        })
    }
}

/// Makes the document that `loupe explain --json` prints.
pub fn explain_json(explanation: &Explanation) -> Value {
    // This cannot fail: every key of every map in it is a string.
    json!(explanation)
}

/// The paper's two actions, then whatever else was tried. Nothing was tried here of what is
/// imported.
fn trials(verdict: &FeatureVerdict, evidence: &Evidence) -> Vec<TrialStory> {
    if verdict.basis == Basis::Imported {
        return Vec::new();
    }
    let action_of = |stored: &StoredReplay| stored.replay.policy.get(&verdict.feature);
    let mut actions = vec![Action::STUB, Action::Fake];
    for action in evidence.alone.iter().filter_map(action_of) {
        if !actions.contains(&action) {
            actions.push(action);
        }
    }
    let mut trials = Vec::new();
    for action in actions {
        let replays: Vec<&StoredReplay> = evidence
            .alone
            .iter()
            .filter(|stored| action_of(stored) == Some(action))
            .collect();
        let trial = match action {
            Action::STUB => verdict.stub.clone(),
            Action::Fake => verdict.fake.clone(),
            Action::Plausible => verdict.plausible.clone().unwrap_or_default(),
            Action::Kill => observed(&replays),
            Action::Stub(errno) => Trial {
                impact: verdict
                    .errnos
                    .get(&errno)
                    .and_then(|trial| trial.impact.clone()),
                ..observed(&replays)
            },
        };
        trials.push(TrialStory {
            action,
            runs: trial.runs,
            passes: trial.passes,
            idle: trial.idle,
            injections: trial.injections,
            works: trial.works,
            impact: trial.impact,
            replays: stories(&replays, verdict, evidence),
        });
    }
    trials
}

/// Counts replays of which no verdict was made.
fn observed(replays: &[&StoredReplay]) -> Trial {
    let usable = replays
        .iter()
        .filter(|stored| !matches!(stored.replay.outcome, Outcome::Invalid { .. }));
    let mut trial = Trial::default();
    for stored in usable {
        let answered = stored.replay.injections.values().sum::<u64>();
        let passed = u32::from(stored.replay.outcome.passed());
        match answered {
            0 => trial.idle += passed,
            _ => {
                trial.runs += 1;
                trial.passes += passed;
            }
        }
        trial.injections += answered;
        trial.replays.push(stored.id);
    }
    trial
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn stories(
    replays: &[&StoredReplay],
    verdict: &FeatureVerdict,
    evidence: &Evidence,
) -> Vec<ReplayStory> {
    let passing: Vec<&Trace> = evidence
        .baseline
        .iter()
        .filter(|stored| stored.replay.outcome.passed())
        .map(|stored| &stored.replay.trace)
        .collect();
    replays
        .iter()
        .map(|stored| {
            let (id, replay) = (stored.id, &stored.replay);
            ReplayStory {
                id,
                replica: stored.replica,
                policy: replay.policy.clone(),
                purpose: stored.purpose.clone(),
                outcome: replay.outcome.clone(),
                counted: [&verdict.stub, &verdict.fake]
                    .iter()
                    .any(|trial| trial.replays.contains(&id)),
                application_exit: replay.application_exit,
                test_exit: replay.test_exit,
                injections: replay
                    .injections
                    .get(&verdict.feature)
                    .copied()
                    .unwrap_or(0),
                target_execs: replay.target_execs,
                left: replay.left.clone(),
                timing: replay.timing,
                usage: replay.usage,
                application_output: replay.application_output.clone(),
                test_output: replay.test_output.clone(),
                difference: Difference::between(&passing, &replay.trace, &replay.policy),
            }
        })
        .collect()
}

fn why(verdict: &FeatureVerdict) -> String {
    let of = |trial: &Trial| match trial.idle {
        0 => format!("{} of {}", trial.passes, trial.runs),
        idle => format!(
            "{} of {} in which it was called, of {}",
            trial.passes,
            trial.runs,
            trial.runs + idle
        ),
    };
    let (feature, stub, fake) = (&verdict.feature, of(&verdict.stub), of(&verdict.fake));
    if verdict.harness {
        return "That was measured elsewhere and imported. The call is that of the tool that \
                measured, which starts the application by it: `loupe gap` and `loupe plan` ask \
                no OS for it."
            .into();
    }
    if verdict.basis == Basis::Imported {
        return "That was measured elsewhere and imported, so there are no replays to show.".into();
    }
    let (stubbed, faked) = match feature.syscall() {
        Some(_) => ("fails with ENOSYS", "returns 0 and does nothing"),
        None => ("is not there", "is empty"),
    };
    match verdict.verdict {
        Verdict::Required => format!(
            "The workload fails without it: {stub} replays passed with {feature} stubbed, \
             {fake} with it faked."
        ),
        Verdict::Stub => format!(
            "The workload passes when {feature} {stubbed} ({stub} replays), but not when it \
             {faked} ({fake})."
        ),
        Verdict::Fake => format!(
            "The workload passes when {feature} {faked} ({fake} replays), but not when it \
             {stubbed} ({stub})."
        ),
        Verdict::Any => format!(
            "The workload passes when {feature} {stubbed} ({stub} replays), and also when it \
             {faked} ({fake})."
        ),
        Verdict::NotExercised if verdict.stub.injections + verdict.fake.injections == 0 => format!(
            "No injection ever answered a call of {feature}, so its replays say nothing: the \
             baseline uses it, but not every replay gets there."
        ),
        Verdict::NotExercised => format!(
            "{feature} is called in too few replays to say what happens without it: {stub} \
             passed with it stubbed, {fake} with it faked."
        ),
        Verdict::Undecided => format!(
            "The replays disagree or could not be used, and no more were allowed: {stub} \
             passed with {feature} stubbed, {fake} with it faked."
        ),
    }
}
