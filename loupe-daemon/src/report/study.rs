//! A study: what came of each of many workloads, as a table and as JSON. Measures nothing.

use loupe_common::analysis::Analysis;
use loupe_common::wire::Failure;
use serde::Serialize;

use super::answer::implemented;
use super::layout::{Align, Cell, Layout};
use super::{Style, Tone, failure_text};
use crate::text::{counted, printable, span, wrap};

/// The value of `schema` in the JSON of a study.
const SCHEMA: &str = "loupe.study/1";

/// What came of all workloads.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Study {
    schema: &'static str,
    pub workloads: Vec<Studied>,
    /// Analyses at a time.
    pub at_once: u64,
    pub wall_seconds: f64,
}

/// One workload file and what came of it.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Studied {
    pub file: String,
    /// `None`: the file does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a workload.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Measured(Found),
    /// The database had it already.
    Kept(Found),
    Failed {
        failure: Failure,
    },
    /// The file is no workload that can be used.
    Unusable {
        failure: Failure,
    },
    /// It goes on from its finished replays when it is started again.
    Interrupted,
    NotBegun,
}

/// A finished analysis.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Found {
    /// Its number in the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<i64>,
    /// Syscalls that an OS has to implement.
    pub implement: u64,
    /// Syscalls that it uses.
    pub uses: u64,
    pub replays: u64,
    pub wall_seconds: f64,
    /// What `loupe analyze` would exit with: whether every verdict was reached.
    pub exit_code: u8,
}

impl Found {
    pub fn new(analysis: &Analysis, id: Option<i64>, exit_code: u8) -> Found {
        let (implement, uses) = implemented(analysis);
        Found {
            analysis: id,
            implement,
            uses,
            replays: analysis.replays,
            wall_seconds: analysis.wall_seconds,
            exit_code,
        }
    }
}

impl Studied {
    /// `nginx/wrk`, or the file.
    pub fn name(&self) -> String {
        printable(&match (&self.application, &self.workload) {
            (Some(application), Some(workload)) => format!("{application}/{workload}"),
            _ => self.file.clone(),
        })
    }

    fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Failed { failure } | Outcome::Unusable { failure } => Some(failure),
            _ => None,
        }
    }

    pub fn found(&self) -> Option<&Found> {
        match &self.outcome {
            Outcome::Measured(found) | Outcome::Kept(found) => Some(found),
            _ => None,
        }
    }

    fn exit_code(&self) -> u8 {
        let failed = self.failure().map(|failure| failure.exit_code);
        let found = self.found().map(|found| found.exit_code);
        failed.or(found).unwrap_or_default()
    }
}

impl Study {
    pub fn new(workloads: Vec<Studied>, at_once: usize, wall_seconds: f64) -> Study {
        Study {
            schema: SCHEMA,
            workloads,
            at_once: at_once as u64,
            wall_seconds,
        }
    }

    /// The greatest of all workloads.
    pub fn exit_code(&self) -> u8 {
        let codes = self.workloads.iter().map(Studied::exit_code);
        codes.max().unwrap_or_default()
    }

    fn count(&self, what: impl Fn(&Outcome) -> bool) -> u64 {
        let outcomes = self.workloads.iter().map(|one| &one.outcome);
        outcomes.filter(|outcome| what(outcome)).count() as u64
    }

    /// Workloads that are not done and were not found to fail.
    pub fn left(&self) -> u64 {
        self.count(|outcome| matches!(outcome, Outcome::Interrupted | Outcome::NotBegun))
    }
}

/// What a workload came to, in a few words.
pub fn ended(one: &Studied) -> String {
    match &one.outcome {
        Outcome::Measured(found) => format!(
            "implement {} of {}; {}",
            found.implement,
            counted(found.uses, "syscall"),
            time(found.wall_seconds)
        ),
        Outcome::Kept(found) => format!(
            "measured before{}: implement {} of {}",
            found
                .analysis
                .map_or_else(String::new, |id| format!(" (analysis {id})")),
            found.implement,
            counted(found.uses, "syscall")
        ),
        Outcome::Failed { failure } => format!("failed: {}", printable(&failure.message)),
        Outcome::Unusable { failure } => printable(&failure.message),
        Outcome::Interrupted => "interrupted".to_owned(),
        Outcome::NotBegun => "not begun".to_owned(),
    }
}

fn time(seconds: f64) -> String {
    // `as` saturates, and turns what is not a number into 0.
    match seconds < 10.0 {
        true => crate::text::seconds(seconds),
        false => span((seconds * 1000.0) as u64),
    }
}

/// A line for each workload, the failures, and what all of it comes to.
pub fn study_table(study: &Study, style: Style) -> String {
    let mut layout = Layout::new(&[
        ("workload", Align::Left),
        ("implement", Align::Right),
        ("of", Align::Right),
        ("replays", Align::Right),
        ("time", Align::Right),
        ("analysis", Align::Right),
        ("remark", Align::Left),
    ]);
    for one in &study.workloads {
        layout.row_of(row(one));
    }
    let mut text = layout.print(style);
    if style.is_csv() {
        return text;
    }
    for one in &study.workloads {
        if let Some(failure) = one.failure() {
            text.push('\n');
            text += &failure_text(&one.name(), failure);
        }
    }
    text.push('\n');
    for line in wrap(&summary(study), style.columns(), 0) {
        text += &line;
        text.push('\n');
    }
    text
}

