//! What would run if some features were implemented: a look ahead without a plan.

use std::collections::BTreeSet;

use loupe_common::feature::Feature;
use serde::Serialize;

use super::distance::{Away, Distances};
use super::need::Need;
use super::os::OsProfile;
use super::reach::Reach;
use super::select::Named;

/// Applications that come next, shown with what they lack.
const NEXT: usize = 5;

/// An application that would begin to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Unlocked {
    pub application: String,
    /// What has to be faked for it as well.
    pub fake: Vec<Feature>,
    /// It needs none of this: fakes would do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fakes_would_do: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct WhatIf {
    pub schema: &'static str,
    pub os: String,
    pub implement: BTreeSet<Feature>,
    /// Of these, what the OS implements already, and what none of the applications uses.
    pub already: BTreeSet<Feature>,
    pub unused: BTreeSet<Feature>,
    pub count: usize,
    /// How many run today, and how many would without another fake.
    pub runs: usize,
    pub would_run: usize,
    /// Those that run then and not today, at once or with fakes.
    pub unlocks: Vec<Unlocked>,
    /// The nearest of those that would still not run.
    pub next: Vec<Away>,
}

impl WhatIf {
    pub fn of(profile: &OsProfile, needs: &[Named], implement: &BTreeSet<Feature>) -> WhatIf {
        let mut changed = profile.clone();
        for feature in implement {
            changed.implement(feature);
        }
        let now = Reach::of(profile, needs);
        let then = Reach::of(&changed, needs);
        let reached = now.all();
        let at_once = then.at_once.difference(&now.at_once);
        let with_fakes = then.with_fakes.iter();
        let mut unlocks: Vec<Unlocked> = at_once
            .map(|index| (*index, Vec::new()))
            .chain(
                with_fakes
                    .filter(|(index, _)| !reached.contains(index))
                    .cloned(),
            )
            .map(|(index, fake)| Unlocked {
                application: needs[index].name.clone(),
                fakes_would_do: reached.contains(&index),
                fake,
            })
            .collect();
        unlocks.sort_by(|a, b| {
            let by = |unlocked: &Unlocked| unlocked.fake.len();
            by(a)
                .cmp(&by(b))
                .then_with(|| a.application.cmp(&b.application))
        });
        let is_used = |feature: &&Feature| {
            let mut needs = needs.iter();
            let uses_whole = |need: &Need| {
                let whole = feature.parent();
                whole.is_some_and(|whole| need.used.contains(&whole))
            };
            needs.any(|named| named.need.uses(feature) || uses_whole(&named.need))
        };
        let nearest = Distances::of(&changed, needs, false).applications;
        WhatIf {
            schema: "loupe.what-if/1",
            os: profile.name.clone(),
            already: implement
                .iter()
                .filter(|feature| profile.implements(feature))
                .cloned()
                .collect(),
            unused: implement
                .iter()
                .filter(|feature| !is_used(feature))
                .cloned()
                .collect(),
            implement: implement.clone(),
            count: needs.len(),
            runs: now.at_once.len(),
            would_run: then.at_once.len(),
            unlocks,
            next: nearest
                .into_iter()
                .filter(|away| !away.missing.implement.is_empty())
                .take(NEXT)
                .collect(),
        }
    }
}
