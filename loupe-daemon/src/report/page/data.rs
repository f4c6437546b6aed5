//! What the page's script shows, as JSON: names and outputs once each, rows as short lists.

use std::collections::BTreeMap;

use loupe_common::analysis::{Analysis, Basis, FeatureVerdict};
use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::replay::{OutputTail, Replay};
use loupe_common::syscalls::Arch;
use loupe_common::trace::Trace;
use loupe_common::verdict::Verdict;
use serde::Serialize;

use super::provenance;
use super::systems::{self, System};
use crate::plan::Plan;
use crate::report::answer::conclusion;
use crate::report::difference::Difference;
use crate::report::figures::Summary;
use crate::report::{joint, remarks};
use crate::text::printable;

/// Bytes of outputs that a page has at most. Chosen, not measured.
const MAX_OUTPUT_BYTES: usize = 1_500_000;
/// Of one replay's output, its last lines.
const LAST_LINES: usize = 12;
const LAST_CHARACTERS: usize = 900;

/// One replay that shows what came of leaving a feature out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub feature: Feature,
    pub action: Action,
    pub replay: i64,
    pub outcome: String,
    /// What application and test printed last.
    pub output: String,
    pub injections: u64,
    /// Against the baseline; empty where that is not known.
    pub difference: String,
}

impl Shown {
    /// `baseline` are the traces of its replays that passed.
    pub fn new(
        feature: &Feature,
        action: Action,
        id: i64,
        replay: &Replay,
        baseline: &[&Trace],
    ) -> Shown {
        let difference = Difference::between(baseline, &replay.trace, &replay.policy);
        let injections = replay.injections.get(feature).copied().unwrap_or(0);
        let outputs = (&replay.application_output, &replay.test_output);
        Shown {
            feature: feature.clone(),
            action,
            replay: id,
            outcome: replay.outcome.to_string(),
            output: last_words(outputs.0, outputs.1),
            injections,
            difference: difference.map_or(String::new(), |found| found.to_string()),
        }
    }
}

/// The ends of both outputs, made printable.
pub fn last_words(application: &OutputTail, test: &OutputTail) -> String {
    let mut text = String::new();
    for (who, output) in [("application", application), ("test", test)] {
        let lines: Vec<&str> = output.tail.trim_end().lines().collect();
        let mut last: Vec<String> = Vec::new();
        let mut room = LAST_CHARACTERS;
        for line in lines.iter().rev().take(LAST_LINES) {
            let line: String = printable(line).chars().take(240).collect();
            let Some(left) = room.checked_sub(line.len()) else {
                break;
            };
            room = left;
            last.push(line);
        }
        if !last.is_empty() {
            last.reverse();
            text.push_str(&format!("{who}:\n{}\n", last.join("\n")));
        }
    }
    text
}

/// An application and what its verdicts rest on.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub analysis: &'a Analysis,
    /// When it was finished, in Unix milliseconds.
    pub finished_ms: Option<i64>,
    /// At most a few for each feature.
    pub evidence: Vec<Shown>,
}

#[derive(Serialize)]
pub struct Data {
    schema: &'static str,
    features: Vec<String>,
    numbers: Vec<Option<u32>>,
    texts: Vec<String>,
    applications: Vec<Application>,
    systems: Vec<systems::Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<Units>,
}

/// Units of a fleet by features.
#[derive(Serialize)]
pub(super) struct Units {
    /// Name, hosts, and features with how many of these hosts have them: a feature and a number, by turns.
    pub rows: Vec<(String, u64, Vec<u64>)>,
    pub left_out: usize,
}

#[derive(Serialize)]
struct Application {
    name: String,
    /// In one sentence.
    answer: String,
    imported: Option<String>,
    /// What is known of how it was made, by name.
    provenance: Vec<(String, String)>,
    /// Features that are calls of the tool that measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    harness: Vec<usize>,
    #[serde(rename = "static")]
    statically: Option<usize>,
    used: usize,
    required: usize,
    stub: usize,
    fake: usize,
    any: usize,
    other: usize,
    joint: Option<usize>,
    policy: Option<Whole>,
    notes: Vec<String>,
    rows: Vec<Row>,
}

/// The joint policy.
#[derive(Serialize)]
struct Whole {
    /// How many, in words.
    number: String,
    implement: Vec<usize>,
    stub: Vec<usize>,
    fake: Vec<usize>,
    runs: u32,
    passes: u32,
}

/// Feature, verdict, calls, passes and runs stubbed, the same faked, basis, evidence.
type Row = (usize, usize, u64, u32, u32, u32, u32, usize, Vec<Proof>);

/// Way, replay, outcome, output, injections, difference to the baseline.
type Proof = (String, i64, usize, usize, u64, usize);

/// Texts that are written once, however often they are needed.
#[derive(Default)]
pub(super) struct Pool {
    texts: Vec<String>,
    known: BTreeMap<String, usize>,
}

