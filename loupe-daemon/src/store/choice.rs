//! Which analysis a name means: one rule for all commands and both front doors. Measured here before
//! imported, newest before older, benchmark before suite. Reads no database; what it chooses among is
//! handed to it.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use loupe_common::analysis::Analysis;

use super::selector::{Selector, Which};
use super::{Listed, StoredAnalysis};

/// The rule, as it is told.
pub const RULE: &str = "measured here before imported, newest before older, benchmark before suite";

/// What workloads measure: the applications' own test suites, or anything else, which is a
/// benchmark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkloadKind {
    Bench,
    Suite,
    /// A benchmark where there is one, else a suite.
    #[default]
    Any,
}

impl FromStr for WorkloadKind {
    type Err = String;

    fn from_str(text: &str) -> Result<WorkloadKind, String> {
        match text {
            "bench" => Ok(WorkloadKind::Bench),
            "suite" => Ok(WorkloadKind::Suite),
            "any" => Ok(WorkloadKind::Any),
            _ => Err("must be bench, suite or any".to_owned()),
        }
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            WorkloadKind::Bench => "bench",
            WorkloadKind::Suite => "suite",
            WorkloadKind::Any => "any",
        })
    }
}

/// Whether the workload is the application's own test suite. Those of the paper's data set are told
/// apart by their names alone.
pub fn is_suite(said: bool, workload: &str) -> bool {
    said || workload.starts_with("suite")
}

/// What of an analysis the rule looks at, beside its names. The default is that of something that is
/// in no database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its number.
    pub id: i64,
    pub imported: bool,
    pub finished_ms: i64,
}

/// All that the rule looks at.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub application: &'a str,
    pub workload: &'a str,
    pub suite: bool,
    pub standing: Standing,
}

/// Something that stands for a finished analysis.
pub trait Choosable {
    fn key(&self) -> Key<'_>;

    fn application(&self) -> &str {
        self.key().application
    }

    fn workload(&self) -> &str {
        self.key().workload
    }

    fn is_suite(&self) -> bool {
        self.key().suite
    }

    fn standing(&self) -> Standing {
        self.key().standing
    }

    /// `nginx/wrk@12`
    fn exact_name(&self) -> String {
        let key = self.key();
        format!("{}/{}@{}", key.application, key.workload, key.standing.id)
    }
}

impl Choosable for StoredAnalysis {
    fn key(&self) -> Key<'_> {
        let analysis = &self.analysis;
        Key {
            application: &analysis.application,
            workload: &analysis.workload,
            suite: is_suite(analysis.suite, &analysis.workload),
            standing: Standing {
                id: self.id,
                imported: is_imported(analysis),
                finished_ms: self.finished_ms,
            },
        }
    }
}

impl Choosable for Listed {
    fn key(&self) -> Key<'_> {
        Key {
            application: &self.application,
            workload: &self.workload,
            suite: self.suite,
            standing: Standing {
                id: self.analysis,
                imported: self.imported,
                finished_ms: self.finished_ms.unwrap_or(0),
            },
        }
    }
}

impl<T: Choosable> Choosable for &T {
    fn key(&self) -> Key<'_> {
        (*self).key()
    }
}

/// It was measured elsewhere.
pub fn is_imported(analysis: &Analysis) -> bool {
    analysis.origin.is_some()
}

/// What a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen<'a, T> {
    pub item: &'a T,
    /// Of the others that the name fits, the best of each workload, and what was imported later.
    pub passed_over: Vec<&'a T>,
}

impl<T: Choosable> Chosen<'_, T> {
    /// That there was a choice, and how it was made.
    pub fn note(&self) -> Option<String> {
        if self.passed_over.is_empty() {
            return None;
        }
        let others: Vec<String> = self.passed_over.iter().map(|other| told(*other)).collect();
        Some(format!(
            "{} is meant ({RULE}); there is also {}",
            told(self.item),
            others.join(", ")
        ))
    }
}

fn told(item: &impl Choosable) -> String {
    let standing = item.standing();
    let name = match standing.id {
        0 => format!("{}/{}", item.application(), item.workload()),
        _ => item.exact_name(),
    };
    match standing.imported {
        true => format!("{name} (imported)"),
        false => name,
    }
}

