//! What the commands that only calculate begin with: results from the database or the daemon,
//! OS profiles, and a choice among applications.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use loupe_common::exit;
use loupe_common::feature::Feature;
use loupe_common::syscalls::Arch;
use loupe_common::wire::{Failure, Reply, Request, code};

use super::args::Global;
use super::door::{self, Door, Need as Purpose};
use super::output::note;
use super::{services, talk};
use crate::backend::{Viewer, not_analyzed};
use crate::plan::gap::not_asked;
use crate::plan::os::{OsError, OsProfile, Remark, Shelf, default_shelf};
use crate::plan::{Need, SelectError, Selection, WorkloadKind, select};
use crate::store::{self, Choosable, Selector, StoredAnalysis, Which};
use crate::text::printable;

/// The result that is meant of every workload.
async fn results(global: &Global) -> Result<Vec<StoredAnalysis>, Failure> {
    match door::choose(global, Purpose::Results).await? {
        Door::Daemon => {
            let request = Request::Results { analysis: None };
            match talk::ask(global.socket(), &request).await? {
                Reply::Results { entries } => talk::value(entries),
                other => Err(talk::unexpected(&other)),
            }
        }
        Door::Here => match door::library(global)? {
            Ok(library) => library.results(Viewer::Everything, None),
            Err(path) if global.chosen_db().is_some() => Err(door::no_database(&path)),
            Err(_) => Ok(Vec::new()),
        },
    }
}

/// Every pseudo-file that any result has seen.
pub async fn pseudo_files(global: &Global) -> Result<BTreeSet<Feature>, Failure> {
    let results = results(global).await?;
    let seen = results.iter().flat_map(|stored| {
        let analysis = &stored.analysis;
        let rows = analysis.features.iter().map(|row| &row.feature);
        rows.chain(analysis.fallbacks.iter().map(|edge| &edge.appears))
    });
    let files = seen.filter(|feature| matches!(feature, Feature::PseudoFile(_)));
    Ok(files.cloned().collect())
}

/// The result that a name means; where there was a choice, that is said.
pub async fn stored(
    global: &Global,
    application: &str,
    workload: Option<&str>,
) -> Result<StoredAnalysis, Failure> {
    let found: Result<StoredAnalysis, Failure> = shown(global, application, workload).await;
    let found = match found {
        Ok(found) => found,
        Err(failure) => return Err(nearer(global, failure, application, workload).await),
    };
    if let Some(choice) = &found.choice {
        note(&printable(choice));
    }
    Ok(found)
}

/// The same failure where nothing has this name; with names that are near, if there are some.
pub async fn nearer(
    global: &Global,
    failure: Failure,
    application: &str,
    workload: Option<&str>,
) -> Failure {
    if failure.code != code::NOT_FOUND {
        return failure;
    }
    match results(global).await.map(Sources::of) {
        Ok(sources) => Failure {
            message: failure.message + &sources.near(application, workload),
            ..failure
        },
        // What is wrong with that is not what was asked for.
        Err(_) => failure,
    }
}

async fn shown(
    global: &Global,
    application: &str,
    workload: Option<&str>,
) -> Result<StoredAnalysis, Failure> {
    Ok(match door::choose(global, Purpose::Results).await? {
        Door::Daemon => {
            let wanted = Selector::parse(application, workload);
            let request = match (wanted.application, wanted.which) {
                // As daemons know it that know no other names.
                (Some(application), Which::Best) => Request::Show {
                    application,
                    workload: wanted.workload,
                },
                _ => Request::Show {
                    application: application.to_owned(),
                    workload: workload.map(str::to_owned),
                },
            };
            match talk::ask(global.socket(), &request).await? {
                Reply::Shown { analysis } => talk::value(analysis)?,
                other => return Err(talk::unexpected(&other)),
            }
        }
        Door::Here => match door::library(global)? {
            Ok(library) => library.show(Viewer::Everything, application, workload)?,
            Err(path) => return Err(door::not_analyzed_at(&path, application, workload)),
        },
    })
}

/// What there is to choose among: results, and the profiles that were named.
pub struct Sources {
    /// Those that are meant of every workload, and those that were named exactly.
    pub results: Vec<StoredAnalysis>,
    /// By the names that they were asked for with.
    profiles: BTreeMap<String, Vec<Need>>,
    /// What was said already.
    told: RefCell<BTreeSet<String>>,
}

impl Sources {
    fn of(results: Vec<StoredAnalysis>) -> Sources {
        Sources {
            results,
            profiles: BTreeMap::new(),
            told: RefCell::default(),
        }
    }

