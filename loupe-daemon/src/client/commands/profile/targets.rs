//! `loupe profile add` and `remove`.

use loupe_common::exit;
use loupe_common::profile::{ProfileAnswer, ProfileRequest, Target, TargetStatus};
use loupe_common::wire::Failure;
use serde_json::json;

use crate::client::args::{Global, ProfileAdd, ProfileRemove};
use crate::client::door::{self, Need};
use crate::client::services::{ask, perhaps, unexpected};
use crate::client::units::Units;
use crate::client::{Ending, output};
use crate::report;
use crate::text::printable;

/// The value of `schema` in the JSON.
const SCHEMA: &str = "loupe.profile-targets/1";

pub async fn add(global: &Global, args: &ProfileAdd) -> Result<Ending, Failure> {
    let request = ProfileRequest::Add {
        targets: args.targets.all(),
    };
    let targets = sent(global, request).await?;
    match args.json {
        true => json_text(&targets)?,
        false => output::print(&report::watched(&targets))?,
    }
    let idle: Vec<&Target> = targets
        .iter()
        .filter(|status| status.cgroups == 0)
        .map(|status| &status.target)
        .collect();
    if idle.is_empty() {
        return Ok(Ending::OK);
    }
    let units = Units::here();
    let mut unknown = false;
    for target in idle {
        let (sentence, is_known) = waits(target, &units);
        output::note(&sentence);
        unknown |= !is_known;
    }
    Ok(match unknown {
        true => Ending::Code(exit::FINDING),
        false => Ending::OK,
    })
}

pub async fn remove(global: &Global, args: &ProfileRemove) -> Result<Ending, Failure> {
    let wanted = args.targets.all();
    let request = ProfileRequest::Remove {
        targets: wanted.clone(),
    };
    let targets = sent(global, request).await?;
    match args.json {
        true => json_text(&targets)?,
        false => output::print(&report::unwatched(&targets))?,
    }
    let unwatched: Vec<&Target> = wanted
        .iter()
        .filter(|wanted| {
            !targets
                .iter()
                .any(|status| is_meant(wanted, &status.target))
        })
        .collect();
    for target in &unwatched {
        output::note(&format!(
            "{} was not watched",
            printable(&target.to_string())
        ));
    }
    Ok(match unwatched.is_empty() {
        true => Ending::OK,
        false => Ending::Code(exit::FINDING),
    })
}

/// Whether the words of a user mean this target, which louped has written in its own way.
fn is_meant(wanted: &Target, target: &Target) -> bool {
    match (wanted, target) {
        // A process stands for whatever it is in.
        (Target::Process(_), _) => true,
        (Target::Cgroup(wanted), Target::Cgroup(path)) => {
            let ends = wanted.trim_matches('/');
            format!("/{ends}").ends_with(path.as_str())
        }
        _ => wanted == target,
    }
}

async fn sent(global: &Global, request: ProfileRequest) -> Result<Vec<TargetStatus>, Failure> {
    door::choose(global, Need::Service).await?;
    match ask(global, request).await? {
        ProfileAnswer::Targets { targets } => Ok(targets),
        other => Err(unexpected(other)),
    }
}

fn json_text(targets: &[TargetStatus]) -> Result<(), Failure> {
    output::print_json(&json!({ "schema": SCHEMA, "targets": targets }))
}

/// What is to be said of something that fits nothing now; whether it may be expected to come.
fn waits(target: &Target, units: &Units) -> (String, bool) {
    let named = printable(&target.to_string());
    let takes_back = "`loupe profile remove` takes it back";
    match target {
        Target::Unit(name) if name.contains(['*', '?']) => (
            format!(
                "{named}: the pattern fits no unit that runs now{}; it is watched for",
                perhaps(&name.replace(['*', '?'], ""), &units.names())
            ),
            true,
        ),
        Target::Unit(_) if units.is_empty() => (
            format!(
                "{named}: there is no systemd here; --cgroup PATH, --executable PATH and --pid N work \
                 without ({takes_back})"
            ),
            false,
        ),
        Target::Unit(name) if units.knows(name) => (
            format!("{named} does not run now; it is watched as soon as it does"),
            true,
        ),
        Target::Unit(name) | Target::Slice(name) => (
            format!(
                "{named}: no unit of that name is known here{}; it is watched if it ever appears \
                 ({takes_back})",
                perhaps(name, &units.names())
            ),
            false,
        ),
        Target::Container(_) | Target::Executable(_) | Target::Cgroup(_) | Target::Process(_) => (
            format!("{named} fits nothing that runs now; it is watched as soon as it appears"),
            true,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_found_as_louped_writes_it() {
        let target = |text: &str| -> Target { text.parse().expect("a target") };
        for (wanted, written, meant) in [
            ("unit:a.service", "unit:a.service", true),
            ("unit:a.service", "unit:b.service", false),
            ("cgroup:jobs/1/", "cgroup:/jobs/1", true),
            ("cgroup:/sys/fs/cgroup/jobs/1", "cgroup:/jobs/1", true),
            ("cgroup:/jobs/11", "cgroup:/jobs/1", false),
            ("pid:7", "unit:a.service", true),
        ] {
            assert_eq!(
                is_meant(&target(wanted), &target(written)),
                meant,
                "{wanted}"
            );
        }
    }

    fn said(target: &str, units: &[&str]) -> (String, bool) {
        let target: Target = target.parse().expect("a target");
        waits(&target, &Units::of(units))
    }

    #[test]
    fn what_fits_nothing_is_told_by_why_that_may_be() {
        let units = ["nginx.service", "foo@.service", "backup.service"];
        let (text, known) = said("unit:backup.service", &units);
        assert!(known && text.contains("does not run now"), "{text}");
        assert!(said("unit:foo@7.service", &units).1);
        let (text, known) = said("unit:ngnix.service", &units);
        assert!(
            !known && text.contains("did you mean nginx.service?"),
            "{text}"
        );
        let (text, known) = said("unit:post*", &units);
        assert!(known && text.contains("fits no unit"), "{text}");
        let (text, known) = said("unit:nginx.service", &[]);
        assert!(!known && text.contains("--cgroup"), "{text}");
        let (text, known) = said("container:a\x1bb", &units);
        assert!(known && text.contains(r"a\x1bb"), "{text}");
    }
}
