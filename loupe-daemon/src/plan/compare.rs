//! OSes side by side: how many of some applications run on each, what it would have to implement
//! next, and who has the calls that are new in Linux. Makes no plan: the next features are counted
//! one by one.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::feature::Feature;
use loupe_common::syscalls::{Arch, Syscall};
use serde::Serialize;

use super::distance::Distances;
use super::need::Answer;
use super::os::{OsProfile, Source};
use super::select::Named;

/// Features that are shown of what an OS would have to implement next.
const NEXT_FEATURES: usize = 10;

/// The first syscall that came in 2017 (statx, Linux 4.11). Numbers of x86-64 are given out in the
/// order in which calls come.
const FIRST_NUMBER_OF_2017: u16 = 332;

/// A feature that an OS does not implement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Next {
    pub feature: Feature,
    /// Applications that lack nothing else to be implemented.
    pub unlocks: usize,
    /// Applications that lack it, whatever else they lack.
    pub lacked_by: usize,
}

/// One OS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Compared {
    pub os: String,
    pub title: Option<String>,
    pub source: Source,
    pub implement: usize,
    pub runs: usize,
    /// Further ones, which run once something is faked, or no longer.
    pub with_fakes: usize,
    /// What unlocks most first.
    pub next: Vec<Next>,
}

/// A syscall that is new in Linux, and what each OS does with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Recent {
    pub feature: Feature,
    pub number: u16,
    /// How many of the applications use it, and how many need it implemented.
    pub used: usize,
    pub required: usize,
    /// Names of the OSes.
    pub implemented_by: Vec<String>,
    pub faked_by: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Comparison {
    pub schema: &'static str,
    pub applications: usize,
    /// The one on which most run first.
    pub oses: Vec<Compared>,
    pub recent: Vec<Recent>,
}

impl Comparison {
    pub fn of(oses: &[OsProfile], needs: &[Named]) -> Comparison {
        let mut compared: Vec<Compared> = oses.iter().map(|os| Compared::of(os, needs)).collect();
        compared.sort_by(|a, b| {
            let by = |os: &Compared| (os.runs, os.with_fakes, os.implement);
            by(b).cmp(&by(a)).then_with(|| a.os.cmp(&b.os))
        });
        let table = Arch::X86_64.table().iter();
        let recent = table
            .filter(|(number, _)| *number >= FIRST_NUMBER_OF_2017)
            .filter_map(|(number, name)| Some((*number, Syscall::from_name(name)?)))
            .map(|(number, syscall)| recent(number, syscall.into(), oses, needs));
        Comparison {
            schema: "loupe.os-compare/1",
            applications: needs.len(),
            oses: compared,
            recent: recent.collect(),
        }
    }
}

impl Compared {
    fn of(os: &OsProfile, needs: &[Named]) -> Compared {
        let distances = Distances::of(os, needs, false);
        let mut lacked: BTreeMap<&Feature, Next> = BTreeMap::new();
        for away in &distances.applications {
            let missing: BTreeSet<&Feature> = away.missing.implement.iter().collect();
            for feature in &missing {
                let next = lacked.entry(*feature).or_insert_with(|| Next {
                    feature: (*feature).clone(),
                    unlocks: 0,
                    lacked_by: 0,
                });
                next.lacked_by += 1;
                next.unlocks += usize::from(missing.len() == 1);
            }
        }
        let mut next: Vec<Next> = lacked.into_values().collect();
        next.sort_by(|a, b| {
            let by = |next: &Next| (next.unlocks, next.lacked_by);
            by(b).cmp(&by(a)).then_with(|| a.feature.cmp(&b.feature))
        });
        next.truncate(NEXT_FEATURES);
        Compared {
            os: os.name.clone(),
            title: os.title.clone(),
            source: os.source.clone(),
            implement: os.implement.len(),
            runs: distances.runs,
            with_fakes: distances.need_no_implementation,
            next,
        }
    }
}

fn recent(number: u16, feature: Feature, oses: &[OsProfile], needs: &[Named]) -> Recent {
    let by = |wanted: Answer| -> Vec<String> {
        let answering = oses.iter().filter(|os| os.answer(&feature) == wanted);
        answering.map(|os| os.name.clone()).collect()
    };
    let needs = || needs.iter().map(|named| &named.need);
    Recent {
        number,
        used: needs().filter(|need| need.uses(&feature)).count(),
        required: needs().filter(|need| need.requires(&feature)).count(),
        implemented_by: by(Answer::Implement),
        faked_by: by(Answer::Fake),
        feature,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Need;

    fn set(names: &[&str]) -> BTreeSet<Feature> {
        names
            .iter()
            .map(|name| name.parse().expect("a syscall"))
            .collect()
    }

    fn needing(name: &str, names: &[&str]) -> Named {
        Named {
            name: name.to_owned(),
            need: Need::of_features(name, &set(names)),
        }
    }

    fn os(name: &str, names: &[&str]) -> OsProfile {
        OsProfile {
            name: name.to_owned(),
            implement: set(names),
            ..OsProfile::default()
        }
    }

    #[test]
    fn what_unlocks_most_alone_is_first_and_then_what_most_lack() {
        let needs = [
            needing("a", &["read", "statx"]),
            needing("b", &["read", "futex", "mount"]),
            needing("c", &["read", "mount", "brk"]),
            needing("d", &["read"]),
        ];
        let oses = [os("toy", &["read"]), os("more", &["read", "statx"])];
        let comparison = Comparison::of(&oses, &needs);
        let order: Vec<_> = comparison
            .oses
            .iter()
            .map(|os| (os.os.as_str(), os.runs))
            .collect();
        assert_eq!(order, [("more", 2), ("toy", 1)]);
        let next: Vec<_> = comparison.oses[1]
            .next
            .iter()
            .map(|next| (next.feature.to_string(), next.unlocks, next.lacked_by))
            .collect();
        let wanted = [
            ("statx", 1, 1),
            ("mount", 0, 2),
            ("brk", 0, 1),
            ("futex", 0, 1),
        ];
        assert_eq!(next, wanted.map(|(name, a, b)| (name.to_owned(), a, b)));
        let statx = &comparison.recent[0];
        assert_eq!(
            (statx.feature.to_string().as_str(), statx.number),
            ("statx", 332)
        );
        assert_eq!((statx.used, statx.required), (1, 1));
        assert_eq!(statx.implemented_by, ["more"]);
    }
}
