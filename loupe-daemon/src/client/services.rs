//! Profiles of services, for the commands that show, compare and plan by them: from louped, or from
//! a database. Nearest names where there is none.

use std::collections::BTreeSet;

use loupe_common::exit;
use loupe_common::profile::{Profile, ProfileAnswer, ProfileRequest, Subject};
use loupe_common::text::nearest;
use loupe_common::wire::{Failure, Reply, Request, code};

use super::args::{Global, with_suffix};
use super::door::{self, Door, Need as Purpose};
use super::output::note;
use super::talk;
use crate::backend::Viewer;
use crate::plan::need::PROFILE_PREFIX;
use crate::plan::{Need, Service};
use crate::report;
use crate::text::printable;

/// Asks louped's service.
pub async fn ask(global: &Global, request: ProfileRequest) -> Result<ProfileAnswer, Failure> {
    match talk::ask(global.socket(), &Request::Profile(request)).await? {
        Reply::Profile(answer) => Ok(answer),
        other => Err(talk::unexpected(&other)),
    }
}

/// An answer that does not fit the question.
pub fn unexpected(answer: ProfileAnswer) -> Failure {
    talk::unexpected(&Reply::Profile(answer))
}

/// Profiles of this name or pattern, of what was observed since a moment. There is at least one.
pub async fn named(
    global: &Global,
    name: &str,
    since_ms: Option<u64>,
) -> Result<Vec<Profile>, Failure> {
    let global = &global.of_services();
    let source = door::choose(global, Purpose::Results).await?;
    let name = name.strip_prefix(PROFILE_PREFIX).unwrap_or(name);
    let found = profiles(global, source, Some(name), since_ms).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    let all = profiles(global, source, None, None).await?;
    Err(not_profiled(name, all.iter().map(|one| &one.subject)))
}

async fn profiles(
    global: &Global,
    source: Door,
    name: Option<&str>,
    since_ms: Option<u64>,
) -> Result<Vec<Profile>, Failure> {
    match source {
        Door::Daemon => {
            let name = name.map(str::to_owned);
            match ask(global, ProfileRequest::Show { name, since_ms }).await? {
                ProfileAnswer::Profiles { profiles } => Ok(profiles),
                other => Err(unexpected(other)),
            }
        }
        Door::Here => match door::library(global)? {
            Ok(library) => library.profiles(Viewer::Everything, name, since_ms),
            Err(path) if global.chosen_db().is_some() => Err(door::no_database(&path)),
            Err(_) => Ok(Vec::new()),
        },
    }
}

/// Nothing has this name; `there` are the subjects that there are profiles of.
fn not_profiled<'a>(name: &str, there: impl Iterator<Item = &'a Subject>) -> Failure {
    let names: BTreeSet<&str> = there.map(|subject| subject.name.as_str()).collect();
    let near = perhaps(name, &names);
    Failure::new(
        code::NOT_FOUND,
        exit::USAGE,
        format!("there is no profile of {}{near}", printable(name)),
    )
    .hint(match names.is_empty() {
        true => {
            "nothing was observed yet: `loupe profile add UNIT` begins to, `loupe profile status` \
                 shows what is watched"
        }
        false => {
            "`loupe profile top --once` shows which there are, `loupe profile add UNIT` begins one"
        }
    })
}

/// ` (did you mean nginx.service?)`, where something is near.
pub fn perhaps(name: &str, names: &BTreeSet<&str>) -> String {
    // Suffixes are alike: they would make short names near to each other.
    let stem = |name: &str| match name.rsplit_once('.') {
        Some((stem, _)) if with_suffix(name) == name => stem.to_owned(),
        _ => name.to_owned(),
    };
    let stems: Vec<(String, &str)> = names.iter().map(|name| (stem(name), *name)).collect();
    let near_stems = nearest(&stem(name), stems.iter().map(|(stem, _)| stem.as_str()));
    let mut near: Vec<&str> = Vec::new();
    for wanted in near_stems {
        let fitting = stems.iter().filter(|(stem, _)| stem == wanted);
        near.extend(fitting.map(|(_, name)| *name));
    }
    // A part of a name is near, too, though many letters are missing.
    let parts = names.iter().copied();
    near.extend(parts.filter(|other| name.len() > 2 && other.contains(name)));
    let mut shown: Vec<String> = Vec::new();
    for name in near.into_iter().map(printable) {
        if !shown.contains(&name) && shown.len() < 3 {
            shown.push(name);
        }
    }
    match shown.as_slice() {
        [] => String::new(),
        some => format!(" (did you mean {}?)", some.join(", ")),
    }
}

/// Whether an application is named that is a profile: by the prefix, or as a service that `analysed`
/// does not know.
pub fn is_profile(name: &str, analysed: impl Fn(&str) -> bool) -> bool {
    name.starts_with(PROFILE_PREFIX) || (name.ends_with(".service") && !analysed(name))
}

/// What services of this name or pattern were seen to use. What the need rests on is said.
pub async fn needs(global: &Global, name: &str) -> Result<Vec<Need>, Failure> {
    let profiles = named(global, name, None).await?;
    let mut needs = Vec::new();
    for service in Service::all(&profiles) {
        let need = Need::of_use(&service);
        note(&report::profile_sentence(&service));
        match need.used.is_empty() {
            true => note(&format!(
                "{}: no syscall of it was seen yet; left out",
                printable(service.name)
            )),
            false => needs.push(need),
        }
    }
    if needs.is_empty() {
        return Err(
            Failure::usage(format!("no syscall of {} was seen yet", printable(name)))
                .hint("`loupe profile status` shows what is watched, and what was observed"),
        );
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_told_without_what_could_steer_a_terminal() {
        let names = BTreeSet::from(["nginx.service", "redis-server.service", "x\x1b[2J.service"]);
        assert_eq!(perhaps("ngnix", &names), " (did you mean nginx.service?)");
        assert_eq!(
            perhaps("redis", &names),
            " (did you mean redis-server.service?)"
        );
        assert_eq!(perhaps("postgresql", &names), "");
        let hostile = perhaps("x\x1b[2J.servic", &names);
        assert!(hostile.contains(r"x\x1b[2J.service"), "{hostile}");
    }

    #[test]
    fn a_service_without_an_analysis_of_its_name_is_a_profile() {
        let analysed = |name: &str| name == "old.service";
        assert!(is_profile("profile:web", analysed));
        assert!(is_profile("nginx.service", analysed));
        assert!(!is_profile("old.service", analysed));
        assert!(!is_profile("nginx", analysed));
    }
}
