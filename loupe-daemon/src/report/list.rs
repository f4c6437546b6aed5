//! `loupe list`: what is in the database.

use loupe_common::verdict::Verdict;
use serde_json::{Value, json};

use super::analysis::ORDER;
use super::layout::{Align, Cell, Layout};
use super::{Style, Tone};
use crate::store::{Listed, Progressing, VerdictCounts};
use crate::text::{date, printable, rfc3339};

/// The value of `schema` in the JSON of a list.
const SCHEMA: &str = "loupe.list/1";

pub fn list_table(list: &[Listed], style: Style) -> String {
    if list.is_empty() {
        return "No analysis in the database yet; `loupe analyze WORKLOAD.toml` makes one.\n"
            .to_owned();
    }
    let mut layout = Layout::new(&[
        ("application/workload", Align::Left),
        ("required", Align::Right),
        ("stub", Align::Right),
        ("fake", Align::Right),
        ("any", Align::Right),
        ("other", Align::Right),
        ("replays", Align::Right),
        ("finished (UTC)", Align::Left),
    ]);
    for listed in list {
        let [required, stub, fake, any] = [
            Verdict::Required,
            Verdict::Stub,
            Verdict::Fake,
            Verdict::Any,
        ]
        .map(|verdict| count(listed, &[verdict]));
        layout.row([
            format!(
                "{}/{}",
                printable(&listed.application),
                printable(&listed.workload)
            )
            .into(),
            required,
            stub,
            fake,
            any,
            count(listed, &[Verdict::NotExercised, Verdict::Undecided]),
            listed.replays.into(),
            state(listed),
        ]);
    }
    layout.print(style)
}

fn count(listed: &Listed, verdicts: &[Verdict]) -> Cell {
    if listed.progress.is_some() {
        return Cell::toned("–", Tone::Faint);
    }
    let counts = verdicts
        .iter()
        .filter_map(|verdict| listed.verdicts.get(verdict));
    counts.sum::<u64>().into()
}

fn state(listed: &Listed) -> Cell {
    match (listed.progress, listed.finished_ms) {
        (Some(progress), _) => Cell::toned(in_words(progress), Tone::Middling),
        (None, Some(finished)) => date(finished).into(),
        (None, None) => Cell::toned("–", Tone::Faint),
    }
}

fn in_words(progress: Progressing) -> &'static str {
    match progress {
        Progressing::Running => "running",
        Progressing::Interrupted => "interrupted",
    }
}

/// Makes the document that `loupe list --json` prints.
pub fn list_json(list: &[Listed]) -> Value {
    let analyses: Vec<Value> = list
        .iter()
        .map(|listed| {
            // Every verdict is there, so that a script need not ask whether it is.
            let mut verdicts = VerdictCounts::from(ORDER.map(|verdict| (verdict, 0)));
            verdicts.extend(&listed.verdicts);
            json!({
                "analysis": listed.analysis,
                "application": listed.application,
                "workload": listed.workload,
                "state": listed.progress.map_or("finished", in_words),
                "started": rfc3339(listed.started_ms),
                "finished": listed.finished_ms.map(rfc3339),
                "replays": listed.replays,
                "verdicts": listed.progress.is_none().then_some(verdicts),
            })
        })
        .collect();
    json!({ "schema": SCHEMA, "analyses": analyses })
}
