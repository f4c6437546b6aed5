//! What OSes lack for the units of a fleet: all OSes in one table, then each by itself.

use super::super::{figure, profiles::table_with};
use crate::fleet::{FleetGap, Missing};
use crate::report::drawings::drawing;
use crate::report::plot::{self, Bar, escape};
use crate::text::{counted, printable};

/// Of each OS: rows of its tables, and features named in one of them.
const MOST_ROWS: usize = 25;
const MOST_NAMES: usize = 8;

fn runs(gap: &FleetGap) -> u64 {
    gap.units.saturating_sub(gap.lacking.len() as u64)
}

/// "gvisor: 3 of 12 units would not run everywhere; io_uring_setup is missing most."
pub fn sentence(gap: &FleetGap) -> String {
    let os = printable(&gap.os);
    let lacking = gap.lacking.len();
    match gap.missing.first() {
        None => format!("{os}: all {} would run.", counted(gap.units, "unit")),
        Some(most) => format!(
            "{os}: {lacking} of {} would not run everywhere; {} is missing most.",
            counted(gap.units, "unit"),
            most.feature
        ),
    }
}

pub fn section(text: &mut String, gaps: &[FleetGap]) {
    if gaps.is_empty() {
        return;
    }
    text.push_str(
        "<section id=\"gap\" class=\"view\">\n<h2 tabindex=\"-1\">What OSes lack</h2>\n<p class=\"hint\">All \
         that a unit was seen to use counts as needed: what may be faked or fail, only an analysis tells \
         (<code>loupe analyze</code>).</p>\n",
    );
    // Stable: OSes that run as many stay in their order.
    let mut gaps: Vec<&FleetGap> = gaps.iter().collect();
    gaps.sort_by_key(|gap| std::cmp::Reverse(runs(gap)));
    let bars: Vec<Bar> = gaps
        .iter()
        .map(|gap| Bar {
            name: printable(&gap.os),
            values: vec![Some(runs(gap) as f64)],
            title: sentence(gap),
        })
        .collect();
    let caption = format!(
        "Of {}, those that would run on all hosts that have them, if each host had this OS.",
        gaps.first()
            .map_or(String::new(), |gap| counted(gap.units, "unit"))
    );
    let parts = [("units that run everywhere", "used")];
    let chart = drawing(
        "gap-by-os",
        "Units that would run, by OS",
        caption,
        false,
        |caption| plot::bars(&parts, &bars, "units", caption, false),
    );
    figure(text, &chart);
    let rows = gaps.iter().map(|gap| {
        let most = gap.missing.iter().take(3);
        let most: Vec<String> = most.map(|one| one.feature.to_string()).collect();
        [
            printable(&gap.os),
            runs(gap).to_string(),
            gap.lacking.len().to_string(),
            gap.missing.len().to_string(),
            most.join(", "),
        ]
    });
    let heads = [
        "OS",
        "Units that run",
        "Not everywhere",
        "Features missing",
        "Missing most",
    ];
    table_with(text, "OSes", &heads, &[1, 2, 3], rows);
    for gap in gaps.iter().filter(|gap| !gap.lacking.is_empty()) {
        details(text, gap);
    }
    text.push_str("</section>\n");
}

fn details(text: &mut String, gap: &FleetGap) {
    let os = printable(&gap.os);
    text.push_str(&format!(
        "<details><summary>{}</summary>\n",
        escape(&sentence(gap))
    ));
    let places = |one: &Missing| {
        [
            one.feature.to_string(),
            one.places.to_string(),
            one.units.to_string(),
        ]
    };
    let rows = gap.missing.iter().take(MOST_ROWS).map(places);
    table_with(
        text,
        &format!("Missing on {os}"),
        &["Missing", "Units on hosts", "Units"],
        &[1, 2],
        rows,
    );
    more(text, gap.missing.len());
    let rows = gap.lacking.iter().take(MOST_ROWS).map(|row| {
        let mut names: Vec<String> = row
            .missing
            .iter()
            .take(MOST_NAMES)
            .map(ToString::to_string)
            .collect();
        if let hidden @ 1.. = row.missing.len().saturating_sub(MOST_NAMES) {
            names.push(format!("… and {hidden} more"));
        }
        [
            printable(&row.name),
            row.would_not_run.to_string(),
            row.hosts.to_string(),
            names.join(", "),
        ]
    });
    let heads = ["Unit", "Not on", "Hosts", "Missing"];
    table_with(
        text,
        &format!("Units that {os} would not run everywhere"),
        &heads,
        &[1, 2],
        rows,
    );
    more(text, gap.lacking.len());
    text.push_str("</details>\n");
}

fn more(text: &mut String, rows: usize) {
    if let hidden @ 1.. = rows.saturating_sub(MOST_ROWS) {
        text.push_str(&format!(
            "<p class=\"hint\">And {hidden} more; <code>loupe fleet gap --os OS</code> has all.</p>\n"
        ));
    }
}
