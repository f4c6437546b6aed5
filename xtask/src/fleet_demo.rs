//! `cargo xtask fleet-demo`: a fleet on this machine. A NATS server, a hub and two hosts, each in a network
//! namespace of its own, and what one then asks the hub. Shows each command as one types it.
//!
//! All of it runs in namespaces of processes, mounts and networks, over a directory in memory: when the
//! first process there ends, however that happens, the kernel ends and forgets the rest.

mod inside;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::build;
use crate::setup::{self, Consent, Purpose};
use crate::workspace::{self, step};

/// Directories that every Debian has and that hold nothing which the demo needs: one is covered, in its
/// namespace only.
const PLACES: [&str; 3] = ["/srv", "/mnt", "/opt"];

/// The first process. It ends at Ctrl-C; what it started cannot.
const FIRST: &str = "trap 'exit 130' INT TERM; \"$@\" & wait $!";

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    consent: Consent,
    /// Use the programs in this directory, and build nothing
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
    /// Said by the demo to itself, in its namespaces
    #[arg(long, hide = true, value_name = "DIR", requires = "binaries")]
    inside: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if let (Some(place), Some(binaries)) = (&arguments.inside, &arguments.binaries) {
        return inside::run(place, binaries);
    }
    let binaries = match &arguments.binaries {
        Some(directory) => directory
            .canonicalize()
            .with_context(|| format!("cannot find {}", directory.display()))?,
        None => {
            setup::ensure(&[Purpose::Build, Purpose::Fleet], &arguments.consent)?;
            build::binaries(true)?
        }
    };
    let own = std::env::current_exe().context("cannot find this program's own path")?;
    let place = place(&[&own, &binaries])?;
    step("A fleet in namespaces of its own; it is gone when this ends, also by Ctrl-C");
    let mut command = workspace::as_root("unshare", &["NO_COLOR", "TERM", "COLUMNS", "LOUPE_LOG"])?;
    command
        .args(["--net", "--mount", "--pid", "--fork", "--mount-proc"])
        .args(["--kill-child=SIGKILL", "--", "/bin/sh", "-c", FIRST, "sh"])
        .arg(own)
        .arg("fleet-demo")
        .arg("--binaries")
        .arg(binaries)
        .arg("--inside")
        .arg(place);
    let status = command.status().context("cannot make namespaces")?;
    if !status.success() {
        bail!("the demo did not get to its end ({status})");
    }
    Ok(())
}

/// A directory that is there and that none of these programs is in.
fn place(programs: &[&Path]) -> Result<&'static Path> {
    PLACES
        .into_iter()
        .map(Path::new)
        .find(|place| place.is_dir() && !programs.iter().any(|program| program.starts_with(place)))
        .with_context(|| format!("there is none of {} to work in", PLACES.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_never_covers_its_own_programs() {
        let place = place(&[Path::new("/srv/loupe/target/debug/xtask")]);
        assert_ne!(place.ok(), Some(Path::new("/srv")));
    }
}
