//! What descriptions of calls come to: which operations and flags of each syscall there are. A call
//! may be described many times; what any description allows is there. What arguments have to do with
//! each other is not kept.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::feature::Feature;
use loupe_common::operations::Operation;
use loupe_common::operations::meaning::{Meaning, Place, Row};
use loupe_common::syscalls::Syscall;

/// What an argument is limited to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Values or bits of these names.
    Names(BTreeSet<String>),
    /// Something that is not told by names: a structure, a list.
    Other,
}

/// By argument, from 0; one that is not there is not limited.
pub(super) type Limits = BTreeMap<usize, Limit>;

/// All descriptions of a syscall together.
#[derive(Default)]
struct Together {
    /// Some description allows every operation.
    all_operations: bool,
    operations: BTreeSet<Operation>,
    flags: BTreeSet<Operation>,
}

#[derive(Default)]
pub(super) struct Described {
    calls: BTreeMap<Syscall, Together>,
    /// Limited in a way that no feature stands for.
    pub(super) wider: BTreeSet<Syscall>,
}

impl Described {
    /// Adds a description. The names in it that are none of this syscall come back.
    pub(super) fn add(&mut self, syscall: Syscall, limits: &Limits) -> Vec<String> {
        let together = self.calls.entry(syscall).or_default();
        let row = Row::of(syscall).filter(|row| row.place == Place::Registers);
        let is_told = |argument: &usize| {
            let arguments = row.map(Row::arguments).unwrap_or_default();
            arguments
                .iter()
                .any(|(told, _)| usize::from(*told) == *argument)
        };
        let is_wider =
            |(argument, limit): (&usize, &Limit)| *limit == Limit::Other || !is_told(argument);
        if limits.iter().any(is_wider) {
            self.wider.insert(syscall);
        }
        let Some(row) = row else {
            together.all_operations = true;
            return Vec::new();
        };
        let limits: BTreeMap<usize, Spelt<'_>> = limits
            .iter()
            .filter(|(argument, _)| is_told(argument))
            .filter_map(|(argument, limit)| match limit {
                Limit::Names(names) => Some((*argument, spelt(syscall, names))),
                Limit::Other => None,
            })
            .collect();
        let mut strangers: BTreeSet<&String> = limits
            .values()
            .flatten()
            .flat_map(|(_, names)| names)
            .copied()
            .collect();
        let selecting = row.parts.iter();
        let selecting = selecting.filter(|part| part.meaning == Meaning::Selects);
        let selecting: Vec<usize> = selecting.map(|part| usize::from(part.argument)).collect();
        let is_limited = selecting
            .iter()
            .any(|argument| limits.contains_key(argument));
        together.all_operations |= !is_limited;
        let mut is_meant = |argument: usize, known: &str| {
            let meant = limits.get(&argument).map(|names| names.get(known));
            meant.flatten().into_iter().flatten().for_each(|name| {
                strangers.remove(name);
            });
            meant.is_none_or(|names| names.is_some())
        };
        for operation in Operation::all_of(syscall) {
            let halves = || operation.name().split('/').zip(&selecting);
            let is_within = |(half, argument): (&str, &usize)| {
                limits
                    .get(argument)
                    .is_none_or(|names| names.contains_key(half))
            };
            if halves().all(is_within) {
                halves().for_each(|(half, argument)| {
                    is_meant(*argument, half);
                });
                together.operations.insert(operation);
            }
        }
        for flag in Operation::flags_of(syscall) {
            let tests = flag.tests().unwrap_or_default();
            let argument = tests.first().map(|test| usize::from(test.argument));
            if argument.is_none_or(|argument| is_meant(argument, flag.name())) {
                together.flags.insert(flag);
            }
        }
        strangers.into_iter().cloned().collect()
    }

    /// What is implemented, and what is missing of syscalls that are implemented otherwise.
    pub(super) fn features(&self) -> (BTreeSet<Feature>, BTreeSet<Feature>) {
        let (mut implement, mut missing) = (BTreeSet::new(), BTreeSet::new());
        for (syscall, together) in &self.calls {
            let flags = || together.flags.iter().cloned().map(Feature::from);
            if together.all_operations {
                let all = Operation::flags_of(*syscall).into_iter();
                let lacked = all.filter(|flag| flag.tests().is_ok());
                let lacked = lacked.filter(|flag| !together.flags.contains(flag));
                missing.extend(lacked.map(Feature::from));
                implement.insert(Feature::from(*syscall));
            } else {
                implement.extend(together.operations.iter().cloned().map(Feature::from));
                // Without a single operation there is nothing that a flag could be of.
                implement.extend(flags().filter(|_| !together.operations.is_empty()));
            }
        }
        (implement, missing)
    }
}

/// Names as Loupe has them, each with how it is spelt in a description.
type Spelt<'a> = BTreeMap<String, BTreeSet<&'a String>>;

/// Some operations and flags have several names.
fn spelt(syscall: Syscall, names: &BTreeSet<String>) -> Spelt<'_> {
    let mut spelt: Spelt<'_> = BTreeMap::new();
    for name in names {
        let canonical = format!("{syscall}:{name}").parse::<Operation>().ok();
        let canonical = canonical.map(|operation| operation.name().to_owned());
        for known in canonical.into_iter().chain([name.clone()]) {
            spelt.entry(known).or_default().insert(name);
        }
    }
    spelt
}
