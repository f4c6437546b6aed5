//! A plan that was followed on the OS itself: each application after the step that promises it, and after
//! the step before. Runs nothing.

use schemars::JsonSchema;
use serde::Serialize;

use super::analysis::push_paragraph;
use super::layout::{Align, Layout};
use super::verify::push_end_of_output;
use super::{Style, Tone};
use crate::text::printable;

/// One run of a workload there.
#[derive(Serialize, JsonSchema)]
pub struct RanThere {
    pub passed: bool,
    /// It was ended because it took too long.
    pub timed_out: bool,
    pub seconds: f64,
    /// The end of what it printed, where it failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// What came of one application.
#[derive(Serialize, JsonSchema)]
pub struct FollowedThere {
    pub application: String,
    pub workload: String,
    /// The step that promises it.
    pub step: usize,
    /// After the step before, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<RanThere>,
    /// After the step.
    pub after: RanThere,
}

impl FollowedThere {
    fn comes_alive(&self) -> bool {
        self.after.passed && self.before.as_ref().is_some_and(|before| !before.passed)
    }
}

/// What is printed of a plan as JSON.
#[derive(Serialize, JsonSchema)]
pub struct PlanVerifyThere {
    pub schema: &'static str,
    pub os: String,
    /// Every application passes after its step.
    pub kept: bool,
    /// Those that pass after their step and not after the step before.
    pub come_alive: usize,
    pub applications: Vec<FollowedThere>,
}

impl PlanVerifyThere {
    pub fn of(os: &str, applications: Vec<FollowedThere>) -> PlanVerifyThere {
        PlanVerifyThere {
            schema: "loupe.plan-verify-there/1",
            os: os.to_owned(),
            kept: applications.iter().all(|one| one.after.passed),
            come_alive: applications.iter().filter(|one| one.comes_alive()).count(),
            applications,
        }
    }
}

/// A line for each application, and what those printed that fail after their step.
pub fn followed_there(told: &PlanVerifyThere, style: Style) -> String {
    let mut layout = Layout::new(&[
        ("application", Align::Left),
        ("promised by step", Align::Right),
        ("before it", Align::Left),
        ("after it", Align::Left),
        ("seconds", Align::Right),
        ("remark", Align::Left),
    ]);
    for one in &told.applications {
        layout.row([
            name(one).into(),
            one.step.into(),
            one.before.as_ref().map(word).unwrap_or_default().into(),
            word(&one.after).into(),
            format!("{:.1}", one.after.seconds).into(),
            remark(one).into(),
        ]);
    }
    let mut text = layout.print(style);
    if style.is_csv() {
        return text;
    }
    let sentence = format!(
        "{} of {} come alive on {} at the step that promises them.",
        told.come_alive,
        told.applications.len(),
        printable(&told.os)
    );
    text.push('\n');
    push_paragraph(&mut text, &sentence, 0, Tone::Plain, style);
    for one in told.applications.iter().filter(|one| !one.after.passed) {
        let line = format!(
            "{} was to run after step {}, and printed:",
            name(one),
            one.step
        );
        push_paragraph(&mut text, &line, 2, Tone::Middling, style);
        push_end_of_output(&mut text, &one.after.output, style);
    }
    text
}

fn name(one: &FollowedThere) -> String {
    printable(&format!("{}/{}", one.application, one.workload))
}

fn word(ran: &RanThere) -> &'static str {
    match (ran.passed, ran.timed_out) {
        (true, _) => "runs",
        (false, true) => "time limit",
        (false, false) => "fails",
    }
}

fn remark(one: &FollowedThere) -> &'static str {
    match (&one.before, one.after.passed) {
        (_, false) => "the promise is broken",
        (None, true) => "runs from the beginning",
        (Some(before), true) if before.passed => "the step asks for more than it needs",
        (Some(_), true) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fails_before_its_step_and_runs_after_it_comes_alive() {
        let ran = |passed| RanThere {
            passed,
            timed_out: false,
            seconds: 1.0,
            output: String::new(),
        };
        let one = |before: Option<bool>, after| FollowedThere {
            application: "toy".to_owned(),
            workload: "bench".to_owned(),
            step: 1,
            before: before.map(ran),
            after: ran(after),
        };
        let told = PlanVerifyThere::of("toy", vec![one(Some(false), true), one(Some(true), true)]);
        assert_eq!((told.kept, told.come_alive), (true, 1));
        let told = PlanVerifyThere::of("toy", vec![one(None, true), one(Some(false), false)]);
        assert_eq!((told.kept, told.come_alive), (false, 0));
        let text = followed_there(&told, Style::PLAIN);
        assert!(text.contains("the promise is broken"), "{text}");
        assert!(text.contains("0 of 2 come alive on toy"), "{text}");
    }
}
