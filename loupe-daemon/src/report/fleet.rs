//! `loupe fleet`: many hosts, as tables.

use super::analysis::push_paragraph;
use super::layout::{Align, Cell, Layout};
use super::{Style, Tone};
use crate::fleet::{FleetDrift, FleetGap, HostRow, Refused, Shown, Version, Who, called};
use crate::text::{counted, date, printable, signed, span};

/// Hosts that a list names before it only counts.
const NAMED_HOSTS: usize = 20;
const HOUR_MS: u64 = 3_600_000;
/// A clock that is off by less is right: facts are told by the hour.
const SOUND_CLOCK_MS: u64 = 5_000;

pub fn fleet_hosts(hosts: &[HostRow], refused: &[Refused], now_ms: u64, style: Style) -> String {
    if style.is_csv() {
        return host_rows(hosts, now_ms).print(style);
    }
    let mut text = String::new();
    let times: u64 = refused.iter().map(|one| one.times).sum();
    if let Some(last) = refused.first() {
        let line = format!(
            "{} refused, the last at {} UTC from {}: {}",
            counted(times, "message"),
            date(signed(last.at_ms)),
            printable(&last.subject),
            printable(&last.why),
        );
        push_paragraph(&mut text, &line, 2, Tone::Bad, style);
        text.push('\n');
    }
    if hosts.is_empty() {
        text.push_str(
            "No host has told anything yet: `loupe profile export --bundle FILE` on each, then \
             `loupe fleet import FILE…` here; or over a server, `loupe fleet init --help`.\n",
        );
        return text;
    }
    text + &host_rows(hosts, now_ms).print(style)
}

fn host_rows(hosts: &[HostRow], now_ms: u64) -> Layout {
    let mut layout = Layout::new(&[
        ("host", Align::Left),
        ("last heard (UTC)", Align::Left),
        ("ago", Align::Right),
        ("clock", Align::Right),
        ("waiting", Align::Right),
        ("subjects", Align::Right),
        ("lost", Align::Right),
        ("loupe", Align::Left),
        ("arch", Align::Left),
        ("kernel", Align::Left),
    ]);
    for row in hosts {
        let lost = match row.lost {
            0 => Cell::from(""),
            lost => Cell::toned(lost, Tone::Bad),
        };
        let (ago, clock, waiting) = match &row.heard {
            Some(heard) => (
                span(now_ms.saturating_sub(heard.at_ms)),
                clock(heard.offset_ms),
                // The message that told of it had not been acknowledged yet.
                heard.backlog.saturating_sub(1).into(),
            ),
            None => (String::new(), Cell::from(""), Cell::from("")),
        };
        let at_ms = row.heard.map_or(row.host.made_ms, |heard| heard.at_ms);
        layout.row([
            printable(&called(&row.host)).into(),
            date(signed(at_ms)).into(),
            ago.into(),
            clock,
            waiting,
            row.subjects.into(),
            lost,
            printable(&row.host.loupe).into(),
            printable(&row.host.arch).into(),
            printable(&row.host.kernel).into(),
        ]);
    }
    layout
}

/// How far a clock is off; what the way of a message may have taken is nothing.
fn clock(offset_ms: i64) -> Cell {
    if offset_ms.unsigned_abs() < SOUND_CLOCK_MS {
        return Cell::from("");
    }
    let sign = if offset_ms < 0 { "−" } else { "+" };
    Cell::toned(
        format!("{sign}{}", span(offset_ms.unsigned_abs())),
        Tone::Bad,
    )
}

pub fn fleet_who(who: &Who, style: Style) -> String {
    if style.is_csv() {
        return users(who).print(style);
    }
    let mut text = String::new();
    let feature = printable(&who.feature);
    let headline = match who.hosts.len() {
        0 => format!(
            "Nobody was seen to use {feature}, on {}.",
            counted(who.fleet, "host")
        ),
        hosts => format!(
            "{feature} is used on {hosts} of {}.",
            counted(who.fleet, "host")
        ),
    };
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    if who.users.is_empty() {
        return text;
    }
    let names: Vec<String> = who.hosts.iter().map(|name| printable(name)).collect();
    let more = match names.len().saturating_sub(NAMED_HOSTS) {
        0 => String::new(),
        more => format!(", … and {more} more (--json has all)"),
    };
    let shown = names.get(..NAMED_HOSTS).unwrap_or(&names).join(", ");
    push_paragraph(
        &mut text,
        &format!("  {shown}{more}"),
        2,
        Tone::Plain,
        style,
    );
    text.push('\n');
    text + &users(who).print(style)
}

fn users(who: &Who) -> Layout {
    let mut layout = Layout::new(&[
        ("unit", Align::Left),
        ("executable", Align::Left),
        ("hosts", Align::Right),
        ("since (UTC)", Align::Left),
        ("package", Align::Left),
    ]);
    for user in &who.users {
        layout.row([
            printable(&user.name).into(),
            printable(&user.version.executable).into(),
            user.hosts.into(),
            hour(user.first_hour).into(),
            package(&user.version).into(),
        ]);
    }
    layout
}

pub fn fleet_shown(units: &[Shown], style: Style) -> String {
    if style.is_csv() {
        let tables = units.iter();
        let tables = tables.map(|unit| ([printable(&unit.name)], seen(unit)));
        return Layout::of_all(["unit"], tables).print(style);
    }
    let texts: Vec<String> = units.iter().map(|unit| shown(unit, style)).collect();
    texts.join("\n")
}

