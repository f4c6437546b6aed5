//! How what hosts tell is put together: a semilattice. Joining is commutative, associative and
//! idempotent, and everything below it only converts. Pure.

use std::collections::BTreeMap;

use super::bundle::{
    Bundle, Calendar, FeatureSet, FleetSubject, Host, Hour, Told, calendar_name, set_name,
};

/// All that is known of a subject on a host. The default is nothing, which changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// When each feature was first seen.
    pub features: BTreeMap<String, Hour>,
    /// The first and the last hour that it was observed in; `None`: of nothing.
    pub times: Option<(Hour, Hour)>,
    pub magnitude: u8,
    pub calendar: Calendar,
    pub lost: u64,
}

impl Member {
    pub fn join(&mut self, other: Member) {
        for (feature, hour) in other.features {
            let known = self.features.entry(feature).or_insert(hour);
            *known = (*known).min(hour);
        }
        self.times = match (self.times, other.times) {
            (Some((first, last)), Some((other_first, other_last))) => {
                Some((first.min(other_first), last.max(other_last)))
            }
            (one, other) => one.or(other),
        };
        self.magnitude = self.magnitude.max(other.magnitude);
        for (day, ms) in other.calendar {
            let known = self.calendar.entry(day).or_default();
            *known = ms.max(*known);
        }
        self.lost = self.lost.max(other.lost);
    }

    /// The least that whoever knows `known` has to join to know this as well: `known` joined with
    /// either is the same. `None`: nothing.
    pub fn beyond(&self, known: &Member) -> Option<Member> {
        let is_new = |(feature, hour): &(&String, &Hour)| {
            let seen = known.features.get(feature.as_str());
            seen.is_none_or(|seen| seen > *hour)
        };
        let features = self.features.iter().filter(is_new);
        let more =
            |(day, ms): &(&String, &u64)| known.calendar.get(day.as_str()).is_none_or(|k| k < ms);
        let delta = Member {
            features: features.map(|(name, hour)| (name.clone(), *hour)).collect(),
            times: self.times,
            magnitude: self.magnitude,
            calendar: self
                .calendar
                .iter()
                .filter(more)
                .map(|(day, ms)| (day.clone(), *ms))
                .collect(),
            lost: self.lost,
        };
        let mut both = known.clone();
        both.join(delta.clone());
        (both != *known).then_some(delta)
    }

    /// Whether this tells, beyond what is known, only that time has gone by: observed once more,
    /// later, and nothing else.
    pub fn only_goes_on(&self, known: &Member) -> bool {
        let timeless = |member: &Member| Member {
            times: member.times.map(|(first, _)| (first, first)),
            calendar: Calendar::new(),
            ..member.clone()
        };
        timeless(self).beyond(&timeless(known)).is_none()
    }

    /// What a bundle tells, with the set and the calendar that it names.
    pub fn told(told: &Told, set: &FeatureSet, calendar: &Calendar) -> Member {
        let first_seen = |feature: &String| {
            let later = told.later.get(feature).copied();
            (feature.clone(), later.unwrap_or(told.first_hour))
        };
        Member {
            features: set.iter().map(first_seen).collect(),
            times: Some((told.first_hour, told.last_hour)),
            magnitude: told.magnitude,
            calendar: calendar.clone(),
            lost: told.lost,
        }
    }

    pub fn set(&self) -> FeatureSet {
        self.features.keys().cloned().collect()
    }

    /// Features that were not seen in the first hour already.
    pub fn later(&self) -> BTreeMap<String, Hour> {
        let first_hour = self.times.map_or(0, |(first, _)| first);
        let all = self.features.iter().filter(|(_, hour)| **hour > first_hour);
        all.map(|(feature, hour)| (feature.clone(), *hour))
            .collect()
    }
}

/// The host's state is a register: the last writer's, by its own clock, and of two at the same moment
/// always the same one.
pub fn join_hosts(known: Option<Host>, told: &Host) -> Host {
    match known {
        Some(known) if known > *told => known,
        _ => told.clone(),
    }
}

impl Bundle {
    pub fn tell(&mut self, subject: FleetSubject, member: Member) {
        let features = member.set();
        let set = set_name(&features);
        let calendar = calendar_name(&member.calendar);
        let (first_hour, last_hour) = member.times.unwrap_or_default();
        self.subjects.push(Told {
            subject,
            set: set.clone(),
            first_hour,
            last_hour,
            later: member.later(),
            magnitude: member.magnitude,
            calendar: calendar.clone(),
            lost: member.lost,
        });
        self.sets.insert(set, features);
        self.calendars.insert(calendar, member.calendar);
    }
}

/// Milliseconds that were observed in all. A month counts for its own days, whichever says more.
pub fn observed_ms(calendar: &Calendar) -> u64 {
    let mut months: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (day, ms) in calendar {
        let month = day.get(..7).unwrap_or(day);
        let (whole, days) = months.entry(month).or_default();
        match day.len() {
            7 => *whole = *ms,
            _ => *days = days.saturating_add(*ms),
        }
    }
    let all = months.values().map(|(whole, days)| whole.max(days));
    all.fold(0, |sum, ms| sum.saturating_add(*ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_and_its_days_are_not_added_up() {
        let calendar = |days: &[(&str, u64)]| -> Calendar {
            let days = days.iter().map(|(day, ms)| ((*day).to_owned(), *ms));
            days.collect()
        };
        let month = ("2026-08", 10);
        let days = [("2026-08-01", 4), ("2026-08-02", 3), ("2026-11-02", 1)];
        assert_eq!(observed_ms(&calendar(&days)), 8);
        assert_eq!(observed_ms(&calendar(&[month])), 10);
        assert_eq!(
            observed_ms(&calendar(&[month, days[0], days[1], days[2]])),
            11
        );
    }
}
