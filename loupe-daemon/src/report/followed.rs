//! A plan that was followed: each application after the step that promises it, and after the step before.
//! Runs nothing.

use loupe_common::emulation::Emulation;
use schemars::JsonSchema;
use serde::Serialize;

use super::Style;
use super::emulation::emulation;
use super::layout::{Align, Layout};
use crate::text::printable;

/// What came of one application.
#[derive(Serialize, JsonSchema)]
pub struct Followed {
    /// The step that promises it.
    pub step: usize,
    /// After the step before, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Emulation>,
    /// After the step.
    pub emulation: Emulation,
}

/// What is printed of a plan as JSON.
#[derive(Serialize, JsonSchema)]
pub struct PlanVerify<'a> {
    pub schema: &'static str,
    pub os: &'a str,
    /// Every application passes after its step.
    pub kept: bool,
    pub applications: &'a [Followed],
}

/// A line for each application; and of those that do not do what the plan says, why.
pub fn followed(all: &[Followed], style: Style) -> String {
    let mut layout = Layout::new(&[
        ("application", Align::Left),
        ("promised by step", Align::Right),
        ("before it", Align::Left),
        ("after it", Align::Left),
        ("remark", Align::Left),
    ]);
    for one in all {
        let name = format!("{}/{}", one.emulation.application, one.emulation.workload);
        let before = one.before.as_ref().map(|before| before.passed);
        layout.row([
            printable(&name).into(),
            one.step.into(),
            before.map(word).unwrap_or_default().into(),
            word(one.emulation.passed).into(),
            remark(before.flatten(), one.emulation.passed).into(),
        ]);
    }
    let mut text = layout.print(style);
    if style.is_csv() {
        return text;
    }
    let broken = all.iter().filter(|one| one.emulation.passed != Some(true));
    for one in broken {
        text.push('\n');
        text.push_str(&emulation(&one.emulation, style));
    }
    text
}

fn word(passed: Option<bool>) -> &'static str {
    match passed {
        Some(true) => "runs",
        Some(false) => "fails",
        None => "cannot be judged",
    }
}

fn remark(before: Option<bool>, after: Option<bool>) -> &'static str {
    match (before, after) {
        (_, Some(false)) => "the promise is broken",
        // A verdict that is required asks for an implementation where a fake might do on this OS.
        (Some(true), Some(true)) => "the step asks for more than it needs",
        _ => "",
    }
}