    /// All results, and of these names those that are profiles or exact.
    pub async fn find<'a>(
        global: &Global,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Result<Sources, Failure> {
        let mut sources = Sources::of(results(global).await?);
        for name in names {
            if sources.is_profile(name) {
                if !sources.profiles.contains_key(name) {
                    let needs = services::needs(global, name).await?;
                    sources.profiles.insert(name.clone(), needs);
                }
            } else if Selector::parse(name, None).is_exact() {
                let exact = stored(global, name, None).await?;
                if sources.results.iter().all(|other| other.id != exact.id) {
                    sources.results.push(exact);
                }
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
        let needs = self.results.iter().map(asked).collect();
        self.choose_of(needs, used, &wanted, kind)
    }

    /// As [`Sources::choose`], of these results only.
    pub fn choose_among(
        &self,
        results: &[&StoredAnalysis],
        kind: WorkloadKind,
    ) -> Result<Selection, Failure> {
        let needs = results.iter().copied().map(asked).collect();
        self.choose_of(needs, Vec::new(), &[], kind)
    }

    fn choose_of(
        &self,
        mut needs: Vec<Need>,
        used: Vec<Need>,
        wanted: &[String],
        kind: WorkloadKind,
    ) -> Result<Selection, Failure> {
        needs.extend(used.into_iter().map(Need::without_restart));
        let selection =
            select::select(needs, wanted, kind).map_err(|error| select_failure(&error))?;
        for text in &selection.notes {
            self.say(text);
        }
        Ok(selection)
    }

    /// The one result that a name means.
    pub fn one(&self, name: &str, workload: Option<&str>) -> Result<&StoredAnalysis, Failure> {
        let wanted = Selector::parse(name, workload);
        let chosen = store::choose(&self.results, &wanted, WorkloadKind::Any)
            .ok_or_else(|| self.not_there(name, workload))?;
        if let Some(text) = chosen.note() {
            self.say(&text);
        }
        Ok(chosen.item)
    }

    /// All workloads of what is named: they are put together. Without a name: all there are.
    pub fn every(&self, names: &[String]) -> Result<Vec<&StoredAnalysis>, Failure> {
        if names.is_empty() {
            return Ok(self.results.iter().collect());
        }
        let mut chosen: Vec<&StoredAnalysis> = Vec::new();
        for name in names {
            let wanted = Selector::parse(name, None);
            let found = store::every_workload(&self.results, &wanted);
            if found.is_empty() {
                return Err(self.not_there(name, None));
            }
            let imported: Vec<String> = self
                .results
                .iter()
                .filter(|other| {
                    Some(&other.analysis.application) == wanted.application.as_ref()
                        && other.standing().imported
                })
                .map(Choosable::exact_name)
                .collect();
            let own = found.iter().all(|stored| !stored.standing().imported);
            if own && !imported.is_empty() && wanted.workload.is_none() && !wanted.is_exact() {
                self.say(&format!(
                    "{name}: what was measured here is taken, and not what was imported: {}",
                    imported.join(", ")
                ));
            }
            for stored in found {
                if !chosen.iter().any(|other| other.id == stored.id) {
                    chosen.push(stored);
                }
            }
        }
        Ok(chosen)
    }

    /// No result has this name; some may have one that is near.
    pub fn not_there(&self, name: &str, workload: Option<&str>) -> Failure {
        let mut failure = not_analyzed(name, workload);
        failure.message += &self.near(name, workload);
        failure
    }

    /// Applications of a name that is near; of an application that is there, its workloads.
    fn near(&self, name: &str, workload: Option<&str>) -> String {
        let wanted = Selector::parse(name, workload);
        let application = wanted.application.as_deref().unwrap_or(name);
        let results = || self.results.iter().map(|stored| &stored.analysis);
        let mut own = results().filter(|analysis| analysis.application == application);
        let (wanted, names): (&str, BTreeSet<&str>) = match &wanted.workload {
            Some(workload) if own.next().is_some() => {
                let of_it = results().filter(|analysis| analysis.application == application);
                let names = of_it.map(|analysis| analysis.workload.as_str());
                (workload, names.collect())
            }
            // It is there, and not so often or not with that number.
            None if own.next().is_some() => return String::new(),
            _ => {
                let names = results().map(|analysis| analysis.application.as_str());
                (application, names.collect())
            }
        };
        services::perhaps(wanted, &names)
    }

    /// Says what an OS is not asked for.
    pub fn say_not_asked<'a>(&self, profile: &OsProfile, needs: impl Iterator<Item = &'a Need>) {
        let needs: Vec<&Need> = needs.collect();
        if let Some(text) = not_asked(profile, &needs) {
            self.say(&text);
        }
    }

    fn say(&self, text: &str) {
        if self.told.borrow_mut().insert(text.to_owned()) {
            note(&printable(text));
        }
    }
}

/// What a result asks of an OS.
fn asked(stored: &StoredAnalysis) -> Need {
    Need::asked_of_os(&stored.analysis).standing_as(stored.standing())
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
    let found = shelf(global)?
        .find(wanted)
        .map_err(|error| os_failure(&error))?;
    remark(&found.read.remarks);
    if let Some(what) = found.note {
        note(&printable(&what));
    }
    Ok(found.read.profile)
}

/// As [`profile`], to compare with what programs of this architecture do.
pub fn os(global: &Global, wanted: &str) -> Result<OsProfile, Failure> {
    let profile = profile(global, wanted)?;
    match profile.as_met_by(Arch::NATIVE) {
        None => Ok(profile),
        Some(met) => {
            note(&format!(
                "{} is an OS of another architecture: calls that it does not have are answered as \
                 those in their place (`open` as `openat`)",
                printable(&profile.name)
            ));
            Ok(met)
        }
    }
}

pub fn os_failure(error: &OsError) -> Failure {
    let code = match error {
        OsError::Write { .. } => exit::LOUPE_FAILED,
        _ => exit::USAGE,
    };
    Failure::from_error(code, error).explained(error.hint(), error.picture())
}

pub fn remark(remarks: &[Remark]) {
    for remark in remarks {
        note(&crate::text::printable(&remark.to_string()));
    }
}