/// What a name means among these; `None`: nothing has it.
pub fn choose<'a, T: Choosable>(
    all: &'a [T],
    wanted: &Selector,
    kind: WorkloadKind,
) -> Option<Chosen<'a, T>> {
    let fits = |item: &&T| {
        let application = wanted.application.as_deref();
        let workload = wanted.workload.as_deref();
        application.is_none_or(|name| item.application() == name)
            && workload.is_none_or(|name| item.workload() == name)
    };
    let fitting: Vec<&T> = all.iter().filter(fits).collect();
    let only = |item| Chosen {
        item,
        passed_over: Vec::new(),
    };
    match wanted.which {
        Which::Number(id) => {
            let mut fitting = fitting.into_iter();
            fitting.find(|item| item.standing().id == id).map(only)
        }
        Which::Best => best(&fitting, kind),
        Which::Before(back) => {
            let workload = best(&fitting, kind)?.item.workload();
            let mut history = fitting;
            history.retain(|item| item.workload() == workload);
            history.sort_by_key(|item| rank(*item));
            history.get(back).map(|item| only(*item))
        }
    }
}

/// What comes first is meant, of analyses of one workload.
fn rank(item: &impl Choosable) -> (bool, Reverse<i64>, Reverse<i64>) {
    let standing = item.standing();
    (
        standing.imported,
        Reverse(standing.finished_ms),
        Reverse(standing.id),
    )
}

/// The one that is meant of all that fit a name.
fn best<'a, T: Choosable>(fitting: &[&'a T], kind: WorkloadKind) -> Option<Chosen<'a, T>> {
    let mut left: Vec<&T> = fitting.to_vec();
    left.retain(|item| match kind {
        WorkloadKind::Bench => !item.is_suite(),
        WorkloadKind::Suite => item.is_suite(),
        WorkloadKind::Any => true,
    });
    let fitting = left.clone();
    if left.iter().any(|item| !item.standing().imported) {
        left.retain(|item| !item.standing().imported);
    }
    let mut left = newest(&left);
    if left.iter().any(|item| !item.is_suite()) {
        left.retain(|item| !item.is_suite());
    }
    left.sort_by(|a, b| {
        let key = |item: &&T| Reverse(item.standing().finished_ms);
        (key(a).cmp(&key(b))).then_with(|| a.workload().cmp(b.workload()))
    });
    let item = *left.first()?;
    let mut passed_over = newest(&fitting);
    passed_over.retain(|other| other.workload() != item.workload());
    let later = |other: &&&T| {
        let (own, its) = (item.standing(), other.standing());
        other.workload() == item.workload()
            && its.imported != own.imported
            && its.finished_ms > own.finished_ms
    };
    passed_over.extend(fitting.iter().filter(later).copied());
    Some(Chosen { item, passed_over })
}

/// The best of each workload, by name.
fn newest<'a, T: Choosable>(of: &[&'a T]) -> Vec<&'a T> {
    let mut sorted: Vec<&T> = of.to_vec();
    sorted.sort_by(|a, b| {
        let names = (a.application(), a.workload()).cmp(&(b.application(), b.workload()));
        names.then_with(|| rank(*a).cmp(&rank(*b)))
    });
    sorted.dedup_by(|a, b| (a.application(), a.workload()) == (b.application(), b.workload()));
    sorted
}

