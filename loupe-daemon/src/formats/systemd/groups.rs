//! systemd's groups of syscalls (`@system-service`), by release: what they hold changes, and so does
//! what systemd lets through without being asked (`@default`).

use std::collections::{BTreeMap, BTreeSet};

/// See the file.
const BUILT_IN: &str = include_str!("groups.txt");
const BUILT_IN_RELEASE: &str = "systemd 252 (built in)";

/// What systemd adds to each list of allowed syscalls.
pub const DEFAULT: &str = "@default";

/// All syscalls that systemd knows, of every architecture.
pub const KNOWN: &str = "@known";

/// The groups of one release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Which, for people.
    release: String,
    members: BTreeMap<String, Vec<String>>,
}

impl Groups {
    /// The groups of the systemd release that Loupe comes with, for hosts without systemd.
    pub fn built_in() -> Groups {
        Groups {
            release: BUILT_IN_RELEASE.to_owned(),
            members: members(BUILT_IN),
        }
    }

    /// Reads what `systemd-analyze syscall-filter` prints; `None` if it is something else.
    pub fn parse(release: String, listing: &str) -> Option<Groups> {
        let members = members(listing);
        let default = members.get(DEFAULT)?;
        (!default.is_empty()).then_some(Groups { release, members })
    }

    pub fn release(&self) -> &str {
        &self.release
    }

    /// The syscalls of a group, those of the groups in it among them; `None`: there is no such group.
    pub fn syscalls(&self, group: &str) -> Option<BTreeSet<&str>> {
        self.members.get(group)?;
        let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut open = vec![group];
        while let Some(group) = open.pop() {
            if !seen.insert(group) {
                continue;
            }
            for name in self.members.get(group).into_iter().flatten() {
                match name.starts_with('@') {
                    true => open.push(name),
                    false => {
                        found.insert(name.as_str());
                    }
                }
            }
        }
        Some(found)
    }
}

/// A line that begins with a group's name opens it; indented ones hold members or comments; comments
/// that are not indented, as those on ungrouped syscalls at the end, close it.
fn members(listing: &str) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut open: Option<String> = None;
    for line in listing.lines() {
        let words = line.trim_start();
        if line.starts_with('@') {
            open = Some(words.trim_end().to_owned());
            all.entry(words.trim_end().to_owned()).or_default();
        } else if line.starts_with('#') {
            open = None;
        } else if let Some(group) = open.as_ref().filter(|_| !words.starts_with('#')) {
            let names = words.split_whitespace().map(str::to_owned);
            all.entry(group.clone()).or_default().extend(names);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_from_what_systemd_prints() {
        let listing = "@default\n    # Always permitted\n    brk\n    @inner\n\n@inner\n    # More\n    \
            mmap\n    @default\n@empty\n# Ungrouped\n#   seccomp\n    stray\n";
        let groups = Groups::parse("systemd 1".to_owned(), listing).expect("groups");
        let default: Vec<&str> = groups
            .syscalls(DEFAULT)
            .expect("a group")
            .into_iter()
            .collect();
        // Groups that hold each other end, too.
        assert_eq!(default, ["brk", "mmap"]);
        assert_eq!(groups.syscalls("@empty").map(|names| names.len()), Some(0));
        assert_eq!(groups.syscalls("@other"), None);
        for bad in ["", "Unknown verb syscall-filter.\n", "@default\n"] {
            assert_eq!(Groups::parse(String::new(), bad), None, "{bad}");
        }
    }

    #[test]
    fn the_built_in_groups_are_whole() {
        let groups = Groups::built_in();
        let default = groups.syscalls(DEFAULT).expect("a group");
        for name in ["execve", "mmap", "brk", "futex", "clock_gettime"] {
            assert!(default.contains(name), "{name}");
        }
        let service = groups.syscalls("@system-service").expect("a group");
        for name in ["read", "openat", "accept4", "io_pgetevents_time64"] {
            assert!(service.contains(name), "{name}");
        }
        assert!(!service.contains("mount"));
        assert!(groups.syscalls(KNOWN).expect("a group").len() > 400);
        let all = groups.members.values().flatten();
        for group in all.filter(|name| name.starts_with('@')) {
            assert!(groups.members.contains_key(group), "{group}");
        }
    }
}
