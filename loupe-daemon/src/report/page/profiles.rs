//! The page's part on profiles: features by subject, when they were first seen, how complete that is,
//! what is new. Written out whole: it needs no script.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::feature::Feature;
use loupe_common::profile::Profile;

use super::{Drawing, figure};
use crate::plan::Service;
use crate::plan::drift::Drift;
use crate::report::drawings::drawing;
use crate::report::plot::{self, Line, escape};
use crate::report::profile::{executable_words, limit_lines};
use crate::report::{profile_sentence, trace};
use crate::text::{counted, date, printable, signed};

/// A page stays readable, and small enough for a browser.
const MOST_ROWS: usize = 600;
const MOST_COLUMNS: usize = 80;
/// What fits beside a row and above a column.
const NAME_CHARACTERS: usize = 25;
/// Squares of so many sizes (`use-1` in `matrix.css` and so on).
const USE_SIZES: usize = 5;
/// Lines that plots can tell apart.
const CLASSES: [&str; 4] = ["ours", "theirs", "third", "fourth"];
const HOUR_MS: f64 = 3_600_000.0;
const DAY_MS: u64 = 86_400_000;
/// What counts as new, from the last moment that was observed backwards.
const DRIFT_DAYS: u64 = 7;

/// Nothing, where there are no profiles.
pub fn sections(services: &[Service<'_>]) -> String {
    if services.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "<section id=\"profiles\" class=\"view\">\n<h2 tabindex=\"-1\">Profiles</h2>\n<p class=\"hint\">What services were really seen \
         to use. What is not listed was not seen in the time that was observed; when nobody looked, and \
         what was lost, is said at each.</p>\n",
    );
    by_subject(&mut text, services);
    for (number, service) in services.iter().enumerate() {
        of_service(&mut text, number, service);
    }
    text.push_str("</section>\n");
    text
}

