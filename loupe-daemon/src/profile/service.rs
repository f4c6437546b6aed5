//! The service in the daemon: the threads that drive the observer, and the answers to clients. What
//! is observed, and how, is the observer's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use loupe_common::profile::{
    Profile, ProfileAnswer, ProfileEvent, ProfileLost, ProfileRequest, ProfileStatus, SubjectKind,
    SubjectStatus, Target, TargetStatus,
};
use tokio::sync::{mpsc, watch};

use super::marks::Marks;
use super::observer::{EVENTS_AT_ONCE, Observer};
use super::pinning::Pinning;
use super::rounds::Rounds;
use super::tally::SyscallCalls;
use super::targets::{TargetError, settle};
use super::{Access, ProfileError, Settings, hierarchy};
use crate::lock;
use crate::now_ms;
use crate::store::{ProfileQuery, Store};
use crate::tracer::profiler::ProfilerEvent;

/// How long an answer waits for what the kernel has told to be heard: on a busy host that is much,
/// and it is heard by a thread like others.
const SETTLING: Duration = Duration::from_secs(10);

/// See the module. Ends when it is dropped: what was counted is in the store then, and nothing of it
/// is left in the kernel but what is pinned for the next process.
pub struct Service {
    shared: Arc<Shared>,
    driver: Option<JoinHandle<()>>,
}

struct Shared {
    observer: Mutex<Observer>,
    rounds: Rounds,
    /// Takes in what the in-kernel programs tell, while they are loaded.
    hearing: Mutex<Option<JoinHandle<()>>>,
    summary: watch::Sender<String>,
    /// How far what they tell was taken in.
    marks: Marks,
}

/// What metrics are made of.
#[derive(Clone, Debug)]
pub struct Readings {
    pub status: ProfileStatus,
    /// Calls since the daemon's start, by what they are of.
    pub syscalls: BTreeMap<(SubjectKind, String), SyscallCalls>,
}

/// Why a client is refused.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("only root and members of the group `loupe-profile` may say what is watched")]
    Rights,
    #[error("what happens is told as it happens, not in one answer")]
    Stream,
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

impl Service {
    pub fn start(
        store: Arc<Store>,
        settings: Settings,
        pinning: Pinning,
    ) -> Result<Service, ProfileError> {
        let mut observer = Observer::new(store, settings, pinning)?;
        let events = observer.apply();
        let shared = Arc::new(Shared {
            observer: Mutex::new(observer),
            rounds: Rounds::default(),
            hearing: Mutex::default(),
            summary: watch::Sender::default(),
            marks: Marks::default(),
        });
        match events {
            Ok(events) => shared.listen(events)?,
            // The daemon has other work as well; status tells of this.
            Err(error) => lock(&shared.observer).trouble("observing", Some(error.to_string())),
        }
        let driven = Arc::clone(&shared);
        let driver = thread::Builder::new()
            .name("profile".to_owned())
            .spawn(move || driven.rounds.go(|| driven.work()))
            .map_err(ProfileError::Thread)?;
        Ok(Service {
            shared,
            driver: Some(driver),
        })
    }

    /// Another configuration is in force from now on.
    pub fn configure(&self, settings: Settings) -> Result<(), ProfileError> {
        self.shared.settle();
        let events = lock(&self.shared.observer).configure(settings)?;
        self.shared.listen(events)?;
        self.shared.rounds.hurry();
        Ok(())
    }

    /// Whether both of its threads are alive. Has the driver go round once, and waits for that, but
    /// no longer than this.
    pub fn goes_on(&self, within: Duration) -> bool {
        let is_driven = self
            .driver
            .as_ref()
            .is_some_and(|driver| !driver.is_finished());
        is_driven && self.shared.rounds.come_round(within) && self.shared.hears()
    }

    /// One line on what is going on, whenever that changes.
    pub fn summary(&self) -> watch::Receiver<String> {
        self.shared.summary.subscribe()
    }

    /// All that there is to measure now; syscalls only where they are asked for.
    pub fn readings(&self, with_syscalls: bool) -> Result<Readings, ProfileError> {
        let status = self.status(Access::Everything)?;
        let observer = lock(&self.shared.observer);
        let owners = observer.tally.owners().filter(|_| with_syscalls);
        let syscalls = owners
            .map(|(kind, name, calls)| ((kind, name.to_owned()), calls.clone()))
            .collect();
        Ok(Readings { status, syscalls })
    }

