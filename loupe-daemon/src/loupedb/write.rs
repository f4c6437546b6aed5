//! Writing runs in the data set's layout. Nothing that is there is overwritten.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use loupe_common::feature::Feature;
use loupe_common::verdict::Verdict;

use super::analysis::{FORMAT, numbered};
use super::layout::LoupedbError;
use super::table::LAST_SYSCALL;
use crate::store::StoredAnalysis;
use crate::text::counted;

/// What was written of one analysis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub directory: PathBuf,
    /// What the format cannot say, as sentences.
    pub remarks: Vec<String>,
}

/// Writes an analysis to `DIR/APP/WORKLOAD/RUN/data`.
pub fn write(directory: &Path, stored: &StoredAnalysis) -> Result<Written, LoupedbError> {
    let analysis = &stored.analysis;
    let run = run_name(stored);
    let mut place = directory.to_owned();
    for part in [&analysis.application, &analysis.workload, &run] {
        if part.is_empty() || part.starts_with('.') || part.contains(['/', '\0']) {
            return Err(LoupedbError::BadName { name: part.clone() });
        }
        place.push(part);
    }
    if analysis.features.is_empty() {
        return Err(LoupedbError::NoVerdicts {
            name: format!("{}/{}", analysis.application, analysis.workload),
        });
    }
    if place.exists() {
        return Err(LoupedbError::Exists { path: place });
    }
    let mut remarks = Vec::new();
    let mut files = vec![("dyn.csv", dynamic(stored, &mut remarks))];
    for (name, used) in [
        ("static_binary.csv", &analysis.static_binary),
        ("static_sources.csv", &analysis.static_sources),
    ] {
        if let Some(used) = used {
            files.push((name, statically(used, &mut remarks)));
        }
    }
    store(&place, &files)?;
    Ok(Written {
        directory: place,
        remarks,
    })
}

/// Under another name first, so that no reader finds half a run.
fn store(place: &Path, files: &[(&str, String)]) -> Result<(), LoupedbError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| LoupedbError::Write { path, source }
    };
    let new = place.with_file_name(format!(".new-{}", std::process::id()));
    let data = new.join("data");
    std::fs::create_dir_all(&data).map_err(failed(&data))?;
    for (name, text) in files {
        let path = data.join(name);
        std::fs::write(&path, text).map_err(failed(&path))?;
    }
    std::fs::rename(&new, place).map_err(failed(place))
}

/// The name that it was imported under, else one that is the same for the same analysis.
fn run_name(stored: &StoredAnalysis) -> String {
    match &stored.analysis.origin {
        Some(origin) if origin.format == FORMAT => origin.run.clone(),
        _ => format!("loupe-{}-{}", stored.finished_ms, stored.id),
    }
}

fn dynamic(stored: &StoredAnalysis, remarks: &mut Vec<String>) -> String {
    let mut text = "# syscall, used, works faked, works stubbed, works both\n".to_owned();
    let mut rows: Vec<&str> = vec!["N,N,N,N"; usize::from(LAST_SYSCALL) + 1];
    let mut more: Vec<(u16, &str)> = Vec::new();
    let (mut unnamed, mut undecided) = (Vec::new(), Vec::new());
    // The format has no place for what is below a syscall; its row says that it is needed.
    let rows_of_syscalls = stored.analysis.features.iter();
    for row in rows_of_syscalls.filter(|row| row.feature.is_syscall()) {
        let cells = match row.verdict {
            Verdict::Required => "Y,N,N,N",
            Verdict::Stub => "Y,N,Y,N",
            Verdict::Fake => "Y,Y,N,N",
            Verdict::Any => "Y,N,N,Y",
            Verdict::NotExercised | Verdict::Undecided => {
                undecided.push(row.feature.to_string());
                "Y,N,N,N"
            }
        };
        match numbered(&row.feature) {
            Some((number, true)) => rows[usize::from(number)] = cells,
            Some((number, false)) => more.push((number, cells)),
            None => unnamed.push(row.feature.to_string()),
        }
    }
    more.sort_unstable();
    let rows = (0..).zip(rows).chain(more.iter().copied());
    for (number, cells) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{number},{cells}");
    }
    if !undecided.is_empty() {
        remarks.push(format!(
            "written as required, for want of a verdict: {}",
            undecided.join(", ")
        ));
    }
    tell(remarks, "dyn.csv", &more, &unnamed);
    let features = stored.analysis.features.iter();
    let others = features.filter(|row| row.feature.syscall().is_none());
    let others = others.count();
    if others > 0 {
        remarks.push(format!(
            "dyn.csv: the format knows syscalls only, so left out: {}",
            counted(others as u64, "pseudo-file")
        ));
    }
    text
}

fn statically(used: &[Feature], remarks: &mut Vec<String>) -> String {
    let mut text = "# syscall, used\n".to_owned();
    let mut rows: Vec<&str> = vec!["N"; usize::from(LAST_SYSCALL) + 1];
    let mut more: Vec<(u16, &str)> = Vec::new();
    let mut unnamed = Vec::new();
    for feature in used {
        match numbered(feature) {
            Some((number, true)) => rows[usize::from(number)] = "Y",
            Some((number, false)) => more.push((number, "Y")),
            None => unnamed.push(feature.to_string()),
        }
    }
    more.sort_unstable();
    for (number, cell) in (0..).zip(rows).chain(more.iter().copied()) {
        let _ = writeln!(text, "{number},{cell}");
    }
    tell(remarks, "static tables", &more, &unnamed);
    text
}

fn tell(remarks: &mut Vec<String>, file: &str, more: &[(u16, &str)], unnamed: &[String]) {
    if !more.is_empty() {
        let numbers: Vec<String> = more.iter().map(|(number, _)| number.to_string()).collect();
        remarks.push(format!(
            "{file}: rows above {LAST_SYSCALL}, which other readers of the format may not know: {}",
            numbers.join(", ")
        ));
    }
    if !unnamed.is_empty() {
        remarks.push(format!(
            "{file}: no syscall of x86-64, so left out: {}",
            unnamed.join(", ")
        ));
    }
}
