//! What a host has to tell beyond what it has told, and several of its bundles as one. Pure.
//!
//! Whoever merges a bundle and then a delta has what the later bundle says: joining is a semilattice,
//! so a delta that comes twice, late, or together with another one changes nothing else.

use std::collections::BTreeMap;

use super::bundle::{Bundle, FleetSubject, Host, schema};
use super::lattice::{Member, join_hosts};

/// What a host knows of its subjects.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub host: Host,
    members: BTreeMap<FleetSubject, Member>,
}

impl Known {
    pub fn of(bundle: &Bundle) -> Known {
        let mut known = Known {
            host: bundle.host.clone(),
            members: BTreeMap::new(),
        };
        known.join(bundle);
        known
    }

    /// Of the same host.
    pub fn join(&mut self, bundle: &Bundle) {
        self.host = join_hosts(Some(self.host.clone()), &bundle.host);
        for told in &bundle.subjects {
            // Both are there: a bundle is checked when it is read.
            if let (Some(set), Some(calendar)) = (
                bundle.sets.get(&told.set),
                bundle.calendars.get(&told.calendar),
            ) {
                let member = Member::told(told, set, calendar);
                let known = self.members.entry(told.subject.clone()).or_default();
                known.join(member);
            }
        }
    }

    /// In bundles of so many subjects at most; at least one, which then tells of the host only.
    pub fn bundles(&self, subjects: usize) -> Vec<Bundle> {
        let mut bundles = vec![empty(&self.host)];
        for (subject, member) in &self.members {
            if bundles
                .last()
                .is_some_and(|it| it.subjects.len() == subjects)
            {
                bundles.push(empty(&self.host));
            }
            if let Some(last) = bundles.last_mut() {
                last.tell(subject.clone(), member.clone());
            }
        }
        bundles
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What this says beyond what was told. Where a subject only went on being observed, that is left
    /// for another time unless it is asked for.
    pub fn beyond(&self, told: Option<&Known>, with_times: bool) -> Known {
        let nothing = Member::default();
        let news = self.members.iter().filter_map(|(subject, member)| {
            let known = told.and_then(|told| told.members.get(subject));
            if let Some(known) = known.filter(|_| !with_times)
                && member.only_goes_on(known)
            {
                return None;
            }
            let delta = member.beyond(known.unwrap_or(&nothing))?;
            Some((subject.clone(), delta))
        });
        Known {
            members: news.collect(),
            host: self.host.clone(),
        }
    }
}

fn empty(host: &Host) -> Bundle {
    Bundle {
        schema: schema(),
        host: host.clone(),
        sets: BTreeMap::new(),
        calendars: BTreeMap::new(),
        subjects: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bundle, member, subject};
    use super::*;

    fn known(last: u32, features: &[(&str, u32)]) -> Known {
        let one = (subject("a.service", "a", "1"), member(5, last, features));
        Known::of(&bundle(1, 1, vec![one]))
    }

    #[test]
    fn a_delta_holds_only_what_is_new() {
        let before = known(9, &[("read", 5), ("write", 5)]);
        let after = known(9, &[("read", 5), ("write", 5), ("futex", 8)]);
        let delta = after.beyond(Some(&before), false);
        let [bundle] = &delta.bundles(10)[..] else {
            panic!("one bundle");
        };
        let sets: Vec<_> = bundle.sets.values().flatten().collect();
        assert_eq!(sets, ["futex"]);
        assert_eq!(bundle.subjects[0].later.len(), 1);
        let mut joined = before.clone();
        joined.join(bundle);
        assert_eq!(joined, after);
    }

    #[test]
    fn time_that_goes_by_is_told_only_when_asked_for() {
        let before = known(9, &[("read", 5)]);
        let after = known(11, &[("read", 5)]);
        assert!(after.beyond(Some(&before), false).is_empty());
        assert!(!after.beyond(Some(&before), true).is_empty());
        assert!(after.beyond(Some(&after), true).is_empty());
        assert!(!after.beyond(None, false).is_empty());
    }

    #[test]
    fn many_subjects_are_told_in_pieces() {
        let names: Vec<String> = (0..7).map(|at| format!("u{at}.service")).collect();
        let all = names.iter().map(|name| {
            let one = subject(name, "a", "1");
            (one, member(1, 2, &[("read", 1)]))
        });
        let known = Known::of(&bundle(1, 1, all.collect()));
        let pieces = known.bundles(3);
        let sizes: Vec<usize> = pieces.iter().map(|it| it.subjects.len()).collect();
        assert_eq!(sizes, [3, 3, 1]);
        let mut joined = Known::of(&pieces[2]);
        joined.join(&pieces[0]);
        joined.join(&pieces[1]);
        assert_eq!(joined, known);
    }
}
