//! What was new when: uses that a unit was seen to begin with on no host before, by day, and the last of
//! them by name.

use std::collections::BTreeMap;

use super::super::{figure, profiles::table_with};
use crate::fleet::UnitOverview;
use crate::report::drawings::drawing;
use crate::report::plot::{self, Bar};
use crate::text::{counted, date, printable, signed};

const HOUR_MS: u64 = 3_600_000;
const HOURS_PER_DAY: u32 = 24;
/// Spans of a bar, in days: the first with which all of the time has at most this many bars.
const SPANS: [u32; 4] = [1, 7, 28, 364];
const MOST_BARS: u32 = 60;
/// Dates that have room below them.
const MOST_DATES: u32 = 30;
const MOST_ROWS: usize = 150;

/// In a span of days.
#[derive(Clone, Copy, Default)]
struct News {
    uses: u64,
    units: u64,
}

fn day_of(hour: u32) -> u32 {
    hour / HOURS_PER_DAY
}

fn words_of(hour: u32) -> String {
    date(signed(u64::from(hour) * HOUR_MS))
}

/// `2026-11-29`.
fn day_words(day: u32) -> String {
    let words = words_of(day * HOURS_PER_DAY);
    words.split(' ').next().unwrap_or_default().to_owned()
}

/// All that is new, the last first: hour, unit, feature, hosts.
fn events(units: &[UnitOverview]) -> Vec<(u32, &str, &str, u64)> {
    let mut events: Vec<_> = units
        .iter()
        .flat_map(|unit| {
            let later = unit.later();
            later.map(|(feature, used)| (used.first_hour, unit.name.as_str(), feature, used.hosts))
        })
        .collect();
    events.sort_by(|a, b| (b.0, a.1, a.2).cmp(&(a.0, b.1, b.2)));
    events
}

/// The last of what is new; `None`: nothing ever was.
pub fn sentence(units: &[UnitOverview]) -> Option<String> {
    let events = events(units);
    let (hour, unit, feature, _) = events.first()?;
    Some(printable(&format!(
        "The last that was new: {feature} in {unit}, {} UTC.",
        words_of(*hour)
    )))
}

pub fn section(text: &mut String, units: &[UnitOverview]) {
    text.push_str(
        "<section id=\"drift\" class=\"view\">\n<h2 tabindex=\"-1\">Drift</h2>\n<p class=\"hint\">What a \
         unit was seen to do for the first time on any host, after the hour in which the unit itself was \
         first seen.</p>\n",
    );
    let events = events(units);
    if let Some(chart) = timeline(units, &events) {
        figure(text, &chart);
    }
    if events.is_empty() {
        text.push_str("<p>Nothing is new: every unit did in its first hour all that it was ever seen to do.</p>\n");
    } else {
        let shown = events.len().min(MOST_ROWS);
        text.push_str("<h3>The newest uses</h3>\n");
        let rows = events
            .iter()
            .take(shown)
            .map(|(hour, unit, feature, hosts)| {
                [
                    printable(feature),
                    hosts.to_string(),
                    printable(unit),
                    words_of(*hour),
                ]
            });
        let heads = ["New", "Hosts", "Unit", "Since (UTC)"];
        table_with(text, "The newest uses", &heads, &[1], rows);
        if let hidden @ 1.. = events.len() - shown {
            text.push_str(&format!(
                "<p class=\"hint\">And {hidden} earlier; <code>loupe fleet drift --since DATE</code> has \
                 all.</p>\n"
            ));
        }
    }
    text.push_str("</section>\n");
}

fn timeline(
    units: &[UnitOverview],
    events: &[(u32, &str, &str, u64)],
) -> Option<crate::report::drawings::Drawing> {
    let first = units.iter().map(|unit| day_of(unit.first_hour)).min()?;
    let newest_unit = units.iter().map(|unit| day_of(unit.first_hour)).max()?;
    let last = events
        .first()
        .map_or(first, |event| day_of(event.0))
        .max(newest_unit);
    let span = SPANS
        .into_iter()
        .find(|span| (last - first) / span < MOST_BARS)
        .unwrap_or(SPANS[SPANS.len() - 1]);
    let mut news: BTreeMap<u32, News> = BTreeMap::new();
    for at in 0..=((last - first) / span).min(10 * MOST_BARS) {
        news.insert(at, News::default());
    }
    for (hour, ..) in events {
        news.entry((day_of(*hour) - first) / span).or_default().uses += 1;
    }
    for unit in units {
        news.entry((day_of(unit.first_hour) - first) / span)
            .or_default()
            .units += 1;
    }
    let step = (news.len() as u32).div_ceil(MOST_DATES).max(1);
    let bars: Vec<Bar> = news
        .iter()
        .map(|(at, new)| {
            let day = day_words(first + at * span);
            Bar {
                title: format!(
                    "{day}: {}, {}",
                    counted(new.uses, "new use"),
                    counted(new.units, "new unit")
                ),
                name: match at % step {
                    0 => day,
                    _ => String::new(),
                },
                values: vec![Some(new.uses as f64)],
            }
        })
        .collect();
    let caption = format!(
        "{} since {}, {}. New units, with all that they did in their first hour, are not counted: {} since \
         then.",
        counted(events.len() as u64, "new use"),
        day_words(first),
        match span {
            1 => "by day".to_owned(),
            days => format!("each bar {days} days"),
        },
        counted(
            units
                .iter()
                .filter(|unit| day_of(unit.first_hour) > first)
                .count() as u64,
            "unit"
        ),
    );
    let parts = [("uses that no host had before", "ours")];
    Some(drawing(
        "drift",
        "New uses over time",
        caption,
        false,
        |caption| plot::bars(&parts, &bars, "uses", caption, false),
    ))
}
