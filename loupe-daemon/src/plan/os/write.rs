//! A profile as TOML, as people read it: lists in lines of words, and not a line for each word.
//! [`super::document`] reads it again.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use loupe_common::syscalls::Arch;

use super::OsProfile;

/// The longest line of a list, in characters.
const LINE_CHARS: usize = 100;

/// The profile as [`super::document::read_toml`] reads it.
pub fn to_toml(profile: &OsProfile) -> String {
    let mut text = format!("name = {}\n", quoted(&profile.name));
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        text.push_str(&format!("{key} = {}\n", quoted(&value.to_string())));
    };
    if let Some(title) = &profile.title {
        line("title", title);
    }
    if let Some(arch) = profile.arch {
        line(
            "arch",
            &match arch {
                Arch::X86_64 => "x86_64",
                Arch::Aarch64 => "aarch64",
            },
        );
    }
    if !profile.unknown.is_usual() {
        line("unknown", &profile.unknown);
    }
    let whole: BTreeSet<Feature> = profile
        .implement
        .difference(&profile.partial)
        .cloned()
        .collect();
    list(&mut text, "implement", &whole);
    for (key, features) in [
        ("partial", &profile.partial),
        ("fake", &profile.fake),
        ("stub", &profile.stub),
        ("kill", &profile.kill),
    ] {
        if !features.is_empty() {
            list(&mut text, key, features);
        }
    }
    if !profile.error.is_empty() {
        text.push_str("\n[error]\n");
        for (errno, features) in &profile.error {
            list(&mut text, &errno.to_string(), features);
        }
    }
    if !profile.source.is_empty() {
        text.push_str("\n[source]\n");
        for (key, value) in profile.source.parts() {
            if let Some(value) = value {
                text.push_str(&format!("{key} = {}\n", quoted(value)));
            }
        }
    }
    if let Some(runner) = &profile.runner {
        let list = |words: &[String]| -> String {
            let words: Vec<String> = words.iter().map(|word| script(word)).collect();
            words.join(", ")
        };
        text.push_str(&format!(
            "\n[runner]\ncommand = [{}]\n",
            list(&runner.command)
        ));
        if !runner.trace.is_empty() {
            text.push_str(&format!("trace = [{}]\n", list(&runner.trace)));
        }
    }
    if let Some(verified) = &profile.verified {
        text.push_str(&format!(
            "\n[verified]\nright = {}\nof = {}\non = {}\ndate = {}\n",
            verified.right,
            verified.of,
            quoted(&verified.on),
            quoted(&verified.date)
        ));
    }
    if !profile.notes.is_empty() {
        text.push_str("\n[notes]\n");
        for (feature, note) in &profile.notes {
            text.push_str(&format!(
                "{} = {}\n",
                key(&feature.to_string()),
                quoted(note)
            ));
        }
    }
    text
}

fn list(text: &mut String, name: &str, features: &BTreeSet<Feature>) {
    let words: Vec<String> = features
        .iter()
        .map(|feature| quoted(&feature.to_string()))
        .collect();
    let short = format!("{} = [{}]\n", key(name), words.join(", "));
    if short.len() <= LINE_CHARS {
        text.push_str(&short);
        return;
    }
    text.push_str(&format!("{} = [\n", key(name)));
    let mut line = String::new();
    for word in words {
        // A space before each word, and a comma behind it.
        if !line.is_empty() && line.len() + word.len() + 2 > LINE_CHARS {
            text.push_str(&format!("{line}\n"));
            line.clear();
        }
        line.push_str(if line.is_empty() { "  " } else { " " });
        line.push_str(&format!("{word},"));
    }
    text.push_str(&format!("{line}\n]\n"));
}

/// A word that may be a script of several lines, which are kept.
fn script(word: &str) -> String {
    match word.contains('\n') && !word.contains("'''") {
        true => format!("'''\n{word}'''"),
        false => quoted(word),
    }
}

/// A basic string of TOML, on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            steering if loupe_common::text::steers(steering) => {
                quoted.push_str(&format!("\\U{:08x}", u32::from(steering)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Bare where TOML allows that.
fn key(name: &str) -> String {
    let bare = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => quoted(name),
    }
}
