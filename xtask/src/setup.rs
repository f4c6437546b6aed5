//! `cargo xtask setup`: what the build, the demo and the tests need, installed.
//!
//! Looks first, says what is missing and why, asks, installs, and looks again. When nothing is
//! missing it is over in some milliseconds, so that the other verbs can begin with it.

mod linker;
mod needs;
mod suites;

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, Result, bail};

use crate::apt::{self, Package};
use crate::toolchain;
use crate::workspace::{self, step};
use suites::Suite;

pub use needs::Purpose;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    pub consent: Consent,
}

/// Whether to ask before anything is installed.
#[derive(clap::Args)]
pub struct Consent {
    /// Install without asking (CI=true says the same)
    #[arg(long, short)]
    pub yes: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    ensure(
        &[
            Purpose::Build,
            Purpose::Lint,
            Purpose::Demo,
            Purpose::Fleet,
            Purpose::Test,
            Purpose::Kernels,
            Purpose::Package,
        ],
        &arguments.consent,
    )
}

/// Makes sure that everything for these purposes is there.
pub fn ensure(purposes: &[Purpose], consent: &Consent) -> Result<()> {
    let packages: Vec<Package> = purposes
        .iter()
        .flat_map(|purpose| needs::packages(*purpose))
        .filter(Package::is_missing)
        .collect();
    let linker = purposes.contains(&Purpose::Build) && linker::is_missing();
    let suites: Vec<Suite> = purposes
        .iter()
        .flat_map(|purpose| needs::suites(*purpose))
        .filter(|suite| suite.is_missing())
        .copied()
        .collect();
    if packages.is_empty() && !linker && suites.is_empty() {
        step("Set-up: everything needed is installed");
        return Ok(());
    }

    step("Set-up: this is missing");
    for purpose in purposes {
        let names: Vec<_> = needs::packages(*purpose)
            .into_iter()
            .filter(|package| packages.contains(package))
            .map(|package| package.name)
            .collect();
        if !names.is_empty() {
            eprintln!(
                "    for {}, Debian's {}",
                purpose.describe(),
                names.join(" ")
            );
        }
    }
    if linker {
        eprintln!("    for the in-kernel programs, {}", linker::describe());
    }
    for suite in &suites {
        eprintln!("    for the tests, {}", suite.describe());
    }
    ask(&packages, consent)?;

    apt::install(&packages)?;
    if linker {
        linker::install()?;
    }
    suites::fetch(&suites)?;
    if purposes.contains(&Purpose::Build) {
        toolchain::find(workspace::bpf_target())
            .map_err(|missing| anyhow::anyhow!("{missing}, although set-up went through"))?;
    }
    Ok(())
}

fn ask(packages: &[Package], consent: &Consent) -> Result<()> {
    if consent.yes || workspace::in_ci() {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        let mut commands = Vec::new();
        if !packages.is_empty() {
            commands.push(format!("    {}", apt::by_hand(packages)));
        }
        commands.push("    cargo xtask setup --yes".to_owned());
        bail!(
            "nobody to ask whether to install; run this first:\n{}",
            commands.join("\n")
        );
    }
    if !workspace::is_root() && !packages.is_empty() {
        eprintln!("    by: {}", apt::by_hand(packages));
    }
    eprint!("Install it now? [Y/n] ");
    std::io::stderr().flush().context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    match answer.trim().to_lowercase().as_str() {
        "" | "y" | "yes" => Ok(()),
        _ => bail!("nothing was installed"),
    }
}
