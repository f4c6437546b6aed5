//! What stands at the top of the page: the answer in a sentence, and what it rests on.

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;

use super::{Page, System, provenance};
use crate::plan::{Plan, Service, Strategy};
use crate::report::answer::{conclusion, lists};
use crate::report::because::{reasons, together};
use crate::report::figures::Figures;
use crate::report::joint::counted_features;
use crate::report::plot::escape;
use crate::report::profile_sentence;
use crate::text::{counted, printable};

/// Numbers that are written as words at the beginning of a sentence.
const WORDS: [&str; 12] = [
    "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven",
    "Twelve",
];

/// Services of which a sentence is at the top; each has its own part of the page.
const SERVICES: usize = 8;

/// A sentence and what is said beneath it.
pub struct Answer {
    pub headline: String,
    pub more: Vec<String>,
    /// Where the page goes on with it.
    pub link: Option<(String, &'static str)>,
}

/// The headline, its reasons, the figures; and the same of further OSes.
pub fn section(page: &Page<'_>, figures: &Figures, services: &[Service<'_>]) -> String {
    let analyses: Vec<&Analysis> = page.entries.iter().map(|entry| entry.analysis).collect();
    let mut systems = page.systems.iter().map(|system| of_system(system, page));
    let first = systems.next().unwrap_or_else(|| match analyses.as_slice() {
        [] => of_services(services),
        [only] => of_one(only),
        _ => of_all(figures),
    });
    let mut html = String::from("<section id=\"overview\" class=\"view\">\n");
    html.push_str(&answer(&first));
    if !page.entries.is_empty() {
        html.push_str("<div id=\"overview-charts\"></div>\n");
        html.push_str(&tiles(figures));
        let line = escape(&provenance::summary(&page.entries));
        html.push_str(&format!("<p class=\"provenance\">{line}.</p>\n"));
    }
    for system in systems {
        html.push_str(&answer(&system));
    }
    html.push_str("</section>\n");
    html
}

pub fn answer(answer: &Answer) -> String {
    let headline = escape(&answer.headline);
    let mut html =
        format!("<div class=\"answer\">\n<h2 class=\"headline\" tabindex=\"-1\">{headline}</h2>\n");
    if !answer.more.is_empty() {
        html.push_str("<ul>\n");
        for line in &answer.more {
            html.push_str(&format!("<li>{}</li>\n", escape(line)));
        }
        html.push_str("</ul>\n");
    }
    if let Some((href, text)) = &answer.link {
        let href = escape(href);
        html.push_str(&format!(
            "<p class=\"go\"><a href=\"{href}\">{text}</a></p>\n"
        ));
    }
    html.push_str("</div>\n");
    html
}

/// "Kerla runs 2 of 111 applications. Three syscalls make it 32."
fn of_system(system: &System, page: &Page<'_>) -> Answer {
    let distances = &system.distances;
    let os = printable(&distances.os);
    let mut headline = format!(
        "{os} runs {} of {}.",
        distances.runs,
        counted(distances.count as u64, "application")
    );
    let ours = Strategy::Area.to_string();
    let mut plans = page.plans.iter().filter(|plan| plan.os == distances.os);
    let plan = plans
        .clone()
        .find(|plan| plan.strategy == ours)
        .or_else(|| plans.next());
    let mut more = Vec::new();
    if let Some(plan) = plan {
        match plan.steps.get(1) {
            Some(step) => {
                let number = step.implement.len();
                let verb = if number == 1 { "makes" } else { "make" };
                headline.push_str(&format!(
                    " {} {verb} it {}.",
                    number_of(&step.implement),
                    step.supported
                ));
                more = next(plan);
            }
            None => headline.push_str(" Nothing more is to be implemented."),
        }
    }
    if let Some(verified) = &system.profile.verified {
        more.push(printable(&format!("Tried on the OS itself, {verified}.")));
    }
    Answer {
        headline,
        more,
        link: plan.map(|_| (format!("#plans/{}", encoded(&os)), "The plan, step by step")),
    }
}

