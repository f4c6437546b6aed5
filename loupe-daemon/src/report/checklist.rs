//! Plans in Markdown: a checklist, or an issue for each step.

use super::because::{evidence, reasons, together};
use super::plan::{headline, title};
use crate::plan::{Plan, Step};
use crate::text::{printable, shell_word};

/// The whole plan as one list. `os` is what the user calls the profile.
pub fn plan_markdown(plan: &Plan, os: &str) -> String {
    let mut text = format!("# {}\n", printable(&headline(plan)));
    for (number, step) in plan.steps.iter().enumerate() {
        if has_work(step) || !step.unlocks.is_empty() {
            text.push_str(&format!("\n## {}\n\n", title(number, step, plan)));
            push_step(&mut text, plan, number, os);
        }
    }
    text
}

/// File names and texts: one for each step that is work.
pub fn plan_issues(plan: &Plan, os: &str) -> Vec<(String, String)> {
    let steps = plan.steps.iter().enumerate();
    steps
        .filter(|(_, step)| has_work(step))
        .map(|(number, step)| {
            let title = title(number, step, plan);
            let mut text = format!("# {}: {title}\n\n", printable(&plan.os));
            push_step(&mut text, plan, number, os);
            (format!("step-{number:03}.md"), text)
        })
        .collect()
}

/// What fails already and may go on to is no work.
fn has_work(step: &Step) -> bool {
    !step.implement.is_empty() || !step.fake.is_empty()
}

fn push_step(text: &mut String, plan: &Plan, number: usize, os: &str) {
    let step = &plan.steps[number];
    let reasons = reasons(plan, number);
    for feature in &step.implement {
        let name = feature.to_string();
        let words = reasons.iter().find(|reason| reason.feature == name);
        let words = words.map_or(String::new(), |reason| format!(": {}", reason.words));
        text.push_str(&format!("- [ ] implement `{name}`{words}\n"));
    }
    for feature in &step.fake {
        text.push_str(&format!(
            "- [ ] fake `{feature}`: return 0 and do nothing\n"
        ));
    }
    if let Some(sentence) = together(step) {
        text.push_str(&format!("\n{sentence}\n"));
    }
    let mut line = |what: &str, names: &[String]| {
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| code(name)).collect();
            text.push_str(&format!("\n{what}: {}\n", names.join(", ")));
        }
    };
    line("Unlocks", &step.unlocks);
    line("Not asked for, and runs as well", &step.along);
    if let Some(command) = evidence(step) {
        text.push_str(&format!("\nEvidence: {}\n", code(&command)));
    }
    if has_work(step) && !step.unlocks.is_empty() {
        let wanted: Vec<String> = step
            .unlocks
            .iter()
            .map(|name| full_name(plan, name))
            .collect();
        text.push_str(&format!(
            "\nAccepted when this passes, once the profile says what is done:\n\n```sh\nloupe gap \
             --os {} --require {}\n```\n",
            shell_word(os),
            shell_word(&wanted.join(","))
        ));
    }
}

/// `nginx/wrk`, which means the same whatever else comes into the database.
fn full_name(plan: &Plan, name: &str) -> String {
    match plan.applications.get(name) {
        Some(workload) if !name.ends_with(&format!("/{workload}")) => format!("{name}/{workload}"),
        _ => name.to_owned(),
    }
}

fn code(text: &str) -> String {
    format!("`{}`", printable(text))
}
