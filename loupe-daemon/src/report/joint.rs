//! What holds as a whole: the joint policy, the conflicts that keep it small, the fallbacks.
//! Sentences for the end of the verdict table.

use std::collections::BTreeSet;

use loupe_common::analysis::{Analysis, Conflict, Fallback, Joint};
use loupe_common::feature::Feature;
use loupe_common::policy::{Action, Policy};
use loupe_common::syscalls::Syscall;

use crate::text::counted;

/// One paragraph each: the joint policy as far as the answer does not tell it, each conflict, each
/// fallback (unless in full, only their number).
pub(super) fn paragraphs(analysis: &Analysis, full: bool) -> Vec<String> {
    let mut paragraphs = Vec::new();
    if let Some(joint) = &analysis.joint {
        paragraphs.extend(policy(joint, full));
    }
    paragraphs.extend(analysis.conflicts.iter().map(conflict));
    let fallbacks = fallbacks(&analysis.fallbacks);
    match (full, fallbacks.len()) {
        (true, _) | (false, 1) => paragraphs.extend(fallbacks),
        (false, 0) => {}
        (false, ways) => paragraphs.push(format!(
            "fallbacks: left out one by one, {ways} make it turn to something else (--full)"
        )),
    }
    paragraphs
}

fn policy(joint: &Joint, full: bool) -> Vec<String> {
    let mut paragraphs = Vec::new();
    let opened: BTreeSet<Syscall> = joint.implement.iter().filter_map(opened).collect();
    if !opened.is_empty() {
        let names: Vec<String> = opened.iter().map(Syscall::to_string).collect();
        paragraphs.push(format!(
            "only the operations named are needed of {}",
            join(&names)
        ));
    }
    match joint.is_least {
        Some(true) => {
            paragraphs.push("as a whole, no single feature more can be left out".to_owned());
        }
        Some(false) if !joint.undecided.is_empty() => paragraphs.push(undecided(joint)),
        Some(false) => paragraphs.push(
            "the search for the whole took all that it may: less may do, which `--effort all` \
             would find"
                .to_owned(),
        ),
        None => {}
    }
    for (title, features) in [
        ("only used with the rest left out", &joint.fallbacks),
        ("not called any more with the rest left out", &joint.unused),
    ] {
        if full && !features.is_empty() {
            paragraphs.push(format!("{title}: {}", list(features, ", ")));
        }
    }
    paragraphs
}

/// Each of these rules passes alone.
fn undecided(joint: &Joint) -> String {
    let rules = joint.undecided.iter();
    let rules: Vec<String> = rules
        .map(|(feature, action)| format!("`{}`", Policy::single(feature.clone(), action)))
        .collect();
    let (passes, it) = match rules.len() {
        1 => ("passes", "it counts"),
        _ => ("each pass", "they count"),
    };
    format!(
        "left undecided: {} {passes} alone while the workload does next to none of its work, and failed \
         together with the rest; that is up to the host's speed, so {it} as to be implemented \
         (`--effort all` searches on)",
        join(&rules)
    )
}

/// `52 syscalls and 3 pseudo-files`; what is a part of a syscall stands for it.
pub(super) fn counted_features<'a>(features: impl Iterator<Item = &'a Feature>) -> String {
    let mut syscalls = BTreeSet::new();
    let mut others = 0;
    for feature in features {
        match feature.syscall() {
            Some(syscall) => {
                syscalls.insert(syscall);
            }
            None => others += 1,
        }
    }
    let syscalls = counted(syscalls.len() as u64, "syscall");
    match others {
        0 => syscalls,
        _ => format!("{syscalls} and {}", counted(others, "pseudo-file")),
    }
}

/// The syscall that an operation stands for.
fn opened(feature: &Feature) -> Option<Syscall> {
    match feature {
        Feature::Operation(part) if !part.is_flag() => Some(part.syscall()),
        _ => None,
    }
}

fn list(features: &[Feature], separator: &str) -> String {
    let names: Vec<String> = features.iter().map(Feature::to_string).collect();
    names.join(separator)
}

/// "`a` and `b` can be stubbed, not both", in as many words as it takes.
pub(super) fn conflict(conflict: &Conflict) -> String {
    format!(
        "conflict: {} ({} of {} replays passed)",
        conflict_words(&conflict.policy),
        conflict.passes,
        conflict.runs
    )
}

fn conflict_words(policy: &Policy) -> String {
    let rules: Vec<(&Feature, Action)> = policy.iter().collect();
    let names: Vec<String> = rules
        .iter()
        .map(|(feature, _)| feature.to_string())
        .collect();
    let not_all = match names.len() {
        2 => "not both",
        _ => "not all at once",
    };
    let same = |wanted: Action| rules.iter().all(|(_, action)| *action == wanted);
    if same(Action::STUB) {
        return format!("{} can be stubbed, {not_all}", join(&names));
    }
    if same(Action::Fake) {
        return format!("{} can be faked, {not_all}", join(&names));
    }
    let rules: Vec<String> = rules
        .iter()
        .map(|(feature, action)| match action {
            Action::Fake => format!("{feature} faked"),
            Action::Plausible => format!("{feature} faked plausibly"),
            Action::Kill => format!("{feature} ending its caller"),
            Action::Stub(_) if *action == Action::STUB => format!("{feature} stubbed"),
            Action::Stub(errno) => format!("{feature} stubbed with {errno}"),
        })
        .collect();
    format!("{} can be had, {not_all}", join(&rules))
}

fn join(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// By what was left out: what the application does instead. Only where it went on to pass;
/// what a failing application does last is its end, not its plan B.
pub(super) fn fallbacks(edges: &[Fallback]) -> Vec<String> {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for edge in edges.iter().filter(|edge| edge.passed) {
        let cause = format!("{} {}", edge.action, edge.feature);
        match lines.last_mut().filter(|(last, _)| *last == cause) {
            Some((_, appears)) => appears.push(edge.appears.to_string()),
            None => lines.push((cause, vec![edge.appears.to_string()])),
        }
    }
    lines
        .into_iter()
        .map(|(cause, appears)| format!("fallback: {cause} → {}", appears.join(", ")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict_of(rules: &[(&str, Action)]) -> String {
        let policy: Policy = rules
            .iter()
            .map(|(name, action)| (name.parse().expect("a syscall"), *action))
            .collect();
        conflict_words(&policy)
    }

    #[test]
    fn a_conflict_reads_as_a_sentence() {
        let stubs = [
            ("rt_sigaction", Action::STUB),
            ("rt_sigprocmask", Action::STUB),
        ];
        let both = "rt_sigaction and rt_sigprocmask can be stubbed, not both";
        assert_eq!(conflict_of(&stubs), both);
        let mixed = [
            ("brk", Action::STUB),
            ("clone", Action::Fake),
            ("futex", Action::Fake),
        ];
        let all = "brk stubbed, clone faked and futex faked can be had, not all at once";
        assert_eq!(conflict_of(&mixed), all);
    }

    #[test]
    fn fallbacks_are_told_by_cause_and_only_of_passing_replays() {
        let edge = |feature: &str, appears: &str, passed| Fallback {
            feature: feature.parse().expect("a syscall"),
            action: Action::STUB,
            appears: appears.parse().expect("a syscall"),
            calls: 1,
            passed,
            replay: 1,
        };
        let edges = [
            edge("clone3", "clone", true),
            edge("clone3", "vfork", true),
            edge("mmap", "tgkill", false),
        ];
        assert_eq!(fallbacks(&edges), ["fallback: stub clone3 → clone, vfork"]);
    }
}
