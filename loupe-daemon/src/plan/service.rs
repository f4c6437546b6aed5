//! The profiles of one name (a unit, a container, a cgroup) taken together: one for each executable
//! and each of its versions. Sums up what is there; estimates nothing.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::feature::Feature;
use loupe_common::profile::{
    FeatureUse, Interval, Maturity, Observation, Profile, ProfileLost, SubjectKind,
};

/// What systemd runs of its own in a unit, before the service: between fork and exec.
const MANAGERS: [&str; 2] = ["/systemd/systemd-executor", "/systemd/systemd"];

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Service<'a> {
    pub kind: SubjectKind,
    pub name: &'a str,
    /// The one with the most calls first.
    pub profiles: Vec<&'a Profile>,
}

impl<'a> Service<'a> {
    /// Everything that there are profiles of, by name.
    pub fn all(profiles: &'a [Profile]) -> Vec<Service<'a>> {
        let mut by_name: BTreeMap<(&str, SubjectKind), Vec<&Profile>> = BTreeMap::new();
        for profile in profiles {
            let subject = &profile.subject;
            by_name
                .entry((&subject.name, subject.kind))
                .or_default()
                .push(profile);
        }
        by_name
            .into_iter()
            .map(|((name, kind), mut profiles)| {
                profiles.sort_by_key(|profile| std::cmp::Reverse(calls(profile)));
                Service {
                    kind,
                    name,
                    profiles,
                }
            })
            .collect()
    }

    /// The newest version of each executable.
    pub fn current(&self) -> Vec<&'a Profile> {
        let age = |profile: &Profile| {
            let observation = &profile.observation;
            (observation.until_ms, observation.from_ms)
        };
        let is_newest = |profile: &&&Profile| {
            let path = &profile.subject.executable.path;
            let mut same = self
                .profiles
                .iter()
                .filter(|other| other.subject.executable.path == *path);
            same.all(|other| age(other) <= age(profile))
        };
        self.profiles.iter().filter(is_newest).copied().collect()
    }

    /// Without what the service manager does before it starts a service; where that is all there is
    /// (`user@.service`), it is the service.
    pub fn own(&self) -> Vec<&'a Profile> {
        let is_managers = |profile: &Profile| {
            let path = &profile.subject.executable.path;
            self.kind == SubjectKind::Unit && is_managers(path)
        };
        let all = self.profiles.iter().copied();
        let own: Vec<&Profile> = all.filter(|profile| !is_managers(profile)).collect();
        match own.is_empty() {
            true => self.profiles.clone(),
            false => own,
        }
    }

    /// What any of its executables was seen to use: syscalls, operations of io_uring,
    /// pseudo-files.
    pub fn features(&self) -> BTreeSet<&'a Feature> {
        features_of(&self.profiles)
    }

    /// The same by operations; flags are none.
    pub fn operations(&self) -> BTreeSet<&'a Feature> {
        let all = self.profiles.iter().flat_map(|profile| &profile.operations);
        all.map(|used| &used.feature)
            .filter(|feature| feature.kind() == "operation")
            .collect()
    }

    /// The operations of those syscalls of which every call of its own was counted as one.
    pub fn operations_in_full(&self) -> BTreeSet<&'a Feature> {
        let own = self.own();
        let calls_of = |uses: &[FeatureUse], is: &dyn Fn(&Feature) -> bool| -> u64 {
            let uses = uses.iter().filter(|used| is(&used.feature));
            uses.map(|used| used.counts.calls).sum()
        };
        let is_in_full = |whole: &Feature| {
            own.iter().all(|profile| {
                let parts = calls_of(&profile.operations, &|part| {
                    part.kind() == "operation" && part.parent().as_ref() == Some(whole)
                });
                parts == calls_of(&profile.features, &|feature| feature == whole)
            })
        };
        let all = own.iter().flat_map(|profile| &profile.operations);
        all.map(|used| &used.feature)
            .filter(|part| part.kind() == "operation")
            .filter(|part| part.parent().is_some_and(|whole| is_in_full(&whole)))
            .collect()
    }

    /// When it was observed, at least.
    pub fn observation(&self) -> Observation {
        observed_together(self.profiles.iter().map(|profile| &profile.observation))
    }

    /// It is learning while the newest version of any executable is.
    pub fn maturity(&self) -> Maturity {
        let mut since = 0;
        for profile in self.current() {
            match profile.maturity {
                Maturity::Learning => return Maturity::Learning,
                Maturity::Stable { since_ms } => since = since.max(since_ms),
            }
        }
        Maturity::Stable { since_ms: since }
    }

    pub fn lost(&self) -> ProfileLost {
        let mut sum = ProfileLost::default();
        for profile in &self.profiles {
            sum += profile.lost;
        }
        sum
    }
}

