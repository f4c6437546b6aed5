//! What is below the syscalls: the rows of operations and flags, and a sentence for each syscall
//! of which not all is needed.

use loupe_common::analysis::{Analysis, FeatureVerdict};
use loupe_common::feature::Feature;
use loupe_common::operations::Operation;
use loupe_common::verdict::Verdict;

/// The parts of a feature, as a table below it names them: flags with a plus.
pub(super) fn below<'a>(
    analysis: &'a Analysis,
    parent: &Feature,
) -> impl Iterator<Item = (String, &'a FeatureVerdict)> {
    parts(analysis, parent).map(|(part, row)| match part.is_flag() {
        true => (format!("  + {}", part.name()), row),
        false => (format!("  {}", part.name()), row),
    })
}

fn parts<'a>(
    analysis: &'a Analysis,
    parent: &Feature,
) -> impl Iterator<Item = (&'a Operation, &'a FeatureVerdict)> {
    let parent = parent.clone();
    analysis
        .features
        .iter()
        .filter_map(move |row| match &row.feature {
            Feature::Operation(part) if row.feature.parent().as_ref() == Some(&parent) => {
                Some((part, row))
            }
            _ => None,
        })
}

/// `fcntl is required, but only F_GETFL and F_SETFL; F_SETFD can be faked.`
pub(super) fn sentences(analysis: &Analysis) -> Vec<String> {
    let rows = analysis.features.iter();
    rows.filter_map(|row| sentence(analysis, &row.feature))
        .collect()
}

/// Nothing where no part can be left out.
fn sentence(analysis: &Analysis, parent: &Feature) -> Option<String> {
    let with = |wanted: &[Verdict]| -> Vec<&str> {
        let parts = parts(analysis, parent);
        let named = parts.filter(|(_, row)| wanted.contains(&row.verdict));
        named.map(|(part, _)| part.name()).collect()
    };
    let spared: Vec<String> = [
        (Verdict::Any, "can be stubbed or faked"),
        (Verdict::Stub, "can be stubbed"),
        (Verdict::Fake, "can be faked"),
    ]
    .into_iter()
    .map(|(verdict, how)| (with(&[verdict]), how))
    .filter(|(names, _)| !names.is_empty())
    .map(|(names, how)| format!("{} {how}", join(&names)))
    .collect();
    if spared.is_empty() {
        return None;
    }
    let rest = with(&[Verdict::Required, Verdict::NotExercised, Verdict::Undecided]);
    let only = match rest.is_empty() {
        true => "although no part of it is alone".to_owned(),
        false => format!("but only {}", join(&rest)),
    };
    Some(format!(
        "{parent} is required, {only}; {}.",
        spared.join("; ")
    ))
}

fn join(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loupe_common::analysis::{Basis, Trial};

    fn analysis(rows: &[(&str, Verdict)]) -> Analysis {
        let row = |(name, verdict): &(&str, Verdict)| {
            let feature: Feature = name.parse().expect("a feature");
            FeatureVerdict {
                kind: feature.kind().to_owned(),
                feature,
                verdict: *verdict,
                calls: 1,
                seen_in: 3,
                stub: Trial::default(),
                fake: Trial::default(),
                plausible: None,
                errnos: Default::default(),
                harness: false,
                basis: Basis::Measured,
                error_bound: None,
            }
        };
        Analysis {
            features: rows.iter().map(row).collect(),
            ..Analysis::default()
        }
    }

    #[test]
    fn a_syscall_of_which_not_all_is_needed_gets_a_sentence() {
        let analysis = analysis(&[
            ("fcntl", Verdict::Required),
            ("fcntl:F_GETFL", Verdict::Required),
            ("fcntl:F_SETFL", Verdict::Required),
            ("fcntl:F_SETFD", Verdict::Fake),
            ("epoll_ctl", Verdict::Required),
            ("epoll_ctl:EPOLL_CTL_ADD", Verdict::Required),
            ("lseek", Verdict::Required),
            ("lseek:SEEK_CUR", Verdict::Any),
            ("lseek:SEEK_SET", Verdict::Stub),
        ]);
        assert_eq!(
            sentences(&analysis),
            [
                "fcntl is required, but only F_GETFL and F_SETFL; F_SETFD can be faked.",
                "lseek is required, although no part of it is alone; SEEK_CUR can be stubbed or \
                 faked; SEEK_SET can be stubbed."
            ]
        );
        let below: Vec<String> = below(&analysis, &analysis.features[0].feature)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(below, ["  F_GETFL", "  F_SETFL", "  F_SETFD"]);
    }
}
