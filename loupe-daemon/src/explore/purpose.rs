//! Why a replay is run, in the few words that are kept with it and shown. Nothing is decided by
//! them.

use std::fmt;

use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::replay::Control;

pub(super) const BASELINE: &str = "baseline";
pub(super) const IMPACT: &str = "impact";

/// One feature is left out and nothing else: `stub alone`, `operations of fcntl: fake alone`.
#[derive(Clone, Copy)]
pub(super) struct Alone<'f>(pub &'f Feature, pub Action);

impl fmt::Display for Alone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.0.parent() {
            write!(f, "operations of {parent}: ")?;
        }
        write!(f, "{} alone", way(self.1))
    }
}

/// How a feature is left out.
pub(super) fn way(action: Action) -> String {
    match action {
        Action::STUB => "stub".to_owned(),
        Action::Stub(errno) => format!("stub with {errno}"),
        Action::Fake => "fake".to_owned(),
        Action::Plausible => "plausible fake".to_owned(),
        Action::Kill => "kill".to_owned(),
    }
}

pub(super) fn control(control: Control) -> &'static str {
    match control {
        Control::Filter => "control: inert filter",
        Control::Listener => "control: inert listener",
        Control::Bare => "control: no filter",
        Control::Crowd => "control: more replays than CPUs",
        Control::Host => "control: does the host let it pass",
    }
}

/// The same once more, because a replica has failed.
pub(super) fn after_failure(purpose: impl fmt::Display) -> String {
    format!("{purpose}, confirms a failure")
}
