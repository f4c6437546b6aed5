//! The cargo command that compiles the in-kernel programs, for use inside another cargo.
//!
//! Shared by `loupe-daemon`'s build script and by `cargo xtask lint`. Runs nothing.

use std::env;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::toolchain::{Core, Linker, Toolchain};

const PACKAGE: &str = "loupe-ebpf";

/// The binaries that the package makes, and so the file names of the objects.
#[allow(
    dead_code,
    reason = "the build script copies them; lints only build them"
)]
pub const BINARIES: [&str; 2] = ["loupe", "loupe-profile"];

/// `cargo <verb>` for the in-kernel programs. The caller adds the working directory (the workspace)
/// and a target directory, which must not be one that an outer cargo has locked.
pub fn cargo(
    verb: &str,
    toolchain: &Toolchain,
    linker: &Linker,
    target: &str,
    user_arch: &str,
) -> Command {
    let mut cargo = Command::new(&toolchain.cargo);
    clean_environment(&mut cargo);
    // The type information (BTF) is made from the debug information.
    let flags = [
        format!("--cfg=bpf_target_arch=\"{user_arch}\""),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("-Clinker={}", linker.path.display()),
    ];
    cargo
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("RUSTC", &toolchain.rustc)
        // The BPF target is unstable, even where a stable compiler has its `core`.
        .env("RUSTC_BOOTSTRAP", "1")
        .args([verb, "--quiet", "--locked", "--release"])
        .args(["--package", PACKAGE, "--bins", "--target", target]);
    if toolchain.core == Core::FromSource {
        cargo.args(["-Z", "build-std=core"]);
    }
    cargo
}

/// A target directory of its own inside the one that holds `inside`, since the outer cargo has
/// locked that. One for all profiles and lints, as the object is the same for all; one for each work
/// tree that shares a target directory with others, as theirs are not.
pub fn target_directory(workspace: &Path, inside: &Path) -> PathBuf {
    // Cargo marks the root of the directory that it builds in.
    let marked = inside
        .ancestors()
        .find(|parent| parent.join("CACHEDIR.TAG").exists());
    let mut hasher = DefaultHasher::new();
    workspace.hash(&mut hasher);
    marked
        .unwrap_or(inside)
        .join("ebpf")
        .join(format!("{:016x}", hasher.finish()))
}

/// Takes away what the outer cargo, rustup and clippy say about *their* compiler and target; what
/// says how to reach crates (proxies, mirrors, offline) stays.
fn clean_environment(command: &mut Command) {
    const PREFIXES: [&str; 6] = ["CARGO", "RUST", "DEP_", "CLIPPY_", "MAKEFLAGS", "MFLAGS"];
    const KEPT: [&str; 6] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTRIES_",
        "CARGO_REGISTRY_",
        "RUSTUP_HOME",
    ];
    const NAMES: [&str; 8] = [
        "DEBUG",
        "HOST",
        // rustup's proxies point it at the libraries of the outer compiler.
        "LD_LIBRARY_PATH",
        "NUM_JOBS",
        "OPT_LEVEL",
        "OUT_DIR",
        "PROFILE",
        "TARGET",
    ];
    let starts = |name: &OsStr, prefixes: &[&str]| {
        prefixes
            .iter()
            .any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
    };
    for (name, _) in env::vars_os() {
        let foreign = starts(&name, &PREFIXES) && !starts(&name, &KEPT);
        if foreign || NAMES.iter().any(|listed| name == *listed) {
            command.env_remove(&name);
        }
    }
}
