//! What the in-kernel programs tell, taken in: cgroups that come and go, slots that are opened, first
//! uses. Counts nothing; that is read from the maps.

use std::time::Duration;

use loupe_common::profile::Subject;

use super::{EVENTS_AT_ONCE, Observer, RECORD_NEWS_AFTER};
use crate::now_ms;
use crate::profile::ProfileError;
use crate::profile::pinning;
use crate::store::Kept;
use crate::tracer::profiler::ProfilerEvent;

impl Observer {
    /// Takes in what pinned programs have told. Nothing is taken out of the kernel before this is
    /// there to hear it, so that a process that is killed leaves it to the next one.
    pub fn hear_pinned(&mut self) {
        let left = std::mem::take(&mut self.left);
        if !left.is_empty() {
            self.hear_all(left.into_iter());
        }
        while let Some(loaded) = &mut self.loaded
            && loaded.is_pinned()
        {
            let events = loaded.profiler.take_events(EVENTS_AT_ONCE);
            if events.is_empty() {
                return;
            }
            let kept = loaded.kept_heard(&events);
            self.keep("what is told", kept);
            self.hear_all(events.into_iter());
        }
    }

    /// Takes in what the in-kernel programs tell, in their order.
    pub fn hear_all(&mut self, events: impl Iterator<Item = ProfilerEvent>) {
        for event in events {
            self.hear(event);
        }
        // Whose they are, is told once.
        let Some(loaded) = &mut self.loaded else {
            return;
        };
        let kept = loaded.kept_new();
        self.keep("new slots", kept);
    }

    fn keep(&mut self, about: &'static str, kept: Result<Option<Kept>, ProfileError>) {
        let kept = match kept {
            Ok(Some(kept)) => self.store.keep_profile(&kept).map_err(ProfileError::from),
            other => other.map(drop),
        };
        self.if_well(about, kept);
    }

    fn hear(&mut self, event: ProfilerEvent) {
        let attached = self.attached_so_far();
        let now = self.now();
        // All targets are gone through only where a cgroup is new.
        let wanted = match event {
            ProfilerEvent::CgroupMade { .. } => self.wanted(),
            _ => Vec::new(),
        };
        let Some(loaded) = &mut self.loaded else {
            return;
        };
        match event {
            ProfilerEvent::CgroupMade {
                id,
                parent,
                owner,
                watch,
                name,
            } => {
                let made = loaded.owners.made(
                    &loaded.profiler,
                    &wanted,
                    (id, parent, &name),
                    owner.zip(watch),
                );
                let trouble = made
                    .err()
                    .map(|error| format!("`{name}` is not watched: {error}"));
                self.trouble("new cgroups", trouble);
            }
            ProfilerEvent::Mark(_) => {}
            ProfilerEvent::CgroupGone { id } => loaded.owners.gone(id),
            ProfilerEvent::SlotOpened(opened) => {
                let whose = loaded.owners.whose(opened.owner);
                let Some((owner, whose)) = whose else {
                    // Nobody asked for its owner: it was counted before that was clear.
                    if let Err(error) = loaded.profiler.close_slots(&[opened.slot]) {
                        tracing::warn!("cannot close a slot: {error}");
                    }
                    return;
                };
                let subject = Subject {
                    kind: whose.kind,
                    name: whose.name.clone(),
                    executable: self.executables.of(&opened),
                    uid: whose.uid,
                };
                // It may have been told to nobody for a while.
                let late =
                    Duration::from_nanos(pinning::monotonic_ns().saturating_sub(opened.at_ns));
                let window = loaded.window.as_ref();
                let late = late.min(window.map_or(Duration::ZERO, |(_, since)| since.elapsed()));
                let attached = attached.saturating_sub(late);
                loaded.ledger.open(opened.slot, owner, subject, attached);
                loaded.opened(opened.slot);
                // Room for those that come and go quickly.
                if loaded.ledger.len() as u32 > loaded.slots / 2 {
                    self.next_read = Duration::ZERO;
                }
                self.duty.boost(now);
            }
            ProfilerEvent::FirstSeen {
                slot,
                feature,
                at_ns,
            } => {
                loaded.ledger.first_seen(slot, feature, epoch_ms(at_ns));
                self.next_record = self.next_record.min(now + RECORD_NEWS_AFTER);
                self.next_read = self.next_read.min(now + RECORD_NEWS_AFTER);
            }
        }
    }
}

/// A moment of the kernel's clock that nobody sets, by the clock of the host.
fn epoch_ms(monotonic_ns: u64) -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    let ago = now.map_or(Duration::ZERO, |now| {
        Duration::from(now).saturating_sub(Duration::from_nanos(monotonic_ns))
    });
    now_ms().saturating_sub(ago.as_millis() as u64)
}
