//! `loupe os list` and `loupe os diff`.

use std::path::Path;

use super::analysis::push_paragraph;
use super::layout::{Align, Layout};
use super::{Style, Tone};
use crate::plan::need::Answer;
use crate::plan::os::{OsDifference, OsProfile};
use crate::text::{counted, printable};

pub fn os_list(profiles: &[OsProfile], directory: &Path, style: Style) -> String {
    let place = printable(&directory.display().to_string());
    if profiles.is_empty() {
        let mut text = String::new();
        let empty = format!("No OS profile in {place} yet; `loupe os import FILE` keeps one.");
        push_paragraph(&mut text, &empty, 0, Tone::Plain, style);
        return text;
    }
    let mut layout = Layout::new(&[
        ("profile", Align::Left),
        ("implement", Align::Right),
        ("stub", Align::Right),
        ("fake", Align::Right),
    ]);
    for os in profiles {
        layout.row([
            printable(&os.name).into(),
            os.implement.len().into(),
            os.stub.len().into(),
            os.fake.len().into(),
        ]);
    }
    layout.print(style)
}

pub(super) fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::Implement => "implemented",
        Answer::Fake => "faked",
        Answer::Stub => "ENOSYS",
    }
}

pub fn os_difference(difference: &OsDifference, style: Style) -> String {
    let (from, to) = (printable(&difference.from), printable(&difference.to));
    let mut text = String::new();
    let count = difference.changes.len() as u64;
    let headline = match count {
        0 => format!("{from} and {to} answer everything alike."),
        _ => format!(
            "{from} and {to} answer {} differently.",
            counted(count, "syscall")
        ),
    };
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    if count == 0 {
        return text;
    }
    text.push('\n');
    let mut layout = Layout::new(&[
        ("syscall", Align::Left),
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
    text.push_str(&layout.print(style));
    text
}
