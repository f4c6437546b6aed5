//! Reads a drop-in, or a whole unit file, as systemd reads it: what it ignores is ignored here, too,
//! and named in a note.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::syscalls::{Arch, Syscall};

use super::groups::{DEFAULT, Groups, KNOWN};
use crate::formats::profile::{Profile, ProfileError, note};

/// Settings of a unit that filter syscalls, too, mostly by their arguments. They are not read.
const OTHER_FILTERS: [&str; 14] = [
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "PrivateDevices",
    "ProtectClock",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "RestrictAddressFamilies",
    "RestrictFileSystems",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "SystemCallArchitectures",
];

/// Of these, what a unit of a 64-bit application has no choice about.
const NATIVE_ARCHITECTURE: (&str, &str) = ("SystemCallArchitectures", "native");

/// What is done about a refused call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Kill,
    /// An errno, or 0: it returns at once.
    Answer(Action),
}

/// What has been read so far.
struct Reading<'a> {
    groups: &'a Groups,
    /// Whether the first list allows; the later ones add to it or take away from it.
    allows: Option<bool>,
    /// What is listed, with the refusal of its own.
    listed: BTreeMap<Feature, Option<Refusal>>,
    default: Refusal,
    notes: Notes,
}

#[derive(Default)]
struct Notes {
    /// Names of other architectures, or of other kernels.
    unknown: BTreeSet<String>,
    groups: BTreeSet<String>,
    /// Allowed, with an errno: that makes no sense to systemd.
    suffixed: BTreeSet<String>,
    other_filters: BTreeSet<String>,
}

/// Reads a drop-in or a whole unit file.
pub fn read_drop_in(text: &str, groups: &Groups) -> Result<Profile, ProfileError> {
    let mut reading = Reading {
        groups,
        allows: None,
        listed: BTreeMap::new(),
        default: Refusal::Kill,
        notes: Notes::default(),
    };
    let mut found = false;
    for (line, content) in logical_lines(text) {
        let Some((key, value)) = content.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        match key {
            "SystemCallFilter" => {
                found = true;
                reading.filter(line, value)?;
            }
            "SystemCallErrorNumber" => reading.default = refusal(line, value)?,
            _ => reading.notes.setting(key, value),
        }
    }
    match found {
        true => reading.profile(),
        false => Err(ProfileError::NoFilter),
    }
}

/// Lines without comments, those that end with a backslash joined with the next.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match lines.last_mut().filter(|_| open) {
            Some((_, last)) => {
                last.push(' ');
                last.push_str(part);
            }
            None => lines.push((index + 1, part.to_owned())),
        }
        open = goes_on;
    }
    lines
}

/// `EPERM`, `1` or `0`; `kill`, or nothing.
fn refusal(line: usize, text: &str) -> Result<Refusal, ProfileError> {
    match text {
        "" | "kill" => Ok(Refusal::Kill),
        "0" => Ok(Refusal::Answer(Action::Fake)),
        _ => text
            .parse::<Errno>()
            .map(|errno| Refusal::Answer(Action::Stub(errno)))
            .map_err(|_| ProfileError::UnknownErrno {
                line,
                text: text.to_owned(),
            }),
    }
}

impl Notes {
    fn setting(&mut self, key: &str, value: &str) {
        let off = ["", "no", "false", "off", "0"].contains(&value);
        if OTHER_FILTERS.contains(&key) && !off && (key, value) != NATIVE_ARCHITECTURE {
            self.other_filters.insert(format!("{key}="));
        }
    }

    fn lines(&self, groups: &Groups) -> Vec<String> {
        let elsewhere = groups.syscalls(KNOWN).unwrap_or_default();
        let near = |name: &String| match Syscall::suggestions(name).as_slice() {
            near if elsewhere.contains(name.as_str()) || near.is_empty() => name.clone(),
            near => format!("{name} (did you mean {}?)", near.join(", ")),
        };
        let unknown = self.unknown.iter().map(near).collect();
        [
            note(
                "names that this architecture does not have are ignored, as systemd does",
                &unknown,
            ),
            note(
                &format!("groups that {} does not have are ignored", groups.release()),
                &self.groups,
            ),
            note(
                "what is allowed takes no error number; ignored, as systemd does",
                &self.suffixed,
            ),
            note(
                "other settings that filter syscalls are left aside",
                &self.other_filters,
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Reading<'_> {
    fn filter(&mut self, line: usize, value: &str) -> Result<(), ProfileError> {
        if value.is_empty() {
            self.allows = None;
            self.listed.clear();
            return Ok(());
        }
        let (inverted, names) = match value.strip_prefix('~') {
            Some(names) => (true, names),
            None => (false, value),
        };
        if self.allows.is_none() {
            self.allows = Some(!inverted);
            if !inverted {
                // As systemd, into the list itself: a later list may take it away.
                self.name(DEFAULT, false, None);
            }
        }
        for entry in names.split_whitespace() {
            let (name, own) = match entry.split_once(':') {
                Some((name, text)) => (name, Some(refusal(line, text)?)),
                None => (entry, None),
            };
            if own.is_some() && !inverted {
                self.notes.suffixed.insert(entry.to_owned());
                continue;
            }
            self.name(name, inverted, own);
        }
        Ok(())
    }

    /// A syscall or a group.
    fn name(&mut self, name: &str, inverted: bool, own: Option<Refusal>) {
        if !name.starts_with('@') {
            match known(name) {
                Some(feature) => self.list(feature, inverted, own),
                None => {
                    self.notes.unknown.insert(name.to_owned());
                }
            }
            return;
        }
        let Some(members) = self.groups.syscalls(name) else {
            self.notes.groups.insert(name.to_owned());
            return;
        };
        // What a group has of other architectures is nobody's mistake.
        for feature in members.into_iter().filter_map(known) {
            self.list(feature, inverted, own);
        }
    }

    fn list(&mut self, feature: Feature, inverted: bool, own: Option<Refusal>) {
        // Among the allowed, one that is refused in a way of its own stays listed.
        if Some(inverted) != self.allows || own.is_some() {
            self.listed.insert(feature, own);
        } else {
            self.listed.remove(&feature);
        }
    }

    fn profile(self) -> Result<Profile, ProfileError> {
        let answer = |refusal: Refusal, what: &dyn Fn() -> String| {
            match refusal {
            Refusal::Answer(action) => Ok(action),
            Refusal::Kill => Err(ProfileError::Action {
                what: what(),
                action: "kill, which cannot be emulated: only errnos can (SystemCallErrorNumber= sets one)".to_owned(),
            }),
        }
        };
        let mut profile = Profile {
            allow: BTreeSet::new(),
            answers: BTreeMap::new(),
            default: None,
            notes: self.notes.lines(self.groups),
        };
        let allows = self.allows == Some(true);
        for (feature, own) in self.listed {
            let refused = match own {
                None if allows => {
                    profile.allow.insert(feature);
                    continue;
                }
                None => self.default,
                Some(own) => own,
            };
            let action = answer(refused, &|| feature.to_string())?;
            profile.answers.insert(feature, action);
        }
        if allows {
            profile.default = Some(answer(self.default, &|| "what it refuses".to_owned())?);
            profile.notes.push(format!(
                "what systemd lets through by itself, and groups, are those of {}",
                self.groups.release()
            ));
        }
        Ok(profile)
    }
}

/// A syscall of this architecture.
fn known(name: &str) -> Option<Feature> {
    let syscall = Syscall::from_name(name)?;
    syscall.number_on(Arch::NATIVE)?;
    Some(Feature::from(syscall))
}
