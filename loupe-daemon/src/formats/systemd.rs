//! Drop-ins for systemd services: `SystemCallFilter=` and what goes with it.

mod groups;
mod read;

use loupe_common::feature::Feature;
use loupe_common::policy::Action;

use super::profile::Profile;

pub use groups::Groups;
pub use read::read_drop_in;

/// Characters of a line of names in a drop-in, at most.
const LINE_CHARACTERS: usize = 90;

/// The profile as a drop-in (`/etc/systemd/system/SERVICE.d/syscalls.conf`), with what the
/// applications were measured on.
pub fn write_drop_in(profile: &Profile, applications: &[String], measured_on: &[String]) -> String {
    let mut text = String::from("# Written by `loupe export systemd`");
    if !applications.is_empty() {
        let names = applications.iter().map(|name| crate::text::printable(name));
        text.push_str(&format!(" for {}", names.collect::<Vec<_>>().join(", ")));
    }
    text.push_str(".\n");
    for line in measured_on {
        text.push_str(&format!("# {}\n", crate::text::printable(line)));
    }
    text.push_str("[Service]\nSystemCallArchitectures=native\n");
    if let Some(action) = profile.default {
        text.push_str(&format!("SystemCallErrorNumber={}\n", number(action)));
    }
    // An empty value forgets what the service's own file lists.
    text.push_str("SystemCallFilter=\n");
    let allowed = profile.allow.iter().map(Feature::to_string);
    push_lines(&mut text, "SystemCallFilter=", allowed);
    let answered = profile
        .answers
        .iter()
        .map(|(feature, action)| format!("{feature}:{}", number(*action)));
    push_lines(&mut text, "SystemCallFilter=~", answered);
    text
}

/// What a call returns, as systemd names it.
fn number(action: Action) -> String {
    match action {
        Action::Stub(errno) => errno.to_string(),
        // A filter can only return constants; no profile has a plausible fake.
        Action::Fake | Action::Plausible => "0".to_owned(),
        Action::Kill => "kill".to_owned(),
    }
}

/// Some names a line; each line says anew what they are for.
fn push_lines(text: &mut String, key: &str, names: impl Iterator<Item = String>) {
    let mut line = String::new();
    for name in names {
        if !line.is_empty() && key.len() + line.len() + 1 + name.len() > LINE_CHARACTERS {
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
