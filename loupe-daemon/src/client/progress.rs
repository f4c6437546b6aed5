//! The progress of an analysis on standard error: a bar where that is a terminal, else a plain
//! line for each phase and now and then. That of several at once is [`board`]'s.

mod board;

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use loupe_common::analysis::Analysis;
use loupe_common::progress::Progress;

use crate::lock;
use crate::report::phase_lines;
use crate::text::printable;

pub use board::{Board, Watched};

/// Between two plain lines of the same phase.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Shows what happens. It can be told from any thread.
pub struct Display {
    bar: Option<ProgressBar>,
    /// Say every replay.
    verbose: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: String,
    /// Other phases come after it.
    more: bool,
    last_line: Instant,
}

/// A phase, with which of how many it is.
fn numbered(name: &str, number: u32, of: u32) -> String {
    match number {
        0 => name.to_owned(),
        _ => format!("{name} ({number} of {of})"),
    }
}

/// What is left, as far as can be foreseen: what finishes may ask for more.
fn to_come(left: u64, more: bool) -> String {
    match (left, more) {
        (0, false) => "what comes next depends on these".to_owned(),
        (0, true) => "then the next phase".to_owned(),
        (left, false) => format!("{left} or more left"),
        (left, true) => format!("{left} or more left in this phase"),
    }
}

impl Display {
    pub fn new(verbose: bool) -> Display {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let template = "{spinner} {prefix} {wide_bar} {pos} done, {msg}";
            // The template is a constant; a bad one only makes the bar plain.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message("starting");
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Display {
            bar,
            verbose,
            state: Mutex::new(State {
                phase: String::new(),
                more: false,
                last_line: Instant::now(),
            }),
        }
    }

    pub fn show(&self, event: &Progress) {
        match event {
            Progress::Phase { name, number, of } => self.phase(name, *number, *of),
            Progress::Counts {
                done,
                running,
                left,
            } => self.counts(*done, *running, *left),
            Progress::Replayed { .. } | Progress::Begun { .. } => {
                if self.verbose
                    && let Some(text) = of_a_replay(event)
                {
                    self.line(&text);
                }
            }
            Progress::Notice { text } => self.line(text),
        }
    }

    fn phase(&self, name: &str, number: u32, of: u32) {
        let shown = numbered(name, number, of);
        let mut state = lock(&self.state);
        let is_same = state.phase == shown;
        state.phase.clone_from(&shown);
        state.more = of > number;
        drop(state);
        match &self.bar {
            Some(bar) => bar.set_prefix(printable(&shown)),
            // It begins anew where something was found out on the way, and is the same phase.
            None if is_same => {}
            None => self.line(&format!("phase: {shown}")),
        }
    }

    fn counts(&self, done: u64, running: u64, left: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(done + running + left);
            bar.set_position(done);
            let more = lock(&self.state).more;
            bar.set_message(format!("{running} running, {}", to_come(left, more)));
            return;
        }
        let line = {
            let mut state = lock(&self.state);
            if state.last_line.elapsed() < PLAIN_INTERVAL {
                return;
            }
            state.last_line = Instant::now();
            format!(
                "{}: {done} replays done, {running} running, {}",
                state.phase,
                to_come(left, state.more)
            )
        };
        self.line(&line);
    }

    /// Says something beside the progress.
    pub fn line(&self, text: &str) {
        let text = printable(text);
        let write = || {
            // There is nowhere to report a failure of this to.
            drop(writeln!(std::io::stderr().lock(), "loupe: {text}"));
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Says where the time went, to those who want to know much.
    pub fn costs(&self, analysis: &Analysis) {
        if self.verbose {
            for line in phase_lines(analysis) {
                self.line(&line);
            }
        }
    }

    /// Nothing more will happen.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What a step says of one replay, if it is about one.
pub fn of_a_replay(event: &Progress) -> Option<String> {
    match event {
        Progress::Replayed {
            id,
            purpose,
            policy,
            outcome,
            wall_us,
            reused,
            ..
        } => {
            let ms = wall_us / 1000;
            let again = if *reused { ", kept from before" } else { "" };
            Some(format!(
                "replay {id}, {purpose}: {policy}: {outcome} ({ms} ms{again})"
            ))
        }
        Progress::Begun {
            purpose,
            policy,
            wall_us,
            ..
        } => Some(format!(
            "beginning, {purpose}: {policy} ({} ms)",
            wall_us / 1000
        )),
        Progress::Phase { .. } | Progress::Counts { .. } | Progress::Notice { .. } => None,
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_left_is_never_said_while_something_may_come() {
        for left in [0, 1, 7] {
            for more in [false, true] {
                let told = to_come(left, more);
                assert!(!told.starts_with("0 "), "{told}");
                assert!(left == 0 || told.contains("or more"), "{told}");
            }
        }
    }
}
