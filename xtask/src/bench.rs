//! `cargo xtask bench`: starts the benchmarks in tests/benches, all or one. Measures nothing.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::build;
use crate::setup::{self, Consent, Purpose};
use crate::workspace::{self, step};

#[derive(clap::Args)]
pub struct Arguments {
    /// The benchmark to run (default: all)
    name: Option<String>,
    #[command(flatten)]
    consent: Consent,
    /// For the benchmark
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let names = names()?;
    let chosen: Vec<&String> = match &arguments.name {
        None => names.iter().collect(),
        Some(name) => names.iter().filter(|known| *known == name).collect(),
    };
    if chosen.is_empty() {
        bail!("no such benchmark; there are: {}", names.join(", "));
    }
    setup::ensure(
        &[Purpose::Build, Purpose::Demo, Purpose::Test],
        &arguments.consent,
    )?;
    let binaries = build::binaries(true)?;
    for name in chosen {
        step(&format!("Benchmark {name}"));
        let mut cargo = workspace::cargo();
        cargo
            .args([
                "bench",
                "--locked",
                "--package",
                "loupe-tests",
                "--bench",
                name,
                "--",
            ])
            .args(&arguments.arguments)
            .env("LOUPE_BIN", binaries.join("loupe"))
            .env("LOUPED_BIN", binaries.join("louped"));
        workspace::run(&mut cargo)?;
    }
    Ok(())
}

/// A benchmark is a file or a directory of this name in tests/benches.
fn names() -> Result<Vec<String>> {
    let directory = workspace::root().join("tests/benches");
    let entries = fs::read_dir(&directory)
        .with_context(|| format!("cannot list the benchmarks in {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.context("cannot list the benchmarks")?.path();
        let is_benchmark = path.extension().is_some_and(|extension| extension == "rs")
            || path.join("main.rs").is_file();
        if let Some(stem) = path.file_stem().filter(|_| is_benchmark) {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}
