//! Which applications run on an OS as it answers at some point: at once, and with some fakes
//! added. No order, no plan.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;

use super::need::{Answer, Need};
use super::os::{OsProfile, parts};
use super::select::Named;

/// Indices into the needs that were asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) at_once: BTreeSet<usize>,
    /// These run once these features are faked, which breaks none of the others. Of two that
    /// exclude each other the first is here.
    pub(super) with_fakes: Vec<(usize, Vec<Feature>)>,
}

impl Reach {
    pub(super) fn of(os: &OsProfile, needs: &[Named]) -> Reach {
        let mut reach = Reach::default();
        for (index, named) in needs.iter().enumerate() {
            if named.need.unmet(os).next().is_none() {
                reach.at_once.insert(index);
            }
        }
        let not_implemented = |feature: &&Feature| !os.implements(feature);
        // What must go on to fail for those that run.
        let failing_for = |need: &Need| -> Vec<Feature> {
            let stubs = need.stub_only.iter().filter(not_implemented);
            stubs.cloned().collect()
        };
        let mut failing: BTreeSet<Feature> = reach
            .at_once
            .iter()
            .flat_map(|index| failing_for(&needs[*index].need))
            .collect();
        let mut faked: BTreeSet<Feature> = BTreeSet::new();
        for (index, Named { need, .. }) in needs.iter().enumerate() {
            if reach.at_once.contains(&index) {
                continue;
            }
            let fakes = need.unmet(os).map(|(feature, answer)| {
                let fails = matches!(answer, Answer::Stub | Answer::Error(_));
                let fakeable = fails && need.accepts(feature, Answer::Fake);
                (fakeable && !meets(&failing, feature)).then(|| feature.clone())
            });
            let Some(fakes) = fakes.collect::<Option<Vec<Feature>>>() else {
                continue;
            };
            let fails = failing_for(need);
            if fails.iter().any(|feature| meets(&faked, feature)) {
                continue;
            }
            failing.extend(fails);
            faked.extend(fakes.iter().cloned());
            reach.with_fakes.push((index, fakes));
        }
        reach
    }

    pub(super) fn all(&self) -> BTreeSet<usize> {
        let fakes = self.with_fakes.iter().map(|(index, _)| *index);
        self.at_once.iter().copied().chain(fakes).collect()
    }
}

/// What is done about a feature is done about one of these, too: it is there, or its syscall, or a part
/// of it.
fn meets(set: &BTreeSet<Feature>, feature: &Feature) -> bool {
    let is_part = |part: &Feature| part.parent().as_ref() == Some(feature);
    set.contains(feature)
        || feature.parent().is_some_and(|whole| set.contains(&whole))
        || feature.is_syscall() && parts(set).any(is_part)
}
