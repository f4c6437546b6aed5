//! `cargo xtask build`: the binaries `loupe` and `louped`, with the in-kernel programs in them.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::setup::{self, Consent, Purpose};
use crate::workspace::{self, step};

#[derive(clap::Args)]
pub struct Arguments {
    /// Build optimised binaries, into target/release
    #[arg(long)]
    pub release: bool,
    #[command(flatten)]
    pub consent: Consent,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    setup::ensure(&[Purpose::Build], &arguments.consent)?;
    let directory = binaries(arguments.release)?;
    eprintln!(
        "    {} and louped are there",
        directory.join("loupe").display()
    );
    Ok(())
}

const BINARIES: [&str; 2] = ["loupe", "louped"];

/// Builds the binaries and returns the directory that they are in.
pub fn binaries(release: bool) -> Result<PathBuf> {
    step(if release {
        "Building loupe and louped in release (minutes the first time)"
    } else {
        "Building loupe and louped"
    });
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--locked", "--package", "loupe-daemon", "--bins"]);
    if release {
        cargo.arg("--release");
    }
    workspace::run(&mut cargo)?;
    let profile = if release { "release" } else { "debug" };
    let directory = workspace::target_directory()?.join(profile);
    for name in BINARIES {
        if !directory.join(name).is_file() {
            bail!("the build left no {}", directory.join(name).display());
        }
    }
    Ok(directory)
}
