//! Syscalls that are told by their operations, and what a set of words asks of an OS. Pure.
//!
//! Of a vectored syscall a host tells the operations that have names. Where some of its calls were of none
//! of these, that is told as well (`ioctl:…`): it is a fact as any other, so joining needs nothing more.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use loupe_common::feature::Feature;

use super::catalogue::Word;

/// After the name of a syscall of which not every call is told by a named operation.
const REST: &str = ":…";

/// The word for calls that no named operation tells of.
pub fn rest_of(whole: &Feature) -> String {
    format!("{whole}{REST}")
}

pub fn is_rest(word: &str) -> bool {
    word.ends_with(REST)
}

/// Whether it is an operation that leaves a host: flags do not, nor do numbers without a name, which
/// are arguments.
pub fn is_named_operation(feature: &Feature) -> bool {
    match feature {
        Feature::Operation(operation) => {
            !operation.is_flag()
                && operation
                    .name()
                    .split('/')
                    .all(|part| !part.starts_with("0x"))
        }
        _ => false,
    }
}

/// What a word of a set says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    Whole(Feature),
    Operation {
        of: Feature,
        operation: Feature,
    },
    Rest {
        of: Feature,
    },
    /// A pseudo-file.
    Other(Feature),
}

/// All words of a database, by what they say. Those that ask nothing of an OS are left out.
#[derive(Debug, Default)]
pub struct Meanings {
    meanings: HashMap<Word, Meaning>,
    /// Names of other architectures or later kernels.
    pub unknown: BTreeSet<String>,
}

impl Meanings {
    pub fn of(words: &HashMap<Word, String>) -> Meanings {
        let mut all = Meanings::default();
        for (word, text) in words {
            let whole = text.strip_suffix(REST).unwrap_or(text);
            let Ok(feature) = whole.parse::<Feature>() else {
                all.unknown.insert(whole.to_owned());
                continue;
            };
            let meaning = match (&feature, is_rest(text)) {
                (_, true) => Meaning::Rest { of: feature },
                (Feature::Syscall(_), _) => Meaning::Whole(feature),
                (Feature::Operation(operation), _) if operation.is_flag() => continue,
                (Feature::Operation(_), _) => Meaning::Operation {
                    of: feature.whole(),
                    operation: feature,
                },
                (Feature::PseudoFile(_), _) => Meaning::Other(feature),
                // What is submitted to a ring is asked for with the syscalls of the ring.
                (Feature::IoUring(_), _) => continue,
            };
            all.meanings.insert(*word, meaning);
        }
        all
    }

    /// What a set asks of an OS: operations in place of their syscall, where every call was told by one.
    /// What a host of an earlier release tells has syscalls only.
    pub fn asked(&self, set: &[Word]) -> BTreeSet<Feature> {
        let meanings = || set.iter().filter_map(|word| self.meanings.get(word));
        // By syscall: whether all its calls were of its operations.
        let mut in_full: BTreeMap<&Feature, bool> = BTreeMap::new();
        for meaning in meanings() {
            match meaning {
                Meaning::Operation { of, .. } => _ = in_full.entry(of).or_insert(true),
                Meaning::Rest { of } => _ = in_full.insert(of, false),
                Meaning::Whole(_) | Meaning::Other(_) => {}
            }
        }
        let asked = meanings().filter_map(|meaning| match meaning {
            Meaning::Whole(whole) => (in_full.get(whole) != Some(&true)).then_some(whole),
            Meaning::Operation { operation, .. } => Some(operation),
            Meaning::Other(feature) => Some(feature),
            Meaning::Rest { .. } => None,
        });
        asked.cloned().collect()
    }
}

/// What sets ask together, as a need has it: a syscall as a whole, or by its operations.
pub fn asked_by_all(sets: impl Iterator<Item = BTreeSet<Feature>>) -> BTreeSet<Feature> {
    let all: BTreeSet<Feature> = sets.flatten().collect();
    let is_part_of_a_whole = |feature: &Feature| {
        let whole = feature.parent();
        whole.is_some_and(|whole| all.contains(&whole))
    };
    let needed = all.iter().filter(|feature| !is_part_of_a_whole(feature));
    needed.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> Vec<String> {
        let words: HashMap<Word, String> = words
            .iter()
            .zip(0..)
            .map(|(text, number)| (number, (*text).to_owned()))
            .collect();
        let set: Vec<Word> = words.keys().copied().collect();
        let asked = Meanings::of(&words).asked(&set);
        asked.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn operations_stand_for_their_syscall_where_they_tell_all_of_it() {
        assert_eq!(asked(&["read", "fcntl"]), ["fcntl", "read"]);
        assert_eq!(
            asked(&["fcntl", "fcntl:F_GETLK", "read"]),
            ["read", "fcntl:F_GETLK"]
        );
        assert_eq!(
            asked(&["fcntl", "fcntl:F_GETLK", "fcntl:…"]),
            ["fcntl", "fcntl:F_GETLK"]
        );
        assert_eq!(asked(&["mmap", "mmap:MAP_POPULATE"]), ["mmap"]);
        assert_eq!(asked(&["io_uring:IORING_OP_READV"]), Vec::<String>::new());
    }

    #[test]
    fn whoever_tells_a_syscall_as_a_whole_has_it_needed_as_a_whole() {
        let sets = [&["fcntl:F_GETLK", "read"][..], &["fcntl"][..]];
        let sets = sets.map(|set| {
            set.iter()
                .map(|name| name.parse().expect("known"))
                .collect()
        });
        let all = asked_by_all(sets.into_iter());
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["fcntl", "read"]);
    }

    #[test]
    fn numbers_and_flags_stay_at_home() {
        for (name, leaves) in [
            ("fcntl:F_SETFD", true),
            ("socket:AF_INET/SOCK_STREAM", true),
            ("ioctl:0x5499", false),
            ("rt_sigaction:0x21", false),
            ("mmap:MAP_POPULATE", false),
            ("fcntl", false),
        ] {
            let feature = name.parse().expect("a feature");
            assert_eq!(is_named_operation(&feature), leaves, "{name}");
        }
    }
}
