//! The linker of the in-kernel programs, which no distribution has: made by `cargo install` against
//! Debian's LLVM of the version that the compiler of those programs has.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt::{self, Package};
use crate::toolchain::{self, Missing, Toolchain};
use crate::workspace::{self, step};

/// The version of bpf-linker that the in-kernel programs are tested with.
const VERSION: &str = "0.13.0";

/// The LLVM versions that this bpf-linker can be built against.
const SUPPORTED: std::ops::RangeInclusive<u32> = 21..=23;

/// The newest LLVM in Debian 12, which is also that of its `rustc-web`.
pub const DEBIAN_LLVM: u32 = 22;

/// Whether there is no linker, or only one that cannot read what the compiler makes.
pub fn is_missing() -> bool {
    match toolchain::find(workspace::bpf_target()) {
        Ok(_) => false,
        Err(Missing::Linker | Missing::LinkerTooOld { .. }) => true,
        // Whichever toolchain gets installed, a linker that is there may do.
        Err(Missing::Toolchain) => toolchain::linker()
            .is_none_or(|linker| linker.llvm.is_some_and(|llvm| llvm < DEBIAN_LLVM)),
    }
}

pub fn describe() -> String {
    format!("bpf-linker {VERSION}, compiled by cargo install (about a minute)")
}

/// The LLVM version to build against, as far as it can be told before the compiler is installed.
pub fn expected_llvm() -> u32 {
    usable_toolchain().map_or(DEBIAN_LLVM, |found| found.llvm.max(DEBIAN_LLVM))
}

fn usable_toolchain() -> Option<Toolchain> {
    toolchain::toolchains(workspace::bpf_target())
        .into_iter()
        .find(|found| SUPPORTED.contains(&found.llvm))
}

/// The packages to build it.
pub fn packages(llvm: u32) -> Vec<Package> {
    vec![
        Package::library(format!("llvm-{llvm}-dev")),
        Package::library(format!("libpolly-{llvm}-dev")),
        Package::library("libzstd-dev"),
        Package::library("zlib1g-dev"),
    ]
}

/// Builds and installs it where cargo installs programs.
pub fn install() -> Result<()> {
    let Some(toolchain) = usable_toolchain() else {
        bail!(
            "no Rust toolchain here has both a BPF target and an LLVM that bpf-linker {VERSION} \
             supports ({} to {})",
            SUPPORTED.start(),
            SUPPORTED.end()
        );
    };
    // The compiler's version is known for sure only now, after it was installed.
    let llvm = toolchain.llvm.max(DEBIAN_LLVM);
    let missing: Vec<_> = packages(llvm)
        .into_iter()
        .filter(Package::is_missing)
        .collect();
    apt::install(&missing)?;

    step("Set-up: compiling bpf-linker (about a minute)");
    let mut cargo: Command = workspace::cargo();
    cargo
        .current_dir("/")
        .env("LLVM_PREFIX", format!("/usr/lib/llvm-{llvm}"))
        // Its build directory is a temporary one, not this workspace's.
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_BUILD_TARGET_DIR")
        .args(["install", "bpf-linker", "--version", VERSION, "--locked"])
        .args(["--quiet", "--force", "--no-default-features", "--features"])
        .arg(format!("llvm-{llvm}"));
    workspace::run(&mut cargo).context("cannot install bpf-linker")
}
