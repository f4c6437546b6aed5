//! What Loupe prints: tables, explanations and their machine-readable forms.
//!
//! Pure functions from shared and stored types to text or JSON. Nothing here reads a database,
//! a clock or the terminal: the caller says whether colours are wanted and how wide a line may
//! be. Whatever an application printed or is called is escaped before it is shown.

mod analysis;
mod answer;
mod because;
mod change;
mod checklist;
mod compare;
pub(crate) mod csv;
pub mod difference;
mod distances;
mod drawings;
mod drift_events;
mod emulation;
mod explain;
mod explanation;
mod failure;
mod figures;
mod fleet;
mod followed;
mod followed_there;
mod gap;
mod impact;
mod joint;
pub(crate) mod layout;
mod list;
mod metrics;
mod operations;
mod os;
mod page;
mod phases;
mod plan;
mod plan_next;
mod plot;
mod probe;
mod profile;
mod provenance;
mod remarks;
pub mod shape;
mod statistics;
mod study;
mod summary;
mod trace;
mod trial;
mod verify;

#[cfg(test)]
mod tests;

pub use analysis::analysis_table;
pub use answer::Telling;
pub use change::{difference_csv, difference_table};
pub use checklist::{plan_issues, plan_markdown};
pub use compare::{comparison_markdown, comparison_table};
pub use distances::{distances_csv, distances_table};
pub use drawings::drawings;
pub use drift_events::{DriftEvent, drift_lines, drift_otlp};
pub use emulation::emulation;
pub use explain::explain;
pub use explanation::{Explanation, explain_json};
pub use failure::failure_text;
pub use figures::Figures;
pub use fleet::{fleet_drift, fleet_gap, fleet_hosts, fleet_shown, fleet_who};
pub use followed::{Followed, PlanVerify, followed};
pub use followed_there::{FollowedThere, PlanVerifyThere, RanThere, followed_there};
pub use gap::{gap_csv, gap_table};
pub use list::{history_table, list_json, list_table};
pub use metrics::{Measured, MetricsForm, hub_metrics, metrics};
pub use os::{os_difference, os_list, os_table};
pub use page::{Entry, FleetPage, Page, Shown, System, difference_page, last_words};
pub use phases::phase_lines;
pub use plan::{check_csv, check_table, plan_csv, plan_table};
pub use plan_next::{plan_next, what_if_table};
pub use probe::probed_table;
pub use profile::{
    profile_coverage, profile_drift, profile_event, profile_event_json, profile_json,
    profile_sentence, profile_status, profile_status_json, profile_top, profiles, unwatched,
    watched,
};
pub use provenance::provenance_json;
pub use statistics::{statistics_csv, statistics_table};
pub use study::{
    Found, Outcome as StudyOutcome, Studied, Study, ended as study_ended, study_table,
};
pub use summary::{summary_json, summary_table, verdicts_csv};
pub use trace::{trace_json, trace_table};
pub use trial::{trial, trial_is_good, trial_json};
pub use verify::verified_table;

/// How text is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// With ANSI colours.
    pub color: bool,
    /// Columns of a line; less than 40 is taken as 40.
    pub width: usize,
    /// How tables are written.
    pub rows: Rows,
}

/// How tables are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// As wide as a line may be: a cell that is too long goes on below itself.
    #[default]
    Fitting,
    /// One row a line, for other programs and for files: nothing is wrapped or left out.
    Whole,
    /// As tables of Markdown.
    Markdown,
    /// As comma-separated values: the table alone. What is said around it is left out.
    Csv,
}

impl Style {
    /// As on a terminal of 80 columns without colours.
    pub const PLAIN: Style = Style {
        color: false,
        width: 80,
        rows: Rows::Fitting,
    };

    /// For files: every row on a line of its own.
    pub const WHOLE: Style = Style {
        rows: Rows::Whole,
        ..Style::PLAIN
    };

    pub(crate) fn columns(self) -> usize {
        self.width.max(40)
    }

    /// Nothing but the table is wanted.
    pub(crate) fn is_csv(self) -> bool {
        self.rows == Rows::Csv
    }

    /// Nothing is to be shortened.
    pub(crate) fn is_whole(self) -> bool {
        self.rows != Rows::Fitting
    }
}

/// What a piece of text is about, as far as its colour goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Title,
    Good,
    Middling,
    Bad,
    Faint,
}

impl Tone {
    pub(crate) fn paint(self, text: &str, style: Style) -> String {
        let code = match self {
            Tone::Plain => "",
            Tone::Title => "1",
            Tone::Good => "32",
            Tone::Middling => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
        };
        if code.is_empty() || !style.color {
            return text.to_owned();
        }
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
