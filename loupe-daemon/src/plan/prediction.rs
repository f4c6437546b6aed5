//! Predictions beside what really happened: whether an application runs on an OS. Runs nothing.

use loupe_common::analysis::Analysis;
use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::syscalls::Syscall;
use serde::Serialize;

use super::gap::{Gap, Missing};
use super::need::{Answer, Need};
use super::os::OsProfile;

/// What came of one application.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Verified {
    pub application: String,
    pub workload: String,
    /// By its analysis and the OS profile.
    pub predicted: bool,
    /// What the profile lacks for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Feature>,
    pub really: bool,
    pub timed_out: bool,
    pub seconds: f64,
    /// Calls that the OS said it does not support, and that the application needs by its analysis or
    /// the profile says are implemented.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<Feature>,
    /// The last calls that failed there, where it was to pass and did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<FailingCall>,
    /// The end of what it printed, where the prediction is wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// A call that failed on the OS, beside what the application needs of it.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct FailingCall {
    pub feature: Feature,
    pub errno: Errno,
    /// By the analysis: the application, or one of the call's operations, does not do without it.
    pub needed: bool,
}

impl FailingCall {
    /// What is needed is what an OS that runs the application implements or fakes.
    pub fn beside(need: &Need, calls: Vec<(Syscall, Errno)>) -> Vec<FailingCall> {
        let is_needed = |call: &Feature| {
            let mut features = need.required.iter().chain(&need.fake_only);
            features.any(|one| one == call || one.parent().as_ref() == Some(call))
        };
        let calls = calls.into_iter().map(|(syscall, errno)| {
            let feature = Feature::from(syscall);
            FailingCall {
                needed: is_needed(&feature),
                feature,
                errno,
            }
        });
        calls.collect()
    }
}

impl Verified {
    pub fn is_right(&self) -> bool {
        self.predicted == self.really
    }
}

/// How often predictions were right.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Matrix {
    pub schema: &'static str,
    pub os: String,
    pub right: usize,
    pub count: usize,
    /// Predicted to pass, and did.
    pub passes: usize,
    pub fails: usize,
    /// Predicted to pass, and did not.
    pub wrong_passes: usize,
    pub wrong_fails: usize,
    pub applications: Vec<Verified>,
}

impl Matrix {
    pub fn of(os: &str, applications: Vec<Verified>) -> Matrix {
        let count = |predicted: bool, really: bool| {
            let all = applications.iter();
            all.filter(|one| (one.predicted, one.really) == (predicted, really))
                .count()
        };
        let (passes, fails) = (count(true, true), count(false, false));
        Matrix {
            schema: "loupe.os-verify/1",
            os: os.to_owned(),
            right: passes + fails,
            count: applications.len(),
            passes,
            fails,
            wrong_passes: count(true, false),
            wrong_fails: count(false, true),
            applications,
        }
    }
}

/// What the OS lacks by the best guess, in one list; where it is empty, the application is predicted to
/// pass. `gap` and plans are on the safe side instead.
///
/// - A joint policy whose search was cut short still has what was not tried; where the verdicts alone
///   lack nothing, they count.
/// - Of a syscall that can be left out, nobody measured which operations are used. Where the OS has the
///   syscall and not all of its operations, the syscall counts.
pub fn missing(gap: &Gap, analysis: &Analysis, profile: &OsProfile) -> Vec<Feature> {
    let joint = analysis.joint.as_ref();
    let is_cut_short =
        joint.is_some_and(|joint| joint.is_least == Some(false) && joint.undecided.is_empty());
    let single = || listed(&gap.single, profile);
    match &gap.joint {
        Some(joint) => {
            let missing = listed(joint, profile);
            match is_cut_short && single().is_empty() {
                true => Vec::new(),
                false => missing,
            }
        }
        None => single(),
    }
}

fn listed(missing: &Missing, profile: &OsProfile) -> Vec<Feature> {
    let lists = [
        &missing.implement,
        &missing.fake,
        &missing.unfake,
        &missing.stub,
    ];
    let all = lists.into_iter().flatten();
    all.filter(|feature| profile.answer(feature) != Answer::Implement)
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prediction_is_in_one_cell() {
        let one = |predicted, really| Verified {
            application: "toy".to_owned(),
            workload: "bench".to_owned(),
            predicted,
            missing: Vec::new(),
            really,
            timed_out: false,
            seconds: 1.0,
            unsupported: Vec::new(),
            failing: Vec::new(),
            output: String::new(),
        };
        let all = vec![
            one(true, true),
            one(true, true),
            one(false, false),
            one(true, false),
        ];
        let matrix = Matrix::of("toy", all);
        assert_eq!((matrix.right, matrix.count), (3, 4));
        let cells = [
            matrix.passes,
            matrix.fails,
            matrix.wrong_passes,
            matrix.wrong_fails,
        ];
        assert_eq!(cells, [2, 1, 1, 0]);
    }
}
