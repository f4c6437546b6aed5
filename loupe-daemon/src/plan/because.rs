//! Why a plan implements what it implements: counts over the applications, and nothing that is
//! not counted. Makes no plan.

use loupe_common::feature::Feature;
use serde::{Deserialize, Serialize};

use super::need::{Answer, Need};
use super::os::OsProfile;
use super::reach::Reach;
use super::select::Named;
use super::steps::Plan;

/// What speaks for one implementation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Because {
    pub feature: Feature,
    /// Of how many applications the others are.
    pub of: usize,
    pub used: usize,
    /// Applications that need it implemented.
    pub required: usize,
    /// Applications that use it and do with a fake, and with a stub.
    pub fakeable: usize,
    pub stubbable: usize,
    /// Applications that would begin to run if this were all that the step implements, whatever
    /// they need faked.
    pub alone: usize,
    /// One that the step unlocks and that requires it: its verdict has the evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

/// Fills in the reasons of each step, counted over these applications.
pub fn explain(plan: &mut Plan, profile: &OsProfile, needs: &[Named]) {
    let mut os = profile.clone();
    for step in &mut plan.steps {
        let before = Reach::of(&os, needs).all();
        step.because = step
            .implement
            .iter()
            .map(|feature| {
                let mut with = os.clone();
                with.implement(feature);
                let after = Reach::of(&with, needs).all();
                let unlocked = needs
                    .iter()
                    .filter(|named| step.unlocks.contains(&named.name))
                    .find(|named| named.need.requires(feature));
                Because {
                    alone: after.difference(&before).count(),
                    example: unlocked.map(|named| named.need.name()),
                    ..counted(feature, needs)
                }
            })
            .collect();
        os.follow(step);
    }
}

fn counted(feature: &Feature, needs: &[Named]) -> Because {
    let users: Vec<&Need> = needs
        .iter()
        .map(|named| &named.need)
        .filter(|need| need.uses(feature))
        .collect();
    let accept = |answer: Answer| {
        let accepting = users.iter().filter(|need| need.accepts(feature, answer));
        accepting.count()
    };
    let required = users.iter().filter(|need| need.requires(feature));
    Because {
        feature: feature.clone(),
        of: needs.len(),
        used: users.len(),
        required: required.count(),
        fakeable: accept(Answer::Fake),
        stubbable: accept(Answer::Stub),
        alone: 0,
        example: None,
    }
}
