//! The report for people.

use super::{Report, Status};
use crate::report::layout::{Align, Cell, Layout};
use crate::report::{Style, Tone};
use crate::text::{printable, wrap};

impl Status {
    fn cell(self) -> Cell {
        match self {
            Status::Ok => Cell::toned("ok", Tone::Good),
            Status::Warn => Cell::toned("warn", Tone::Middling),
            Status::Fail => Cell::toned("FAIL", Tone::Bad),
        }
    }
}

/// A table of the checks, and the cures below it.
pub fn table(report: &Report, style: Style) -> String {
    let mut layout = Layout::new(&[
        ("check", Align::Left),
        ("status", Align::Left),
        ("for", Align::Left),
        ("found", Align::Left),
    ]);
    for check in &report.checks {
        layout.row([
            check.name.into(),
            check.status.cell(),
            check.needed_for.into(),
            printable(&check.found).into(),
        ]);
    }
    let mut text = layout.print(style);
    if style.is_csv() {
        return text;
    }
    text.push('\n');
    for status in [Status::Fail, Status::Warn] {
        for check in report.checks.iter().filter(|check| check.status == status) {
            let cure = check.cure.as_deref().unwrap_or_default();
            let line = format!("{}: {cure}", check.name);
            for line in wrap(&line, style.columns(), 4) {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    text.push_str(match report.usable {
        true => "Loupe works on this host.\n",
        false => "Loupe cannot work here until what failed is cured.\n",
    });
    text
}
