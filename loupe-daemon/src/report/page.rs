//! The report as one self-contained page: style, script, figures and data are in it, and its
//! content security policy lets it load nothing.

mod answer;
mod data;
mod difference;
mod fleet;
mod profiles;
mod provenance;
mod systems;

use loupe_common::analysis::Analysis;
use loupe_common::profile::Profile;

pub use data::{Entry, Shown, last_words};
pub use difference::difference_page;
pub use fleet::FleetPage;
pub use systems::System;

use super::drawings::{Drawing, drawings};
use super::figures::Figures;
use super::plot::{self, escape};
use crate::plan::{Plan, Service};
use crate::text::{date, printable};

const FRAME: &str = include_str!("page/page.html");
/// What of it is about analyses.
const ANALYSES: &str = include_str!("page/analyses.html");
const STYLES: [&str; 4] = [
    include_str!("page/style/page.css"),
    include_str!("page/style/tables.css"),
    include_str!("page/style/matrix.css"),
    include_str!("page/style/print.css"),
];
/// One scope; each file sees the ones before.
const SCRIPTS: [&str; 10] = [
    include_str!("page/script/base.js"),
    include_str!("page/script/routes.js"),
    include_str!("page/script/evidence.js"),
    include_str!("page/script/applications.js"),
    include_str!("page/script/verdicts.js"),
    include_str!("page/script/matrix.js"),
    include_str!("page/script/syscalls.js"),
    include_str!("page/script/plans.js"),
    include_str!("page/script/fleet.js"),
    include_str!("page/script/main.js"),
];

/// What a page is about.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    pub entries: Vec<Entry<'a>>,
    pub systems: &'a [System],
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
        let data = data::Data::of(&self.entries, self.systems, self.plans).json()?;
        let mut body = answer::section(self, &figures, &services);
        if analysed {
            body.push_str(ANALYSES);
            body.push_str(&sections(&drawings, self.plans));
        }
        body.push_str(&profiles::sections(&services));
        Ok(filled(&Parts {
            title,
            navigation: navigation(&drawings, !self.plans.is_empty(), &services),
            body,
            data,
            script: format!("\"use strict\";\n(() => {{\n{}}})();", SCRIPTS.concat()),
            written_ms: self.written_ms,
        }))
    }
}

/// What differs from page to page.
#[derive(Default)]
struct Parts {
    /// As it is: it becomes text.
    title: String,
    navigation: String,
    body: String,
    data: String,
    script: String,
    written_ms: i64,
}

fn filled(parts: &Parts) -> String {
    fill(FRAME, |slot| match slot {
        "TITLE" => escape(&printable(&parts.title)),
        "STYLE" => format!("{}{}", STYLES.concat(), plot::STYLE),
        "NAVIGATION" => parts.navigation.clone(),
        "BODY" => parts.body.clone(),
        "VERSION" => env!("CARGO_PKG_VERSION").to_owned(),
        "DATE" => format!("{} UTC", date(parts.written_ms)),
        "DATA" => parts.data.clone(),
        "SCRIPT" => parts.script.clone(),
        _ => String::new(),
    })
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
    let mut links = vec![("overview", "Answer")];
    if !drawings.is_empty() {
        links.extend([("matrix", "Matrix"), ("syscalls", "Syscalls")]);
        if plans {
            links.push(("plans", "Plans"));
        }
        links.extend([
            ("applications", "Applications"),
            ("verdicts", "Verdicts"),
            ("figures", "Figures"),
        ]);
    }
    if !services.is_empty() {
        links.push(("profiles", "Profiles"));
    }
    self::links(&links)
}

/// To the views, by their addresses.
fn links(views: &[(&str, &str)]) -> String {
    let links = views
        .iter()
        .map(|(target, name)| format!("<a href=\"#{target}\">{name}</a>"));
    links.collect::<Vec<_>>().join("\n")
}

const FIGURES: &str = "<section id=\"figures\" class=\"view\">\n<h2 tabindex=\"-1\">Figures</h2>\n";
const PLANS: &str = "<section id=\"plans\" class=\"view\">\n<h2 tabindex=\"-1\">Plans</h2>\n\
                     <div id=\"plan-charts\"></div>\n";

fn is_plan(drawing: &Drawing) -> bool {
    drawing.name.starts_with("plan-")
}

fn sections(drawings: &[Drawing], plans: &[Plan]) -> String {
    let (planned, others): (Vec<&Drawing>, Vec<&Drawing>) =
        drawings.iter().partition(|drawing| is_plan(drawing));
    let mut text = String::from(FIGURES);
    for drawing in others {
        figure(&mut text, drawing);
    }
    text.push_str("</section>\n");
    if !planned.is_empty() {
        text.push_str(PLANS);
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