/// All workloads that a name stands for where several are put together: each by its best analysis,
/// and what was imported only where nothing of the application was measured here.
pub fn every_workload<'a, T: Choosable>(all: &'a [T], wanted: &Selector) -> Vec<&'a T> {
    if wanted.is_exact() {
        let chosen = choose(all, wanted, WorkloadKind::Any);
        return chosen.map(|chosen| chosen.item).into_iter().collect();
    }
    let names: BTreeSet<&str> = all.iter().map(Choosable::workload).collect();
    let workloads = names.into_iter().filter_map(|workload| {
        let of = Selector {
            workload: Some(workload.to_owned()),
            ..wanted.clone()
        };
        let is_wanted = wanted
            .workload
            .as_deref()
            .is_none_or(|name| name == workload);
        let chosen = is_wanted.then(|| choose(all, &of, WorkloadKind::Any));
        chosen.flatten().map(|chosen| chosen.item)
    });
    let mut found: Vec<&T> = workloads.collect();
    if found.iter().any(|item| !item.standing().imported) {
        found.retain(|item| !item.standing().imported);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One(&'static str, &'static str, Standing);

    impl Choosable for One {
        fn key(&self) -> Key<'_> {
            Key {
                application: self.0,
                workload: self.1,
                suite: is_suite(false, self.1),
                standing: self.2,
            }
        }
    }

    fn one(name: &'static str, id: i64, imported: bool, finished_ms: i64) -> One {
        let (application, workload) = name.split_once('/').expect("two names");
        let standing = Standing {
            id,
            imported,
            finished_ms,
        };
        One(application, workload, standing)
    }

    #[track_caller]
    fn meant(all: &[One], name: &str) -> i64 {
        let chosen = choose(all, &Selector::parse(name, None), WorkloadKind::Any);
        chosen.map_or(0, |chosen| chosen.item.2.id)
    }

    #[test]
    fn measured_goes_before_imported_newest_before_older_benchmark_before_suite() {
        let mut all = vec![one("a/w", 1, true, 90), one("a/suite", 2, true, 95)];
        assert_eq!(meant(&all, "a"), 1, "a benchmark");
        all.push(one("a/w", 3, false, 10));
        all.push(one("a/w", 4, false, 20));
        assert_eq!(meant(&all, "a"), 4, "measured here, and newer");
        all.push(one("a/suite-2", 5, false, 50));
        assert_eq!(meant(&all, "a"), 4, "a benchmark");
        all.push(one("a/x", 6, false, 30));
        assert_eq!(meant(&all, "a"), 6, "the newest benchmark");
        let suite = choose(&all, &Selector::parse("a", None), WorkloadKind::Suite);
        assert_eq!(suite.expect("one").item.2.id, 5);
    }

    #[test]
    fn a_name_can_say_exactly_which() {
        let all = [
            one("a/w", 1, false, 10),
            one("a/w", 2, false, 20),
            one("a/w", 3, true, 90),
            one("a/suite", 4, false, 5),
            one("b/w", 5, true, 1),
        ];
        for (name, id) in [
            ("a", 2),
            ("a/w", 2),
            ("a~1", 1),
            ("a/w~2", 3),
            ("a~3", 0),
            ("a@3", 3),
            ("a/w@3", 3),
            ("a/suite", 4),
            ("a/suite~1", 0),
            ("a@5", 0),
            ("5", 5),
            ("#1", 1),
            ("6", 0),
            ("c", 0),
        ] {
            assert_eq!(meant(&all, name), id, "{name}");
        }
        for name in ["a", "a/w", "a@3", "a/w~2", "5", "getty@tty1"] {
            assert_eq!(Selector::parse(name, None).to_string(), name);
        }
    }

    #[test]
    fn that_there_was_a_choice_is_told_with_the_rule() {
        let all = [
            one("a/w", 1, false, 10),
            one("a/w", 2, false, 20),
            one("a/w", 3, true, 90),
            one("a/suite", 4, false, 5),
        ];
        let note = |all: &[One], name| {
            let chosen = choose(all, &Selector::parse(name, None), WorkloadKind::Any);
            chosen.expect("one").note()
        };
        let text = note(&all, "a").expect("a choice");
        assert!(text.starts_with("a/w@2 is meant (measured"), "{text}");
        assert!(text.ends_with("a/suite@4, a/w@3 (imported)"), "{text}");
        assert_eq!(note(&all[..2], "a"), None, "only older ones");
        assert_eq!(note(&all, "a/suite"), None);
        assert_eq!(note(&all, "a~1"), None);
    }

    #[test]
    fn put_together_are_all_workloads_that_were_measured_here() {
        let all = [
            one("a/w", 1, false, 10),
            one("a/w", 2, false, 20),
            one("a/suite", 3, false, 90),
            one("a/old", 4, true, 5),
            one("b/w", 5, true, 5),
        ];
        let ids = |name: &str| -> Vec<i64> {
            let found = every_workload(&all, &Selector::parse(name, None));
            found.iter().map(|item| item.2.id).collect()
        };
        assert_eq!(ids("a"), [3, 2]);
        assert_eq!(ids("a/old"), [4]);
        assert_eq!(ids("a~1"), [1]);
        assert_eq!(ids("b"), [5]);
        assert_eq!(ids("c"), [0; 0]);
    }
}
