//! The data set's directories: which runs there are, which of them are taken, and how each is
//! read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use loupe_common::text::fault_of_name;

use super::analysis::{self, Odd};
use super::table::{self, Table};
use crate::plan::os::{self, OsProfile, Remark, Source};

/// Where the data set is published, and when it was: what tells its profiles from today's.
const DATA_SET_URL: &str = "https://github.com/unikraft/loupedb";
const DATA_SET_DATE: &str = "2023";

/// The data set could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum LoupedbError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("there is no run in {}", path.display())]
    Empty { path: PathBuf },
    #[error("there is no run {choice} in {}{}", path.display(), among(.there))]
    NoSuchRun {
        path: PathBuf,
        choice: Choice,
        there: Vec<String>,
    },
    #[error("`{0}` is not the name of a run")]
    BadChoice(String),
    /// Nothing is overwritten.
    #[error("{} is there already", path.display())]
    Exists { path: PathBuf },
    #[error("{name} has no verdicts, so there is nothing to write")]
    NoVerdicts { name: String },
    #[error("`{name}` cannot be the name of a directory")]
    BadName { name: String },
}

fn among(there: &[String]) -> String {
    match there {
        [] => String::new(),
        some => format!("; there are {}", some.join(", ")),
    }
}

impl LoupedbError {
    /// The cure, where there is one.
    pub fn hint(&self) -> Option<String> {
        let cure = match self {
            LoupedbError::Empty { .. } => {
                "a data set has runs at APPLICATION/WORKLOAD/RUN/data/dyn.csv"
            }
            LoupedbError::BadChoice(_) => "write it as APPLICATION/WORKLOAD/RUN",
            LoupedbError::Exists { .. } => "write to another directory",
            _ => return None,
        };
        Some(cure.to_owned())
    }
}

/// Which run of a workload to take, where it has several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub application: String,
    pub workload: String,
    pub run: String,
}

impl std::str::FromStr for Choice {
    type Err = LoupedbError;

    fn from_str(text: &str) -> Result<Choice, LoupedbError> {
        let parts: Vec<&str> = text.trim_end_matches('/').split('/').collect();
        match parts.as_slice() {
            [application, workload, run] if parts.iter().all(|part| !part.is_empty()) => {
                Ok(Choice {
                    application: (*application).to_owned(),
                    workload: (*workload).to_owned(),
                    run: (*run).to_owned(),
                })
            }
            _ => Err(LoupedbError::BadChoice(text.to_owned())),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.application, self.workload, self.run)
    }
}

/// One run that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub name: Choice,
    pub analysis: Analysis,
}

/// A file that keeps its run from being taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The run, or the file of a profile.
    pub of: String,
    /// Where, and what.
    pub remark: Remark,
}

/// All that could be read, and all that is to be said about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataSet {
    /// By application and workload.
    pub runs: Vec<Run>,
    pub profiles: Vec<OsProfile>,
    pub remarks: Vec<Remark>,
    pub damaged: Vec<Damage>,
}

/// Reads a data set. Of several runs of a workload the chosen one is taken, else the last by
/// name.
pub fn read(directory: &Path, choices: &[Choice]) -> Result<DataSet, LoupedbError> {
    let mut set = DataSet::default();
    let mut open: Vec<&Choice> = choices.iter().collect();
    for application in directories(directory)? {
        for workload in directories(&directory.join(&application))? {
            let place = directory.join(&application).join(&workload);
            let runs: Vec<String> = directories(&place)?
                .into_iter()
                .filter(|run| place.join(run).join("data").is_dir())
                .collect();
            let chosen = open
                .iter()
                .position(|choice| choice.application == application && choice.workload == workload)
                .map(|index| open.swap_remove(index));
            let Some(run) = pick(&mut set, directory, &place, runs, chosen)? else {
                continue;
            };
            let name = Choice {
                application: application.clone(),
                workload: workload.clone(),
                run,
            };
            read_run(&mut set, &place.join(&name.run).join("data"), name);
        }
    }
    read_profiles(&mut set, directory)?;
    if let Some(choice) = open.first() {
        return Err(LoupedbError::NoSuchRun {
            path: directory.to_owned(),
            choice: (*choice).clone(),
            there: Vec::new(),
        });
    }
    if set.runs.is_empty() && set.damaged.is_empty() {
        return Err(LoupedbError::Empty {
            path: directory.to_owned(),
        });
    }
    Ok(set)
}

/// The names of the directories in a directory, sorted.
fn directories(path: &Path) -> Result<Vec<String>, LoupedbError> {
    let names = entries(path)?
        .into_iter()
        .filter(|name| path.join(name).is_dir() && !name.starts_with('.'));
    Ok(names.collect())
}