fn shown(unit: &Shown, style: Style) -> String {
    let mut text = String::new();
    let outliers = unit.features.iter().filter(|row| row.outlier).count();
    let headline = format!(
        "{}: {} on {}; {} on few of them only.",
        printable(&unit.name),
        counted(unit.features.len() as u64, "feature"),
        counted(unit.hosts, "host"),
        outliers,
    );
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    for row in &unit.versions {
        let line = format!(
            "  {} {}: {}, observed for {} in all",
            printable(&row.version.executable),
            package(&row.version),
            counted(row.hosts, "host"),
            span(row.observed_ms)
        );
        push_paragraph(&mut text, &line, 4, Tone::Plain, style);
    }
    text.push('\n');
    text + &seen(unit).print(style)
}

fn seen(unit: &Shown) -> Layout {
    let mut layout = Layout::new(&[
        ("feature", Align::Left),
        ("hosts", Align::Right),
        ("first seen (UTC)", Align::Left),
        ("remark", Align::Left),
    ]);
    for row in &unit.features {
        let remark = match row.outlier {
            true => Cell::toned("outlier", Tone::Middling),
            false => Cell::from(""),
        };
        layout.row([
            printable(&row.feature).into(),
            row.hosts.into(),
            hour(row.first_hour).into(),
            remark,
        ]);
    }
    layout
}

pub fn fleet_drift(drift: &FleetDrift, style: Style) -> String {
    if style.is_csv() {
        return new_uses(drift).print(style);
    }
    let mut text = String::new();
    let headline = format!(
        "Since {} (UTC): {} that no host had before, and {}.",
        hour(drift.since_hour),
        counted(drift.new.len() as u64, "use"),
        counted(drift.new_units.len() as u64, "new unit"),
    );
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    if !drift.new.is_empty() {
        text.push('\n');
        text.push_str(&new_uses(drift).print(style));
    }
    for row in &drift.new_units {
        let line = format!(
            "new: {} on {}, {}",
            printable(&row.name),
            counted(row.hosts, "host"),
            counted(row.features, "feature")
        );
        push_paragraph(&mut text, &line, 2, Tone::Middling, style);
    }
    text
}

fn new_uses(drift: &FleetDrift) -> Layout {
    let mut layout = Layout::new(&[
        ("unit", Align::Left),
        ("feature", Align::Left),
        ("hosts", Align::Right),
        ("since (UTC)", Align::Left),
        ("package", Align::Left),
    ]);
    for row in &drift.new {
        layout.row([
            printable(&row.name).into(),
            Cell::toned(printable(&row.feature), Tone::Bad),
            row.hosts.into(),
            hour(row.first_hour).into(),
            package(&row.version).into(),
        ]);
    }
    layout
}

pub fn fleet_gap(gap: &FleetGap, style: Style) -> String {
    if style.is_csv() {
        return units_that_lack(gap).print(style);
    }
    let mut text = String::new();
    let headline = format!(
        "{} of {} would not run everywhere on {}; all that was seen in use counts.",
        gap.lacking.len(),
        counted(gap.units, "unit"),
        printable(&gap.os),
    );
    push_paragraph(&mut text, &headline, 0, Tone::Title, style);
    if !gap.lacking.is_empty() {
        text.push('\n');
        text.push_str(&units_that_lack(gap).print(style));
        let mut layout = Layout::new(&[
            ("missing most", Align::Left),
            ("units", Align::Right),
            ("units on hosts", Align::Right),
        ]);
        for row in &gap.missing {
            layout.row([
                row.feature.to_string().into(),
                row.units.into(),
                row.places.into(),
            ]);
        }
        text.push('\n');
        text.push_str(&layout.print(style));
    }
    if !gap.unknown.is_empty() {
        let names: Vec<String> = gap.unknown.iter().map(|name| printable(name)).collect();
        let line = format!(
            "not judged, for want of a meaning here: {}",
            names.join(", ")
        );
        push_paragraph(&mut text, &line, 2, Tone::Middling, style);
    }
    text
}

fn units_that_lack(gap: &FleetGap) -> Layout {
    let mut layout = Layout::new(&[
        ("unit", Align::Left),
        ("not on", Align::Right),
        ("hosts", Align::Right),
        ("missing", Align::Left),
    ]);
    for row in &gap.lacking {
        let missing: Vec<String> = row.missing.iter().map(ToString::to_string).collect();
        layout.row([
            printable(&row.name).into(),
            Cell::toned(row.would_not_run, Tone::Bad),
            row.hosts.into(),
            missing.join(", ").into(),
        ]);
    }
    layout
}

fn hour(hour: u32) -> String {
    date(signed(u64::from(hour) * HOUR_MS))
}

/// `nginx 1.22.1-9`, or the beginning of the build-id.
fn package(version: &Version) -> String {
    let known = [&version.package, &version.version];
    let words: Vec<String> = known
        .into_iter()
        .flatten()
        .map(|word| printable(word))
        .collect();
    match (words.is_empty(), &version.build_id) {
        (true, Some(id)) => format!("build {}", printable(id.get(..12).unwrap_or(id))),
        _ => words.join(" "),
    }
}
