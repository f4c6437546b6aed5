//! How often each syscall was called since the start, by whose it is: for metrics, which are read
//! every few seconds. The store has the same by the hour, and would have to add it up each time.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::profile::SubjectKind;
use loupe_common::syscalls::Syscall;

use crate::store::SubjectDelta;

/// What is remembered at most; of more than that the one that did nothing for the longest time is
/// forgotten, and begins anew. Far more than a host has units.
const MOST_OWNERS: usize = 1000;

/// Calls by syscall, of one unit, container or cgroup.
pub type SyscallCalls = BTreeMap<Syscall, u64>;

/// See the module.
#[derive(Debug, Default)]
pub struct Tally {
    owners: BTreeMap<(SubjectKind, String), Counted>,
    /// Grows with each batch.
    batch: u64,
}

#[derive(Debug, Default)]
struct Counted {
    calls: SyscallCalls,
    /// The last batch in which it called something.
    last: u64,
}

impl Tally {
    /// Adds what was counted since the last time.
    pub fn add(&mut self, deltas: &[SubjectDelta]) {
        self.batch += 1;
        for delta in deltas {
            let called = delta
                .calls
                .iter()
                .filter_map(|(feature, counts)| match feature {
                    Feature::Syscall(syscall) if counts.calls > 0 => Some((*syscall, counts.calls)),
                    _ => None,
                });
            let mut called = called.peekable();
            if called.peek().is_none() {
                continue;
            }
            let key = (delta.subject.kind, delta.subject.name.clone());
            let counted = self.owners.entry(key).or_default();
            counted.last = self.batch;
            for (syscall, calls) in called {
                *counted.calls.entry(syscall).or_default() += calls;
            }
        }
        self.forget();
    }

    fn forget(&mut self) {
        while self.owners.len() > MOST_OWNERS {
            let oldest = self.owners.iter().min_by_key(|(_, counted)| counted.last);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            self.owners.remove(&key);
        }
    }

    pub fn owners(&self) -> impl Iterator<Item = (SubjectKind, &str, &SyscallCalls)> {
        self.owners
            .iter()
            .map(|((kind, name), counted)| (*kind, name.as_str(), &counted.calls))
    }
}

#[cfg(test)]
mod tests {
    use loupe_common::trace::CallCounts;

    use super::*;
    use crate::profile::pending::other;

    fn delta(name: &str, executable: &str, calls: &[(&str, u64)]) -> SubjectDelta {
        let mut subject = other();
        subject.name = name.to_owned();
        subject.executable.path = executable.to_owned();
        let mut delta = SubjectDelta::new(subject);
        for (feature, calls) in calls {
            let counts = CallCounts {
                calls: *calls,
                ..CallCounts::default()
            };
            let feature = feature.parse().expect("a feature");
            delta.calls.insert(feature, counts);
        }
        delta
    }

    fn told(tally: &Tally) -> Vec<(String, Vec<(String, u64)>)> {
        let owners = tally.owners();
        owners
            .map(|(_, name, calls)| {
                let calls = calls.iter();
                let calls = calls.map(|(syscall, calls)| (syscall.to_string(), *calls));
                (name.to_owned(), calls.collect())
            })
            .collect()
    }

    #[test]
    fn executables_of_one_owner_are_added_up_and_only_syscalls_count() {
        let mut tally = Tally::default();
        let first = delta("a.service", "/bin/a", &[("read", 2), ("/proc/stat", 9)]);
        let second = delta("a.service", "/bin/b", &[("read", 3), ("close", 1)]);
        tally.add(&[first.clone(), second]);
        tally.add(&[first, delta("idle.service", "/bin/i", &[("read", 0)])]);
        let calls = vec![("close".to_owned(), 1), ("read".to_owned(), 7)];
        assert_eq!(told(&tally), [("a.service".to_owned(), calls)]);
    }

    #[test]
    fn whoever_did_nothing_for_the_longest_time_is_forgotten() {
        let mut tally = Tally::default();
        tally.add(&[delta("old.service", "/bin/a", &[("read", 1)])]);
        tally.add(&[delta("busy.service", "/bin/a", &[("read", 1)])]);
        for number in 0..MOST_OWNERS {
            let name = format!("run-{number:04}.service");
            tally.add(&[
                delta(&name, "/bin/a", &[("read", 1)]),
                delta("busy.service", "/bin/a", &[("read", 1)]),
            ]);
        }
        let told = told(&tally);
        assert_eq!(told.len(), MOST_OWNERS);
        let of = |name: &str| told.iter().find(|(found, _)| found == name);
        let busy = of("busy.service").expect("it called something each time");
        assert_eq!(busy.1, [("read".to_owned(), MOST_OWNERS as u64 + 1)]);
        assert_eq!(of("old.service"), None);
        assert_eq!(of("run-0000.service"), None);
        assert!(of("run-0001.service").is_some());
    }
}
