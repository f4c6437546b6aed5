//! How far an OS is from each of a set of applications, nearest first. No order of work: plans
//! have that.

use loupe_common::feature::Feature;
use serde::Serialize;

use super::gap::Missing;
use super::os::OsProfile;
use super::select::Named;

/// One application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Away {
    /// As in plans: with the workload where one application is there with several.
    pub application: String,
    pub workload: String,
    pub runs: bool,
    /// By the joint policy where there is one, else by the verdicts on each feature alone.
    #[serde(flatten)]
    pub missing: Missing,
    /// Those to implement that have no verdict, and are taken for required.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unsure: Vec<Feature>,
}

impl Away {
    fn of(profile: &OsProfile, named: &Named) -> Away {
        let missing = Missing::between(profile, &named.need);
        let unsure = missing.implement.iter();
        Away {
            application: named.name.clone(),
            workload: named.need.workload.clone(),
            runs: missing.is_none(),
            unsure: unsure
                .filter(|feature| named.need.unsure.contains(*feature))
                .cloned()
                .collect(),
            missing,
        }
    }

    /// Fakes to add, fakes to take away, and what must fail and ends its caller: no
    /// implementation is needed for these.
    pub fn fakes(&self) -> usize {
        self.missing.fake.len() + self.missing.unfake.len() + self.missing.stub.len()
    }

    /// It runs once something is faked or no longer faked.
    pub fn needs_no_implementation(&self) -> bool {
        !self.runs && self.missing.implement.is_empty()
    }
}

/// An OS and its distance to each application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Distances {
    pub schema: &'static str,
    pub os: String,
    pub count: usize,
    /// How many of them run.
    pub runs: usize,
    /// How many more run once something is faked or no longer faked.
    pub need_no_implementation: usize,
    /// These were asked to run; empty: none was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// Nearest first: by what is to be implemented, then by fakes, then by name.
    pub applications: Vec<Away>,
}

impl Distances {
    /// With `required`, these needs are asked to run, and not only looked at.
    pub fn of(profile: &OsProfile, needs: &[Named], required: bool) -> Distances {
        let all = needs.iter();
        let mut applications: Vec<Away> = all.map(|named| Away::of(profile, named)).collect();
        applications.sort_by(|a, b| {
            let by = |away: &Away| (away.missing.implement.len(), away.fakes());
            by(a)
                .cmp(&by(b))
                .then_with(|| a.application.cmp(&b.application))
        });
        let count = |is: fn(&Away) -> bool| applications.iter().filter(|away| is(away)).count();
        Distances {
            schema: "loupe.distances/1",
            os: profile.name.clone(),
            count: needs.len(),
            runs: count(|away| away.runs),
            need_no_implementation: count(Away::needs_no_implementation),
            required: match required {
                true => needs.iter().map(|named| named.name.clone()).collect(),
                false => Vec::new(),
            },
            applications,
        }
    }

    /// Everything that was asked to run does.
    pub fn kept(&self) -> bool {
        self.required.is_empty() || self.runs == self.count
    }
}
