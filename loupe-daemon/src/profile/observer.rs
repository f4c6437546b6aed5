//! The observation itself: programs, windows, owners, slots, and what they brought. One value, under
//! one lock; the threads that drive it and the clients that ask it are the service's.

mod hearing;
mod recording;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loupe_common::profile::{Subject, Target};
use tokio::sync::mpsc;

use super::duty::Duty;
use super::executables::Executables;
use super::loaded::Loaded;
use super::meter::Measured;
use super::outbox::Outbox;
use super::owners::Owners;
use super::pinning::{Begun, Pinning, Taken};
use super::tally::Tally;
use super::unrecorded;
use super::watchers::Watchers;
use super::{ProfileError, Settings};
use crate::now_ms;
use crate::store::Store;
use crate::text::counted;
use crate::tracer::profiler::{Profiler, ProfilerEvent};

/// Between two readings of the maps.
const READ_EVERY: Duration = Duration::from_secs(10);
/// Between two batches for the store.
const RECORD_EVERY: Duration = Duration::from_secs(60);
/// After something new was seen; so long are others waited for that come with it.
const RECORD_NEWS_AFTER: Duration = Duration::from_secs(2);
/// Events that are taken in at once.
pub const EVENTS_AT_ONCE: usize = 256;
const COMPACT_EVERY: Duration = Duration::from_secs(3600);

/// See the module.
pub struct Observer {
    store: Arc<Store>,
    settings: Settings,
    added: Vec<Target>,
    started: Instant,
    pub since_ms: u64,
    pub duty: Duty,
    loaded: Option<Loaded>,
    /// What was told to the process before this one.
    left: Vec<ProfilerEvent>,
    pinning: Pinning,
    /// Time for which programs were attached, windows that are over.
    attached: Duration,
    executables: Executables,
    outbox: Outbox,
    pub watchers: Watchers,
    /// Calls a second in the last full minute.
    pub rates: BTreeMap<Subject, f64>,
    pub tally: Tally,
    /// What went wrong and goes on, by what it is about.
    troubles: BTreeMap<&'static str, String>,
    next_read: Duration,
    next_record: Duration,
    next_compact: Duration,
}

impl Observer {
    /// Nothing is loaded before something is to be watched.
    pub fn new(
        store: Arc<Store>,
        settings: Settings,
        mut pinning: Pinning,
    ) -> Result<Observer, ProfileError> {
        let added = store.profile_targets()?;
        let since_ms = now_ms();
        let duty = Duty::new(settings.duty, since_ms);
        let mut outbox = Outbox::new(since_ms);
        if let Some(left) = pinning.take_unrecorded() {
            match unrecorded::take(left) {
                Ok(batches) => outbox.inherit(batches),
                Err(error) => {
                    tracing::error!("what the louped before could not record is lost: {error}");
                }
            }
        }
        Ok(Observer {
            outbox,
            store,
            settings,
            added,
            started: Instant::now(),
            since_ms,
            duty,
            loaded: None,
            left: Vec::new(),
            pinning,
            attached: Duration::ZERO,
            executables: Executables::default(),
            watchers: Watchers::default(),
            rates: BTreeMap::new(),
            tally: Tally::default(),
            troubles: BTreeMap::new(),
            next_read: Duration::ZERO,
            next_record: Duration::ZERO,
            next_compact: COMPACT_EVERY,
        })
    }

    /// Everything that is to be watched, and whether the configuration says so.
    pub fn targets(&self) -> Vec<(Target, bool)> {
        let configured = self.settings.targets.iter();
        let mut all: Vec<(Target, bool)> =
            configured.map(|target| (target.clone(), true)).collect();
        for target in &self.added {
            if !self.settings.targets.contains(target) {
                all.push((target.clone(), false));
            }
        }
        all
    }

    fn wanted(&self) -> Vec<Target> {
        self.targets()
            .into_iter()
            .map(|(target, _)| target)
            .collect()
    }

    pub fn owners(&self) -> Option<&Owners> {
        self.loaded.as_ref().map(|loaded| &loaded.owners)
    }

    pub fn is_attached(&self) -> bool {
        let loaded = self.loaded.as_ref();
        loaded.is_some_and(|loaded| loaded.window.is_some())
    }

    pub fn troubles(&self) -> Vec<String> {
        self.troubles.values().cloned().collect()
    }

