//! Evidence of an OS that somebody else collected: logs and test results. Each kind of file is read
//! to what it says of single calls; [`over`] puts that over what was known before.

mod failing;
mod gvisor;
mod ltp;
mod probe;
mod strace;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::syscalls::{Arch, Syscall};

pub use failing::failing;

use super::{OsError, OsProfile, ReadProfile, Remark, built_in, name_of, probed};
use crate::plan::need::Answer;

/// Lines at the head of a file that are looked at to tell what it is.
const HEAD_LINES: usize = 200;

/// A kind of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What gVisor logs of calls that it does not support.
    Gvisor,
    Strace,
    /// The report of the Linux Test Project's runner.
    Ltp,
    /// What Loupe's own probe found.
    Probe,
}

/// What a file is, if it is evidence.
pub(super) fn kind_of(path: &Path, text: &str) -> Option<Kind> {
    if probed::is_probed(text) {
        return Some(Kind::Probe);
    }
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    if is_json {
        return ltp::is_report(text).then_some(Kind::Ltp);
    }
    let head: Vec<&str> = text.lines().take(HEAD_LINES).collect();
    if text.lines().any(|line| line.contains(gvisor::MARK)) {
        return Some(Kind::Gvisor);
    }
    let calls = head.iter().filter(|line| strace::call(line).is_some());
    // A list of names has no call in it.
    (calls.count() > 0).then_some(Kind::Strace)
}

/// What is said of some calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Findings {
    answers: BTreeMap<Feature, Answer>,
    /// Implemented, and not as a whole.
    partial: Vec<Feature>,
    notes: BTreeMap<Feature, String>,
    remarks: Vec<Remark>,
}

/// Reads evidence over what is known of the OS; without that, over what is built in for gVisor's
/// log, which names only what is missing, and else over nothing.
pub(super) fn read(
    kind: Kind,
    path: &Path,
    text: &str,
    base: Option<&OsProfile>,
) -> Result<ReadProfile, OsError> {
    let gvisor = match (kind, base) {
        (Kind::Gvisor, None) => built_in::read("gvisor").transpose()?,
        _ => None,
    };
    let base = base.or(gvisor.as_ref().map(|read| &read.profile));
    let mut source = None;
    let mut found = match kind {
        Kind::Gvisor => gvisor::read(path, text, base.unwrap_or(&OsProfile::default())),
        Kind::Strace => strace::read(path, text),
        Kind::Ltp => ltp::read(path, text)?,
        Kind::Probe => {
            let (found, probed) = probe::read(path, text, base)?;
            source = Some((probe::source(&probed), probed.arch));
            found
        }
    };
    if base.is_none() {
        let what = "what it does not show counts as missing; --base OS begins with what is known";
        found.remarks.push(Remark::new(path, None, what));
    }
    let mut profile = base.cloned().unwrap_or_default();
    profile.name = name_of(path);
    // What was tried are the predictions of the base.
    profile.verified = None;
    let own = match &source {
        Some((source, _)) => source.files.clone().unwrap_or_default(),
        None => path.display().to_string(),
    };
    match source {
        Some((source, arch)) if base.is_none() => {
            profile.source = source;
            profile.arch = Some(arch);
        }
        _ => {
            profile.source.files = Some(match &profile.source.files {
                Some(files) => format!("{files}; over it {own}"),
                None => own,
            });
        }
    }
    for (feature, answer) in found.answers {
        // What is implemented in part stays so until a whole answer is known.
        let known = profile.answer(&feature);
        if known != answer || !profile.mentions(&feature) {
            profile.set(&feature, answer);
        }
    }
    for feature in found.partial {
        if profile.implement.contains(&feature) {
            profile.partial.insert(feature);
        }
    }
    profile.notes.extend(found.notes);
    Ok(ReadProfile {
        profile,
        remarks: found.remarks,
    })
}

/// Puts what a file says over what is known: whatever it does not mention stays.
pub(super) fn over(base: &OsProfile, said: &OsProfile) -> OsProfile {
    let mut profile = base.clone();
    let mentioned: Vec<&Feature> = said.mentioned().collect();
    for feature in mentioned {
        profile.set(feature, said.answer(feature));
    }
    profile.partial.extend(said.partial.iter().cloned());
    profile.notes.extend(said.notes.clone());
    profile.name.clone_from(&said.name);
    profile.verified.clone_from(&said.verified);
    if !said.unknown.is_usual() {
        profile.unknown = said.unknown;
    }
    if !said.source.is_empty() {
        profile.source = said.source.clone();
    }
    profile
}

/// A syscall by its name, or by its number as some logs have it (`sys_449`, `syscall_0x1c1`).
fn syscall(word: &str) -> Option<Syscall> {
    let numbered = || {
        let digits = word
            .strip_prefix("sys_")
            .or_else(|| word.strip_prefix("syscall_"))?;
        let number: u16 = match digits.strip_prefix("0x") {
            Some(digits) => u16::from_str_radix(digits, 16).ok()?,
            None => digits.parse().ok()?,
        };
        let table = Arch::NATIVE.table();
        let place = table.binary_search_by_key(&number, |row| row.0).ok()?;
        Syscall::from_name(table[place].1)
    };
    Syscall::from_name(word).or_else(numbered)
}

/// Names that are none of a syscall, once each.
fn strangers(path: &Path, names: BTreeMap<String, usize>, what: &str) -> Vec<Remark> {
    let names = names.into_iter();
    names
        .map(|(name, line)| Remark::new(path, line, format!("{what} `{name}`; left out")))
        .collect()
}

fn join(errnos: impl Iterator<Item = Errno>) -> String {
    let names: Vec<String> = errnos.map(|errno| errno.to_string()).collect();
    names.join(", ")
}
