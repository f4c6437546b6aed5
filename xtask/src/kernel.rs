//! `cargo xtask test --kernel 6.1`: the smoke suite on another kernel, in QEMU.
//!
//! The kernels are Debian's; the programs are this host's and this workspace's. The suite is a
//! shell script that runs inside ([`image`]), what it printed is judged here ([`log`]).

mod boot;
mod fetch;
mod image;
mod log;
mod profile;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::workspace::{self, step};

/// What is expected of a kernel, as the suite knows it.
const WORKS: &str = "works";
const REFUSES: &str = "refuses";

/// The oldest kernel on which Loupe works.
const OLDEST: (u32, u32) = (5, 15);

/// Runs the suite on each of these kernels. `binaries` holds the programs of this workspace.
pub fn run(versions: &[String], binaries: &Path) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("other kernels are tried on x86-64 only");
    }
    let target = workspace::target_directory()?;
    let directory = target.join("kernels").join("machine");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let kernels = versions.iter().map(|version| {
        let smoke = match fetch::parse(version)? >= OLDEST {
            true => WORKS,
            false => REFUSES,
        };
        Ok((smoke, fetch::kernel(version, &target)?))
    });
    let kernels = kernels.collect::<Result<Vec<_>>>()?;
    step("Analysing the suite's workloads on this host, to compare with");
    let host = Host::measure(binaries, &directory)?;
    let mut results = Vec::new();
    for (smoke, kernel) in &kernels {
        results.push(one(kernel, smoke, &host, binaries, &directory)?);
    }
    step("Other kernels");
    for (line, _) in &results {
        println!("    {line}");
    }
    let failed = results.iter().filter(|(_, passed)| !passed).count();
    if failed > 0 {
        bail!("{failed} of {} kernels failed", results.len());
    }
    Ok(())
}

/// Boots one kernel and judges; the line that closes it, and whether it passed.
fn one(
    kernel: &fetch::Kernel,
    smoke: &str,
    host: &Host,
    binaries: &Path,
    directory: &Path,
) -> Result<(String, bool)> {
    step(&format!("Linux {} in QEMU: {smoke}", kernel.release));
    let image = image::make(kernel, binaries, &host.profile, directory)?;
    let ended = boot::boot(kernel, &image, smoke, directory, |line| {
        if let Some(step) = log::step(line) {
            eprintln!("    {}", step.line);
        }
    })?;
    fs::remove_file(&image).with_context(|| format!("cannot remove {}", image.display()))?;
    let read = log::read(&ended.log);
    let mut faults = read.faults(smoke, &host.verdicts);
    if ended.too_long {
        faults.push("it took too long and was ended".to_owned());
    }
    let time = format!(
        "{} s, {} s of CPU",
        ended.took.as_secs(),
        ended.cpu.as_secs()
    );
    if faults.is_empty() {
        let outcome = match smoke {
            REFUSES => "refused in one sentence, as it should be".to_owned(),
            _ => format!("{} verdicts equal to this host's", host.verdicts.len()),
        };
        let line = format!(
            "Linux {}: passed, {} steps, {outcome} ({time})",
            kernel.release,
            read.steps.len()
        );
        return Ok((line, true));
    }
    println!("{}\n--- the kernel's console\n{}", ended.log, ended.console);
    for fault in &faults {
        println!("    {}: {fault}", kernel.release);
    }
    let line = format!(
        "Linux {}: FAILED, {} faults, shown above ({time})",
        kernel.release,
        faults.len()
    );
    Ok((line, false))
}

/// What this host measures, to compare with.
struct Host {
    verdicts: BTreeMap<String, String>,
    /// A seccomp profile of `clock.toml`.
    profile: String,
}

impl Host {
    fn measure(binaries: &Path, directory: &Path) -> Result<Host> {
        let loupe = |words: &[&str]| {
            let mut command = workspace::as_root(binaries.join("loupe"), &[])?;
            command
                .args(["--db", "host.db"])
                .args(words)
                .current_dir(directory);
            workspace::output(&mut command)
        };
        for (name, content) in image::WORKLOADS {
            let file = directory.join(name);
            fs::write(&file, content)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        let analysis = loupe(&["analyze", "--fresh", "--json", "small.toml"])?;
        let analysis = serde_json::from_str(&analysis).context("an analysis as JSON")?;
        loupe(&["analyze", "--fresh", "--json", "clock.toml"])?;
        Ok(Host {
            verdicts: log::verdicts(&analysis)?,
            profile: loupe(&["export", "seccomp", "clock"])?,
        })
    }
}
