//! `loupe list`: what is in the database.

use loupe_common::verdict::Verdict;
use serde_json::{Value, json};

use super::analysis::ORDER;
use super::layout::{Align, Cell, Layout};
use super::{Style, Tone};
use crate::store::{Listed, Progressing, RULE, Selector, VerdictCounts, WorkloadKind, choose};
use crate::text::{date, printable, rfc3339};

/// The value of `schema` in the JSON of a list.
const SCHEMA: &str = "loupe.list/1";

pub fn list_table(list: &[Listed], style: Style) -> String {
    if list.is_empty() && !style.is_csv() {
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
        let [required, stub, fake, any, other] = verdicts(listed);
        layout.row([
            name(listed).into(),
            required,
            stub,
            fake,
            any,
            other,
            listed.replays.into(),
            state(listed),
        ]);
    }
    layout.print(style)
}

/// All analyses of an application, with the numbers that name them; the one that its name means is
/// marked.
pub fn history_table(list: &[Listed], style: Style) -> String {
    let meant = list.first().and_then(|first| {
        let finished: Vec<&Listed> = list.iter().filter(|one| one.progress.is_none()).collect();
        let wanted = Selector::parse(&first.application, None);
        choose(&finished, &wanted, WorkloadKind::Any).map(|chosen| chosen.item.analysis)
    });
    let mut layout = Layout::new(&[
        ("analysis", Align::Right),
        ("meant", Align::Left),
        ("application/workload", Align::Left),
        ("required", Align::Right),
        ("stub", Align::Right),
        ("fake", Align::Right),
        ("any", Align::Right),
        ("other", Align::Right),
        ("finished (UTC)", Align::Left),
        ("from", Align::Left),
    ]);
    for listed in list {
        let [required, stub, fake, any, other] = verdicts(listed);
        layout.row([
            listed.analysis.unsigned_abs().into(),
            match meant == Some(listed.analysis) {
                true => "*".to_owned().into(),
                false => String::new().into(),
            },
            name(listed).into(),
            required,
            stub,
            fake,
            any,
            other,
            state(listed),
            match listed.imported {
                true => "imported",
                false => "here",
            }
            .to_owned()
            .into(),
        ]);
    }
    let mut text = layout.print(style);
    if style.is_csv() {
        return text;
    }
    if let (Some(id), Some(first)) = (meant, list.first()) {
        let name = printable(&first.application);
        text +=
            &format!("* is what {name} means ({RULE}); {name}@{id} and {id} name it exactly.\n");
    }
    text
}

fn name(listed: &Listed) -> String {
    printable(&format!("{}/{}", listed.application, listed.workload))
}

/// How many features there are of each verdict; of both that decide nothing together.
fn verdicts(listed: &Listed) -> [Cell; 5] {
    [
        &[Verdict::Required][..],
        &[Verdict::Stub],
        &[Verdict::Fake],
        &[Verdict::Any],
        &[Verdict::NotExercised, Verdict::Undecided],
    ]
    .map(|of| count(listed, of))
}

fn count(listed: &Listed, verdicts: &[Verdict]) -> Cell {
    if listed.progress.is_some() {
        return Cell::none();
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
        (None, None) => Cell::none(),
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
                "imported": listed.imported,
                "provenance": listed.provenance,
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
