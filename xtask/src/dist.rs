//! `cargo xtask dist`: what a user installs. A Debian package, and a tarball of the same files,
//! with their checksums, in `target/dist`.
//!
//! The same sources make the same files: times are those of the commit, owners are root.

mod archive;
mod changelog;
mod control;
mod licenses;
mod stage;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::build;
use crate::commit::{self, Commit};
use crate::setup::{self, Consent, Purpose};
use crate::workspace::{self, step};

#[derive(clap::Args)]
pub struct Arguments {
    /// Pack binaries that are not optimised, and hardly compress: for tests of the package
    #[arg(long)]
    debug: bool,
    /// Build nothing, pack the binaries that are in this directory
    #[arg(long, value_name = "DIRECTORY")]
    binaries: Option<PathBuf>,
    /// Leave the packages here [default: target/dist]
    #[arg(long, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
    /// A text behind the version, to have another one of the same commit (+2)
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    suffix: String,
    #[command(flatten)]
    consent: Consent,
}

/// What all files of a distribution share.
struct Release {
    /// As Debian compares versions: later commits have greater ones, releases are above all their
    /// commits.
    version: String,
    /// `amd64`
    architecture: String,
    /// When the sources were committed; without a commit, when the changes were last written.
    seconds: u64,
    /// Little compression.
    quick: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let binaries = match &arguments.binaries {
        Some(directory) => directory.clone(),
        None => {
            setup::ensure(&[Purpose::Build, Purpose::Package], &arguments.consent)?;
            build::binaries(!arguments.debug)?
        }
    };
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => workspace::target_directory()?.join("dist"),
    };
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    let release = Release::new(arguments)?;
    step(&format!("Packing loupe {}", release.version));

    let stage = output.join("stage");
    remove(&stage)?;
    stage::fill(&stage, &binaries, &release)?;
    let depends = control::depends(&stage)?;
    let mut made = vec![archive::tarball(&stage, &output, &release)?];
    control::write(&stage, &release, &depends)?;
    made.push(archive::package(&stage, &output, &release)?);
    archive::checksums(&output, &made)?;
    remove(&stage)?;
    for file in made {
        eprintln!("    {}", file.display());
    }
    Ok(())
}

fn remove(stage: &Path) -> Result<()> {
    match fs::remove_dir_all(stage) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", stage.display()))
        }
        _ => Ok(()),
    }
}

impl Release {
    fn new(arguments: &Arguments) -> Result<Release> {
        let root = workspace::root();
        let number = env!("CARGO_PKG_VERSION");
        let commit = commit::find(root);
        let tags = commit::git(root, &["tag", "--points-at", "HEAD"]).unwrap_or_default();
        let version = version(number, commit.as_ref(), &tags);
        let seconds = match &commit {
            Some(commit) => commit.seconds,
            None => changelog::written(root)?,
        };
        let architecture = match env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => bail!("Debian's name of the machine {other} is not known here"),
        };
        Ok(Release {
            version: version + &arguments.suffix,
            architecture: architecture.to_owned(),
            seconds,
            quick: arguments.debug || arguments.binaries.is_some(),
        })
    }
}

/// Of a release, or of a commit on the way to it, which comes before it.
fn version(number: &str, commit: Option<&Commit>, tags: &str) -> String {
    let released = tags.lines().any(|tag| tag == format!("v{number}"));
    match commit {
        Some(commit) if !released => {
            format!("{number}~git{}.{}", commit.seconds, commit.hash)
        }
        _ => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_on_the_way_comes_before_the_release() {
        let commit = Commit {
            hash: "abc1234".to_owned(),
            date: "2026-11-29".to_owned(),
            seconds: 1_796_000_000,
        };
        let on_the_way = "0.1.0~git1796000000.abc1234";
        assert_eq!(version("0.1.0", Some(&commit), ""), on_the_way);
        assert_eq!(version("0.1.0", Some(&commit), "v0.0.9"), on_the_way);
        assert_eq!(version("0.1.0", Some(&commit), "x\nv0.1.0"), "0.1.0");
        assert_eq!(version("0.1.0", None, ""), "0.1.0");
    }
}