    /// One line on what is going on, which changes rarely; empty where nothing is.
    pub fn summary(&self) -> String {
        let watched = match self.targets().len() as u64 {
            0 => String::new(),
            number => format!("watching {}", counted(number, "target")),
        };
        match self.troubles.values().next() {
            Some(trouble) if watched.is_empty() => format!("trouble: {trouble}"),
            Some(trouble) => format!("{watched}; trouble: {trouble}"),
            None => watched,
        }
    }

    pub fn trouble(&mut self, about: &'static str, what: Option<String>) {
        match what {
            Some(what) => {
                if self.troubles.get(about) != Some(&what) {
                    tracing::error!(about, "{what}");
                }
                self.troubles.insert(about, what);
            }
            None => {
                if self.troubles.remove(about).is_some() {
                    tracing::info!(about, "it is well again");
                }
            }
        }
    }

    /// Another configuration is in force from now on.
    pub fn configure(
        &mut self,
        settings: Settings,
    ) -> Result<Option<mpsc::Receiver<ProfilerEvent>>, ProfileError> {
        if settings.duty != self.settings.duty {
            self.duty.choose(settings.duty);
        }
        if settings.bounds != self.settings.bounds || settings.pin != self.settings.pin {
            // Maps have their sizes from their load on, and are pinned then.
            self.unload();
        }
        self.settings = settings;
        self.apply()
    }

    /// Watches these too, for good.
    pub fn add(
        &mut self,
        targets: &[Target],
    ) -> Result<Option<mpsc::Receiver<ProfilerEvent>>, ProfileError> {
        self.store.add_profile_targets(targets)?;
        self.added = self.store.profile_targets()?;
        self.apply()
    }

    /// Watches these no more. What they did stays in the store.
    pub fn remove(
        &mut self,
        targets: &[Target],
    ) -> Result<Option<mpsc::Receiver<ProfilerEvent>>, ProfileError> {
        self.store.remove_profile_targets(targets)?;
        self.added = self.store.profile_targets()?;
        self.apply()
    }

    /// Brings what is watched together with what is wanted. Returns the events' receiver where the
    /// programs were loaded for that.
    pub fn apply(&mut self) -> Result<Option<mpsc::Receiver<ProfilerEvent>>, ProfileError> {
        let wanted = self.wanted();
        if wanted.is_empty() {
            self.unload();
            if self.pinning.found.is_some() {
                self.pinning.release();
            }
            return Ok(None);
        }
        let events = match self.loaded {
            Some(_) => None,
            None => Some(self.load()?),
        };
        let Some(loaded) = &mut self.loaded else {
            return Ok(None);
        };
        loaded.owners.apply(&loaded.profiler, &wanted)?;
        let unseen = loaded.profiler.is_blind_to_io_uring().then(|| {
            "operations of io_uring are not observed on this kernel, which has no tracepoint for them"
                .to_owned()
        });
        self.trouble("io_uring", unseen);
        self.next_read = Duration::ZERO;
        Ok(events)
    }

    fn load(&mut self) -> Result<mpsc::Receiver<ProfilerEvent>, ProfileError> {
        let (bounds, pin) = (&self.settings.bounds, self.settings.pin);
        let Begun {
            mut loaded,
            events,
            taken,
            troubles: [unkept, gap],
        } = self
            .pinning
            .begin(bounds, pin, &self.store, &self.outbox.unsent())?;
        if let Some(Taken {
            whole,
            away,
            window,
            heard,
        }) = taken
        {
            loaded.goes_on_with(&heard);
            self.left = heard;
            self.outbox.resume(whole.until_ms, away);
            loaded.window = window.map(|taken| {
                let attached = taken.attached.min(away);
                let now = Instant::now();
                (taken.window, now.checked_sub(attached).unwrap_or(now))
            });
        }
        self.loaded = Some(loaded);
        self.trouble("pins", unkept);
        self.trouble("restart", gap);
        Ok(events)
    }

    /// Reads and records what there is, and has the programs go.
    pub fn unload(&mut self) {
        if self.loaded.is_none() {
            return;
        }
        self.set_window(false);
        self.record();
        if let Some(loaded) = self.loaded.take()
            && loaded.is_pinned()
        {
            loaded.profiler.stop_waiting();
            self.pinning.release();
        }
    }

    /// What is pinned, and has to be asked for what it tells.
    pub fn pinned(&self) -> Option<Profiler> {
        let loaded = self.loaded.as_ref()?;
        loaded.is_pinned().then(|| loaded.profiler.clone())
    }

    /// The daemon ends. What is pinned, and what the store has refused, stays for the next one; all
    /// else goes.
    pub fn end(&mut self) {
        match self.loaded.as_ref().filter(|loaded| loaded.is_pinned()) {
            Some(loaded) => {
                loaded.profiler.leave();
                loaded.profiler.stop_waiting();
                self.hear_pinned();
                self.record();
                self.loaded = None;
            }
            None => self.unload(),
        }
        self.leave_unrecorded();
    }

