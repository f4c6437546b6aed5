//! What was counted, from the maps to the store and to whoever watches.

use loupe_common::profile::{Happening, ProfileEvent};

use super::{Observer, READ_EVERY};
use crate::now_ms;
use crate::profile::loaded::Loaded;
use crate::profile::outbox;

impl Observer {
    /// Takes what was counted since the last reading.
    pub fn read(&mut self) {
        let attached = self.attached_so_far();
        let now = self.now();
        let Some(loaded) = &mut self.loaded else {
            return;
        };
        let read = loaded.read(attached, now);
        self.next_read = now + READ_EVERY;
        let trouble = read
            .err()
            .map(|error| format!("the counts cannot be read: {error}"));
        self.trouble("reading", trouble);
    }

    /// Takes what was counted until now, and hands it to the store; what that refuses stays here.
    pub fn record(&mut self) {
        // A batch, and what is kept for the next process, is of one moment.
        self.read();
        let kept = self.loaded.as_mut().map_or(Ok(None), Loaded::kept);
        // What is counted, and up to where, is recorded together or not at all.
        if let Some(kept) = self.if_well("what is pinned", kept) {
            let loaded = self.loaded.as_mut();
            let deltas = loaded.map_or_else(Vec::new, |loaded| loaded.ledger.take_pending());
            self.rates = outbox::rates(&deltas, &self.rates);
            self.tally.add(&deltas);
            self.outbox.put(deltas, kept, now_ms());
        }
        let (events, refused) = self.outbox.send(&self.store);
        if self.outbox.is_empty() {
            self.pinning.has_recorded();
            let freed = self.loaded.as_mut().map_or(Ok(()), Loaded::recorded);
            self.if_well("slots", freed);
        }
        let refused = refused.map(|error| {
            format!("what was observed cannot be kept now, and is kept in memory: {error}")
        });
        self.trouble("recording", refused);
        for event in &events {
            log(event);
        }
        if events.iter().any(|event| event.what != Happening::Stable) {
            self.duty.boost(self.now());
        }
        self.watchers.tell(&events);
    }
}

fn log(event: &ProfileEvent) {
    let subject = &event.subject;
    let (name, path) = (&subject.name, &subject.executable.path);
    match &event.what {
        Happening::FirstSeen { .. } => {}
        Happening::Drift {
            feature,
            before,
            now,
        } => tracing::warn!(
            unit = name,
            executable = path,
            feature = %feature,
            before = before.as_deref(),
            now = now.as_deref(),
            "a stable profile has a new feature"
        ),
        Happening::Stable => tracing::info!(unit = name, executable = path, "a profile is stable"),
    }
}
