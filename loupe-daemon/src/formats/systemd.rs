//! Drop-ins for systemd services: `SystemCallFilter=` and what goes with it.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::syscalls::Syscall;

use super::profile::{Profile, ProfileError};

/// Columns of a line of names.
const WIDTH: usize = 90;

/// What a list of allowed syscalls always allows, as systemd.exec(5) has it: the exec, ends, and
/// "querying time and sleeping".
const IMPLIED: [&str; 13] = [
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "execve",
    "exit",
    "exit_group",
    "getrlimit",
    "gettimeofday",
    "nanosleep",
    "pause",
    "restart_syscall",
    "rt_sigreturn",
    "time",
];

/// The profile as a drop-in (`/etc/systemd/system/SERVICE.d/syscalls.conf`).
pub fn write_drop_in(profile: &Profile, applications: &[String]) -> String {
    let mut text = String::from("# Written by `loupe export systemd`");
    if !applications.is_empty() {
        let names = applications
            .iter()
            .map(|name| crate::report::printable(name));
        text.push_str(&format!(" for {}", names.collect::<Vec<_>>().join(", ")));
    }
    text.push_str(".\n[Service]\nSystemCallArchitectures=native\n");
    if let Some(Action::Stub(errno)) = profile.default {
        text.push_str(&format!("SystemCallErrorNumber={errno}\n"));
    }
    // An empty value forgets what the service's own file lists.
    text.push_str("SystemCallFilter=\n");
    let allowed = profile.allow.iter().map(Feature::to_string);
    push_lines(&mut text, "SystemCallFilter=", allowed);
    let answered = profile
        .answers
        .iter()
        .map(|(feature, action)| match action {
            Action::Stub(errno) => format!("{feature}:{errno}"),
            // A filter can only return constants; no profile has a plausible fake.
            Action::Fake | Action::Plausible => format!("{feature}:0"),
        });
    push_lines(&mut text, "SystemCallFilter=~", answered);
    text
}

/// Some names a line; each line says anew what they are for.
fn push_lines(text: &mut String, key: &str, names: impl Iterator<Item = String>) {
    let mut line = String::new();
    for name in names {
        if !line.is_empty() && key.len() + line.len() + 1 + name.len() > WIDTH {
            text.push_str(&format!("{key}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&name);
    }
    if !line.is_empty() {
        text.push_str(&format!("{key}{line}\n"));
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reading {
    /// Whether the first list allows; the later ones add to it or take away from it.
    allows: Option<bool>,
    /// What is listed, with the errno of its own.
    listed: BTreeMap<Feature, Option<Errno>>,
    default: Option<Errno>,
}

/// Reads a drop-in or a whole unit file.
pub fn read_drop_in(text: &str) -> Result<Profile, ProfileError> {
    let mut reading = Reading::default();
    let mut found = false;
    for (line, content) in logical_lines(text) {
        let Some((key, value)) = content.split_once('=') else {
            continue;
        };
        match key.trim() {
            "SystemCallFilter" => {
                found = true;
                reading.filter(line, value.trim())?;
            }
            "SystemCallErrorNumber" => reading.default = errno(line, value.trim())?,
            _ => {}
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

/// `EPERM` or `1`; `kill`, or nothing, is none.
fn errno(line: usize, text: &str) -> Result<Option<Errno>, ProfileError> {
    if text.is_empty() || text == "kill" {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| ProfileError::UnknownErrno {
            line,
            text: text.to_owned(),
        })
}

impl Reading {
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
        let allows = *self.allows.get_or_insert(!inverted);
        for entry in names.split_whitespace() {
            let (name, own) = match entry.split_once(':') {
                Some((name, text)) => (name, errno(line, text)?),
                None => (entry, None),
            };
            if name.starts_with('@') {
                return Err(ProfileError::Group {
                    line,
                    name: name.to_owned(),
                });
            }
            let syscall = Syscall::from_name(name).ok_or_else(|| ProfileError::UnknownSyscall {
                line,
                name: name.to_owned(),
            })?;
            let feature = Feature::from(syscall);
            // Among the allowed, one that is refused with an errno of its own stays listed.
            if inverted != allows || own.is_some() {
                self.listed.insert(feature, own);
            } else {
                self.listed.remove(&feature);
            }
        }
        Ok(())
    }

    fn profile(self) -> Result<Profile, ProfileError> {
        let kills = || ProfileError::Action {
            what: "what it refuses".to_owned(),
            action: "kill, as it has no SystemCallErrorNumber=".to_owned(),
        };
        let default = self.default.map(Action::Stub);
        let mut profile = Profile {
            allow: BTreeSet::new(),
            answers: BTreeMap::new(),
            default: None,
            notes: Vec::new(),
        };
        let allows = self.allows == Some(true);
        for (feature, own) in self.listed {
            match own {
                Some(errno) => {
                    profile.answers.insert(feature, Action::Stub(errno));
                }
                None if allows => {
                    profile.allow.insert(feature);
                }
                None => {
                    profile.answers.insert(feature, default.ok_or_else(kills)?);
                }
            }
        }
        if allows {
            profile.default = Some(default.ok_or_else(kills)?);
            let implied = IMPLIED.iter().filter_map(|name| Syscall::from_name(name));
            let implied = implied.map(Feature::from);
            let open = implied.filter(|feature| !profile.answers.contains_key(feature));
            profile.allow.extend(open.collect::<Vec<_>>());
        }
        Ok(profile)
    }
}
