//! What an analysis comes to, in a few lines: the answer, of what it is, what to implement, fake
//! and leave out; and the commands that lead on from there.

use std::collections::BTreeSet;

use loupe_common::analysis::{Analysis, Joint};
use loupe_common::feature::Feature;
use loupe_common::provenance::Provenance;
use loupe_common::verdict::Verdict;

use super::joint::counted_features;
use crate::text::{counted, date, printable, shell_word};

/// What is known of an analysis beside its result, and how much of it is to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// Its number in the database.
    pub id: Option<i64>,
    /// When it was finished, in Unix milliseconds.
    pub finished_ms: Option<i64>,
    /// Every row and every remark.
    pub full: bool,
}

fn subject(analysis: &Analysis) -> String {
    format!("{}/{}", analysis.application, analysis.workload)
}

fn whole_features(analysis: &Analysis) -> impl Iterator<Item = &Feature> {
    let features = analysis.features.iter().map(|row| &row.feature);
    features.filter(|feature| feature.parent().is_none())
}

/// How many of the syscalls that it uses an OS has to implement, and how many these are; where it was
/// not tried what can be left out at once, those that cannot be left out alone.
pub(super) fn implemented(analysis: &Analysis) -> (u64, u64) {
    let syscalls = |features: BTreeSet<Feature>| {
        let syscalls = features.iter().filter(|one| one.syscall().is_some());
        syscalls.count() as u64
    };
    let used: BTreeSet<Feature> = whole_features(analysis).cloned().collect();
    let implemented: BTreeSet<Feature> = match &analysis.joint {
        Some(joint) => {
            let implement = joint.implement.iter();
            let whole = implement.map(|one| one.parent().unwrap_or_else(|| one.clone()));
            whole.filter(|one| used.contains(one)).collect()
        }
        None => {
            let required = analysis.features.iter().filter(|row| {
                row.verdict == Verdict::Required && !row.harness && row.feature.parent().is_none()
            });
            required.map(|row| row.feature.clone()).collect()
        }
    };
    (syscalls(implemented), syscalls(used))
}

/// One sentence.
pub(super) fn conclusion(analysis: &Analysis) -> String {
    let name = printable(&subject(analysis));
    if whole_features(analysis).next().is_none() {
        return format!("{name} uses no syscall.");
    }
    match &analysis.joint {
        Some(joint) => of_the_whole(analysis, joint, &name),
        None => {
            let required = analysis.features.iter().filter(|row| {
                row.verdict == Verdict::Required && !row.harness && row.feature.parent().is_none()
            });
            format!(
                "Of the {} that {name} uses, {} cannot be left out alone; what can be left out at \
                 once was not tried.",
                counted_features(whole_features(analysis)),
                required.count(),
            )
        }
    }
}

fn of_the_whole(analysis: &Analysis, joint: &Joint, name: &str) -> String {
    let used: BTreeSet<Feature> = whole_features(analysis).cloned().collect();
    let whole = |feature: &Feature| feature.parent().unwrap_or_else(|| feature.clone());
    let implemented: BTreeSet<Feature> = joint.implement.iter().map(whole).collect();
    let syscalls = |features: &BTreeSet<Feature>| {
        let syscalls = features.iter().filter(|one| one.syscall().is_some());
        syscalls.count() as u64
    };
    let own: BTreeSet<Feature> = implemented.intersection(&used).cloned().collect();
    let instead: Vec<&Feature> = implemented.difference(&used).collect();
    let files = |features: &BTreeSet<Feature>| features.len() as u64 - syscalls(features);
    let mut text = format!(
        "An OS that implements {} of the {}",
        syscalls(&own),
        counted(syscalls(&used), "syscall")
    );
    if files(&used) > 0 {
        text += &format!(
            " and {} of the {}",
            files(&own),
            counted(files(&used), "pseudo-file")
        );
    }
    text += " it uses";
    if !instead.is_empty() {
        let names: Vec<String> = instead.iter().map(ToString::to_string).collect();
        text += &format!(", and {}, to which it turns then,", names.join(", "));
    }
    text + &format!(
        " runs {name} (as a whole: {} of {}).",
        joint.passes, joint.runs
    )
}

