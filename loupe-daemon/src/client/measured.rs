//! What the commands that only calculate begin with: results from the database or the daemon,
//! OS profiles, and a choice among applications.

use std::collections::BTreeMap;

use loupe_common::exit;
use loupe_common::wire::{Failure, Reply, Request, code};

use super::args::Global;
use super::door::{self, Door, Need as Purpose};
use super::output::note;
use super::{services, talk};
use crate::backend::Viewer;
use crate::plan::os::{OsError, OsProfile, Remark, Shelf, default_shelf};
use crate::plan::{Need, SelectError, Selection, WorkloadKind, select};
use crate::store::StoredAnalysis;

/// The newest results of every workload, or the one of this id.
pub async fn results(
    global: &Global,
    analysis: Option<i64>,
) -> Result<Vec<StoredAnalysis>, Failure> {
    match door::choose(global, Purpose::Results).await? {
        Door::Daemon => {
            let request = Request::Results { analysis };
            match talk::ask(global.socket(), &request).await? {
                Reply::Results { entries } => talk::value(entries),
                other => Err(talk::unexpected(&other)),
            }
        }
        Door::Here => match door::library(global)? {
            Ok(library) => library.results(Viewer::Everything, analysis),
            Err(path) if global.db.is_some() => Err(Failure::usage(format!(
                "there is no database at {}",
                path.display()
            ))),
            Err(_) => Ok(Vec::new()),
        },
    }
}

/// The newest results of one application.
pub async fn stored(
    global: &Global,
    application: &str,
    workload: Option<&str>,
) -> Result<StoredAnalysis, Failure> {
    match door::choose(global, Purpose::Results).await? {
        Door::Daemon => {
            let request = Request::Show {
                application: application.to_owned(),
                workload: workload.map(str::to_owned),
            };
            match talk::ask(global.socket(), &request).await? {
                Reply::Shown { analysis } => talk::value(analysis),
                other => Err(talk::unexpected(&other)),
            }
        }
        Door::Here => match door::library(global)? {
            Ok(library) => library.show(Viewer::Everything, application, workload),
            Err(path) => Err(door::not_analyzed_at(&path, application, workload)),
        },
    }
}

/// What there is to choose among: results, and the profiles that were named.
pub struct Sources {
    pub results: Vec<StoredAnalysis>,
    /// By the names that they were asked for with.
    profiles: BTreeMap<String, Vec<Need>>,
}

impl Sources {
    /// All results, and of these names those that are profiles.
    pub async fn find<'a>(
        global: &Global,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Result<Sources, Failure> {
        let mut sources = Sources {
            results: results(global, None).await?,
            profiles: BTreeMap::new(),
        };
        for name in names {
            if sources.is_profile(name) && !sources.profiles.contains_key(name) {
                let needs = services::needs(global, name).await?;
                sources.profiles.insert(name.clone(), needs);
            }
        }
        Ok(sources)
    }

    fn is_profile(&self, name: &str) -> bool {
        services::is_profile(name, |name| {
            let mut results = self.results.iter();
            results.any(|stored| stored.analysis.application == name)
        })
    }

    /// The profiles of one name that was asked for; `None`: it is no profile's.
    pub fn profiles(&self, name: &str) -> Option<&[Need]> {
        self.profiles.get(name).map(Vec::as_slice)
    }

    /// Of these names those that are no profiles', and what the others were seen to use.
    pub fn split(&self, names: &[String]) -> (Vec<String>, Vec<Need>) {
        let mut needs: Vec<Need> = Vec::new();
        let mut others = Vec::new();
        for name in names {
            match self.profiles(name) {
                None => others.push(name.clone()),
                Some(some) => needs.extend_from_slice(some),
            }
        }
        needs.sort_by(|a, b| a.application.cmp(&b.application));
        needs.dedup();
        (others, needs)
    }

    /// A choice among all of these; what is to be said about it is said.
    pub fn choose(&self, wanted: &[String], kind: WorkloadKind) -> Result<Selection, Failure> {
        let (mut wanted, used) = self.split(wanted);
        wanted.extend(used.iter().map(|need| need.application.clone()));
        choose_among(&self.results, used, &wanted, kind)
    }
}

/// A choice among results; what is to be said about it is said.
pub fn choose(
    results: &[StoredAnalysis],
    wanted: &[String],
    kind: WorkloadKind,
) -> Result<Selection, Failure> {
    choose_among(results, Vec::new(), wanted, kind)
}

fn choose_among(
    results: &[StoredAnalysis],
    used: Vec<Need>,
    wanted: &[String],
    kind: WorkloadKind,
) -> Result<Selection, Failure> {
    let needs = results
        .iter()
        .map(|stored| Need::asked_of_os(&stored.analysis))
        .chain(used.into_iter().map(Need::without_restart))
        .collect();
    let selection = select::select(needs, wanted, kind).map_err(|error| select_failure(&error))?;
    for text in &selection.notes {
        note(text);
    }
    Ok(selection)
}

fn select_failure(error: &SelectError) -> Failure {
    Failure::new(code::NOT_FOUND, exit::USAGE, error.to_string()).explained(error.hint(), None)
}

/// The shelf that profiles are kept on.
pub fn shelf(global: &Global) -> Result<Shelf, Failure> {
    Ok(default_shelf(&door::database(global)?))
}

/// A profile by its file or name; what is odd about it is said.
pub fn profile(global: &Global, wanted: &str) -> Result<OsProfile, Failure> {
    let read = shelf(global)?
        .find(wanted)
        .map_err(|error| os_failure(&error))?;
    remark(&read.remarks);
    Ok(read.profile)
}

pub fn os_failure(error: &OsError) -> Failure {
    let code = match error {
        OsError::Write { .. } => exit::LOUPE_FAILED,
        _ => exit::USAGE,
    };
    Failure::from_error(code, error).explained(error.hint(), None)
}

pub fn remark(remarks: &[Remark]) {
    for remark in remarks {
        note(&crate::text::printable(&remark.to_string()));
    }
}
