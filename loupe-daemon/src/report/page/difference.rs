//! What changed between two analyses, as a page of its own. Written out whole: it needs no script.

use loupe_common::feature::Feature;
use loupe_common::verdict::Verdict;

use super::answer::number_of;
use super::data::Entry;
use super::{Parts, filled, provenance};
use crate::plan::change::{Difference, Side, VerdictChange};
use crate::report::plot::escape;
use crate::text::{counted, printable};

/// Names in the headline; the tables have all.
const SHOWN: usize = 6;

/// The page of `loupe diff`; `sides` are the two that were compared.
pub fn difference_page(difference: &Difference, sides: [&Entry<'_>; 2], written_ms: i64) -> String {
    let [from, to] = [&difference.from, &difference.to].map(named);
    let mut body = format!(
        "<section id=\"overview\" class=\"view\">\n<div class=\"answer\">\n\
         <h2 class=\"headline\">{}</h2>\n<p class=\"lead\">From {} to {}.</p>\n</div>\n",
        escape(&headline(difference)),
        escape(&from),
        escape(&to)
    );
    for (title, changes) in [
        ("Verdict changed", &difference.changed),
        ("Used now, and not before", &difference.gained),
        ("Used before, and not now", &difference.lost),
    ] {
        body.push_str(&table(title, changes, &difference.newly_required));
    }
    body.push_str(&origins(sides, [&from, &to]));
    body.push_str("</section>\n");
    filled(&Parts {
        title: format!("Loupe: {from} → {to}"),
        body,
        written_ms,
        ..Parts::default()
    })
}

fn named(side: &Side) -> String {
    let analysis = side
        .analysis
        .map_or("a file".to_owned(), |id| format!("analysis {id}"));
    printable(&format!(
        "{}/{} ({analysis})",
        side.application, side.workload
    ))
}

fn headline(difference: &Difference) -> String {
    if difference.is_empty() {
        return "Nothing changed.".to_owned();
    }
    if difference.newly_required.is_empty() {
        let changes = difference.gained.len() + difference.lost.len() + difference.changed.len();
        return format!(
            "Nothing is required that was not before; {} changed.",
            counted(changes as u64, "feature")
        );
    }
    let is = match difference.newly_required.len() {
        1 => "is",
        _ => "are",
    };
    let features = difference.newly_required.iter();
    let mut names: Vec<String> = features.take(SHOWN).map(Feature::to_string).collect();
    if let more @ 1.. = difference.newly_required.len().saturating_sub(SHOWN) {
        names.push(format!("and {more} more"));
    }
    format!(
        "{} {is} newly required: {}.",
        number_of(&difference.newly_required),
        printable(&names.join(", "))
    )
}

fn table(title: &str, changes: &[VerdictChange], newly_required: &[Feature]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let rows: String = changes
        .iter()
        .map(|change| {
            let note = match newly_required.contains(&change.feature) {
                true => "<strong>newly required</strong>",
                false => "",
            };
            format!(
                "<tr class=\"row\"><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td>\
                 <td>{note}</td></tr>\n",
                escape(&printable(&change.feature.to_string())),
                verdict(change.from),
                verdict(change.to)
            )
        })
        .collect();
    format!(
        "<h2>{title} ({})</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"{title}\"><table class=\"changes\">\n<thead><tr><th scope=\"col\">Feature</th>\
         <th scope=\"col\">Before</th><th scope=\"col\">After</th><th scope=\"col\">Gate</th></tr>\
         </thead>\n<tbody>\n{rows}</tbody></table></div>\n",
        changes.len()
    )
}

fn verdict(verdict: Option<Verdict>) -> String {
    match verdict {
        None => "not used".to_owned(),
        Some(verdict) => {
            let kind = match verdict {
                Verdict::NotExercised | Verdict::Undecided => "other".to_owned(),
                decided => decided.to_string(),
            };
            format!("<span class=\"verdict v-{kind}\">{verdict}</span>")
        }
    }
}

/// How both came to be, side by side.
fn origins(sides: [&Entry<'_>; 2], names: [&str; 2]) -> String {
    let facts = sides.map(provenance::of);
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in facts.iter().flatten() {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    let rows: String = keys
        .into_iter()
        .map(|key| {
            let values = [0, 1].map(|side: usize| {
                let fact = facts[side].iter().find(|(name, _)| name == key);
                fact.map_or("–", |(_, value)| value.as_str())
            });
            format!(
                "<tr class=\"row\"><th scope=\"row\">{}</th><td class=\"wrap\">{}</td>\
                 <td class=\"wrap\">{}</td></tr>\n",
                escape(key),
                escape(values[0]),
                escape(values[1])
            )
        })
        .collect();
    let [from, to] = names.map(escape);
    format!(
        "<h2>How they were made</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"How they were made\"><table>\n<thead><tr><td></td>\
         <th scope=\"col\" class=\"wrap\">{from}</th><th scope=\"col\" class=\"wrap\">{to}</th></tr>\
         </thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}
