//! From a host's profiles to its bundle: what leaves, and in which shape. Everything that is not
//! named here stays at home.

use std::collections::BTreeMap;

use loupe_common::profile::{FeatureUse, Profile, Subject, SubjectKind};

use super::HOUR_MS;
use super::bundle::{Bundle, Calendar, FleetSubject, Host, Hour, is_word, schema};
use super::lattice::Member;
use super::told::{is_named_operation, rest_of};

/// Calendars are told in steps of this, so that those of subjects that run side by side are one.
const CALENDAR_STEP_MS: u64 = 60_000;
/// Units whose names are escaped paths.
const NAMED_BY_PATHS: [&str; 3] = [".mount", ".automount", ".swap"];

/// The bundle of these profiles, with how long each subject was observed on which day.
pub fn export(host: Host, profiles: &[Profile], days: &[(Subject, Calendar)]) -> Bundle {
    let days: BTreeMap<&Subject, &Calendar> =
        days.iter().map(|(subject, days)| (subject, days)).collect();
    // Subjects that differ only in what stays at home become one.
    let mut members: BTreeMap<FleetSubject, Member> = BTreeMap::new();
    let mut bundle = Bundle {
        schema: schema(),
        host,
        sets: BTreeMap::new(),
        calendars: BTreeMap::new(),
        subjects: Vec::new(),
    };
    for profile in profiles {
        let Some(subject) = what_leaves(&profile.subject) else {
            bundle.host.kept_home += 1;
            continue;
        };
        let member = member(profile, days.get(&profile.subject).copied());
        members.entry(subject).or_default().join(member);
    }
    for (subject, member) in members {
        bundle.tell(subject, member);
    }
    bundle
}

fn member(profile: &Profile, days: Option<&Calendar>) -> Member {
    let observation = &profile.observation;
    let (first_hour, last_hour) = (hour(observation.from_ms), hour(observation.until_ms));
    let seen = |used: &FeatureUse| hour(used.first_seen_ms).clamp(first_hour, last_hour);
    let operations = || {
        let all = profile.operations.iter();
        all.filter(|used| is_named_operation(&used.feature))
    };
    let words = profile.features.iter().chain(operations());
    let words = words.map(|used| (used.feature.to_string(), seen(used)));
    // Syscalls of which some calls were of named operations, and others were not.
    let rests = profile.features.iter().filter_map(|used| {
        let of_it =
            operations().filter(|part| part.feature.parent().as_ref() == Some(&used.feature));
        let told: u64 = of_it.map(|part| part.counts.calls).sum();
        let is_in_part = told > 0 && told < used.counts.calls;
        is_in_part.then(|| (rest_of(&used.feature), seen(used)))
    });
    let words = words.chain(rests).filter(|(word, _)| is_word(word));
    let calls: u64 = profile
        .features
        .iter()
        .filter(|used| used.feature.is_syscall())
        .map(|used| used.counts.calls)
        .sum();
    let rounded = |(day, ms): (&String, &u64)| (day.clone(), ms.next_multiple_of(CALENDAR_STEP_MS));
    Member {
        features: words.collect(),
        times: Some((first_hour, last_hour)),
        magnitude: magnitude(calls),
        calendar: days.into_iter().flatten().map(rounded).collect(),
        lost: profile.lost.total(),
    }
}

/// Calls are fewer than 10 to this power.
fn magnitude(calls: u64) -> u8 {
    // A number of 64 bits has 20 digits at most.
    calls.checked_ilog10().map_or(0, |power| power as u8 + 1)
}

fn hour(at_ms: u64) -> Hour {
    Hour::try_from(at_ms / HOUR_MS).unwrap_or(Hour::MAX)
}

