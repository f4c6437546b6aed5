//! `loupe explain`: the story of one verdict as text.

use loupe_common::analysis::Basis;
use loupe_common::policy::Action;
use loupe_common::replay::{ExitStatus, OutputTail, Timing};
use loupe_common::verdict::Verdict;

use super::analysis::tone;
use super::difference::Difference;
use super::explanation::{Explanation, ReplayStory, TrialStory};
use super::{Style, Tone};
use crate::text::{bytes, counted, microseconds, nanoseconds, printable, wrap};

/// Lines of an output that are shown: its last ones.
const SHOWN_OUTPUT_LINES: usize = 8;
/// Characters of such a line that are shown: its first ones.
const SHOWN_LINE_CHARACTERS: usize = 300;

/// The verdict, why, and every replay that says something about it.
pub fn explain(explanation: &Explanation, style: Style) -> String {
    let mut page = Page {
        text: String::new(),
        style,
    };
    verdict(&mut page, explanation);
    for trial in &explanation.trials {
        page.text.push('\n');
        heading(&mut page, trial, explanation.feature.syscall().is_none());
        // What was measured passed, and is told as a whole.
        let measured = |id| {
            trial
                .impact
                .as_ref()
                .is_some_and(|impact| impact.replays.contains(&id))
        };
        let others = trial.replays.iter().filter(|story| !measured(story.id));
        replays(&mut page, others);
        impact(&mut page, trial, explanation);
    }
    if !explanation.together.is_empty() {
        page.text.push('\n');
        page.entry(0, Tone::Title, "together with other features:");
        replays(&mut page, explanation.together.iter());
    }
    page.text
}

/// Text that grows downwards.
struct Page {
    text: String,
    style: Style,
}

impl Page {
    /// A paragraph.
    fn prose(&mut self, tone: Tone, text: &str) {
        self.hanging(0, 0, tone, text);
    }

    /// An entry; what does not fit into its line goes on further in.
    fn entry(&mut self, indent: usize, tone: Tone, text: &str) {
        self.hanging(indent, 2, tone, text);
    }

    fn hanging(&mut self, indent: usize, hanging: usize, tone: Tone, text: &str) {
        let margin = " ".repeat(indent);
        for line in wrap(text, self.style.columns() - indent, hanging) {
            self.text.push_str(&margin);
            self.text.push_str(&tone.paint(line.trim_end(), self.style));
            self.text.push('\n');
        }
    }
}

fn verdict(page: &mut Page, explanation: &Explanation) {
    let meaning = match explanation.verdict {
        Verdict::Required => "it can be neither stubbed nor faked",
        Verdict::Stub => "it can be stubbed, not faked",
        Verdict::Fake => "it can be faked, not stubbed",
        Verdict::Any => "it can be stubbed or faked",
        Verdict::NotExercised => "nothing is known about it",
        Verdict::Undecided => "the replays do not say",
    };
    let title = format!(
        "{}/{}: {} is {}: {meaning}",
        printable(&explanation.application),
        printable(&explanation.workload),
        explanation.feature,
        explanation.verdict,
    );
    page.prose(tone(explanation.verdict), &title);
    page.prose(Tone::Plain, &explanation.why);
    let baseline = &explanation.baseline;
    let runs = match baseline.runs {
        0 => "no baseline replay in the database".to_owned(),
        runs => format!(
            "{} in the first of {} ({} passed, {} each)",
            counted(explanation.calls, "call"),
            counted(runs, "baseline replay"),
            baseline.passes,
            // `as` saturates.
            nanoseconds((baseline.wall_ms * 1e6) as u64),
        ),
    };
    let origin = format!(
        "{runs}; {}; analysis {}.",
        match &explanation.basis {
            Basis::Measured => "measured".to_owned(),
            Basis::Implied { replay } =>
                format!("implied by replays that left out others too, #{replay} the first of them"),
            Basis::Imported => "imported, measured elsewhere".to_owned(),
        },
        explanation.analysis
    );
    page.prose(Tone::Faint, &origin);
}

fn heading(page: &mut Page, trial: &TrialStory, is_file: bool) {
    let action = match trial.action {
        Action::STUB if is_file => "stubbed (is not there: ENOENT)".to_owned(),
        Action::Fake if is_file => "faked (is empty)".to_owned(),
        Action::Stub(errno) => format!("stubbed (fails with {errno})"),
        Action::Fake => "faked (returns 0)".to_owned(),
        Action::Plausible => "faked plausibly (returns what a success would)".to_owned(),
        Action::Kill => "ending its caller".to_owned(),
    };
    let result = match trial.runs {
        0 if trial.idle > 0 => {
            format!("called in none of {}", counted(trial.idle.into(), "replay"))
        }
        0 => "no usable replay".to_owned(),
        runs if trial.idle > 0 => format!(
            "{} of the {runs} passed in which it was called, of {}",
            trial.passes,
            runs + trial.idle
        ),
        runs => format!("{} of {runs} passed", trial.passes),
    };
    let injections = counted(trial.injections, "injection");
    let heading = format!("{action}: {result}, {injections}");
    page.entry(0, Tone::Title, &heading);
}

