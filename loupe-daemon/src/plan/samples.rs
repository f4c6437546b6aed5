//! Profiles that tests make up.

use loupe_common::profile::{
    Executable, FeatureUse, Maturity, Observation, Profile, ProfileLost, Subject, SubjectKind,
};
use loupe_common::trace::CallCounts;

pub const DAY_MS: u64 = 86_400_000;
pub const NGINX: &str = "/usr/sbin/nginx";
pub const SYSTEMD: &str = "/usr/lib/systemd/systemd-executor";

/// Calls of a feature from one moment to another.
pub fn used(name: &str, calls: u64, first_seen_ms: u64, last_seen_ms: u64) -> FeatureUse {
    FeatureUse {
        feature: name.parse().expect("a known feature"),
        counts: CallCounts {
            calls,
            ..CallCounts::default()
        },
        first_seen_ms,
        last_seen_ms,
        minutes: calls.min(10),
    }
}

/// A unit that was observed for the whole of 14 days from the epoch on.
pub fn profile(name: &str, path: &str, features: &[(&str, u64)]) -> Profile {
    Profile {
        subject: Subject {
            kind: SubjectKind::Unit,
            name: name.to_owned(),
            executable: Executable {
                path: path.to_owned(),
                ..Executable::default()
            },
            uid: 0,
        },
        features: features
            .iter()
            .map(|(name, calls)| used(name, *calls, 0, 14 * DAY_MS))
            .collect(),
        operations: Vec::new(),
        foreign: Vec::new(),
        observation: Observation {
            from_ms: 0,
            until_ms: 14 * DAY_MS,
            observed_ms: 14 * DAY_MS,
            gaps: Vec::new(),
        },
        lost: ProfileLost::default(),
        maturity: Maturity::Stable { since_ms: DAY_MS },
        unseen: None,
        curve: Vec::new(),
        starts: 1,
    }
}

pub fn version(mut profile: Profile, version: &str) -> Profile {
    profile.subject.executable.package = Some("nginx".to_owned());
    profile.subject.executable.version = Some(version.to_owned());
    profile
}
