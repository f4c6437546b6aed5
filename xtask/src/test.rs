//! `cargo xtask test`: every test, lowest rung first, and a summary that hides no skip.

mod report;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};

use crate::kernel;
use crate::setup::{self, Consent, Purpose};
use crate::workspace::{self, step};
use report::{Report, Rung};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    consent: Consent,
    /// Test optimised binaries
    #[arg(long)]
    release: bool,
    /// Instead, run the smoke suite on another kernel of Debian's, in QEMU; may be repeated
    /// (docs/kernels.md)
    #[arg(long, value_name = "VERSION", value_delimiter = ',')]
    kernel: Vec<String>,
    /// For the test programs, for example a part of the names of the tests to run
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Everything but the in-kernel programs, which are not for this machine's target. The same
/// selection in every command, because another would mean other features, and compiling again.
const SELECTION: [&str; 4] = ["--locked", "--workspace", "--exclude", "loupe-ebpf"];

/// All binaries by name: `--bins` would also run the ground-truth programs as if they were tests.
const UNITS: &[&str] = &[
    "--lib", "--bin", "loupe", "--bin", "louped", "--bin", "xtask",
];

/// The rungs: what they are called, the targets that they run, and whether they need root.
const RUNGS: [(&str, &[&str], bool); 3] = [
    ("unit tests", UNITS, false),
    ("documentation tests", &["--doc"], false),
    ("end-to-end tests", &["--test", "*"], true),
];

/// A test that cannot run appends a line here, since the harness shows nothing of it.
const SKIPS: &str = "LOUPE_TEST_SKIPS";

pub fn run(arguments: &Arguments) -> Result<()> {
    let purposes: &[Purpose] = match arguments.kernel.is_empty() {
        true => &[
            Purpose::Build,
            Purpose::Demo,
            Purpose::Test,
            Purpose::Package,
        ],
        false => &[Purpose::Build, Purpose::Kernels],
    };
    setup::ensure(purposes, &arguments.consent)?;
    step("Building everything that is tested (minutes the first time)");
    workspace::run(cargo("build", arguments).arg("--all-targets"))?;

    let target = workspace::target_directory()?;
    let binaries = target.join(if arguments.release {
        "release"
    } else {
        "debug"
    });
    if !arguments.kernel.is_empty() {
        return kernel::run(&arguments.kernel, &binaries);
    }
    let skips = target.join("skipped-tests");
    match fs::remove_file(&skips) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", skips.display()));
        }
        _ => {}
    }

    let mut report = Report::default();
    for (name, targets, needs_root) in RUNGS {
        step(&format!("Running the {name}"));
        let mut command = cargo("test", arguments);
        command
            .arg("--no-fail-fast")
            .args(targets)
            .env("LOUPE_BIN", binaries.join("loupe"))
            .env("LOUPED_BIN", binaries.join("louped"))
            .env(SKIPS, &skips)
            .arg("--")
            .args(&arguments.arguments);
        if needs_root && !workspace::is_root() {
            run_tests_by_sudo(&mut command)?;
        }
        report.rungs.push(run_rung(name, &mut command)?);
    }
    report.skips = read_skips(&skips)?;
    report.print();
    report.judge(workspace::in_ci())
}

fn cargo(verb: &str, arguments: &Arguments) -> Command {
    let mut cargo = workspace::cargo();
    cargo.arg(verb).args(SELECTION);
    if arguments.release {
        cargo.arg("--release");
    }
    cargo
}

/// Has cargo start each test program through sudo; the build stays the user's.
fn run_tests_by_sudo(command: &mut Command) -> Result<()> {
    if !workspace::has_program("sudo") {
        bail!("the end-to-end tests need root, and there is no sudo: run this as root");
    }
    let variable = format!(
        "CARGO_TARGET_{}_UNKNOWN_LINUX_GNU_RUNNER",
        env::consts::ARCH.to_uppercase()
    );
    command.env(
        variable,
        format!("sudo --preserve-env=LOUPE_BIN,LOUPED_BIN,CI,RUST_BACKTRACE,{SKIPS}"),
    );
    Ok(())
}

/// Runs one `cargo test`, shows its output as it comes, and counts.
fn run_rung(name: &'static str, command: &mut Command) -> Result<Rung> {
    let start = Instant::now();
    eprintln!("    $ {}", workspace::shown(command));
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut rung = Rung::new(name);
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read cargo's output")?;
        let mut out = std::io::stdout().lock();
        out.write_all(&line)
            .and_then(|()| out.write_all(b"\n"))
            .context("cannot show the tests' output")?;
        rung.count(&String::from_utf8_lossy(&line));
    }
    let status = child.wait().context("cannot wait for cargo")?;
    rung.finish(status.success(), start.elapsed());
    Ok(rung)
}

fn read_skips(path: &Path) -> Result<Vec<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