    pub fn answer(
        &self,
        access: Access,
        request: ProfileRequest,
    ) -> Result<ProfileAnswer, AskError> {
        let answer = match request {
            ProfileRequest::Add { targets } => self.add(access, targets)?,
            ProfileRequest::Remove { targets } => self.remove(access, targets)?,
            ProfileRequest::Status => ProfileAnswer::Status(Box::new(self.status(access)?)),
            ProfileRequest::Show { name, since_ms } => ProfileAnswer::Profiles {
                profiles: self.profiles(access, name, since_ms)?,
            },
            ProfileRequest::Watch { .. } => return Err(AskError::Stream),
        };
        Ok(answer)
    }

    /// What happens from now on.
    pub fn watch(&self, access: Access, name: Option<String>) -> mpsc::Receiver<ProfileEvent> {
        lock(&self.shared.observer).watchers.add(access, name)
    }

    fn add(&self, access: Access, targets: Vec<Target>) -> Result<ProfileAnswer, AskError> {
        if access != Access::Everything {
            return Err(AskError::Rights);
        }
        let tree = hierarchy()?;
        let targets: Vec<Target> = targets
            .into_iter()
            .map(|target| settle(target, &tree))
            .collect::<Result<_, _>>()?;
        let events = {
            let mut observer = lock(&self.shared.observer);
            let events = observer.add(&targets)?;
            observer.trouble("observing", None);
            events
        };
        self.shared.listen(events)?;
        self.shared.rounds.hurry();
        Ok(self.told(&targets))
    }

    fn remove(&self, access: Access, targets: Vec<Target>) -> Result<ProfileAnswer, AskError> {
        if access != Access::Everything {
            return Err(AskError::Rights);
        }
        let tree = hierarchy()?;
        let was = lock(&self.shared.observer).targets();
        let mut found = Vec::new();
        for target in targets {
            // What is gone can be given up by the words that it was asked for with.
            let target = settle(target.clone(), &tree).unwrap_or(target);
            found.extend(was.iter().filter(|(known, _)| *known == target).cloned());
        }
        let added: Vec<Target> = found
            .iter()
            .filter(|(_, configured)| !configured)
            .map(|(target, _)| target.clone())
            .collect();
        self.shared.settle();
        let events = lock(&self.shared.observer).remove(&added)?;
        self.shared.listen(events)?;
        self.shared.rounds.hurry();
        Ok(ProfileAnswer::Targets {
            targets: found
                .into_iter()
                .map(|(target, configured)| TargetStatus {
                    target,
                    configured,
                    cgroups: 0,
                })
                .collect(),
        })
    }

    fn told(&self, targets: &[Target]) -> ProfileAnswer {
        let observer = lock(&self.shared.observer);
        let all = target_statuses(&observer);
        let asked = all
            .into_iter()
            .filter(|status| targets.contains(&status.target));
        ProfileAnswer::Targets {
            targets: asked.collect(),
        }
    }

    /// How the service is doing.
    pub fn status(&self, access: Access) -> Result<ProfileStatus, ProfileError> {
        self.shared.settle();
        let mut observer = lock(&self.shared.observer);
        observer.record();
        let query = ProfileQuery {
            owner: owner(access),
            ..ProfileQuery::default()
        };
        let summaries = observer.store().profile_summaries(&query, now_ms())?;
        let processes = observer.processes();
        let mut lost = ProfileLost::default();
        for summary in &summaries {
            lost += summary.lost;
        }
        let subjects = summaries.into_iter().map(|summary| SubjectStatus {
            features: summary.features,
            calls: summary.calls,
            calls_per_second: observer.rates.get(&summary.subject).copied().unwrap_or(0.0),
            new_last_hour: summary.new_last_hour,
            maturity: summary.maturity,
            observation: summary.observation,
            lost: summary.lost,
            processes: processes.get(&summary.subject).copied().unwrap_or(0),
            subject: summary.subject,
        });
        Ok(ProfileStatus {
            since_ms: observer.since_ms,
            targets: target_statuses(&observer),
            subjects: subjects.collect(),
            duty: observer.duty.part(),
            duty_measured: observer.duty.is_measured(),
            attached: observer.is_attached(),
            overhead: observer.duty.cost(),
            lost,
            store_bytes: observer.store().bytes()?,
            troubles: observer.troubles(),
            fleet: None,
        })
    }

    fn profiles(
        &self,
        access: Access,
        name: Option<String>,
        since_ms: Option<u64>,
    ) -> Result<Vec<Profile>, ProfileError> {
        self.shared.settle();
        let mut observer = lock(&self.shared.observer);
        observer.record();
        let query = ProfileQuery {
            owner: owner(access),
            name,
            since_ms,
        };
        Ok(observer.store().profiles(&query)?)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shared.rounds.stop();
        if let Some(driver) = self.driver.take()
            && driver.join().is_err()
        {
            tracing::error!("the thread that observes has panicked");
        }
        self.shared.settle();
        lock(&self.shared.observer).end();
    }
}

