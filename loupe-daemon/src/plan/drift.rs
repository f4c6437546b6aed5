//! What a service does since a moment that it did not do before, and the other way round. Compares
//! what was observed; what was not observed it says nothing of.

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::profile::{Executable, FeatureUse, Profile, ProfileLost};
use serde::Serialize;

use super::service::Service;

/// A feature that is new.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct New {
    pub feature: Feature,
    /// Path of the executable.
    pub executable: String,
    pub first_seen_ms: u64,
    pub calls: u64,
    /// The executable was seen before that moment in another version, and that did not use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgrade>,
    /// The executable itself is new.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub new_executable: bool,
}

/// From one version of an executable to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
pub struct Upgrade {
    pub before: Executable,
    pub now: Executable,
}

/// A feature that was used before and was not seen since.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Gone {
    pub feature: Feature,
    pub executable: String,
    pub last_seen_ms: u64,
    /// Nothing at all was seen of the executable.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone_executable: bool,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Drift {
    pub schema: &'static str,
    pub name: String,
    pub since_ms: u64,
    /// When the observation began and ended, and how much of it there was.
    pub from_ms: u64,
    pub until_ms: u64,
    /// Of all the time: what was lost since that moment is not known apart.
    pub lost: ProfileLost,
    /// How many features were known before.
    pub known: usize,
    pub new: Vec<New>,
    pub gone: Vec<Gone>,
}

/// Nothing can be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriftError {
    #[error("nothing was observed of {name} before that moment")]
    NothingBefore { name: String, from_ms: u64 },
    #[error("nothing was observed of {name} since that moment")]
    NothingSince { name: String, until_ms: u64 },
}

/// One feature of one executable, whatever its version.
struct Life<'a> {
    first: &'a FeatureUse,
    /// The version that used it first.
    by: &'a Profile,
    last_seen_ms: u64,
    calls: u64,
}

impl Drift {
    /// With `operations`, operations and flags are compared, too.
    pub fn since(
        service: &Service<'_>,
        since_ms: u64,
        operations: bool,
    ) -> Result<Drift, DriftError> {
        let observation = service.observation();
        let name = service.name.to_owned();
        if observation.from_ms >= since_ms || service.profiles.is_empty() {
            let from_ms = observation.from_ms;
            return Err(DriftError::NothingBefore { name, from_ms });
        }
        if observation.until_ms <= since_ms {
            let until_ms = observation.until_ms;
            return Err(DriftError::NothingSince { name, until_ms });
        }
        let mut executables: BTreeMap<&str, Vec<&Profile>> = BTreeMap::new();
        for profile in &service.profiles {
            let path = profile.subject.executable.path.as_str();
            executables.entry(path).or_default().push(profile);
        }
        let mut drift = Drift {
            schema: "loupe.profile-drift/1",
            name,
            since_ms,
            from_ms: observation.from_ms,
            until_ms: observation.until_ms,
            lost: service.lost(),
            known: 0,
            new: Vec::new(),
            gone: Vec::new(),
        };
        for (path, versions) in executables {
            drift.compare(path, &versions, operations);
        }
        Ok(drift)
    }

    fn compare(&mut self, path: &str, versions: &[&Profile], operations: bool) {
        let lives = lives(versions, operations);
        let since = self.since_ms;
        let known = lives.values().filter(|life| life.first_seen_ms() < since);
        let known = known.count();
        self.known += known;
        let seen_since = lives.values().any(|life| life.last_seen_ms >= since);
        for (feature, life) in &lives {
            if life.first_seen_ms() >= since {
                self.new.push(New {
                    feature: (*feature).clone(),
                    executable: path.to_owned(),
                    first_seen_ms: life.first_seen_ms(),
                    calls: life.calls,
                    upgrade: upgrade(life, versions),
                    new_executable: known == 0,
                });
            } else if life.last_seen_ms < since {
                self.gone.push(Gone {
                    feature: (*feature).clone(),
                    executable: path.to_owned(),
                    last_seen_ms: life.last_seen_ms,
                    gone_executable: !seen_since,
                });
            }
        }
    }
}

impl Life<'_> {
    fn first_seen_ms(&self) -> u64 {
        self.first.first_seen_ms
    }
}

fn lives<'a>(versions: &[&'a Profile], operations: bool) -> BTreeMap<&'a Feature, Life<'a>> {
    let mut lives: BTreeMap<&Feature, Life<'_>> = BTreeMap::new();
    for profile in versions {
        let parts = profile.operations.iter().filter(|_| operations);
        for used in profile.features.iter().chain(parts) {
            let life = lives.entry(&used.feature).or_insert(Life {
                first: used,
                by: profile,
                last_seen_ms: 0,
                calls: 0,
            });
            if used.first_seen_ms < life.first.first_seen_ms {
                (life.first, life.by) = (used, profile);
            }
            life.last_seen_ms = life.last_seen_ms.max(used.last_seen_ms);
            life.calls += used.counts.calls;
        }
    }
    lives
}

