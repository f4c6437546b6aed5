//! The figures of a report: which plots there are, with their names, captions and files.

use super::figures::{Curve, Figures, Summary};
use super::plot::{self, Bar, Caption, Line, Tile};
use crate::plan::Plan;
use crate::text::printable;

/// One figure.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// For files and anchors.
    pub name: String,
    pub title: String,
    /// What it shows, in words and numbers.
    pub caption: String,
    pub svg: String,
    /// It may be made smaller to fit.
    pub fits: bool,
}

/// All figures of some analyses and plans; `alone`: each for a file of its own.
pub fn drawings(figures: &Figures, plans: &[Plan], alone: bool) -> Vec<Drawing> {
    let mut all = vec![
        cumulative(figures, alone),
        heat(figures, alone),
        histogram(figures, alone),
    ];
    let mut systems: Vec<&str> = Vec::new();
    for plan in plans {
        if !systems.contains(&plan.os.as_str()) {
            systems.push(&plan.os);
        }
    }
    all.extend(systems.into_iter().map(|os| {
        let of_it: Vec<&Plan> = plans.iter().filter(|plan| plan.os == os).collect();
        plan_curve(os, &of_it, alone)
    }));
    all
}

fn points(curve: &Curve) -> Vec<(f64, f64)> {
    let points = curve.points.iter();
    points
        .map(|(syscalls, running)| (*syscalls as f64, *running as f64))
        .collect()
}

fn cumulative(figures: &Figures, alone: bool) -> Drawing {
    let mut lines = vec![
        Line {
            name: "required implemented, the rest stubbed or faked".to_owned(),
            class: "required",
            points: points(&figures.with_verdicts),
        },
        Line {
            name: "everything used implemented".to_owned(),
            class: "used",
            points: points(&figures.without_verdicts),
        },
    ];
    lines.extend(figures.by_static_analysis.as_ref().map(|curve| Line {
        name: "everything implemented that static analysis finds".to_owned(),
        class: "static",
        points: points(curve),
    }));
    let half = match figures.applications.len() {
        1 => "It runs".to_owned(),
        number => format!("Half of the {number} workloads run"),
    };
    let caption = format!(
        "An OS that begins with nothing makes the application that lacks least run next. {half} with \
         {} syscalls; without verdicts, with {}.",
        figures.with_verdicts.half, figures.without_verdicts.half
    );
    let title = "Applications that run, by syscalls implemented";
    drawing("cumulative", title, caption, true, |caption| {
        plot::steps(
            &lines,
            "syscalls implemented",
            "applications",
            caption,
            alone,
        )
    })
}

fn heat(figures: &Figures, alone: bool) -> Drawing {
    let all = figures.applications.len().max(1) as f64;
    let tiles = |count: fn(&super::figures::Heat) -> usize| -> Vec<Tile> {
        let cells = figures.heat.iter();
        cells
            .map(|cell| Tile {
                number: cell.number,
                share: count(cell) as f64 / all,
                title: format!(
                    "{} ({}): used by {}, required by {} of {}",
                    cell.name,
                    cell.number,
                    cell.used,
                    cell.required,
                    figures.applications.len()
                ),
            })
            .collect()
    };
    let grids = [
        ("used", "used", tiles(|cell| cell.used)),
        ("required", "required", tiles(|cell| cell.required)),
    ];
    let caption = format!(
        "Every syscall of x86-64 by number, 32 a row; the stronger, the more applications. {} are \
         used by some application, {} required.",
        figures.used, figures.required
    );
    let title = "Syscalls by the applications that use and need them";
    drawing("heat-map", title, caption, true, |caption| {
        plot::heat(&grids, caption, alone)
    })
}

fn histogram(figures: &Figures, alone: bool) -> Drawing {
    let known = figures
        .applications
        .iter()
        .any(|one| one.statically().is_some());
    let parts: &[(&str, &str)] = match known {
        true => &[
            ("found by static analysis", "static"),
            ("used", "used"),
            ("required", "required"),
        ],
        false => &[("used", "used"), ("required", "required")],
    };
    let mut order: Vec<&Summary> = figures.applications.iter().collect();
    order.sort_by_key(|one| (std::cmp::Reverse(one.required), one.name()));
    let groups: Vec<Bar> = order
        .into_iter()
        .map(|one| {
            let value = |number: usize| Some(number as f64);
            let all = [
                one.statically().and_then(value),
                value(one.used),
                value(one.required),
            ];
            let values = all[usize::from(!known)..].to_vec();
            let found = match one.statically() {
                Some(found) => format!("{found} found statically, "),
                None => String::new(),
            };
            let (used, required) = (one.used, one.required);
            let name = printable(&one.name());
            Bar {
                title: format!("{name}: {found}{used} used, {required} required"),
                name: printable(&one.application),
                values,
            }
        })
        .collect();
    let sum = |of: fn(&Summary) -> usize| figures.applications.iter().map(of).sum::<usize>();
    let share = 100.0 * sum(|one| one.required) as f64 / sum(|one| one.used).max(1) as f64;
    let caption = format!(
        "Of what the applications use, {share:.0} % is required; the most needing ones come first."
    );
    let title = "Syscalls by application";
    drawing("applications", title, caption, false, |caption| {
        plot::bars(parts, &groups, "syscalls", caption, alone)
    })
}

fn plan_curve(os: &str, plans: &[&Plan], alone: bool) -> Drawing {
    let classes = ["ours", "theirs", "third", "fourth"];
    let lines: Vec<Line> = plans
        .iter()
        .zip(classes.into_iter().cycle())
        .map(|(plan, class)| Line {
            name: format!("{}: area {}", printable(&plan.strategy), plan.area),
            class,
            points: plan
                .steps
                .iter()
                .map(|step| (step.implemented as f64, step.supported as f64))
                .collect(),
        })
        .collect();
    let bound = plans.iter().map(|plan| plan.lower_bound).max().unwrap_or(0);
    let best = plans.iter().map(|plan| plan.area).min().unwrap_or(0);
    let above = match bound {
        0 => String::new(),
        bound => format!(
            " No order has an area below {bound}; the best one here is within {:.1} % of that.",
            100.0 * (best as f64 / bound as f64 - 1.0)
        ),
    };
    let caption = format!(
        "The area is the sum, over the applications, of the syscalls newly implemented when each \
         comes to run; less is better.{above}"
    );
    let title = format!("Plan for {}", printable(os));
    let name: String = os
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    drawing(&format!("plan-{name}"), &title, caption, true, |caption| {
        plot::steps(
            &lines,
            "syscalls newly implemented",
            "applications",
            caption,
            alone,
        )
    })
}

/// A figure whose caption is also what it says to those who do not see it.
pub(super) fn drawing(
    name: &str,
    title: &str,
    caption: String,
    fits: bool,
    draw: impl FnOnce(&Caption) -> String,
) -> Drawing {
    let svg = draw(&Caption {
        title: title.to_owned(),
        description: caption.clone(),
    });
    Drawing {
        name: name.to_owned(),
        title: title.to_owned(),
        caption,
        svg,
        fits,
    }
}
