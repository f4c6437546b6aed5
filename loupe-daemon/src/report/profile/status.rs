//! `loupe profile status` and `top`: how the service and its subjects are doing.

use loupe_common::profile::{
    FleetRole, FleetStatus, Maturity, ProfileStatus, SubjectStatus, TargetStatus,
};
use serde_json::{Value, json};

use super::words;
use crate::report::analysis::push_paragraph;
use crate::report::layout::{Align, Cell, Layout};
use crate::report::{Style, Tone};
use crate::text::{bytes, counted, date, figures, percent, printable, signed, span};

/// The value of `schema` in the JSON of a status.
const SCHEMA: &str = "loupe.profile-status/1";
/// Lines of a picture of `top` that are no subjects: headline, table's head, the rest, the prompt.
const FRAME_LINES: usize = 8;

pub fn profile_status_json(status: &ProfileStatus) -> Value {
    let mut value = json!(status);
    value["schema"] = SCHEMA.into();
    value
}

/// What `add` has done: the targets as louped has understood them.
pub fn watched(targets: &[TargetStatus]) -> String {
    let line = |status: &TargetStatus| {
        let already = match status.configured {
            true => " (it is in the configuration, too)",
            false => "",
        };
        format!(
            "watching {}: {}{already}\n",
            printable(&status.target.to_string()),
            match status.cgroups {
                0 => "nothing that runs now".to_owned(),
                number => counted(number, "cgroup"),
            }
        )
    };
    targets.iter().map(line).collect()
}

/// What `remove` has done to those that were watched.
pub fn unwatched(targets: &[TargetStatus]) -> String {
    let line = |status: &TargetStatus| {
        let target = printable(&status.target.to_string());
        match status.configured {
            true => format!(
                "still watching {target}: it is in the configuration; take it out of \
                 /etc/loupe/louped.toml, then `systemctl reload louped`\n"
            ),
            false => format!("no longer watching {target}; what was observed is kept\n"),
        }
    };
    targets.iter().map(line).collect()
}

pub fn profile_status(status: &ProfileStatus, now_ms: u64, style: Style) -> String {
    if style.is_csv() {
        return subjects(&status.subjects).print(style);
    }
    let mut text = String::new();
    for trouble in &status.troubles {
        let line = format!("trouble: {}", printable(trouble));
        push_paragraph(&mut text, &line, 2, Tone::Bad, style);
    }
    push_paragraph(&mut text, &headline(status, now_ms), 0, Tone::Title, style);
    if let Some(lost) = words::lost(&status.lost) {
        let line = format!("{lost} since then; `loupe profile show` tells of which service");
        push_paragraph(&mut text, &line, 2, Tone::Bad, style);
    }
    if let Some(fleet) = &status.fleet {
        push_paragraph(&mut text, &member(fleet, now_ms), 2, Tone::Plain, style);
        if let Some(trouble) = &fleet.trouble {
            let line = format!("the fleet: {}", printable(trouble));
            push_paragraph(&mut text, &line, 2, Tone::Bad, style);
        }
    }
    text.push('\n');
    if status.targets.is_empty() {
        let line = "Nothing is watched: `loupe profile add UNIT`, or `units` in \
                    /etc/loupe/louped.toml.";
        push_paragraph(&mut text, line, 0, Tone::Middling, style);
    } else {
        text.push_str(&targets(&status.targets).print(style));
    }
    if !status.subjects.is_empty() {
        text.push('\n');
        text.push_str(&subjects(&status.subjects).print(style));
    }
    text
}

/// `Tells the fleet at tls://hub:4222: connected; last told 12 s ago; nothing waits.`
fn member(fleet: &FleetStatus, now_ms: u64) -> String {
    let (does, done) = match fleet.role {
        FleetRole::Agent => ("Tells", "told"),
        FleetRole::Hub => ("Is the hub of", "merged"),
    };
    let connected = match fleet.connected {
        true => "connected",
        false => "not connected",
    };
    let last = match fleet.last_ms {
        Some(at_ms) => format!("last {done} {} ago", span(now_ms.saturating_sub(at_ms))),
        None => format!("nothing {done} since its start"),
    };
    let waits = match fleet.backlog {
        0 => "nothing waits".to_owned(),
        1 => "1 message waits".to_owned(),
        more => format!("{more} messages wait"),
    };
    let refused = match fleet.refused {
        0 => String::new(),
        some => format!("; {} refused", counted(some, "message")),
    };
    format!(
        "{does} the fleet at {}: {connected}; {last}; {waits}{refused}.",
        printable(&fleet.url)
    )
}

fn headline(status: &ProfileStatus, now_ms: u64) -> String {
    let cost = match status.overhead {
        Some(part) => format!("it costs {} of the host's CPU time", percent(part)),
        None => "what it costs is not yet measured".to_owned(),
    };
    format!(
        "Observing since {} (UTC, {}); {}; {cost}; the database has {}.",
        date(signed(status.since_ms)),
        span(now_ms.saturating_sub(status.since_ms)),
        duty(status),
        bytes(status.store_bytes)
    )
}

