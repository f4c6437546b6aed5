//! From a run's tables to an analysis, and the names for numbers. Reads no file.

use loupe_common::analysis::{Analysis, Basis, FeatureVerdict, Origin, SCHEMA, Trial};
use loupe_common::feature::Feature;
use loupe_common::syscalls::{Arch, Syscall};
use loupe_common::verdict::Verdict;

use super::table::{LAST_SYSCALL, Table};

/// The word for this data set in [`Origin`].
pub const FORMAT: &str = "loupedb";

/// What is odd in a table: where, and what.
pub(super) type Odd = (Option<usize>, String);

/// The prototype starts the application by this, and counts it as one of its calls: it is in every
/// run, and required, as nothing runs without it.
const START: &str = "execve";

/// Who begins other processes uses one of these, and may execute something in them. (A process can
/// also be begun by `clone` and never be waited for; threads are, and far more often.)
const OTHER_PROCESSES: [&str; 5] = ["fork", "vfork", "wait4", "waitid", "execveat"];

/// The dynamic table's verdicts.
pub(super) fn features(table: &Table<4>, odd: &mut Vec<Odd>) -> Vec<FeatureVerdict> {
    let mut features = Vec::new();
    let (mut contradictory, mut unused, mut all_yes) = (Vec::new(), Vec::new(), 0);
    for (number, row) in &table.rows {
        let [used, fake, stub, both] = row.cells;
        if !used {
            if fake || stub || both {
                unused.push(number.to_string());
            }
            continue;
        }
        // Both is written with the two other columns, or instead of them.
        match (fake, stub, both) {
            (true, true, true) => all_yes += 1,
            (true, true, false) | (true, false, true) | (false, true, true) => {
                contradictory.push(number.to_string());
            }
            _ => {}
        }
        let Some(feature) = named(*number) else {
            odd.push((
                Some(row.line),
                format!("{number} is used, and no syscall of x86-64 has this number; left out"),
            ));
            continue;
        };
        let (stub, fake) = (stub || both, fake || both);
        features.push(FeatureVerdict {
            kind: feature.kind().to_owned(),
            feature,
            verdict: Verdict::from_works(stub, fake),
            calls: 0,
            seen_in: 0,
            stub: trial(stub),
            fake: trial(fake),
            plausible: None,
            errnos: Default::default(),
            harness: false,
            basis: Basis::Imported,
            error_bound: None,
        });
    }
    if all_yes > 0 {
        let what = format!("`both` is written Y,Y,Y,Y (not Y,N,N,Y), {all_yes} times");
        odd.push((None, what));
    }
    if !contradictory.is_empty() {
        let what = format!(
            "the columns of these contradict each other (taken as both): {}",
            contradictory.join(", ")
        );
        odd.push((None, what));
    }
    if !unused.is_empty() {
        let what = format!(
            "these are not used, and yet can be stubbed or faked (taken as unused): {}",
            unused.join(", ")
        );
        odd.push((None, what));
    }
    mark_harness(&mut features);
    features.sort_by(|a, b| (a.verdict, &a.feature).cmp(&(b.verdict, &b.feature)));
    features
}

/// Where nothing says that the application executes anything itself, the exec is the prototype's
/// alone. Where something does, the data cannot tell, and it stays a need.
fn mark_harness(features: &mut [FeatureVerdict]) {
    let is = |row: &FeatureVerdict, names: &[&str]| {
        let name = row.feature.to_string();
        names.contains(&name.as_str())
    };
    if features.iter().any(|row| is(row, &OTHER_PROCESSES)) {
        return;
    }
    for row in features.iter_mut().filter(|row| is(row, &[START])) {
        row.harness = true;
    }
}

fn trial(works: bool) -> Trial {
    Trial {
        works: Some(works),
        basis: Basis::Imported,
        ..Trial::default()
    }
}

/// The used features of a static table.
pub(super) fn used(table: &Table<1>, odd: &mut Vec<Odd>) -> Vec<Feature> {
    let mut used = Vec::new();
    for (number, row) in table.rows.iter().filter(|(_, row)| row.cells[0]) {
        match named(*number) {
            Some(feature) => used.push(feature),
            None => odd.push((
                Some(row.line),
                format!("no syscall of x86-64 has the number {number}; left out"),
            )),
        }
    }
    used.sort();
    used
}

/// The feature of this number of the data set.
pub(super) fn named(number: u16) -> Option<Feature> {
    let table = Arch::X86_64.table();
    let index = table.binary_search_by_key(&number, |entry| entry.0).ok()?;
    Syscall::from_name(table[index].1).map(Feature::from)
}

/// The number of a feature in the data set's tables, and whether the format knows it.
pub(super) fn numbered(feature: &Feature) -> Option<(u16, bool)> {
    let Feature::Syscall(syscall) = feature else {
        return None;
    };
    let number = u16::try_from(syscall.number_on(Arch::X86_64)?).ok()?;
    Some((number, number <= LAST_SYSCALL))
}

/// What is imported, as if it had been analysed.
pub(super) fn analysis(
    application: &str,
    workload: &str,
    run: &str,
    features: Vec<FeatureVerdict>,
) -> Analysis {
    Analysis {
        schema: SCHEMA.to_owned(),
        application: application.to_owned(),
        workload: workload.to_owned(),
        features,
        origin: Some(Origin {
            format: FORMAT.to_owned(),
            run: run.to_owned(),
        }),
        ..Analysis::default()
    }
}
