//! Hosts by kernel and by version of Loupe, and how many were heard of lately.

use std::collections::BTreeMap;

use super::super::{figure, profiles::table_with};
use crate::fleet::HostRow;
use crate::report::drawings::drawing;
use crate::report::plot::{self, Bar};
use crate::text::{counted, date, printable, signed};

const DAY_MS: u64 = 86_400_000;
/// Bars whose names can be told apart.
const MOST_BARS: usize = 24;
const MOST_ROWS: usize = 200;

#[derive(Default)]
struct Group {
    hosts: u64,
    silent: u64,
    losing: u64,
    last_ms: u64,
}

/// When it was heard last: by a hub, else when it wrote its file.
fn last_ms(row: &HostRow) -> u64 {
    row.heard.map_or(row.host.made_ms, |heard| heard.at_ms)
}

fn is_silent(row: &HostRow, now_ms: u64) -> bool {
    now_ms.saturating_sub(last_ms(row)) > DAY_MS
}

/// How many of them still tell.
pub fn sentence(hosts: &[HostRow], now_ms: u64) -> String {
    let heard = hosts.iter().filter(|row| !is_silent(row, now_ms)).count();
    let losing = hosts.iter().filter(|row| row.lost > 0).count();
    let mut sentence = format!(
        "{heard} of {} told something in the last 24 hours",
        counted(hosts.len() as u64, "host")
    );
    if losing > 0 {
        sentence.push_str(&format!(
            "; on {}, something was lost",
            counted(losing as u64, "host")
        ));
    }
    sentence + "."
}

fn grouped(
    hosts: &[HostRow],
    now_ms: u64,
    key: impl Fn(&HostRow) -> String,
) -> Vec<(String, Group)> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for row in hosts {
        let group = groups.entry(key(row)).or_default();
        group.hosts += 1;
        group.silent += u64::from(is_silent(row, now_ms));
        group.losing += u64::from(row.lost > 0);
        group.last_ms = group.last_ms.max(last_ms(row));
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    // Stable: as large ones stay in the order of their names.
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.hosts));
    groups
}

pub fn section(text: &mut String, hosts: &[HostRow], now_ms: u64) {
    text.push_str("<section id=\"hosts\" class=\"view\">\n<h2 tabindex=\"-1\">Hosts</h2>\n");
    let kernels = grouped(hosts, now_ms, |row| {
        printable(&format!("{} {}", row.host.kernel, row.host.arch))
    });
    let bars: Vec<Bar> = kernels
        .iter()
        .take(MOST_BARS)
        .map(|(name, group)| Bar {
            name: name.clone(),
            values: vec![
                Some(group.hosts as f64),
                Some((group.hosts - group.silent) as f64),
            ],
            title: format!("{name}: {}", counted(group.hosts, "host")),
        })
        .collect();
    let mut caption = format!(
        "{} on {}; the inner part told something in the last 24 hours.",
        counted(hosts.len() as u64, "host"),
        counted(kernels.len() as u64, "kernel")
    );
    if let hidden @ 1.. = kernels.len().saturating_sub(MOST_BARS) {
        caption.push_str(&format!(
            " Left out, with fewer hosts: {}.",
            counted(hidden as u64, "kernel")
        ));
    }
    let parts = [("all hosts", "used"), ("heard of lately", "ours")];
    let chart = drawing("kernels", "Hosts by kernel", caption, false, |caption| {
        plot::bars(&parts, &bars, "hosts", caption, false)
    });
    figure(text, &chart);
    groups(text, "Kernels", "Kernel", kernels);
    text.push_str("<h3>Versions of Loupe</h3>\n");
    let versions = grouped(hosts, now_ms, |row| printable(&row.host.loupe));
    groups(text, "Versions of Loupe", "Loupe", versions);
    text.push_str("</section>\n");
}

fn groups(text: &mut String, title: &str, what: &str, groups: Vec<(String, Group)>) {
    let hidden = groups.len().saturating_sub(MOST_ROWS);
    let rows = groups.into_iter().take(MOST_ROWS).map(|(name, group)| {
        [
            name,
            group.hosts.to_string(),
            group.silent.to_string(),
            group.losing.to_string(),
            date(signed(group.last_ms)),
        ]
    });
    let heads = [
        what,
        "Hosts",
        "Silent for a day",
        "With losses",
        "Last heard (UTC)",
    ];
    table_with(text, title, &heads, &[1, 2, 3], rows);
    if hidden > 0 {
        text.push_str(&format!("<p class=\"hint\">And {hidden} more.</p>\n"));
    }
}