    fn leave_unrecorded(&self) {
        let unsent = self.outbox.unsent();
        let Some(first) = unsent.first() else {
            return;
        };
        let seconds = now_ms().saturating_sub(first.from_ms) / 1000;
        match unrecorded::leave(self.pinning.keeper.as_deref(), &unsent) {
            Ok(()) => tracing::warn!(
                "systemd keeps what was observed in the last {seconds} s and not recorded for the \
                 next louped, unless the unit is stopped"
            ),
            Err(error) => {
                tracing::error!("what was observed in the last {seconds} s is lost: {error}");
            }
        }
    }

    /// Since the daemon's start.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn attached_so_far(&self) -> Duration {
        let window = self
            .loaded
            .as_ref()
            .and_then(|loaded| loaded.window.as_ref());
        self.attached + window.map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }

    /// Does what is due; returns when to come again.
    pub fn work(&mut self) -> Duration {
        let now = self.now();
        if self.loaded.is_none() {
            // What the store had refused when the last target was given up.
            self.record();
            return RECORD_EVERY;
        }
        let step = self.duty.step(now);
        self.set_window(step.attached);
        self.measure(now);
        if now >= self.next_read && now < self.next_record {
            self.read();
            if self.loaded.as_ref().is_some_and(Loaded::is_short) {
                self.next_record = now;
            }
        }
        if now >= self.next_record {
            self.record();
            self.next_record = now + RECORD_EVERY;
            // A watched executable may be another file by now.
            let applied = self.apply().err().map(|error| error.to_string());
            self.trouble("what is watched", applied);
        }
        if now >= self.next_compact {
            let compacted = self.store.compact_profiles(now_ms());
            self.trouble(
                "the database",
                compacted.err().map(|error| error.to_string()),
            );
            self.next_compact = now + COMPACT_EVERY;
        }
        let metered = self.loaded.as_ref().and_then(|loaded| loaded.meter.until());
        let next = step.until.min(self.next_read).min(self.next_record);
        let next = metered.map_or(next, |metered| next.min(metered));
        next.saturating_sub(self.now())
    }

    fn set_window(&mut self, attached: bool) {
        let Some(loaded) = &mut self.loaded else {
            return;
        };
        if !attached {
            if let Some((window, since)) = loaded.window.take() {
                drop(window);
                self.attached += since.elapsed();
            }
            return;
        }
        if loaded.window.is_some() {
            return;
        }
        match loaded.profiler.open_window() {
            Ok(window) => {
                loaded.window = Some((window, Instant::now()));
                self.trouble("attaching", None);
            }
            Err(error) => {
                let what = format!("the programs cannot be attached: {error}");
                self.trouble("attaching", Some(what));
            }
        }
    }

    /// Learns what the windows cost, if it is time for that.
    fn measure(&mut self, now: Duration) {
        let attached = (self.attached_so_far(), self.is_attached());
        let Some(loaded) = &mut self.loaded else {
            return;
        };
        let measured = loaded.meter.work(&loaded.profiler, attached, now);
        if let Ok(Some(Measured {
            run,
            runs,
            attached,
        })) = &measured
        {
            let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            self.duty.measure(*run, *runs, *attached, cpus);
        }
        let trouble = measured
            .err()
            .map(|error| format!("what observation costs is not known: {error}"));
        self.trouble("measuring", trouble);
    }

    /// What came of something; a failure is a trouble.
    fn if_well<T>(&mut self, about: &'static str, result: Result<T, ProfileError>) -> Option<T> {
        let (value, trouble) = match result {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(error.to_string())),
        };
        self.trouble(about, trouble);
        value
    }

    /// What the programs tell of themselves; `None`: they are not loaded.
    pub fn profiler(&self) -> Option<&Profiler> {
        self.loaded.as_ref().map(|loaded| &loaded.profiler)
    }

    /// Living processes by subject.
    pub fn processes(&self) -> BTreeMap<Subject, u64> {
        let mut found = BTreeMap::new();
        let Some(loaded) = &self.loaded else {
            return found;
        };
        for (slot, count) in loaded.profiler.processes().unwrap_or_default() {
            if let Some(slot) = loaded.ledger.slot(slot) {
                *found.entry(slot.subject.clone()).or_default() += count;
            }
        }
        found
    }

    pub fn store(&self) -> &Store {
        &self.store
    }
}