impl Shared {
    /// Does what is due; returns when to come again.
    fn work(&self) -> Duration {
        let mut observer = lock(&self.observer);
        let next = observer.work();
        let summary = observer.summary();
        drop(observer);
        self.summary.send_if_modified(|told| {
            let is_new = *told != summary;
            *told = summary;
            is_new
        });
        next
    }

    /// Whether somebody takes in what the in-kernel programs tell, if they are loaded. Between a load
    /// and the start of its thread, this is not so for a moment.
    fn hears(&self) -> bool {
        let is_loaded = lock(&self.observer).owners().is_some();
        let hearing = lock(&self.hearing);
        !is_loaded || hearing.as_ref().is_some_and(|it| !it.is_finished())
    }

    /// Waits until all is heard that tells whose the counts until now are.
    fn settle(&self) {
        let all_heard = self.hear_all();
        lock(&self.observer).trouble(
            "the newest counts",
            (!all_heard).then(|| {
                let seconds = SETTLING.as_secs();
                format!("what the kernel tells is heard more than {seconds} s late: answers lack the newest counts")
            }),
        );
    }

    /// Waits until everything is heard that was told before; `false`: it takes too long.
    fn hear_all(&self) -> bool {
        let begin = Instant::now();
        let mark = loop {
            let mut observer = lock(&self.observer);
            // What is pinned is not taken out of the kernel before it is heard.
            observer.hear_pinned();
            let unpinned = observer.profiler().filter(|_| observer.pinned().is_none());
            let Some(profiler) = unpinned.cloned() else {
                return true;
            };
            drop(observer);
            if let Some(mark) = profiler.mark() {
                break mark;
            }
            if begin.elapsed() > SETTLING {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        };
        self.marks.wait(mark, SETTLING)
    }

    /// Has a thread take in what the in-kernel programs tell, until they are gone.
    fn listen(
        self: &Arc<Self>,
        events: Option<mpsc::Receiver<ProfilerEvent>>,
    ) -> Result<(), ProfileError> {
        let Some(mut events) = events else {
            return Ok(());
        };
        let shared = Arc::clone(self);
        let pinned = lock(&self.observer).pinned();
        // What was told while nobody was there comes before the first reading.
        lock(&self.observer).hear_pinned();
        let listen = move || {
            if let Some(profiler) = pinned {
                while profiler.wait_for_events() {
                    lock(&shared.observer).hear_pinned();
                    shared.rounds.hurry();
                }
                return;
            }
            let mut batch = Vec::new();
            while events.blocking_recv_many(&mut batch, EVENTS_AT_ONCE) > 0 {
                let marks = batch.iter().filter_map(|event| match event {
                    ProfilerEvent::Mark(mark) => Some(*mark),
                    _ => None,
                });
                let mark = marks.max();
                lock(&shared.observer).hear_all(batch.drain(..));
                if let Some(mark) = mark {
                    shared.marks.hear(mark);
                }
                shared.rounds.hurry();
            }
        };
        let hearing = thread::Builder::new()
            .name("profile-events".to_owned())
            .spawn(listen)
            .map_err(ProfileError::Thread)?;
        *lock(&self.hearing) = Some(hearing);
        Ok(())
    }
}

fn target_statuses(observer: &Observer) -> Vec<TargetStatus> {
    let count = |target: &Target| observer.owners().map_or(0, |owners| owners.count(target));
    observer
        .targets()
        .into_iter()
        .map(|(target, configured)| TargetStatus {
            cgroups: count(&target),
            target,
            configured,
        })
        .collect()
}

fn owner(access: Access) -> Option<u32> {
    match access {
        Access::Everything => None,
        Access::Own(uid) => Some(uid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_as_long_as_its_driver_comes_round() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&directory.path().join("loupe.db")).expect("a database");
        // Nothing is watched, so nothing of the kernel is needed.
        let service = Service::start(Arc::new(store), Settings::default(), Pinning::default())
            .expect("started");
        let (long, short) = (Duration::from_secs(600), Duration::from_millis(20));
        assert!(service.goes_on(long) && service.goes_on(long));
        let held = lock(&service.shared.observer);
        assert!(!service.goes_on(short), "somebody holds what it works on");
        drop(held);
        assert!(service.goes_on(long), "and lets it go");
        assert_eq!(*service.summary().borrow(), "");

        service.shared.rounds.stop();
        while service.driver.as_ref().is_some_and(|it| !it.is_finished()) {
            thread::yield_now();
        }
        assert!(!service.goes_on(long), "it has ended");
    }
}
