//! What Loupe's probe found on an OS. What works is implemented, what lies is a fake, what crashes or
//! hangs is nothing that a program could live with. What was not tried says nothing.

use std::path::Path;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;

use super::{Findings, Remark, strangers};
use crate::plan::need::Answer;
use crate::plan::os::probed::{Probed, ProbedFeature, ProbedResult};
use crate::plan::os::{OsError, OsProfile, Source, read_probed};

/// Disagreements that are named one by one.
const MOST_NAMED: usize = 12;

/// What was found, and over what is known, what both say where they disagree.
pub(super) fn read(
    path: &Path,
    text: &str,
    base: Option<&OsProfile>,
) -> Result<(Findings, Probed), OsError> {
    let probed = read_probed(path, text)?;
    let mut found = Findings::default();
    let mut unknown = std::collections::BTreeMap::new();
    let mut told: Vec<(Feature, String)> = Vec::new();
    for row in &probed.results {
        let Ok(feature) = row.feature.parse::<Feature>() else {
            unknown.insert(row.feature.clone(), 1);
            continue;
        };
        let Some(answer) = answer(&feature, row) else {
            continue;
        };
        let mut note = match row.result {
            ProbedResult::Hangs => Some("the probe found that it hangs".to_owned()),
            ProbedResult::Crashes => Some("the probe found that it crashes".to_owned()),
            _ => None,
        };
        if let Some(base) = base.filter(|base| base.answer(&feature) != answer) {
            let said = word(base.answer(&feature));
            let list = format!("the probe found: {}; the list says: {said}", row.word());
            let before = base.notes.get(&feature);
            note = Some(match before {
                Some(before) => format!("{list}; {before}"),
                None => list,
            });
            told.push((
                feature.clone(),
                format!("{feature} ({said}, {})", row.word()),
            ));
        }
        if let Some(note) = note {
            found.notes.insert(feature.clone(), note);
        }
        found.answers.insert(feature, answer);
    }
    leave_out_what_follows(&mut found, base);
    if let (Some(base), false) = (base, told.is_empty()) {
        found.remarks.push(disagreement(path, base, &told));
    }
    let strange = strangers(path, unknown, "unknown feature");
    found.remarks.extend(strange);
    Ok((found, probed))
}

/// Who said what, in one sentence.
fn disagreement(path: &Path, base: &OsProfile, told: &[(Feature, String)]) -> Remark {
    let named: Vec<&str> = told
        .iter()
        .map(|(_, text)| text.as_str())
        .take(MOST_NAMED)
        .collect();
    let more = told.len() - named.len();
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more (in the notes)"),
    };
    let what = format!(
        "the probe and {} disagree on {}; the probe wins, and the notes have both: {}{more}",
        base.name,
        crate::text::counted(told.len() as u64, "feature"),
        named.join(", ")
    );
    Remark::new(path, None, what)
}

fn word(answer: Answer) -> String {
    match answer {
        Answer::Implement => "works".to_owned(),
        Answer::Fake => "a fake".to_owned(),
        Answer::Stub => "ENOSYS".to_owned(),
        Answer::Error(errno) => errno.to_string(),
        Answer::Kill => "kills".to_owned(),
    }
}

/// What a result means for a program there; `None`: nothing is known.
fn answer(feature: &Feature, row: &ProbedFeature) -> Option<Answer> {
    match row.result {
        ProbedResult::NotTried => None,
        ProbedResult::Works => Some(Answer::Implement),
        ProbedResult::Lies => Some(Answer::Fake),
        ProbedResult::Crashes | ProbedResult::Hangs => Some(Answer::Kill),
        ProbedResult::Enosys | ProbedResult::Errno => {
            let errno = row.failed_with()?;
            let absent = Errno::new(i64::from(libc::ENOENT));
            match feature {
                Feature::PseudoFile(_) if Some(errno) == absent => Some(Answer::Stub),
                _ => Some(Answer::failing(errno)),
            }
        }
    }
}

/// An operation that does what its syscall does needs no mention, unless the list has one; and a
/// syscall of which some operations do otherwise is there in part.
fn leave_out_what_follows(found: &mut Findings, base: Option<&OsProfile>) {
    let all = found.answers.clone();
    found.answers.retain(|feature, answer| {
        let Some(whole) = feature.parent() else {
            return true;
        };
        let of_whole = all.get(&whole).copied();
        let follows = of_whole.or(base.map(|base| base.answer(&whole))) == Some(*answer);
        if !follows && of_whole == Some(Answer::Implement) {
            found.partial.push(whole);
        }
        !follows || base.is_some_and(|base| base.mentions(feature))
    });
    let answers = &found.answers;
    found
        .notes
        .retain(|feature, _| answers.contains_key(feature));
}

/// Where the facts of a profile are from that the probe alone has made.
pub(super) fn source(probed: &Probed) -> Source {
    let os = &probed.os;
    let date = i64::try_from(probed.time).ok();
    let date = date.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    Source {
        date: date.map(|date| date.strftime("%Y-%m-%d").to_string()),
        files: Some(format!("loupe-probe on {} {} {}", os.sysname, os.release, os.version)),
        read: Some(
            "measured: one small use of each feature, whose effect was checked; what was not tried is \
             not known"
                .to_owned(),
        ),
        ..Source::default()
    }
}
