//! The figures of a set of applications: how much each uses and how little of it is required.

use std::collections::BTreeSet;

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use serde::Serialize;

use super::paper;
use super::schedule::{Bits, Job};
use super::select::Named;

/// The figures of one application.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct AppFigures {
    pub application: String,
    pub workload: String,
    pub used: usize,
    pub required: usize,
    pub stub: usize,
    pub fake: usize,
    pub any: usize,
    /// Required by used.
    pub required_of_used: f64,
    /// What static analysis finds, where there is one.
    pub static_binary: Option<usize>,
    pub static_sources: Option<usize>,
    /// Required by what the static analysis of the binary finds.
    pub required_of_static: Option<f64>,
}

/// The figures of a set.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Statistics {
    pub schema: &'static str,
    pub count: usize,
    pub applications: Vec<AppFigures>,
    /// Features that any application uses.
    pub used: usize,
    /// Features that any application requires.
    pub required: usize,
    /// Features that static analysis finds in any of their binaries.
    pub static_binary: Option<usize>,
    pub static_sources: Option<usize>,
    /// Features that an OS from nothing has implemented when half of the applications run, in
    /// the published greedy order: by the verdicts, and if it had to implement all that is used.
    pub half_required: usize,
    pub half_used: usize,
    pub median_required_of_used: f64,
    pub median_required_of_static: Option<f64>,
}

/// Takes the figures of these needs; `analyses` are looked up for their static sets.
pub fn statistics(needs: &[Named], analyses: &[&Analysis]) -> Statistics {
    let mut unions: [BTreeSet<&Feature>; 4] = Default::default();
    let mut statics = [false; 2];
    let mut applications = Vec::with_capacity(needs.len());
    for named in needs {
        let need = &named.need;
        let analysis = analyses.iter().find(|analysis| {
            analysis.application == need.application && analysis.workload == need.workload
        });
        unions[0].extend(&need.used);
        unions[1].extend(&need.required);
        let sets = [
            analysis.and_then(|analysis| analysis.static_binary.as_ref()),
            analysis.and_then(|analysis| analysis.static_sources.as_ref()),
        ];
        for (at, set) in sets.iter().enumerate() {
            statics[at] |= set.is_some();
            unions[2 + at].extend(set.iter().flat_map(|set| set.iter()));
        }
        let [binary, sources] = sets.map(|set| set.map(Vec::len));
        applications.push(AppFigures {
            application: named.name.clone(),
            workload: need.workload.clone(),
            used: need.used.len(),
            required: need.required.len(),
            stub: need.stub_only.len(),
            fake: need.fake_only.len(),
            any: need.any.len(),
            required_of_used: ratio(need.required.len(), need.used.len()),
            static_binary: binary,
            static_sources: sources,
            required_of_static: binary
                .filter(|size| *size > 0)
                .map(|size| ratio(need.required.len(), size)),
        });
    }
    let required = |named: &Named| named.need.required.clone();
    let used = |named: &Named| named.need.used.clone();
    let of_static: Vec<f64> = applications
        .iter()
        .filter_map(|app| app.required_of_static)
        .collect();
    let of_used = applications.iter().map(|app| app.required_of_used);
    Statistics {
        schema: "loupe.stats/1",
        count: needs.len(),
        used: unions[0].len(),
        required: unions[1].len(),
        static_binary: statics[0].then_some(unions[2].len()),
        static_sources: statics[1].then_some(unions[3].len()),
        half_required: half(needs, required),
        half_used: half(needs, used),
        median_required_of_used: median(of_used.collect()).unwrap_or(0.0),
        median_required_of_static: median(of_static),
        applications,
    }
}

/// Three digits are more than these figures are worth.
fn ratio(part: usize, whole: usize) -> f64 {
    match whole {
        0 => 0.0,
        _ => (part as f64 / whole as f64 * 1000.0).round() / 1000.0,
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// Features implemented when half of the applications (rounded up) run.
fn half(needs: &[Named], wants: impl Fn(&Named) -> BTreeSet<Feature>) -> usize {
    let sets: Vec<BTreeSet<Feature>> = needs.iter().map(wants).collect();
    let features: Vec<&Feature> = sets
        .iter()
        .flatten()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let jobs: Vec<Job> = sets
        .iter()
        .map(|set| Job {
            weight: 1,
            wants: set
                .iter()
                .filter_map(|feature| features.binary_search(&feature).ok())
                .collect(),
        })
        .collect();
    let mut done = Bits::default();
    for index in paper::order(&jobs)
        .into_iter()
        .take(needs.len().div_ceil(2))
    {
        done.extend(&jobs[index].wants);
    }
    done.iter().count()
}