fn entries(path: &Path) -> Result<Vec<String>, LoupedbError> {
    let failed = |source| LoupedbError::Read {
        path: path.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Which run of a workload is taken; says so where there is a choice.
fn pick(
    set: &mut DataSet,
    directory: &Path,
    place: &Path,
    runs: Vec<String>,
    chosen: Option<&Choice>,
) -> Result<Option<String>, LoupedbError> {
    let last = runs.last().cloned();
    let Some(taken) = (match chosen {
        Some(choice) if !runs.contains(&choice.run) => {
            return Err(LoupedbError::NoSuchRun {
                path: directory.to_owned(),
                choice: choice.clone(),
                there: runs,
            });
        }
        Some(choice) => Some(choice.run.clone()),
        None => last,
    }) else {
        let what = "no run (RUN/data) in it; nothing is imported of it";
        set.remarks.push(Remark::new(place, None, what));
        return Ok(None);
    };
    let others: Vec<&str> = runs
        .iter()
        .filter(|run| **run != taken)
        .map(String::as_str)
        .collect();
    if !others.is_empty() {
        let why = match chosen {
            Some(_) => "as asked for",
            None => "the last by name",
        };
        let what = format!(
            "{} runs: {taken} is taken, {why}; left out: {}",
            runs.len(),
            others.join(", ")
        );
        set.remarks.push(Remark::new(place, None, what));
    }
    Ok(Some(taken))
}

/// A run is taken whole, or its first damage is told.
fn read_run(set: &mut DataSet, data: &Path, name: Choice) {
    let mut remarks = Vec::new();
    let parts = [&name.application, &name.workload, &name.run];
    let fault = parts.into_iter().find_map(|part| fault_of_name(part));
    let read = match fault {
        Some(fault) => Err(Remark::new(data, None, format!("its directory {fault}"))),
        None => read_tables(data, &name, &mut remarks),
    };
    match read {
        Ok(analysis) => {
            set.runs.push(Run { name, analysis });
            set.remarks.extend(remarks);
        }
        Err(remark) => set.damaged.push(Damage {
            of: name.to_string(),
            remark,
        }),
    }
}

fn read_tables(data: &Path, name: &Choice, remarks: &mut Vec<Remark>) -> Result<Analysis, Remark> {
    const KNOWN: [&str; 3] = ["dyn.csv", "static_binary.csv", "static_sources.csv"];
    let whole = |path: &Path, error: String| Remark::new(path, None, error);
    let there = entries(data).map_err(|error| whole(data, error.to_string()))?;
    for other in there.iter().filter(|file| !KNOWN.contains(&file.as_str())) {
        let what = "not a file of a run; left out";
        remarks.push(Remark::new(&data.join(other), None, what));
    }
    let path = data.join(KNOWN[0]);
    let dynamic: Table<4> = read_table(&path)?;
    let mut odd = dynamic.odd.clone();
    let features = analysis::features(&dynamic, &mut odd);
    tell(remarks, &path, odd);
    if features.is_empty() {
        let what = "no syscall is used, so there are no verdicts".to_owned();
        return Err(whole(&path, what));
    }
    let mut result = analysis::analysis(&name.application, &name.workload, &name.run, features);
    let is_there = |file: &str| there.iter().any(|other| other == file);
    let mut statically = |file: &str| -> Result<Option<Vec<Feature>>, Remark> {
        if !is_there(file) {
            return Ok(None);
        }
        let path = data.join(file);
        let table: Table<1> = read_table(&path)?;
        let mut odd = table.odd.clone();
        let used = analysis::used(&table, &mut odd);
        tell(remarks, &path, odd);
        Ok(Some(used))
    };
    result.static_binary = statically(KNOWN[1])?;
    result.static_sources = statically(KNOWN[2])?;
    Ok(result)
}

fn read_table<const N: usize>(path: &Path) -> Result<Table<N>, Remark> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Remark::new(path, None, format!("cannot be read: {error}")))?;
    table::read(&text).map_err(|broken| Remark::new(path, broken.line, broken.what))
}

fn tell(remarks: &mut Vec<Remark>, path: &Path, odd: Vec<Odd>) {
    let told = odd
        .into_iter()
        .map(|(line, what)| Remark::new(path, line, what));
    remarks.extend(told);
}

/// The OS profiles at the top.
fn read_profiles(set: &mut DataSet, directory: &Path) -> Result<(), LoupedbError> {
    let mut names = BTreeMap::new();
    for file in entries(directory)? {
        let path = directory.join(&file);
        if !file.ends_with(".syscalls") || !path.is_file() {
            continue;
        }
        match os::read(&path) {
            Ok(mut read) => {
                read.profile.source = Source {
                    url: Some(DATA_SET_URL.to_owned()),
                    date: Some(DATA_SET_DATE.to_owned()),
                    files: Some(file),
                    ..Source::default()
                };
                names.insert(read.profile.name.clone(), read.profile);
                set.remarks.extend(read.remarks);
            }
            Err(error) => set.damaged.push(Damage {
                of: file,
                remark: Remark::new(&path, None, error.to_string()),
            }),
        }
    }
    set.profiles = names.into_values().collect();
    Ok(())
}

/// The applications of a data set.
impl DataSet {
    pub fn applications(&self) -> BTreeSet<&str> {
        self.runs
            .iter()
            .map(|run| run.name.application.as_str())
            .collect()
    }
}
