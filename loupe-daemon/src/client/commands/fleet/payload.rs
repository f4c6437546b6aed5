//! `loupe profile export --bundle FILE` and `loupe fleet show-payload`: one bundle, in a file or for
//! people to read.

use std::time::{SystemTime, UNIX_EPOCH};

use loupe_common::wire::Failure;

use super::{beside_database, fleet_failure};
use crate::backend::exchange_failure;
use crate::client::args::{FleetShowPayload, Global, HostIdentity, ProfileExport};
use crate::client::{Ending, door, output};
use crate::fleet::{self, Bundle, Host, Salt};
use crate::nats::{Credentials, Part};
use crate::text::{bytes, counted, printable};

/// The name of the salt beside the database, where none is given.
const OWN_SALT: &str = "fleet.salt";

pub fn export(global: &Global, args: &ProfileExport) -> Result<Ending, Failure> {
    door::here_only(global, "exporting a bundle")?;
    let bundle = bundle(global, &args.host)?;
    fleet::write_bundle(&args.bundle, &bundle).map_err(|error| fleet_failure(&error))?;
    let size = std::fs::metadata(&args.bundle).map_or(0, |metadata| metadata.len());
    tell_kept_home(&bundle);
    output::print(&format!(
        "Wrote {} with {} to {} ({}).\n",
        counted(bundle.subjects.len() as u64, "subject"),
        counted(bundle.sets.len() as u64, "set"),
        printable(&args.bundle.display().to_string()),
        bytes(size),
    ))?;
    Ok(Ending::OK)
}

pub fn show(global: &Global, args: &FleetShowPayload) -> Result<Ending, Failure> {
    let bundle = bundle(global, &args.host)?;
    tell_kept_home(&bundle);
    output::print_json(&bundle)?;
    Ok(Ending::OK)
}

fn bundle(global: &Global, host: &HostIdentity) -> Result<Bundle, Failure> {
    let none = |path: &std::path::Path| {
        Failure::usage(format!("there are no profiles in {}", path.display())).hint(
            "louped's database is root's: run this as root (sudo), or name a database with --db \
             PATH; `loupe profile add UNIT` begins to observe",
        )
    };
    let library = door::library(global)?.map_err(|path| none(&path))?;
    let (profiles, days) = library.profiles_with_days()?;
    if profiles.is_empty() {
        return Err(none(&door::database(global)?));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    // A clock before 1970 is wrong anyway.
    let now_ms = now.map_or(0, |now| now.as_millis() as u64);
    let host = identified(global, host, now_ms)?;
    Ok(fleet::export(host, &profiles, &days))
}

/// By its credentials, else by its machine id.
fn identified(global: &Global, host: &HostIdentity, now_ms: u64) -> Result<Host, Failure> {
    let name = host.name.clone();
    if let Some(path) = &host.credentials {
        let credentials =
            Credentials::read(path, Part::Host).map_err(|error| exchange_failure(&error.into()))?;
        let name = name.unwrap_or(credentials.name);
        return fleet::this_machine(credentials.id, Some(name), now_ms)
            .map_err(|error| fleet_failure(&error));
    }
    let salt = match &host.salt {
        Some(path) => Salt::read(path),
        None => Salt::read_or_make(&beside_database(global, OWN_SALT)?),
    };
    salt.and_then(|salt| fleet::host_of_this_machine(&salt, name, now_ms))
        .map_err(|error| fleet_failure(&error))
}

fn tell_kept_home(bundle: &Bundle) {
    let kept = bundle.host.kept_home;
    if kept > 0 {
        output::note(&format!(
            "{} stayed at home: cgroups, mounts and what else has a path for a name",
            counted(kept, "subject")
        ));
    }
}