/// The first step that implements something, and what speaks for it.
fn next(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    if let [before, step, ..] = plan.steps.as_slice() {
        let without = names(&before.fake);
        if !without.is_empty() {
            let running = before.supported;
            lines.push(format!(
                "Without implementing anything: fake {without}; {running} run then."
            ));
        }
        let fakes = match names(&step.fake) {
            none if none.is_empty() => String::new(),
            some => format!(", and fake {some}"),
        };
        lines.push(format!(
            "Next: implement {}{fakes}.",
            names(&step.implement)
        ));
        for reason in reasons(plan, 1) {
            lines.push(printable(&format!("{}: {}", reason.feature, reason.words)));
        }
        lines.extend(together(step));
    }
    lines
}

fn of_one(analysis: &Analysis) -> Answer {
    let name = format!("{}/{}", analysis.application, analysis.workload);
    Answer {
        headline: conclusion(analysis),
        more: lists(analysis).iter().map(|line| printable(line)).collect(),
        link: Some((
            format!("#app={}", encoded(&printable(&name))),
            "What to implement, fake and leave out",
        )),
    }
}

fn of_all(figures: &Figures) -> Answer {
    let all = figures.applications.len();
    Answer {
        headline: format!(
            "Half of these {all} workloads run on {}.",
            counted(figures.with_verdicts.half as u64, "syscall")
        ),
        more: vec![
            format!(
                "Without verdicts, {} would have to be implemented for that.",
                counted(figures.without_verdicts.half as u64, "syscall")
            ),
            "For what an OS of yours runs, and what it lacks: loupe report --html FILE --os OS"
                .to_owned(),
        ],
        link: Some(("#matrix".to_owned(), "Who needs what")),
    }
}

fn of_services(services: &[Service<'_>]) -> Answer {
    let features: std::collections::BTreeSet<&Feature> =
        services.iter().flat_map(Service::features).collect();
    let number = services.len();
    let word = number.checked_sub(1).and_then(|at| WORDS.get(at));
    let subjects = match word {
        Some(word) => format!(
            "{word} {}",
            if number == 1 {
                "service was"
            } else {
                "services were"
            }
        ),
        None => format!("{number} services were"),
    };
    let mut more: Vec<String> = services
        .iter()
        .take(SERVICES)
        .map(profile_sentence)
        .collect();
    if number > SERVICES {
        more.push(format!("And {} more.", number - SERVICES));
    }
    Answer {
        headline: format!(
            "{subjects} seen to use {}.",
            counted_features(features.into_iter())
        ),
        more,
        link: Some(("#profiles".to_owned(), "Each of them")),
    }
}

/// `Three syscalls`.
pub fn number_of(features: &[Feature]) -> String {
    let nouns = match features.iter().all(Feature::is_syscall) {
        true => counted(features.len() as u64, "syscall"),
        false => counted(features.len() as u64, "feature"),
    };
    let word = features.len().checked_sub(1).and_then(|at| WORDS.get(at));
    match (word, nouns.split_once(' ')) {
        (Some(word), Some((_, noun))) => format!("{word} {noun}"),
        _ => nouns,
    }
}

fn names(features: &[Feature]) -> String {
    let names: Vec<String> = features.iter().map(Feature::to_string).collect();
    names.join(", ")
}

/// For the fragment of an address.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            plain if plain.is_ascii_alphanumeric() || b"-_.".contains(&plain) => {
                encoded.push(char::from(plain));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
        encoded
    })
}

fn tiles(figures: &Figures) -> String {
    let sum = |of: fn(&crate::report::figures::Summary) -> usize| -> usize {
        figures.applications.iter().map(of).sum()
    };
    let used = sum(|one| one.used).max(1);
    let share = 100.0 * sum(|one| one.required) as f64 / used as f64;
    let analysed = match figures.applications.len() {
        1 => "workload analysed",
        _ => "workloads analysed",
    };
    let mut tiles = vec![
        (figures.applications.len().to_string(), analysed),
        (figures.used.to_string(), "syscalls used"),
        (figures.required.to_string(), "syscalls to implement"),
        (format!("{share:.0} %"), "of what is used is required"),
    ];
    if figures.applications.len() > 1 {
        tiles.push((
            figures.with_verdicts.half.to_string(),
            "syscalls make half of them run",
        ));
    }
    tiles_of(&tiles)
}

pub fn tiles_of(tiles: &[(String, &str)]) -> String {
    let items = tiles
        .iter()
        .map(|(number, what)| format!("<li><b>{number}</b><span>{what}</span></li>"));
    format!("<ul class=\"tiles\">{}</ul>\n", items.collect::<String>())
}
