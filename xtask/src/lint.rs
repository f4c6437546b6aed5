//! `cargo xtask lint`: formatting and lints of everything, the tests and the in-kernel programs
//! included, of the order of the rooms, of where unsafe code stands, of the documents' links, and of
//! user space for aarch64.

mod layers;
mod links;
mod unsafe_files;

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::nested;
use crate::toolchain::{self, Core};
use crate::workspace::{self, step};

pub fn run() -> Result<()> {
    step("Checking the formatting");
    workspace::run(workspace::cargo().args(["fmt", "--all", "--check"]))?;

    step("Checking the order of the rooms");
    layers::check(workspace::root())?;

    step("Checking where unsafe code stands");
    unsafe_files::check(workspace::root())?;

    step("Checking the links of the documents");
    links::check(workspace::root())?;

    step("Linting");
    workspace::run(workspace::cargo().args([
        "clippy",
        "--locked",
        "--workspace",
        "--exclude",
        "loupe-ebpf",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))?;

    in_kernel_programs()?;
    aarch64()?;
    dependencies()
}

/// Whether user space compiles for aarch64, where it has never run. Optional, as it needs the
/// target's standard library: rustup has it, Debian's compiler has not.
fn aarch64() -> Result<()> {
    const TARGET: &str = "aarch64-unknown-linux-gnu";
    step("Checking that user space compiles for aarch64");
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]);
    let library = workspace::output(rustc.current_dir(workspace::root()))?;
    if !Path::new(library.trim()).is_dir() {
        eprintln!(
            "    SKIPPED: this Rust has no standard library for it; `rustup target add {TARGET}` \
             installs it"
        );
        return Ok(());
    }
    let mut cargo = workspace::cargo();
    cargo.args(["check", "--locked", "--target", TARGET]);
    for package in ["loupe-common", "loupe-daemon", "xtask"] {
        cargo.args(["--package", package]);
    }
    // SQLite is C. Nothing is linked here, so no compiler for it is needed.
    for tool in ["CC", "AR"] {
        cargo.env(format!("{tool}_aarch64_unknown_linux_gnu"), "true");
    }
    workspace::run(&mut cargo)
}

/// What deny.toml allows. The tool takes minutes to build, so set-up does not install it.
fn dependencies() -> Result<()> {
    step("Checking licences, bans and sources of the dependencies");
    if !workspace::has_program("cargo-deny") {
        eprintln!("    SKIPPED: cargo-deny is missing; `cargo install cargo-deny` installs it");
        return Ok(());
    }
    workspace::run(workspace::cargo().args([
        "deny",
        "--offline",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

/// Clippy for the BPF target: that of the toolchain that builds it, as another cannot.
fn in_kernel_programs() -> Result<()> {
    step("Linting the in-kernel programs");
    let target = workspace::bpf_target();
    let (toolchain, linker) = match toolchain::find(target) {
        Ok(found) => found,
        Err(missing) if workspace::in_ci() => bail!("{missing}"),
        Err(missing) => {
            eprintln!("    SKIPPED: {missing}; `cargo xtask setup` installs it");
            return Ok(());
        }
    };
    let clippy = toolchain.rustc.with_file_name("clippy-driver");
    if !clippy.exists() {
        let cure = match toolchain.core {
            Core::Prebuilt => "`cargo xtask setup` installs it",
            Core::FromSource => "add rustup's component clippy to that nightly",
        };
        if workspace::in_ci() {
            bail!("{} is missing; {cure}", clippy.display());
        }
        eprintln!("    SKIPPED: {} is missing; {cure}", clippy.display());
        return Ok(());
    }
    let mut cargo = nested::cargo("check", &toolchain, &linker, target, std::env::consts::ARCH);
    cargo
        .current_dir(workspace::root())
        // What `cargo clippy` does; calling it by name would find rustup's.
        .env("RUSTC_WORKSPACE_WRAPPER", clippy)
        .env(
            "CLIPPY_ARGS",
            "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
        )
        .arg("--target-dir")
        .arg(nested::target_directory(
            workspace::root(),
            &workspace::target_directory()?,
        ));
    workspace::run(&mut cargo)
}
