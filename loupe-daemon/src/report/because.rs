//! Why a step implements what it implements, in words. Shared by the forms that a plan is shown
//! in.

use loupe_common::feature::Feature;

use crate::plan::because::Because;
use crate::plan::need::PROFILE_PREFIX;
use crate::plan::{Plan, Step};
use crate::text::{printable, shell_word};

/// A feature and what speaks for it.
pub(super) struct Reason {
    pub(super) feature: String,
    pub(super) words: String,
}

/// One for each feature that the step implements, if they are known.
pub(super) fn reasons(plan: &Plan, number: usize) -> Vec<Reason> {
    let Some(step) = plan.steps.get(number) else {
        return Vec::new();
    };
    let each_says_it = says_alone(step);
    let reasons = step.because.iter().map(|because| {
        let mut words = counts(because);
        if each_says_it {
            words.push_str(&match because.alone {
                0 => "; alone it unlocks nothing".to_owned(),
                some => format!("; alone it unlocks {some}"),
            });
        }
        let clashes = plan.conflicts.iter();
        for clash in
            clashes.filter(|clash| clash.feature == because.feature && clash.step == Some(number))
        {
            words.push_str("; it settles a conflict: ");
            words.push_str(&super::plan::disagreement(clash));
        }
        Reason {
            feature: because.feature.to_string(),
            words,
        }
    });
    reasons.collect()
}

fn counts(because: &Because) -> String {
    format!(
        "required by {} of {}, fakeable in {}, stubbable in {}",
        because.required, because.of, because.fakeable, because.stubbable
    )
}

/// Some unlock something alone, and others do not.
fn says_alone(step: &Step) -> bool {
    step.because.len() > 1 && step.because.iter().any(|because| because.alone > 0)
}

/// Said once where it holds of all of them.
pub(super) fn together(step: &Step) -> Option<String> {
    if says_alone(step) {
        return None;
    }
    match step.because.len() {
        0 | 1 => None,
        2 => Some("Neither of the two alone unlocks anything.".to_owned()),
        several => Some(format!("None of the {several} alone unlocks anything.")),
    }
}

/// What shows the evidence: the first feature that an application of the step requires.
pub(super) fn evidence(step: &Step) -> Option<String> {
    let because = step.because.iter();
    let (application, feature) = because
        .filter_map(|because| Some((because.example.as_ref()?, &because.feature)))
        .next()?;
    Some(command(application, feature))
}

fn command(application: &str, feature: &Feature) -> String {
    // Of a service there are no replays, but what was counted.
    match application.strip_prefix(PROFILE_PREFIX) {
        Some(service) => format!("loupe profile show {}", shell_word(service)),
        None => format!("loupe explain {} {feature}", shell_word(application)),
    }
}

pub(super) fn names(features: &[Feature]) -> String {
    let names: Vec<String> = features.iter().map(Feature::to_string).collect();
    names.join(", ")
}

pub(super) fn applications(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| printable(name)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_evidence_of_a_service_is_its_profile() {
        let futex: Feature = "futex".parse().expect("a syscall");
        let shown = command("profile:nginx.service", &futex);
        assert_eq!(shown, "loupe profile show nginx.service");
        assert_eq!(
            command("nginx/wrk", &futex),
            "loupe explain nginx/wrk futex"
        );
    }
}