impl Pool {
    pub(super) fn index(&mut self, text: String) -> usize {
        let next = self.texts.len();
        *self.known.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            next
        })
    }

    /// Those of the texts that are names of features.
    pub(super) fn features(&self) -> impl Iterator<Item = Feature> {
        self.texts.iter().filter_map(|text| text.parse().ok())
    }

    pub(super) fn indices<'a>(
        &mut self,
        features: impl IntoIterator<Item = &'a Feature>,
    ) -> Vec<usize> {
        let names = features.into_iter().map(Feature::to_string);
        names.map(|name| self.index(name)).collect()
    }
}

struct Builder {
    features: Pool,
    texts: Pool,
    /// Room left for outputs.
    room: usize,
}

impl Data {
    pub fn of(entries: &[Entry<'_>], systems: &[System], plans: &[Plan]) -> Data {
        let mut builder = Builder {
            features: Pool::default(),
            texts: Pool::default(),
            room: MAX_OUTPUT_BYTES,
        };
        let applications = entries
            .iter()
            .map(|entry| builder.application(entry))
            .collect();
        let systems = systems::rows(systems, plans, &mut builder.features);
        let number = |name: &String| {
            let feature: Feature = name.parse().ok()?;
            feature.syscall()?.number_on(Arch::X86_64)
        };
        Data {
            schema: "loupe.page/1",
            numbers: builder.features.texts.iter().map(number).collect(),
            features: builder.features.texts,
            texts: builder.texts.texts,
            applications,
            systems,
            fleet: None,
        }
    }

    /// Of a fleet; its features are in this pool.
    pub(super) fn of_fleet(units: Units, features: Pool) -> Data {
        Data {
            features: features.texts,
            fleet: Some(units),
            ..Data::of(&[], &[], &[])
        }
    }

    /// As the page has it.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        Ok(in_script(&serde_json::to_string(self)?))
    }
}

/// JSON for a `script` element: nothing in it can end that element or begin another.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

impl Builder {
    fn application(&mut self, entry: &Entry<'_>) -> Application {
        let analysis = entry.analysis;
        let summary = Summary::of(analysis);
        let mut evidence: BTreeMap<&Feature, Vec<&Shown>> = BTreeMap::new();
        for shown in &entry.evidence {
            evidence.entry(&shown.feature).or_default().push(shown);
        }
        let policy = analysis.joint.as_ref().map(|joint| Whole {
            number: joint::counted_features(joint.implement.iter()),
            implement: self.indices(&joint.implement),
            stub: self.indices(&joint.stub),
            fake: self.indices(&joint.fake),
            runs: joint.runs,
            passes: joint.passes,
        });
        let notes = analysis.conflicts.iter().map(joint::conflict);
        let warnings = remarks::warnings(&analysis.warnings);
        let notes = notes
            .chain(joint::fallbacks(&analysis.fallbacks))
            .chain(warnings);
        Application {
            name: printable(&summary.name()),
            answer: conclusion(analysis),
            imported: analysis
                .origin
                .as_ref()
                .map(|origin| printable(&format!("{}, {}", origin.format, origin.run))),
            provenance: provenance::of(entry),
            harness: self.indices(
                analysis
                    .features
                    .iter()
                    .filter(|row| row.harness)
                    .map(|row| &row.feature),
            ),
            statically: summary.statically(),
            used: summary.used,
            required: summary.required,
            stub: summary.stub,
            fake: summary.fake,
            any: summary.any,
            other: summary.other,
            joint: summary.joint,
            policy,
            notes: notes.map(|note| printable(&note)).collect(),
            rows: analysis
                .features
                .iter()
                .map(|row| self.row(row, evidence.get(&row.feature).map_or(&[], Vec::as_slice)))
                .collect(),
        }
    }

    fn indices<'a>(&mut self, features: impl IntoIterator<Item = &'a Feature>) -> Vec<usize> {
        self.features.indices(features)
    }

    fn row(&mut self, row: &FeatureVerdict, evidence: &[&Shown]) -> Row {
        let basis = match row.basis {
            Basis::Implied { replay } => format!("measured + #{replay}"),
            Basis::Measured => "measured".to_owned(),
            Basis::Imported => "imported".to_owned(),
        };
        let verdict = match row.verdict {
            Verdict::Required => 0,
            Verdict::Stub => 1,
            Verdict::Fake => 2,
            Verdict::Any => 3,
            Verdict::NotExercised => 4,
            Verdict::Undecided => 5,
        };
        (
            self.features.index(row.feature.to_string()),
            verdict,
            row.calls,
            row.stub.passes,
            row.stub.runs,
            row.fake.passes,
            row.fake.runs,
            self.texts.index(basis),
            evidence.iter().map(|shown| self.proof(shown)).collect(),
        )
    }

    fn proof(&mut self, shown: &Shown) -> Proof {
        let known = self.texts.known.contains_key(&shown.output);
        let output = if known || shown.output.len() <= self.room {
            if !known {
                self.room -= shown.output.len();
            }
            shown.output.clone()
        } else {
            "(left out, so that this page stays small)".to_owned()
        };
        (
            shown.action.to_string(),
            shown.replay,
            self.texts.index(printable(&shown.outcome)),
            self.texts.index(output),
            shown.injections,
            self.texts.index(shown.difference.clone()),
        )
    }
}