/// The subject as others may know it; `None`: it stays at home.
pub fn what_leaves(subject: &Subject) -> Option<FleetSubject> {
    let name = match subject.kind {
        SubjectKind::Cgroup | SubjectKind::Other => return None,
        SubjectKind::Unit if NAMED_BY_PATHS.iter().any(|end| subject.name.ends_with(end)) => {
            return None;
        }
        SubjectKind::Unit => unit(&subject.name),
        SubjectKind::Container if subject.name.contains('/') => return None,
        SubjectKind::Container => subject.name.clone(),
        SubjectKind::Executable => file_name(&subject.name),
    };
    let executable = &subject.executable;
    let told = FleetSubject {
        name,
        kind: subject.kind,
        executable: file_name(&executable.path),
        build_id: executable.build_id.clone(),
        package: executable.package.clone(),
        version: executable.version.clone(),
    };
    let parts = [&told.build_id, &told.package, &told.version];
    let all_are_words = [&told.name, &told.executable]
        .into_iter()
        .chain(parts.into_iter().flatten())
        .all(|text| is_word(text));
    all_are_words.then_some(told)
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Without the instance of a template, which may be a user, and without the numbers in the name of a
/// scope, which may be those of processes.
fn unit(name: &str) -> String {
    let Some((stem, ending)) = name.rsplit_once('.') else {
        return name.to_owned();
    };
    let stem = match stem.split_once('@') {
        Some((template, _)) => format!("{template}@"),
        None => stem.to_owned(),
    };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let stem = match ending {
        "scope" => {
            let parts: Vec<&str> = stem
                .split('-')
                .map(|part| if is_number(part) { "*" } else { part })
                .collect();
            parts.join("-")
        }
        _ => stem,
    };
    format!("{stem}.{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples::{DAY_MS, profile, used};

    fn host() -> Host {
        Host {
            made_ms: 1,
            id: "0".repeat(32),
            name: None,
            kernel: "6.1".to_owned(),
            arch: "x86_64".to_owned(),
            loupe: "0.1.0".to_owned(),
            kept_home: 0,
        }
    }

    #[test]
    fn what_tells_of_people_and_places_stays_at_home() {
        let named = |kind, name: &str| {
            let mut one = profile(name, "/home/alice/bin/tool", &[("read", 5)]);
            one.subject.kind = kind;
            one.subject.uid = 1234;
            one
        };
        let profiles = [
            named(SubjectKind::Unit, "user@1234.service"),
            named(SubjectKind::Unit, "app-alice\\x2dapp@77.service"),
            named(SubjectKind::Unit, "app-firefox-4711.scope"),
            named(SubjectKind::Executable, "/home/alice/bin/tool"),
            named(SubjectKind::Unit, "home-alice.mount"),
            named(SubjectKind::Cgroup, "user.slice/user-1234.slice"),
            named(SubjectKind::Other, "…"),
        ];
        let bundle = export(host(), &profiles, &[]);
        let names: Vec<&str> = bundle.subjects.iter().map(|t| &*t.subject.name).collect();
        assert_eq!(
            names,
            [
                "app-alice\\x2dapp@.service",
                "app-firefox-*.scope",
                "tool",
                "user@.service"
            ]
        );
        assert_eq!(bundle.host.kept_home, 3);
        let text = serde_json::to_string(&bundle).expect("JSON");
        for secret in ["/home", "1234", "4711", "77.", "uid"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }

    #[test]
    fn subjects_that_used_the_same_share_a_set_whenever_they_did() {
        let mut late = profile("b.service", "/b", &[("read", 5)]);
        late.features.push(used("futex", 1, 3 * DAY_MS, 4 * DAY_MS));
        let profiles = [
            profile("a.service", "/a", &[("read", 999), ("futex", 1)]),
            late,
        ];
        let bundle = export(host(), &profiles, &[]);
        assert_eq!(bundle.sets.len(), 1);
        let [a, b] = &bundle.subjects[..] else {
            panic!("two subjects: {bundle:?}");
        };
        assert!(a.later.is_empty());
        assert_eq!(b.later, BTreeMap::from([("futex".to_owned(), 72)]));
        assert_eq!((a.magnitude, b.magnitude), (4, 1));
        assert_eq!((a.first_hour, a.last_hour), (0, 14 * 24));
    }

    #[test]
    fn operations_leave_by_name_and_that_there_are_others_leaves_too() {
        let mut one = profile(
            "a.service",
            "/a",
            &[("fcntl", 5), ("ioctl", 9), ("socket", 2)],
        );
        for (name, calls) in [
            ("fcntl:F_SETFD", 3),
            ("fcntl:F_GETLK", 2),
            ("ioctl:TCGETS", 4),
            ("ioctl:0x5499", 5),
            ("socket:0x63/0x1", 2),
            ("mmap:MAP_POPULATE", 1),
        ] {
            one.operations.push(used(name, calls, DAY_MS, 2 * DAY_MS));
        }
        let bundle = export(host(), &[one], &[]);
        let words: Vec<&str> = bundle.sets.values().flatten().map(String::as_str).collect();
        assert_eq!(
            words,
            [
                "fcntl",
                "fcntl:F_GETLK",
                "fcntl:F_SETFD",
                "ioctl",
                "ioctl:TCGETS",
                "ioctl:…",
                "socket"
            ]
        );
        // Operations are no calls of their own.
        assert_eq!(bundle.subjects[0].magnitude, 2);
        assert_eq!(bundle.subjects[0].later["fcntl:F_GETLK"], 24);
    }

    #[test]
    fn a_magnitude_is_a_power_of_ten_above() {
        for (calls, power) in [(0, 0), (1, 1), (9, 1), (10, 2), (999, 3), (u64::MAX, 20)] {
            assert_eq!(magnitude(calls), power, "{calls}");
        }
    }
}