/// Which analysis it is, of which versions of what, as far as it is known.
pub(super) fn versions(analysis: &Analysis, telling: Telling) -> Option<String> {
    let mut parts = Vec::new();
    let id = telling.id.map(|id| format!("analysis {id}"));
    let date = telling
        .finished_ms
        .map(|finished| format!("{} UTC", date(finished)));
    let when: Vec<String> = id.into_iter().chain(date).collect();
    if !when.is_empty() {
        parts.push(when.join(" of "));
    }
    match &analysis.provenance {
        Some(provenance) => parts.push(provenance.summary()),
        None if analysis.origin.is_none() && telling.id.is_some() => {
            parts.push("measured on: not recorded".to_owned());
        }
        None => {}
    }
    if let Some(origin) = &analysis.origin {
        parts.push(format!("imported from {}", origin.format));
    }
    (!parts.is_empty()).then(|| printable(&parts.join("; ")))
}

/// On what it was measured, a line each.
pub(super) fn measured_on(provenance: &Provenance) -> Vec<String> {
    let rows = provenance.rows().into_iter();
    rows.map(|(what, value)| {
        let value = value.unwrap_or_else(|| "not recorded".to_owned());
        format!("{what}: {}", printable(&value))
    })
    .collect()
}

/// What to implement, to fake, to leave out; what is not known.
pub(super) fn lists(analysis: &Analysis) -> Vec<String> {
    let with = |verdicts: &[Verdict]| -> Vec<&Feature> {
        let rows = analysis.features.iter().filter(|row| {
            verdicts.contains(&row.verdict) && row.feature.parent().is_none() && !row.harness
        });
        rows.map(|row| &row.feature).collect()
    };
    let (implement, fake, leave_out) = match &analysis.joint {
        Some(joint) => (
            joint.implement.iter().collect(),
            joint.fake.iter().collect(),
            joint.stub.iter().collect(),
        ),
        None => (
            with(&[Verdict::Required]),
            with(&[Verdict::Fake]),
            with(&[Verdict::Stub, Verdict::Any]),
        ),
    };
    let unknown = match &analysis.joint {
        // What the joint policy covers was at least seen to be no matter as a whole.
        Some(_) => with(&[Verdict::Undecided]),
        None => with(&[Verdict::Undecided, Verdict::NotExercised]),
    };
    [
        ("implement", implement),
        ("fake", fake),
        ("leave out", leave_out),
        ("undecided alone", unknown),
    ]
    .into_iter()
    .filter(|(_, features)| !features.is_empty())
    .map(|(title, features)| {
        let names: Vec<String> = features.iter().map(ToString::to_string).collect();
        format!("{title} ({}): {}", names.len(), names.join(", "))
    })
    .collect()
}

/// The commands that lead on, each with what it is for.
pub(super) fn next(analysis: &Analysis, telling: Telling) -> Vec<String> {
    let name = shell_word(&subject(analysis));
    let mut commands = Vec::new();
    // What is least certain is looked at first.
    let rows = || analysis.features.iter();
    let doubtful = rows()
        .find(|row| row.verdict == Verdict::Undecided)
        .map(|row| (row, "why it is undecided"))
        .or_else(|| {
            let mut rows = rows();
            let odd = rows.find(|row| row.trials().any(|(_, trial)| !trial.suspicious.is_empty()));
            odd.map(|row| (row, "the replay that looks wrong"))
        })
        .or_else(|| {
            let mut rows = rows();
            let required = rows.find(|row| row.verdict == Verdict::Required);
            required.map(|row| (row, "why it cannot be left out"))
        });
    if let Some((row, why)) = doubtful.filter(|_| analysis.origin.is_none()) {
        let feature = shell_word(&row.feature.to_string());
        commands.push((format!("loupe explain {name} {feature}"), why));
    }
    if !analysis.features.is_empty() {
        commands.push((
            format!("loupe gap --os OS {name}"),
            "what an OS lacks for it (`loupe os list`)",
        ));
        commands.push((
            format!("loupe export seccomp {name}"),
            "a profile for containers",
        ));
        if !telling.full {
            commands.push((format!("loupe show --full {name}"), "every row and remark"));
        }
    }
    let widest = commands.iter().map(|(command, _)| command.len()).max();
    let widest = widest.unwrap_or(0);
    commands
        .into_iter()
        .enumerate()
        .map(|(index, (command, why))| {
            let lead = if index == 0 { "next:" } else { "" };
            format!("{lead:5} {command:widest$}  {why}")
        })
        .collect()
}