fn row(one: &Studied) -> Vec<Cell> {
    let none = || Cell::none();
    let numbers = match one.found() {
        None => [none(), none(), none(), none(), none()],
        Some(found) => [
            found.implement.into(),
            found.uses.into(),
            found.replays.into(),
            time(found.wall_seconds).into(),
            found.analysis.map_or_else(none, Cell::from),
        ],
    };
    let remark = match &one.outcome {
        Outcome::Measured(found) if found.exit_code != 0 => Cell::toned("see it", Tone::Middling),
        Outcome::Measured(_) => String::new().into(),
        Outcome::Kept(_) => Cell::toned("measured before", Tone::Faint),
        Outcome::Failed { .. } => Cell::toned("failed", Tone::Bad),
        Outcome::Unusable { .. } => Cell::toned("cannot be used", Tone::Bad),
        Outcome::Interrupted => Cell::toned("interrupted", Tone::Middling),
        Outcome::NotBegun => Cell::toned("not begun", Tone::Middling),
    };
    let name = std::iter::once(one.name().into());
    name.chain(numbers).chain([remark]).collect()
}

/// One sentence.
fn summary(study: &Study) -> String {
    let measured = study.count(|one| matches!(one, Outcome::Measured(_)));
    let kept = study.count(|one| matches!(one, Outcome::Kept(_)));
    let all = study.workloads.len() as u64;
    let mut text = format!("{} of {} done", measured + kept, counted(all, "workload"));
    if kept > 0 {
        text += &format!(", {kept} of them before");
    }
    let others = [
        (
            study.count(|one| matches!(one, Outcome::Failed { .. })),
            "failed",
        ),
        (
            study.count(|one| matches!(one, Outcome::Unusable { .. })),
            "cannot be used",
        ),
        (study.left(), "not done"),
    ];
    for (number, what) in others {
        if number > 0 {
            text += &format!(", {number} {what}");
        }
    }
    text + &format!(
        "; {}, {} at a time.",
        time(study.wall_seconds),
        study.at_once
    )
}

#[cfg(test)]
mod tests {
    use loupe_common::exit;

    use super::*;

    fn one(name: &str, outcome: Outcome) -> Studied {
        Studied {
            file: format!("w/{name}.toml"),
            application: Some(name.to_owned()),
            workload: Some("wrk".to_owned()),
            outcome,
        }
    }

    fn found(exit_code: u8) -> Found {
        Found {
            analysis: Some(12),
            implement: 9,
            uses: 40,
            replays: 120,
            wall_seconds: 200.0,
            exit_code,
        }
    }

    fn failed(code: u8) -> Outcome {
        Outcome::Failed {
            failure: Failure::new("failed", code, "the workload fails as it is").explained(
                Some("mend it".to_owned()),
                Some("Connection refused".to_owned()),
            ),
        }
    }

    fn study(outcomes: Vec<Outcome>) -> Study {
        let names = ["nginx", "redis", "sqlite", "gzip", "memcached"];
        let workloads = names.iter().zip(outcomes);
        let workloads = workloads.map(|(name, outcome)| one(name, outcome));
        Study::new(workloads.collect(), 2, 3.25)
    }

    #[test]
    fn every_workload_has_a_line_and_every_failure_its_cause_and_cure() {
        let study = study(vec![
            Outcome::Measured(found(0)),
            Outcome::Kept(found(0)),
            failed(exit::INVALID),
            Outcome::NotBegun,
        ]);
        let text = study_table(&study, Style::PLAIN).replace('\n', " ");
        for line in [
            "nginx/wrk",
            "measured before",
            "sqlite/wrk: the workload fails as it is",
            "| Connection refused",
            "hint: mend it",
            "gzip/wrk",
            "2 of 4 workloads done, 1 of them before, 1 failed, 1 not done; 3.25 s, 2 at a time.",
        ] {
            assert!(text.contains(line), "{line}:\n{text}");
        }
        assert_eq!(study.left(), 1);
    }

    #[test]
    fn a_study_ends_with_the_greatest_exit_code_of_its_analyses() {
        let code = |outcomes| study(outcomes).exit_code();
        assert_eq!(code(vec![Outcome::Measured(found(0))]), exit::OK);
        let undecided = Outcome::Kept(found(exit::FINDING));
        assert_eq!(code(vec![undecided.clone()]), exit::FINDING);
        assert_eq!(
            code(vec![failed(exit::INVALID), undecided, Outcome::NotBegun]),
            exit::INVALID
        );
        let unusable = Outcome::Unusable {
            failure: Failure::usage("w/x.toml:3:1: unknown key"),
        };
        assert_eq!(code(vec![unusable]), exit::USAGE);
    }

    #[test]
    fn json_has_the_outcome_beside_the_names() {
        let study = study(vec![Outcome::Measured(found(0)), failed(3)]);
        let json = serde_json::to_value(&study).expect("JSON");
        assert_eq!(json["schema"], SCHEMA);
        assert_eq!(json["workloads"][0]["outcome"], "measured");
        assert_eq!(json["workloads"][0]["implement"], 9);
        assert_eq!(json["workloads"][1]["outcome"], "failed");
        assert_eq!(json["workloads"][1]["failure"]["exit_code"], 3);
    }
}
