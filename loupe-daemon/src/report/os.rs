//! `loupe os list` and `loupe os diff`.

use std::collections::BTreeSet;
use std::path::Path;

use super::analysis::push_paragraph;
use super::layout::{Align, Cell, Layout};
use super::{Style, Tone};
use crate::plan::need::Answer;
use crate::plan::os::{Origin, OsDifference, OsProfile};
use crate::text::{counted, printable};

pub fn os_list(profiles: &[(OsProfile, Origin)], directory: &Path, style: Style) -> String {
    if style.is_csv() {
        let each = profiles.iter().map(|(os, origin)| {
            let origin = match origin {
                Origin::BuiltIn => "built in",
                Origin::Kept | Origin::File => "kept",
            };
            ([origin.to_owned()], table(&[os]))
        });
        return Layout::of_all(["origin"], each).print(style);
    }
    let mut text = String::new();
    let place = printable(&directory.display().to_string());
    for (is_built_in, heading) in [
        (false, format!("Kept in {place}")),
        (true, "Built in".to_owned()),
    ] {
        let some = profiles
            .iter()
            .filter(|(_, origin)| (*origin == Origin::BuiltIn) == is_built_in)
            .map(|(os, _)| os)
            .collect::<Vec<&OsProfile>>();
        if some.is_empty() {
            continue;
        }
        push_paragraph(&mut text, &heading, 0, Tone::Title, style);
        text.push_str(&table(&some).print(style));
        text.push('\n');
    }
    let rest = "implement: partial ones too; other: fails with another errno than ENOSYS, or ends its \
                caller; unknown: what a syscall gets that the profile does not mention; right: predictions that \
                came true when they were tried on that OS (`loupe verify`). `loupe os import FILE` keeps more.";
    push_paragraph(&mut text, rest, 0, Tone::Plain, style);
    text
}

fn table(profiles: &[&OsProfile]) -> Layout {
    let mut layout = Layout::new(&[
        ("profile", Align::Left),
        ("implement", Align::Right),
        ("partial", Align::Right),
        ("fake", Align::Right),
        ("stub", Align::Right),
        ("other", Align::Right),
        ("unknown", Align::Left),
        ("date", Align::Left),
        ("commit", Align::Left),
        ("right", Align::Left),
    ]);
    for os in profiles {
        let errors: usize = os.error.values().map(BTreeSet::len).sum();
        layout.row([
            printable(&os.name).into(),
            os.implement.len().into(),
            os.partial.len().into(),
            os.fake.len().into(),
            os.stub.len().into(),
            (errors + os.kill.len()).into(),
            os.unknown.to_string().into(),
            known(os.source.date.clone()),
            known(short_commit(os)),
            known(
                os.verified
                    .as_ref()
                    .map(|it| format!("{}/{}", it.right, it.of)),
            ),
        ]);
    }
    layout
}

/// What an OS says of each feature that it speaks of: what `loupe os import` reads, too.
pub fn os_table(os: &OsProfile, style: Style) -> String {
    let mut layout = Layout::new(&[
        ("feature", Align::Left),
        ("status", Align::Left),
        ("errno", Align::Left),
        ("note", Align::Left),
    ]);
    let errors = os.error.iter();
    let errors = errors.map(|(errno, features)| (features, "error", errno.to_string()));
    let lists = [
        (&os.implement, "full"),
        (&os.fake, "fake"),
        (&os.stub, "stub"),
        (&os.kill, "kill"),
    ];
    let lists = lists.map(|(features, status)| (features, status, String::new()));
    for (features, status, errno) in lists.into_iter().chain(errors) {
        for feature in features {
            let note = os.notes.get(feature).map_or("", String::as_str);
            let status = match os.partial.contains(feature) {
                true => "partial",
                false => status,
            };
            layout.row([
                feature.into(),
                status.into(),
                errno.as_str().into(),
                printable(note).into(),
            ]);
        }
    }
    layout.print(style)
}

/// The commit as people shorten it, where it is one.
fn short_commit(os: &OsProfile) -> Option<String> {
    let commit = os.source.commit.as_ref()?;
    let is_digest = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some(match is_digest {
        true => commit[..8].to_owned(),
        false => commit.clone(),
    })
}

fn known(value: Option<String>) -> Cell {
    value.map_or_else(
        || Cell::from("-").exactly(""),
        |value| printable(&value).into(),
    )
}

pub(super) fn answer(answer: Answer) -> String {
    match answer {
        Answer::Implement => "implemented".to_owned(),
        Answer::Fake => "faked".to_owned(),
        Answer::Stub => "ENOSYS".to_owned(),
        Answer::Error(errno) => errno.to_string(),
        Answer::Kill => "kills".to_owned(),
    }
}

pub fn os_difference(difference: &OsDifference, style: Style) -> String {
    let mut layout = Layout::new(&[
        ("feature", Align::Left),
        ("before", Align::Left),
        ("after", Align::Left),
    ]);
    for change in &difference.changes {
        layout.row([
            (&change.feature).into(),
            answer(change.from).into(),
            answer(change.to).into(),
        ]);
    }
    if style.is_csv() {
        return layout.print(style);
    }
    let (from, to) = (printable(&difference.from), printable(&difference.to));
    let mut text = String::new();
    let count = difference.changes.len() as u64;
    let mut changes = difference.changes.iter();
    let noun = match changes.all(|change| change.feature.is_syscall()) {
        true => "syscall",
        false => "feature",
    };
    let headline = match count {
        0 => format!("{from} and {to} answer everything alike."),
        _ => format!(
            "{from} and {to} answer {} differently.",
            counted(count, noun)
        ),
    };
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    if let Some([before, after]) = difference.unknown {
        let line = format!("A syscall that neither mentions gets {before} before, {after} after.");
        push_paragraph(&mut text, &line, 0, Tone::Plain, style);
    }
    if count == 0 {
        return text;
    }
    text.push('\n');
    text + &layout.print(style)
}