/// `duty 5 % (measured), between two windows`.
fn duty(status: &ProfileStatus) -> String {
    let how = match status.duty_measured {
        true => "chosen by measurement",
        false => "as configured",
    };
    let now = match status.attached {
        true => "attached now",
        false => "not attached now",
    };
    format!("duty {} ({how}), {now}", percent(status.duty))
}

fn targets(targets: &[TargetStatus]) -> Layout {
    let mut layout = Layout::new(&[
        ("watched", Align::Left),
        ("cgroups", Align::Right),
        ("from", Align::Left),
    ]);
    for status in targets {
        let origin = match status.configured {
            true => "configuration",
            false => "profile add",
        };
        let (remark, tone) = match status.cgroups {
            0 => (format!("{origin}; fits nothing now"), Tone::Middling),
            _ => (origin.to_owned(), Tone::Faint),
        };
        layout.row([
            printable(&status.target.to_string()).into(),
            status.cgroups.into(),
            Cell::toned(remark, tone),
        ]);
    }
    layout
}

fn subjects(subjects: &[SubjectStatus]) -> Layout {
    let mut layout = Layout::new(&[
        ("subject", Align::Left),
        ("features", Align::Right),
        ("calls", Align::Right),
        ("runs", Align::Right),
        ("lost", Align::Right),
        ("state", Align::Left),
        ("observed", Align::Left),
    ]);
    for status in subjects {
        layout.row([
            name(status).into(),
            status.features.into(),
            status.calls.into(),
            status.processes.into(),
            lost(status),
            state(status),
            words::observed_short(&status.observation).into(),
        ]);
    }
    layout
}

fn lost(status: &SubjectStatus) -> Cell {
    match status.lost.total() {
        0 => "".into(),
        number => Cell::toned(number, Tone::Bad),
    }
}

/// The unit and its executable.
fn name(status: &SubjectStatus) -> String {
    let subject = &status.subject;
    format!(
        "{} {}",
        words::subject(subject.kind, &subject.name),
        words::path(&subject.executable)
    )
}

fn state(status: &SubjectStatus) -> Cell {
    match status.maturity {
        Maturity::Learning => Cell::toned("learning", Tone::Middling),
        Maturity::Stable { .. } => Cell::toned("stable", Tone::Good),
    }
}

/// Subjects by calls a second, as many as fit into so many lines of a terminal.
pub fn profile_top(status: &ProfileStatus, rows: Option<usize>, style: Style) -> String {
    let mut text = String::new();
    let new: u64 = status.subjects.iter().map(|one| one.new_last_hour).sum();
    let cost = match status.overhead {
        Some(part) => format!("cost {} of the CPU time", percent(part)),
        None => "cost not yet measured".to_owned(),
    };
    let headline = format!(
        "{}; {} new in the last hour; {}; {cost}.",
        counted(status.subjects.len() as u64, "subject"),
        counted(new, "feature"),
        duty(status)
    );
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    for trouble in &status.troubles {
        let line = format!("trouble: {}", printable(trouble));
        push_paragraph(&mut text, &line, 2, Tone::Bad, style);
    }
    let mut subjects: Vec<&SubjectStatus> = status.subjects.iter().collect();
    subjects.sort_by(|a, b| b.calls_per_second.total_cmp(&a.calls_per_second));
    let shown = rows.map_or(usize::MAX, |rows| rows.saturating_sub(FRAME_LINES).max(1));
    let mut layout = Layout::new(&[
        ("subject", Align::Left),
        ("calls/s", Align::Right),
        ("new/h", Align::Right),
        ("features", Align::Right),
        ("lost", Align::Right),
        ("state", Align::Left),
        ("unobserved", Align::Left),
    ]);
    for status in subjects.iter().take(shown) {
        let news = match status.new_last_hour {
            0 => Cell::from(""),
            number => Cell::toned(number, Tone::Middling),
        };
        layout.row([
            name(status).into(),
            figures(status.calls_per_second).into(),
            news,
            status.features.into(),
            lost(status),
            state(status),
            unobserved(status).into(),
        ]);
    }
    if style.is_csv() {
        return layout.print(style);
    }
    if !subjects.is_empty() {
        text.push('\n');
        text.push_str(&layout.print(style));
    }
    let hidden = subjects.len().saturating_sub(shown);
    if hidden > 0 {
        text.push_str(&format!("… and {hidden} more\n"));
    }
    text
}

/// All the time that nothing was attached in: gaps, and what is between two windows.
fn unobserved(status: &SubjectStatus) -> String {
    let observation = &status.observation;
    let whole = observation.until_ms.saturating_sub(observation.from_ms);
    span(whole.saturating_sub(observation.observed_ms))
}
