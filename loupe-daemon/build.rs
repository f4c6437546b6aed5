//! Builds the in-kernel programs (`loupe-ebpf`) and tells the compiler where the objects are, by
//! `LOUPE_EBPF_OBJECT` and `LOUPE_PROFILE_EBPF_OBJECT`; the probe (`probe/`), by
//! `LOUPE_PROBE_PROGRAM`; and what `--version` prints, by `LOUPE_VERSION`.
//!
//! Where the machine cannot build them, the objects are empty files and a warning names the cure,
//! so that `cargo check` works anywhere. Where it can and the build fails, this build fails too.

#[path = "build/commit.rs"]
mod commit;
#[path = "build/nested.rs"]
mod nested;
#[path = "build/probe.rs"]
mod probe;
#[path = "build/toolchain.rs"]
mod toolchain;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::exit;

use toolchain::{Linker, Missing, Toolchain};

const SKIP: &str = "LOUPE_SKIP_EBPF";
/// By binary, in the order of [`nested::BINARIES`].
const VARIABLES: [&str; 2] = ["LOUPE_EBPF_OBJECT", "LOUPE_PROFILE_EBPF_OBJECT"];

type Objects = [PathBuf; nested::BINARIES.len()];

fn main() {
    let out = PathBuf::from(variable("OUT_DIR"));
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let workspace = package.parent().unwrap_or(&package);
    println!("cargo:rerun-if-env-changed={SKIP}");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");

    let target = toolchain::target_triple(variable("CARGO_CFG_TARGET_ENDIAN") == "big");
    let objects = if env::var_os(SKIP).is_some_and(|value| value == "1") {
        without_objects(&out, &format!("{SKIP}=1"))
    } else {
        match toolchain::find(target) {
            Ok((toolchain, linker)) => {
                watch_sources(workspace, &toolchain, &linker);
                match build(workspace, &out, target, &toolchain, &linker) {
                    Ok(objects) => objects,
                    Err(message) => {
                        eprintln!("{message}");
                        exit(1);
                    }
                }
            }
            Err(missing) => {
                watch_for_tools();
                without_objects(&out, &explain(&missing))
            }
        }
    };
    for (name, object) in VARIABLES.into_iter().zip(objects) {
        println!("cargo:rustc-env={name}={}", object.display());
    }
    println!(
        "cargo:rustc-env=LOUPE_PROBE_PROGRAM={}",
        probe_program(workspace, &out).display()
    );
    println!("cargo:rustc-env=LOUPE_VERSION={}", version(workspace));
}

/// The probe. It knows the calls of x86-64 only; elsewhere it is an empty file.
fn probe_program(workspace: &Path, out: &Path) -> PathBuf {
    for source in probe::SOURCES {
        println!(
            "cargo:rerun-if-changed={}",
            workspace.join(source).display()
        );
    }
    if variable("CARGO_CFG_TARGET_ARCH") != "x86_64" {
        let [none, _] = empty(out, "no-probe");
        return none;
    }
    match probe::build(&variable("RUSTC"), &variable("TARGET"), workspace, out) {
        Ok(program) => program,
        Err(message) => {
            eprintln!("{message}");
            exit(1);
        }
    }
}

/// `0.1.0 (abc1234 2026-11-29)`, and without a commit `0.1.0`.
fn version(workspace: &Path) -> String {
    watch_commit(workspace);
    let release = variable("CARGO_PKG_VERSION");
    match commit::find(workspace) {
        Some(found) => format!("{release} ({} {})", found.hash, found.date),
        None => release,
    }
}

/// What git changes when another commit is checked out. A branch of its own file that has been
/// packed has none, until its next commit.
fn watch_commit(workspace: &Path) {
    let branch = commit::git(workspace, &["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "packed-refs"].into_iter().chain(branch.as_deref()) {
        let path = commit::git(workspace, &["rev-parse", "--git-path", name]);
        let path = path.map(|path| workspace.join(path));
        if let Some(path) = path.filter(|path| path.exists()) {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
}

/// A variable that cargo sets for every build script.
fn variable(name: &str) -> String {
    match env::var(name) {
        Ok(value) => value,
        Err(error) => {
            eprintln!("{name}: {error}; run this build script by cargo");
            exit(1);
        }
    }
}

fn explain(missing: &Missing) -> String {
    format!("{missing}; `cargo xtask setup` installs what is needed")
}

/// Empty objects, so that whatever does not load them still compiles.
fn without_objects(out: &Path, reason: &str) -> Objects {
    println!(
        "cargo:warning=the in-kernel programs are left out, so tracing will not work: {reason}"
    );
    empty(out, "none.o")
}

/// An empty file, for each place that wants one.
fn empty(out: &Path, name: &str) -> Objects {
    let object = out.join(name);
    if let Err(error) = fs::write(&object, b"") {
        eprintln!("cannot write {}: {error}", object.display());
        exit(1);
    }
    [object.clone(), object]
}

/// Everything that the objects are made of or by.
fn watch_sources(workspace: &Path, toolchain: &Toolchain, linker: &Linker) {
    for path in [
        "Cargo.toml",
        "Cargo.lock",
        "loupe-ebpf/Cargo.toml",
        "loupe-ebpf/src",
        "loupe-common/Cargo.toml",
        "loupe-common/src",
    ] {
        println!("cargo:rerun-if-changed={}", workspace.join(path).display());
    }
    for path in [&toolchain.rustc, &linker.path] {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}

/// Places that change when the missing tools come. Not the tools themselves: a watched path that
/// does not exist would make cargo run this script, and compile the crate, every time.
fn watch_for_tools() {
    let places = [
        Some(PathBuf::from("/usr/bin")),
        Some(PathBuf::from("/usr/lib/rustlib")),
        toolchain::cargo_home().map(|home| home.join("bin")),
        toolchain::rustup_home().map(|home| home.join("update-hashes")),
    ];
    for place in places.into_iter().flatten().filter(|place| place.exists()) {
        println!("cargo:rerun-if-changed={}", place.display());
    }
}

fn build(
    workspace: &Path,
    out: &Path,
    target: &str,
    toolchain: &Toolchain,
    linker: &Linker,
) -> Result<Objects, String> {
    let target_directory = nested::target_directory(workspace, out);
    let mut cargo = nested::cargo(
        "build",
        toolchain,
        linker,
        target,
        &variable("CARGO_CFG_TARGET_ARCH"),
    );
    cargo
        .current_dir(workspace)
        .arg("--target-dir")
        .arg(&target_directory);
    let output = cargo
        .output()
        .map_err(|error| format!("cannot run {}: {error}", toolchain.cargo.display()))?;
    let messages = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!(
            "the in-kernel programs do not build by {} ({}):\n{messages}",
            toolchain.cargo.display(),
            output.status
        ));
    }
    for line in messages.lines() {
        println!("cargo:warning={line}");
    }
    let built = target_directory.join(target).join("release");
    let objects = nested::BINARIES.map(|name| out.join(format!("{name}.o")));
    for (name, object) in nested::BINARIES.into_iter().zip(&objects) {
        let from = built.join(name);
        fs::copy(&from, object).map_err(|error| {
            format!(
                "cannot copy {} to {}: {error}",
                from.display(),
                object.display()
            )
        })?;
    }
    Ok(objects)
}