/// The version that ran before the one that brought a feature.
fn upgrade(life: &Life<'_>, versions: &[&Profile]) -> Option<Upgrade> {
    let now = life.by;
    let earlier = versions.iter().filter(|other| {
        other.subject.executable != now.subject.executable
            && other.observation.from_ms < now.observation.from_ms
    });
    let before = earlier.max_by_key(|other| other.observation.from_ms)?;
    Some(Upgrade {
        before: before.subject.executable.clone(),
        now: now.subject.executable.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{DAY_MS, NGINX, profile, used, version};
    use super::*;

    fn drift(profiles: &[Profile], day: u64) -> Result<Drift, DriftError> {
        Drift::since(&Service::all(profiles)[0], day * DAY_MS, false)
    }

    fn named<T>(rows: &[T], feature: fn(&T) -> &Feature) -> Vec<String> {
        rows.iter().map(|row| feature(row).to_string()).collect()
    }

    #[test]
    fn what_was_first_seen_since_is_new_and_what_was_last_seen_before_is_gone() {
        let mut one = profile("a.service", "/a", &[]);
        one.features = vec![
            used("read", 5, 0, 14 * DAY_MS),
            used("pause", 1, 0, DAY_MS),
            used("sendfile", 2, 8 * DAY_MS, 9 * DAY_MS),
        ];
        one.operations = vec![used("fcntl:F_SETFD", 1, 8 * DAY_MS, 8 * DAY_MS)];
        let drift = drift(&[one.clone()], 7).expect("comparable");
        assert_eq!(named(&drift.new, |new| &new.feature), ["sendfile"]);
        assert_eq!(named(&drift.gone, |gone| &gone.feature), ["pause"]);
        assert_eq!((drift.known, drift.new[0].upgrade.clone()), (2, None));
        assert!(!drift.gone[0].gone_executable && !drift.new[0].new_executable);
        let all = [one];
        let with = Drift::since(&Service::all(&all)[0], 7 * DAY_MS, true).expect("comparable");
        assert_eq!(
            named(&with.new, |new| &new.feature),
            ["sendfile", "fcntl:F_SETFD"]
        );
    }

    #[test]
    fn what_an_upgrade_brought_is_told_apart_and_what_it_kept_is_not_new() {
        let mut old = version(profile("n.service", NGINX, &[]), "1.22");
        old.features = vec![used("read", 5, 0, 6 * DAY_MS)];
        old.observation.until_ms = 7 * DAY_MS;
        let mut new = version(profile("n.service", NGINX, &[]), "1.26");
        new.observation.from_ms = 7 * DAY_MS;
        new.features = vec![
            used("read", 5, 7 * DAY_MS, 9 * DAY_MS),
            used("io_uring_setup", 1, 8 * DAY_MS, 9 * DAY_MS),
        ];
        let drift = drift(&[old, new], 5).expect("comparable");
        assert_eq!(named(&drift.new, |new| &new.feature), ["io_uring_setup"]);
        let upgrade = drift.new[0].upgrade.as_ref().expect("an upgrade");
        let versions = (&upgrade.before.version, &upgrade.now.version);
        assert_eq!(
            versions,
            (&Some("1.22".to_owned()), &Some("1.26".to_owned()))
        );
        assert!(drift.gone.is_empty());
    }

    #[test]
    fn executables_that_come_and_go_are_told() {
        let mut old = profile("n.service", "/old", &[]);
        old.features = vec![used("read", 1, 0, DAY_MS)];
        let mut new = profile("n.service", "/new", &[]);
        new.features = vec![used("read", 1, 8 * DAY_MS, 9 * DAY_MS)];
        let drift = drift(&[old, new], 7).expect("comparable");
        assert!(drift.new[0].new_executable && drift.gone[0].gone_executable);
    }

    #[test]
    fn without_a_before_or_a_since_nothing_is_said() {
        let mut one = profile("a.service", "/a", &[("read", 1)]);
        one.observation.from_ms = DAY_MS;
        let name = || "a.service".to_owned();
        assert_eq!(
            drift(&[one.clone()], 1),
            Err(DriftError::NothingBefore {
                name: name(),
                from_ms: DAY_MS
            })
        );
        assert_eq!(
            drift(&[one], 14),
            Err(DriftError::NothingSince {
                name: name(),
                until_ms: 14 * DAY_MS
            })
        );
    }
}
