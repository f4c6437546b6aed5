//! The report as one self-contained page: style, script, figures and data are in it, and its
//! content security policy lets it load nothing.

mod data;
mod profiles;

use loupe_common::analysis::Analysis;
use loupe_common::profile::Profile;

pub use data::{Entry, Shown, last_words};

use super::drawings::{Drawing, drawings};
use super::figures::Figures;
use super::plot::{self, escape};
use crate::plan::{Plan, Service};
use crate::text::{counted, date, printable};

const FRAME: &str = include_str!("page/page.html");
/// What of it is about analyses.
const ANALYSES: &str = include_str!("page/analyses.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// What a page is about.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    pub entries: Vec<Entry<'a>>,
    pub plans: &'a [Plan],
    pub profiles: &'a [Profile],
    /// Unix milliseconds.
    pub written_ms: i64,
}

impl Page<'_> {
    pub fn html(&self) -> Result<String, serde_json::Error> {
        let analyses: Vec<&Analysis> = self.entries.iter().map(|entry| entry.analysis).collect();
        let figures = Figures::of(analyses.iter().copied());
        let analysed = !analyses.is_empty();
        let drawings = match analysed {
            true => drawings(&figures, self.plans, false),
            false => Vec::new(),
        };
        let services = Service::all(self.profiles);
        let title = match analyses.as_slice() {
            [] => "Loupe: what services really use".to_owned(),
            [only] => format!("Loupe: {}/{}", only.application, only.workload),
            _ => "Loupe report".to_owned(),
        };
        let lead = match analyses.len() {
            0 => "What was seen in use on a host, and how much that says.".to_owned(),
            1 => lead("it uses"),
            number => lead(&format!("{} use", counted(number as u64, "workload"))),
        };
        let data = data::Data::of(&self.entries).json()?;
        Ok(fill(FRAME, |slot| match slot {
            "TITLE" => escape(&printable(&title)),
            "LEAD" => escape(&lead),
            "STYLE" => format!("{STYLE}{}", plot::STYLE),
            "NAVIGATION" => navigation(&drawings, !self.plans.is_empty(), &services),
            "ANALYSES" if analysed => fill(ANALYSES, |_| tiles(&figures)),
            "FIGURES" if analysed => sections(&drawings, self.plans),
            "PROFILES" => profiles::sections(&services),
            "VERSION" => env!("CARGO_PKG_VERSION").to_owned(),
            "DATE" => format!("{} UTC", date(self.written_ms)),
            "DATA" => data.clone(),
            "SCRIPT" if analysed => SCRIPT.to_owned(),
            _ => String::new(),
        }))
    }
}

fn lead(who_uses: &str) -> String {
    format!(
        "Which of the syscalls that {who_uses} an OS has to implement, and which it may stub or fake."
    )
}

/// Puts a text in every `{{SLOT}}`, once: what is put in is not looked at again.
fn fill(frame: &str, text: impl Fn(&str) -> String) -> String {
    let mut filled = String::new();
    let mut rest = frame;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((slot, after)) = after.split_once("}}") else {
            rest = after;
            break;
        };
        filled.push_str(&text(slot));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn navigation(drawings: &[Drawing], plans: bool, services: &[Service<'_>]) -> String {
    let mut links = match drawings {
        [] => Vec::new(),
        _ => vec![
            ("applications", "Applications"),
            ("verdicts", "Verdicts"),
            ("figures", "Figures"),
        ],
    };
    if plans && drawings.iter().any(is_plan) {
        links.push(("plans", "Plans"));
    }
    if !services.is_empty() {
        links.push(("profiles", "Profiles"));
    }
    let links = links
        .iter()
        .map(|(target, name)| format!("<a href=\"#{target}\">{name}</a>"));
    links.collect::<Vec<_>>().join("\n")
}

fn is_plan(drawing: &Drawing) -> bool {
    drawing.name.starts_with("plan-")
}

fn tiles(figures: &Figures) -> String {
    let sum = |of: fn(&super::figures::Summary) -> usize| -> usize {
        figures.applications.iter().map(of).sum()
    };
    let used = sum(|one| one.used).max(1);
    let share = 100.0 * sum(|one| one.required) as f64 / used as f64;
    let several = figures.applications.len() > 1;
    let mut tiles = vec![
        (figures.applications.len().to_string(), "workloads analysed"),
        (figures.used.to_string(), "syscalls used"),
        (figures.required.to_string(), "syscalls to implement"),
        (format!("{share:.0} %"), "of what is used is required"),
    ];
    if several {
        tiles.push((
            figures.with_verdicts.half.to_string(),
            "syscalls make half of them run",
        ));
    }
    let items = tiles
        .iter()
        .map(|(number, what)| format!("<li><b>{number}</b><span>{what}</span></li>"));
    format!("<ul class=\"tiles\">{}</ul>", items.collect::<String>())
}

fn sections(drawings: &[Drawing], plans: &[Plan]) -> String {
    let (planned, others): (Vec<&Drawing>, Vec<&Drawing>) =
        drawings.iter().partition(|drawing| is_plan(drawing));
    let mut text = String::from("<section id=\"figures\">\n<h2>Figures</h2>\n");
    for drawing in others {
        figure(&mut text, drawing);
    }
    text.push_str("</section>\n");
    if !planned.is_empty() {
        text.push_str("<section id=\"plans\">\n<h2>Plans</h2>\n");
        for drawing in planned {
            figure(&mut text, drawing);
        }
        for plan in plans {
            plan_table(&mut text, plan);
        }
        text.push_str("</section>\n");
    }
    text
}

fn figure(text: &mut String, drawing: &Drawing) {
    let fit = if drawing.fits { " fit" } else { "" };
    let title = escape(&drawing.title);
    text.push_str(&format!(
        "<h3>{title}</h3>\n<figure id=\"figure-{}\"><div class=\"drawing{fit}\" tabindex=\"0\" \
         role=\"region\" aria-label=\"{title}\">\n{}</div>\n<figcaption>{}</figcaption></figure>\n",
        escape(&drawing.name),
        drawing.svg,
        escape(&drawing.caption)
    ));
}

/// The steps of a plan; they need neither sorting nor filtering.
fn plan_table(text: &mut String, plan: &Plan) {
    let title = format!("{}, {}", printable(&plan.os), printable(&plan.strategy));
    let title = escape(&title);
    text.push_str(&format!(
        "<h3>{title}</h3>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
         aria-label=\"{title}\"><table>\n<thead><tr><th scope=\"col\" class=\"number\">Step</th>\
         <th scope=\"col\">Implement</th><th scope=\"col\">Stub</th><th scope=\"col\">Fake</th>\
         <th scope=\"col\">Then run</th><th scope=\"col\" class=\"number\">Syscalls</th>\
         <th scope=\"col\" class=\"number\">Applications</th></tr></thead>\n<tbody>\n"
    ));
    for (index, step) in plan.steps.iter().enumerate() {
        let list = |features: &[loupe_common::feature::Feature]| {
            let names = features.iter().map(ToString::to_string);
            names.collect::<Vec<_>>().join(" ")
        };
        text.push_str(&format!(
            "<tr class=\"row\"><td class=\"number\">{index}</td>"
        ));
        for cell in [
            list(&step.implement),
            list(&step.stub),
            list(&step.fake),
            printable(&step.unlocks.join(", ")),
        ] {
            text.push_str(&format!("<td class=\"wrap\">{}</td>", escape(&cell)));
        }
        text.push_str(&format!(
            "<td class=\"number\">{}</td><td class=\"number\">{}</td></tr>\n",
            step.implemented, step.supported
        ));
    }
    text.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests;
