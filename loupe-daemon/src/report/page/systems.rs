//! What the page's script shows of an OS: how far each application is from running on it, and its
//! plans. Decides nothing: both are made elsewhere.

use serde::Serialize;

use super::data::Pool;
use crate::plan::distance::{Away, Distances};
use crate::plan::need::Answer;
use crate::plan::{OsProfile, Plan, Step};
use crate::report::because::reasons;
use crate::text::printable;

/// An OS and its distances to the applications of the page.
#[derive(Clone, Debug)]
pub struct System {
    pub profile: OsProfile,
    pub distances: Distances,
}

/// Numbers are places in the page's list of features.
#[derive(Serialize)]
pub struct Row {
    os: String,
    /// Absent where only a plan is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Profile>,
    plans: Vec<PlanRow>,
}

#[derive(Serialize)]
struct Profile {
    runs: usize,
    implement: Vec<usize>,
    fake: Vec<usize>,
    distances: Vec<Distance>,
}

#[derive(Serialize)]
struct Distance {
    /// As in plans.
    application: String,
    /// `nginx/wrk`, or as in plans where that is no workload.
    name: String,
    implement: Vec<usize>,
    fake: Vec<usize>,
    /// To fail: faked today, or ending whoever calls it.
    unfake: Vec<usize>,
}

#[derive(Serialize)]
struct PlanRow {
    strategy: String,
    steps: Vec<StepRow>,
}

#[derive(Serialize)]
struct StepRow {
    implement: Vec<usize>,
    fake: Vec<usize>,
    /// `nginx/wrk`.
    unlocks: Vec<String>,
    implemented: usize,
    supported: usize,
    /// One for each that is implemented, if they are known.
    because: Vec<String>,
}

pub fn rows(systems: &[System], plans: &[Plan], pool: &mut Pool) -> Vec<Row> {
    let mut names: Vec<&str> = Vec::new();
    let given = systems.iter().map(|system| system.profile.name.as_str());
    for name in given.chain(plans.iter().map(|plan| plan.os.as_str())) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
        .into_iter()
        .map(|os| {
            let mut systems = systems.iter();
            let system = systems.find(|system| system.profile.name == os);
            let plans = plans.iter().filter(|plan| plan.os == os);
            Row {
                os: printable(os),
                profile: system.map(|system| profile(system, pool)),
                plans: plans.map(|plan| plan_row(plan, pool)).collect(),
            }
        })
        .collect()
}

/// What a list of the profile comes to: itself, and those operations and flags of the page that are
/// answered so with their syscall.
fn answered(os: &OsProfile, answer: Answer, pool: &mut Pool) -> Vec<usize> {
    let named = match answer {
        Answer::Implement => &os.implement,
        _ => &os.fake,
    };
    let mut all = named.clone();
    let parts = pool.features().filter(|feature| feature.parent().is_some());
    all.extend(parts.filter(|part| os.answer(part) == answer));
    pool.indices(&all)
}

fn profile(system: &System, pool: &mut Pool) -> Profile {
    let known = &system.profile;
    let mut distance = |away: &Away| Distance {
        application: printable(&away.application),
        name: full_name(&away.application, &away.workload),
        implement: pool.indices(&away.missing.implement),
        fake: pool.indices(&away.missing.fake),
        unfake: pool.indices(away.missing.unfake.iter().chain(&away.missing.stub)),
    };
    let distances = &system.distances.applications;
    let distances = distances.iter().map(&mut distance).collect();
    Profile {
        runs: system.distances.runs,
        implement: answered(known, Answer::Implement, pool),
        fake: answered(known, Answer::Fake, pool),
        distances,
    }
}

/// The name of the page's rows; profiles have none there.
fn full_name(application: &str, workload: &str) -> String {
    match application.contains('/') {
        true => printable(application),
        false => printable(&format!("{application}/{workload}")),
    }
}

fn plan_row(plan: &Plan, pool: &mut Pool) -> PlanRow {
    let named = |name: &String| match plan.applications.get(name) {
        Some(workload) => full_name(name, workload),
        None => printable(name),
    };
    let step = |(number, step): (usize, &Step)| StepRow {
        implement: pool.indices(&step.implement),
        fake: pool.indices(&step.fake),
        unlocks: step.unlocks.iter().map(named).collect(),
        implemented: step.implemented,
        supported: step.supported,
        because: reasons(plan, number)
            .into_iter()
            .map(|reason| printable(&format!("{}: {}", reason.feature, reason.words)))
            .collect(),
    };
    PlanRow {
        strategy: printable(&plan.strategy),
        steps: plan.steps.iter().enumerate().map(step).collect(),
    }
}