/// Features by subject; the most widely used first.
fn by_subject(text: &mut String, services: &[Service<'_>]) {
    let mut uses: BTreeMap<&Feature, BTreeMap<usize, u64>> = BTreeMap::new();
    for (column, service) in services.iter().enumerate().take(MOST_COLUMNS) {
        let all = service.profiles.iter().flat_map(|one| &one.features);
        for used in all {
            let calls = uses.entry(&used.feature).or_default();
            *calls.entry(column).or_default() += used.counts.calls;
        }
    }
    let most = uses.values().flat_map(BTreeMap::values).max();
    let most = (*most.unwrap_or(&1) as f64).max(2.0).log10();
    let mut rows: Vec<_> = uses.into_iter().collect();
    // Stable: as widely used ones stay in the order of their names.
    rows.sort_by_key(|(_, calls)| std::cmp::Reverse(calls.len()));
    let left_out = (
        rows.len().saturating_sub(MOST_ROWS),
        services.len().saturating_sub(MOST_COLUMNS),
    );
    rows.truncate(MOST_ROWS);
    let columns: Vec<String> = services
        .iter()
        .take(MOST_COLUMNS)
        .map(|service| printable(service.name))
        .collect();
    let heads: String = columns
        .iter()
        .map(|name| {
            let (title, name) = (escape(name), escape(&shortened(name)));
            format!(
                "<th scope=\"col\" class=\"feature\" title=\"{title}\"><span>{name}</span></th>"
            )
        })
        .collect();
    text.push_str(&format!(
        "<h3 id=\"by-subject\">Features by subject</h3>\n<figure id=\"figure-profiles\">\
         <div class=\"scroll matrix\" tabindex=\"0\" role=\"region\" aria-labelledby=\"by-subject\">\
         <table class=\"grid uses\" style=\"--columns:{}\">\n<thead><tr>\
         <th scope=\"col\" class=\"corner\">Feature</th>{heads}</tr></thead>\n<tbody>\n",
        columns.len()
    ));
    for (feature, calls) in rows {
        let name = printable(&feature.to_string());
        let (title, short) = (escape(&name), escape(&shortened(&name)));
        text.push_str(&format!(
            "<tr><th scope=\"row\" title=\"{title}\">{short}</th>"
        ));
        for (column, subject) in columns.iter().enumerate() {
            match calls.get(&column) {
                None => text.push_str("<td></td>"),
                Some(calls) => {
                    let strength = (*calls as f64).max(1.0).log10() / most;
                    let size = 1 + (strength * (USE_SIZES - 1) as f64).round() as usize;
                    let said = counted(*calls, "call");
                    text.push_str(&format!(
                        "<td class=\"use-{size}\" title=\"{}: {title}, {said}\">\
                         <span class=\"unseen\">{said}</span></td>",
                        escape(subject)
                    ));
                }
            }
        }
        text.push_str("</tr>\n");
    }
    text.push_str(
        "</tbody></table></div>\n<figcaption>Each square is a feature that a subject was seen to use; \
         the larger, the more calls (by their logarithm).",
    );
    if left_out != (0, 0) {
        text.push_str(&format!(
            " Left out, so that this page stays small: {} and {}.",
            counted(left_out.0 as u64, "feature"),
            counted(left_out.1 as u64, "subject")
        ));
    }
    text.push_str("</figcaption></figure>\n");
}

/// The end of a long name tells more than its beginning: `…/kernel/ngroups_max`.
fn shortened(name: &str) -> String {
    let length = name.chars().count();
    match length.checked_sub(NAME_CHARACTERS) {
        None | Some(0) => name.to_owned(),
        Some(more) => format!("…{}", name.chars().skip(more + 1).collect::<String>()),
    }
}

fn of_service(text: &mut String, number: usize, service: &Service<'_>) {
    let sentence = escape(&profile_sentence(service));
    text.push_str(&format!(
        "<h3 id=\"profile-{number}\">{}</h3>\n<p>{sentence}</p>\n<ul>\n",
        escape(&printable(service.name))
    ));
    for line in limit_lines(service) {
        text.push_str(&format!("<li>{}</li>\n", escape(&line)));
    }
    text.push_str("</ul>\n");
    if !service.features().is_empty() {
        figure(text, &timeline(number, service));
    }
    if let Some(curve) = completeness(number, service) {
        figure(text, &curve);
    }
    drift(text, service);
    versions(text, service);
    for profile in &service.profiles {
        features(text, service, profile);
    }
}

/// No two parts of the page have the same title.
fn titled(what: &str, service: &Service<'_>) -> String {
    format!("{what}: {}", printable(service.name))
}

/// How many features were known at which moment.
fn timeline(number: usize, service: &Service<'_>) -> Drawing {
    let observation = service.observation();
    let from = observation.from_ms;
    let mut first: BTreeMap<&Feature, u64> = BTreeMap::new();
    for used in service.profiles.iter().flat_map(|one| &one.features) {
        let at = first.entry(&used.feature).or_insert(used.first_seen_ms);
        *at = (*at).min(used.first_seen_ms);
    }
    let mut moments: Vec<u64> = first.into_values().collect();
    moments.sort_unstable();
    let days = |ms: u64| ms.saturating_sub(from) as f64 / DAY_MS as f64;
    let mut points: Vec<(f64, f64)> = moments
        .iter()
        .zip(1_u32..)
        .map(|(at, known)| (days(*at), f64::from(known)))
        .collect();
    // The line goes on to the end of what was observed.
    points.push((days(observation.until_ms), moments.len() as f64));
    let lines = [Line {
        name: "features seen at least once".to_owned(),
        class: "ours",
        points,
    }];
    let caption = format!(
        "When each of {} was seen for the first time, from {} (UTC) on.",
        counted(moments.len() as u64, "feature"),
        date(signed(from))
    );
    let name = format!("first-seen-{number}");
    drawing(
        &name,
        &titled("First seen", service),
        caption,
        true,
        |caption| plot::steps(&lines, "days", "features", caption, false),
    )
}

/// How many features were known after so much observation, of each executable.
fn completeness(number: usize, service: &Service<'_>) -> Option<Drawing> {
    let curves = service.profiles.iter();
    let curves: Vec<&&Profile> = curves.filter(|one| !one.curve.is_empty()).collect();
    let lines: Vec<Line> = curves
        .iter()
        .zip(CLASSES)
        .map(|(profile, class)| Line {
            name: executable_words(&profile.subject.executable),
            class,
            points: profile
                .curve
                .iter()
                .map(|point| (point.observed_ms as f64 / HOUR_MS, point.features as f64))
                .collect(),
        })
        .collect();
    if lines.is_empty() {
        return None;
    }
    let mut caption =
        "A curve that has long been flat speaks for a complete profile; the bound above \
                       says how much. Only observed time counts."
            .to_owned();
    let hidden = curves.len() - lines.len();
    if hidden > 0 {
        caption.push_str(&format!(
            " Those with the most calls; left out: {}.",
            counted(hidden as u64, "executable")
        ));
    }
    let name = format!("completeness-{number}");
    Some(drawing(
        &name,
        &titled("Completeness", service),
        caption,
        true,
        |caption| plot::steps(&lines, "observed hours", "features", caption, false),
    ))
}

/// What is new at the end of what was observed, where there is something before to compare with.
fn drift(text: &mut String, service: &Service<'_>) {
    let until = service.observation().until_ms;
    let since = until.saturating_sub(DRIFT_DAYS * DAY_MS);
    let Ok(drift) = Drift::since(service, since, false) else {
        return;
    };
    text.push_str(&format!(
        "<p>Drift since {} (UTC), the last {DRIFT_DAYS} days: {} new, {} not seen any more.</p>\n",
        date(signed(since)),
        drift.new.len(),
        drift.gone.len()
    ));
    if drift.new.is_empty() {
        return;
    }
    let rows = drift.new.iter().map(|new| {
        let upgrade = new.upgrade.as_ref().map(|upgrade| {
            let [before, now] = [&upgrade.before, &upgrade.now].map(executable_words);
            format!("{before} → {now}")
        });
        [
            printable(&new.feature.to_string()),
            new.calls.to_string(),
            date(signed(new.first_seen_ms)),
            printable(&new.executable),
            upgrade.unwrap_or_default(),
        ]
    });
    let heads = [
        "New",
        "Calls",
        "First seen",
        "Executable",
        "Since the upgrade",
    ];
    table(text, &titled("Drift", service), &heads, rows);
}

/// What each version of an executable uses that the one before was not seen to use, and the other
/// way round.
fn versions(text: &mut String, service: &Service<'_>) {
    let mut executables: BTreeMap<&str, Vec<&Profile>> = BTreeMap::new();
    for profile in &service.profiles {
        let path = profile.subject.executable.path.as_str();
        executables.entry(path).or_default().push(profile);
    }
    for (path, mut versions) in executables {
        if versions.len() < 2 {
            continue;
        }
        versions.sort_by_key(|profile| profile.observation.from_ms);
        let mut before: Option<BTreeSet<&Feature>> = None;
        let mut rows = Vec::new();
        for profile in versions {
            let now: BTreeSet<&Feature> = profile.features.iter().map(|one| &one.feature).collect();
            let (new, gone) = match &before {
                Some(before) => (
                    names(now.difference(before)),
                    names(before.difference(&now)),
                ),
                None => ("–".to_owned(), "–".to_owned()),
            };
            rows.push([
                executable_words(&profile.subject.executable),
                now.len().to_string(),
                date(signed(profile.observation.from_ms)),
                new,
                gone,
            ]);
            before = Some(now);
        }
        let title = format!("Versions of {}", printable(path));
        text.push_str(&format!("<h4>{}</h4>\n", escape(&title)));
        let heads = [
            "Version",
            "Features",
            "Observed from",
            "New",
            "Not seen any more",
        ];
        table(text, &titled(&title, service), &heads, rows.into_iter());
    }
}

fn names<'a>(features: impl Iterator<Item = &'a &'a Feature>) -> String {
    let names: Vec<String> = features
        .map(|feature| printable(&feature.to_string()))
        .collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

fn features(text: &mut String, service: &Service<'_>, profile: &Profile) {
    let title = executable_words(&profile.subject.executable);
    let rows = profile.features.iter().map(|used| {
        [
            printable(&used.feature.to_string()),
            used.counts.calls.to_string(),
            date(signed(used.first_seen_ms)),
            date(signed(used.last_seen_ms)),
            trace::errors(&used.counts),
        ]
    });
    text.push_str(&format!(
        "<details><summary>{}: {}</summary>\n",
        escape(&title),
        counted(profile.features.len() as u64, "feature")
    ));
    let heads = ["Feature", "Calls", "First seen", "Last seen", "Errors"];
    table(text, &titled(&title, service), &heads, rows);
    text.push_str("</details>\n");
}

/// The second column is a number.
fn table<const N: usize>(
    text: &mut String,
    title: &str,
    heads: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    table_with(text, title, heads, &[1], rows);
}

/// These columns are numbers.
pub(super) fn table_with<const N: usize>(
    text: &mut String,
    title: &str,
    heads: &[&str; N],
    numbers: &[usize],
    rows: impl Iterator<Item = [String; N]>,
) {
    text.push_str(&format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table>\n<thead><tr>",
        escape(title)
    ));
    let class = |column: usize| match numbers.contains(&column) {
        true => " class=\"number\"",
        false => " class=\"wrap\"",
    };
    for (column, head) in heads.iter().enumerate() {
        text.push_str(&format!("<th scope=\"col\"{}>{head}</th>", class(column)));
    }
    text.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        text.push_str("<tr class=\"row\">");
        for (column, cell) in row.iter().enumerate() {
            text.push_str(&format!("<td{}>{}</td>", class(column), escape(cell)));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table></div>\n");
}
