//! A policy: which features are stubbed or faked in a replay.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::errno::{Errno, UnknownErrno};
use crate::feature::Feature;
use crate::text::as_text;

/// What happens instead of a feature. Written `stub`, `stub=EPERM`, `fake`, `fake=plausible` or
/// `kill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// The syscall fails with this errno (ENOSYS unless asked otherwise) and does nothing. A
    /// pseudo-file is not there: ENOSYS means ENOENT to it.
    Stub(Errno),
    /// The syscall returns 0 and does nothing. A pseudo-file is there, and empty.
    Fake,
    /// The syscall does nothing and returns what a success would: a count, an id, a descriptor.
    Plausible,
    /// Whoever calls it is ended, as some kernels do with a syscall that they do not know. No part
    /// of a verdict. A pseudo-file is not there.
    Kill,
}

impl Action {
    /// The paper's stub.
    pub const STUB: Action = Action::Stub(Errno::ENOSYS);
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Stub(Errno::ENOSYS) => f.pad("stub"),
            Action::Stub(errno) => f.pad(&format!("stub={errno}")),
            Action::Fake => f.pad("fake"),
            Action::Plausible => f.pad("fake=plausible"),
            Action::Kill => f.pad("kill"),
        }
    }
}

/// Not an action.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnknownAction {
    #[error("unknown action `{0}` (stub, stub=ERRNO, fake, fake=plausible or kill)")]
    Word(String),
    #[error(transparent)]
    Errno(#[from] UnknownErrno),
}

impl std::str::FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            None if text == "stub" => Ok(Action::STUB),
            None if text == "fake" => Ok(Action::Fake),
            None if text == "kill" => Ok(Action::Kill),
            Some(("fake", "plausible")) => Ok(Action::Plausible),
            Some(("stub", errno)) => Ok(Action::Stub(errno.parse()?)),
            _ => Err(UnknownAction::Word(text.to_owned())),
        }
    }
}

as_text!(Action);

/// Rules of a policy that a sentence names.
const MOST_NAMED_RULES: usize = 4;

/// What is stubbed or faked, at once, in one replay. The empty policy is the baseline's.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    schemars::JsonSchema,
    Deserialize,
)]
#[serde(transparent)]
pub struct Policy {
    rules: BTreeMap<Feature, Action>,
}

impl Policy {
    pub fn baseline() -> Policy {
        Policy::default()
    }

    pub fn single(feature: Feature, action: Action) -> Policy {
        Policy {
            rules: BTreeMap::from([(feature, action)]),
        }
    }

    /// Adds a rule; the previous action of the feature, if it had one, comes back.
    pub fn insert(&mut self, feature: Feature, action: Action) -> Option<Action> {
        self.rules.insert(feature, action)
    }

    pub fn remove(&mut self, feature: &Feature) -> Option<Action> {
        self.rules.remove(feature)
    }

    pub fn get(&self, feature: &Feature) -> Option<Action> {
        self.rules.get(feature).copied()
    }

    /// The rules, sorted by feature.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Feature, Action)> {
        self.rules
            .iter()
            .map(|(feature, action)| (feature, *action))
    }

    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// As it is written, but no more than a few of its rules, and the number of the others: for
    /// sentences.
    pub fn in_brief(&self) -> String {
        if self.len() <= MOST_NAMED_RULES {
            return self.to_string();
        }
        let rules = self.iter().take(MOST_NAMED_RULES);
        let named: Vec<String> = rules
            .map(|(feature, action)| format!("{action} {feature}"))
            .collect();
        let more = self.len() - MOST_NAMED_RULES;
        format!("{} and {more} more", named.join(", "))
    }
}

impl FromIterator<(Feature, Action)> for Policy {
    fn from_iter<T: IntoIterator<Item = (Feature, Action)>>(rules: T) -> Self {
        Policy {
            rules: rules.into_iter().collect(),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("baseline");
        }
        for (index, (feature, action)) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{action} {feature}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(name: &str) -> Feature {
        name.parse().expect("a known feature")
    }

    #[test]
    fn a_long_policy_is_counted_in_a_sentence() {
        let names = ["brk", "futex", "getpid", "mmap", "openat", "read"];
        let policy = |count: usize| -> Policy {
            let rules = names.iter().take(count);
            rules.map(|name| (feature(name), Action::Fake)).collect()
        };
        assert_eq!(policy(4).in_brief(), policy(4).to_string());
        let brief = "fake brk, fake futex, fake getpid, fake mmap and 2 more";
        assert_eq!(policy(6).in_brief(), brief);
    }

    #[test]
    fn a_policy_reads_as_a_sentence() {
        let mut policy = Policy::single(feature("futex"), Action::Fake);
        policy.insert(feature("brk"), "stub=EPERM".parse().expect("an action"));
        assert_eq!(policy.to_string(), "stub=EPERM brk, fake futex");
        assert_eq!(Policy::baseline().to_string(), "baseline");
    }

    #[test]
    fn a_policy_survives_json() {
        let policy: Policy = [
            (feature("futex"), Action::Fake),
            (feature("brk"), Action::STUB),
        ]
        .into_iter()
        .collect();
        let json = serde_json::to_string(&policy).expect("serializable");
        assert_eq!(json, r#"{"brk":"stub","futex":"fake"}"#);
        assert_eq!(
            serde_json::from_str::<Policy>(&json).expect("readable"),
            policy
        );
    }

    #[test]
    fn a_plausible_fake_is_another_action_than_the_papers() {
        let plausible: Action = "fake=plausible".parse().expect("an action");
        assert_eq!(plausible.to_string(), "fake=plausible");
        assert_ne!(plausible, Action::Fake);
    }

    #[test]
    fn unknown_actions_are_refused() {
        for bad in ["", "Stub", "fake=1", "stub=", "stub=EWHAT", "implement"] {
            assert!(bad.parse::<Action>().is_err(), "{bad}");
        }
    }
}