/// What is the same as in a replay shown just before is only said to be.
fn replays<'a>(page: &mut Page, stories: impl Iterator<Item = &'a ReplayStory>) {
    let (mut output_shown, mut difference_shown) = (None::<&ReplayStory>, None::<&ReplayStory>);
    for story in stories {
        outcome(page, story);
        if !story.outcome.passed() {
            let same = output_shown.filter(|shown| {
                shown.application_output == story.application_output
                    && shown.test_output == story.test_output
            });
            match same {
                Some(shown) => page.entry(4, Tone::Faint, &format!("output: as #{}", shown.id)),
                None => {
                    output(page, "test", &story.test_output);
                    output(page, "application", &story.application_output);
                    output_shown = Some(story);
                }
            }
        }
        match difference_shown.filter(|shown| shown.difference == story.difference) {
            Some(shown) => {
                let text = format!("against the baseline: as #{}", shown.id);
                page.entry(4, Tone::Faint, &text);
            }
            None => {
                difference(page, story.difference.as_ref());
                difference_shown = Some(story);
            }
        }
    }
}

fn impact(page: &mut Page, trial: &TrialStory, explanation: &Explanation) {
    let Some(impact) = &trial.impact else {
        return;
    };
    let lines = super::impact::lines(impact, explanation.comparison.as_ref());
    for (index, (tone, line)) in lines.into_iter().enumerate() {
        page.entry(if index == 0 { 2 } else { 4 }, tone, &line);
    }
}

fn outcome(page: &mut Page, story: &ReplayStory) {
    let alone = story.policy.len() == 1;
    let tone = match story.outcome.passed() {
        true => Tone::Good,
        false => Tone::Bad,
    };
    let mut text = format!("#{} {}", story.id, printable(&story.outcome.to_string()));
    if alone && !story.counted {
        text.push_str(match story.usage.crowd {
            0 => " (the verdict does not rest on it)",
            _ => " (beside many others; the verdict does not rest on it)",
        });
    }
    page.entry(2, tone, &text);
    if !alone {
        page.entry(4, Tone::Plain, &format!("policy: {}", story.policy));
    }
    if let Some(purpose) = &story.purpose {
        page.entry(4, Tone::Plain, &format!("purpose: {}", printable(purpose)));
    }
    if story.target_execs == 0 {
        page.entry(4, Tone::Bad, "the target binary was never started");
    }
    if !story.left.is_empty() {
        let left = format!("left by the command, asleep: {}", story.left.join(", "));
        page.entry(4, Tone::Plain, &printable(&left));
    }
    let exit = |status: Option<ExitStatus>, absent: &str| {
        status.map_or_else(|| absent.to_owned(), |status| status.to_string())
    };
    let untested = match story.timing.test_us {
        0 => "did not run",
        _ => "ended by Loupe",
    };
    let facts = format!(
        "{}; application: {}; test: {}",
        counted(story.injections, "injection"),
        exit(story.application_exit, "ended by Loupe"),
        exit(story.test_exit, untested),
    );
    page.entry(4, Tone::Plain, &facts);
    page.entry(4, Tone::Plain, &times(&story.timing));
}

fn times(timing: &Timing) -> String {
    let parts: Vec<String> = [
        ("sandbox", timing.sandbox_us),
        ("start", timing.ready_us),
        ("test", timing.test_us),
        ("stop", timing.stop_us),
    ]
    .iter()
    .filter(|(_, us)| *us > 0)
    .map(|(part, us)| format!("{part} {}", microseconds(*us)))
    .collect();
    let all = microseconds(timing.wall_us);
    match parts.is_empty() {
        true => format!("{all} in all"),
        false => format!("{all} in all: {}", parts.join(", ")),
    }
}

fn output(page: &mut Page, whose: &str, output: &OutputTail) {
    if output.tail.is_empty() {
        page.entry(4, Tone::Plain, &format!("{whose} output: none"));
        return;
    }
    let written = |line: &&str| !line.trim().is_empty();
    let lines: Vec<&str> = output.tail.split('\n').filter(written).collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_OUTPUT_LINES)..];
    let all = shown.len() == lines.len() && output.total_bytes <= output.tail.len() as u64;
    let extent = match all {
        true => String::new(),
        false => format!(
            ", the last {} of {}",
            counted(shown.len() as u64, "line"),
            bytes(output.total_bytes)
        ),
    };
    page.entry(4, Tone::Plain, &format!("{whose} output{extent}:"));
    for line in shown {
        let mut line = (*line).to_owned();
        if let Some((cut, _)) = line.char_indices().nth(SHOWN_LINE_CHARACTERS) {
            line.truncate(cut);
            line.push('…');
        }
        page.hanging(6, 4, Tone::Faint, &format!("| {}", printable(&line)));
    }
}

fn difference(page: &mut Page, difference: Option<&Difference>) {
    let Some(difference) = difference else {
        return;
    };
    if difference.is_empty() {
        page.entry(
            4,
            Tone::Plain,
            &format!("against the baseline: {difference}"),
        );
        return;
    }
    page.entry(4, Tone::Plain, "against the baseline:");
    for (label, text) in difference.lines() {
        page.hanging(6, 8, Tone::Plain, &format!("{label:<8}{text}"));
    }
}
