//! The progress of several analyses at once: a line for each that runs and a bar for all of them
//! where standard error is a terminal, else a plain line when one begins and ends, and now and then.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use loupe_common::progress::Progress;

use super::of_a_replay;
use crate::lock;
use crate::text::printable;

/// Between two plain lines on what runs.
const PLAIN_INTERVAL: Duration = Duration::from_secs(30);
/// Between two turns of a spinner.
const TICK: Duration = Duration::from_millis(250);

/// All analyses. It can be told from any thread.
pub struct Board {
    bars: Option<Bars>,
    /// Say every replay.
    verbose: bool,
    all: usize,
    state: Mutex<State>,
}

struct Bars {
    multi: MultiProgress,
    total: ProgressBar,
}

struct State {
    done: usize,
    running: BTreeMap<usize, Running>,
    last_line: Instant,
}

struct Running {
    name: String,
    phase: String,
    counts: Option<(u64, u64)>,
    bar: Option<ProgressBar>,
}

impl Running {
    fn text(&self) -> String {
        let mut text = self.name.clone();
        if !self.phase.is_empty() {
            text += &format!(": {}", printable(&self.phase));
        }
        if let Some((done, left)) = self.counts {
            text += &format!(", {done} replays done");
            // What finishes may ask for more.
            if left > 0 {
                text += &format!(", {left} or more left");
            }
        }
        text
    }
}

/// One analysis on the board.
#[derive(Clone)]
pub struct Watched {
    board: Arc<Board>,
    index: usize,
    name: String,
}

impl Board {
    /// For so many analyses.
    pub fn new(all: usize, verbose: bool) -> Arc<Board> {
        let bars = std::io::stderr().is_terminal().then(|| {
            let multi = MultiProgress::new();
            let total = multi.add(ProgressBar::new(all as u64));
            set_style(&total, "study {wide_bar} {pos} of {len} done, {elapsed}");
            total.enable_steady_tick(TICK);
            Bars { multi, total }
        });
        Arc::new(Board {
            bars,
            verbose,
            all,
            state: Mutex::new(State {
                done: 0,
                running: BTreeMap::new(),
                last_line: Instant::now(),
            }),
        })
    }

    /// One begins; `index` is its own.
    pub fn begin(self: &Arc<Self>, index: usize, name: &str) -> Watched {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars
                .multi
                .insert_before(&bars.total, ProgressBar::no_length());
            set_style(&bar, "{spinner} {wide_msg}");
            bar.set_message(name.to_owned());
            bar.enable_steady_tick(TICK);
            bar
        });
        let plain = bar.is_none();
        let running = Running {
            name: name.to_owned(),
            phase: String::new(),
            counts: None,
            bar,
        };
        lock(&self.state).running.insert(index, running);
        if plain {
            self.line(&format!("{name}: begins"));
        }
        Watched {
            board: Arc::clone(self),
            index,
            name: name.to_owned(),
        }
    }

    /// Says something beside the progress.
    pub fn line(&self, text: &str) {
        let text = printable(text);
        let write = || {
            // There is nowhere to report a failure of this to.
            drop(writeln!(std::io::stderr().lock(), "loupe: {text}"));
        };
        match &self.bars {
            Some(bars) => bars.multi.suspend(write),
            None => write(),
        }
    }

    /// Where all of them are, if nothing was said for a while.
    fn now_and_then(&self) {
        let text = {
            let mut state = lock(&self.state);
            if self.bars.is_some() || state.last_line.elapsed() < PLAIN_INTERVAL {
                return;
            }
            state.last_line = Instant::now();
            let running: Vec<String> = state.running.values().map(Running::text).collect();
            let running = running.join("; ");
            format!("{} of {} done; {running}", state.done, self.all)
        };
        self.line(&text);
    }

    /// Nothing more will happen.
    pub fn finish(&self) {
        if let Some(bars) = &self.bars {
            bars.total.finish_and_clear();
        }
    }
}

impl Watched {
    pub fn show(&self, event: &Progress) {
        match event {
            Progress::Phase { name, number, of } => {
                self.change(|running| running.phase = super::numbered(name, *number, *of));
            }
            Progress::Counts { done, left, .. } => {
                self.change(|running| running.counts = Some((*done, *left)));
                self.board.now_and_then();
            }
            Progress::Notice { text } => self.line(text),
            Progress::Replayed { .. } | Progress::Begun { .. } => {
                if self.board.verbose
                    && let Some(text) = of_a_replay(event)
                {
                    self.line(&text);
                }
            }
        }
    }

    /// It waits for so many others.
    pub fn waits(&self, ahead: usize) {
        self.change(|running| running.phase = format!("waits for {ahead} others"));
    }

    fn change(&self, change: impl FnOnce(&mut Running)) {
        let mut state = lock(&self.board.state);
        if let Some(running) = state.running.get_mut(&self.index) {
            change(running);
            if let Some(bar) = &running.bar {
                bar.set_message(running.text());
            }
        }
    }

    /// Says something about it.
    fn line(&self, text: &str) {
        self.board.line(&format!("{}: {text}", self.name));
    }

    /// It is over.
    pub fn ended(&self, text: &str) {
        let (done, bar) = {
            let mut state = lock(&self.board.state);
            state.done += 1;
            let running = state.running.remove(&self.index);
            (state.done, running.and_then(|running| running.bar))
        };
        if let (Some(bars), Some(bar)) = (&self.board.bars, bar) {
            bar.finish_and_clear();
            bars.multi.remove(&bar);
            bars.total.set_position(done as u64);
        }
        self.line(&format!("{text} ({done} of {})", self.board.all));
    }
}

fn set_style(bar: &ProgressBar, template: &str) {
    // The template is a constant; a bad one only makes the bar plain.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
}