/// Whether an executable of a unit is the service manager's, before it becomes the service.
pub fn is_managers(path: &str) -> bool {
    MANAGERS.iter().any(|end| path.ends_with(end))
}

/// Every feature of these profiles.
pub fn features_of<'a>(profiles: &[&'a Profile]) -> BTreeSet<&'a Feature> {
    let all = profiles.iter().flat_map(|profile| &profile.features);
    all.map(|used| &used.feature).collect()
}

/// All calls of native syscalls.
pub fn calls(profile: &Profile) -> u64 {
    let all = profile.features.iter();
    all.filter(|used| used.feature.is_syscall())
        .map(|used| used.counts.calls)
        .sum()
}

/// When any of these was observed, at least. Executables of one unit that run side by side are observed
/// at the same time, so that only times of those count which follow each other, such as two versions.
pub fn observed_together<'a>(all: impl Iterator<Item = &'a Observation> + Clone) -> Observation {
    let mut chain: Vec<&Observation> = longest_chain(all.clone().collect());
    chain.sort_by_key(|observation| observation.from_ms);
    let gaps: Vec<Interval> = chain
        .iter()
        .flat_map(|observation| observation.gaps.iter().copied())
        .collect();
    Observation {
        from_ms: all.clone().map(|one| one.from_ms).min().unwrap_or(0),
        until_ms: all.map(|one| one.until_ms).max().unwrap_or(0),
        observed_ms: chain.iter().map(|one| one.observed_ms).sum(),
        gaps,
    }
}

/// Of times that may overlap, those that do not and in which the most was observed: weighted
/// interval scheduling, by what the times that end before each can have at best.
fn longest_chain(mut all: Vec<&Observation>) -> Vec<&Observation> {
    all.sort_by_key(|one| one.until_ms);
    let before: Vec<usize> = all
        .iter()
        .map(|one| all.partition_point(|other| other.until_ms <= one.from_ms))
        .enumerate()
        // A time without length ends where it begins, and does not follow itself.
        .map(|(at, before)| before.min(at))
        .collect();
    let mut best = vec![0_u64];
    for (at, one) in all.iter().enumerate() {
        best.push(best[at].max(best[before[at]] + one.observed_ms));
    }
    let mut chosen = Vec::new();
    let mut at = all.len();
    while at > 0 {
        if best[at] == best[at - 1] {
            at -= 1;
        } else {
            chosen.push(all[at - 1]);
            at = before[at - 1];
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::super::samples::{DAY_MS, NGINX, SYSTEMD, profile, version};
    use super::*;

    #[test]
    fn executables_and_versions_of_one_name_are_taken_together() {
        let mut old = version(profile("nginx.service", NGINX, &[("read", 5)]), "1.22");
        old.observation.until_ms = 7 * DAY_MS;
        let mut new = version(
            profile("nginx.service", NGINX, &[("read", 9), ("sendfile", 1)]),
            "1.26",
        );
        new.observation.from_ms = 7 * DAY_MS;
        new.maturity = Maturity::Learning;
        let start = profile("nginx.service", SYSTEMD, &[("prctl", 2)]);
        let all = [start, old, new, profile("a.service", "/a", &[])];
        let services = Service::all(&all);
        let names: Vec<&str> = services.iter().map(|service| service.name).collect();
        assert_eq!(names, ["a.service", "nginx.service"]);
        let nginx = &services[1];
        assert_eq!(nginx.profiles.len(), 3);
        assert_eq!(nginx.current(), [&all[2], &all[0]]);
        assert_eq!(nginx.own(), [&all[2], &all[1]]);
        assert_eq!(nginx.features().len(), 3);
        assert_eq!(nginx.maturity(), Maturity::Learning);
    }

    #[test]
    fn what_the_manager_does_is_the_services_where_there_is_nothing_else() {
        let all = [profile("user@.service", SYSTEMD, &[("read", 1)])];
        assert_eq!(Service::all(&all)[0].own(), [&all[0]]);
    }

    #[test]
    fn times_of_executables_that_run_side_by_side_are_not_added_up() {
        let time = |from_ms, until_ms, observed_ms| Observation {
            from_ms,
            until_ms,
            observed_ms,
            gaps: Vec::new(),
        };
        let observed = |times: &[Observation]| -> u64 {
            let chain = longest_chain(times.iter().collect());
            chain.iter().map(|one| one.observed_ms).sum()
        };
        assert_eq!(observed(&[]), 0);
        assert_eq!(observed(&[time(0, 10, 8), time(2, 9, 7)]), 8);
        assert_eq!(observed(&[time(0, 5, 4), time(5, 10, 5)]), 9);
        assert_eq!(
            observed(&[time(0, 5, 4), time(4, 10, 6), time(5, 10, 1)]),
            6
        );
        assert_eq!(observed(&[time(3, 3, 0), time(3, 3, 1)]), 1);
    }
}
