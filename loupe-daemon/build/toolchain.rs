//! Which Rust toolchain and linker can build the in-kernel programs on this machine.
//!
//! Shared by `loupe-daemon`'s build script, which uses what is found here, and by `xtask`, which
//! installs what is missing (both include this file by path, so that the two cannot disagree).
//! Looks only; installs and builds nothing. Standard library only, as a build script waits for it.

use std::cmp::Reverse;
use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The triple that in-kernel programs are compiled for.
pub fn target_triple(big_endian: bool) -> &'static str {
    if big_endian {
        "bpfeb-unknown-none"
    } else {
        "bpfel-unknown-none"
    }
}

/// A cargo and a rustc of one kind that can compile for the BPF target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    pub cargo: PathBuf,
    pub rustc: PathBuf,
    pub core: Core,
    /// Major version of the LLVM in `rustc`; the linker's must not be older.
    pub llvm: u32,
}

/// Where the `core` library for the BPF target comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// Compiled already (Debian's `libstd-rust-web-dev-bpf`, Fedora's `rust-std-static-bpfel-…`).
    Prebuilt,
    /// Compiled from `rust-src` by a nightly cargo's `-Z build-std`.
    FromSource,
}

/// The linker of the BPF target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linker {
    pub path: PathBuf,
    /// Major version of the LLVM library that it loads; `None` when it cannot be told.
    pub llvm: Option<u32>,
}

/// What the machine lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    Toolchain,
    Linker,
    /// All toolchains emit bitcode that is newer than what the linker reads.
    LinkerTooOld {
        linker: u32,
        rustc: u32,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Toolchain => f.write_str("no Rust toolchain here has a BPF target"),
            Missing::Linker => f.write_str("bpf-linker is not installed"),
            Missing::LinkerTooOld { linker, rustc } => write!(
                f,
                "bpf-linker is built for LLVM {linker}, older than rustc's LLVM {rustc}"
            ),
        }
    }
}

/// The toolchain and linker to use: one that fits the linker, the prebuilt `core` first.
pub fn find(target: &str) -> Result<(Toolchain, Linker), Missing> {
    let candidates = toolchains(target);
    let Some(first) = candidates.first() else {
        return Err(Missing::Toolchain);
    };
    let linker = linker().ok_or(Missing::Linker)?;
    let newest = linker.llvm.unwrap_or(u32::MAX);
    match candidates.iter().find(|toolchain| toolchain.llvm <= newest) {
        Some(toolchain) => Ok((toolchain.clone(), linker)),
        None => Err(Missing::LinkerTooOld {
            linker: newest,
            rustc: first.llvm,
        }),
    }
}

/// Every toolchain that can compile for `target`, best first.
pub fn toolchains(target: &str) -> Vec<Toolchain> {
    let mut found = Vec::new();
    found.extend(prebuilt(target));
    found.extend(nightlies());
    found
}

/// A distribution's own Rust, if it comes with `core` for the target.
fn prebuilt(target: &str) -> Option<Toolchain> {
    let rustc = PathBuf::from("/usr/bin/rustc");
    let directory = output_of(
        Command::new(&rustc)
            .args(["--print", "target-libdir", "--target", target])
            .env_remove("RUSTUP_TOOLCHAIN"),
    )?;
    let has_core = fs::read_dir(directory.trim()).ok()?.flatten().any(|entry| {
        let name = entry.file_name();
        name.as_encoded_bytes().starts_with(b"libcore-") && has_extension(&name, "rlib")
    });
    let cargo = PathBuf::from("/usr/bin/cargo");
    if !has_core || !cargo.exists() {
        return None;
    }
    Some(Toolchain {
        llvm: llvm_of(&rustc)?,
        cargo,
        rustc,
        core: Core::Prebuilt,
    })
}

/// rustup's nightlies that have the component `rust-src`; the plain `nightly` first, then dated
/// ones from the newest. Found by their directories, because asking rustup may download.
fn nightlies() -> Vec<Toolchain> {
    let Some(directory) = rustup_home().map(|home| home.join("toolchains")) else {
        return Vec::new();
    };
    let mut names: Vec<_> = fs::read_dir(&directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("nightly-"))
        .collect();
    // A dated name goes on with a digit where the plain one names the host.
    names.sort_by_key(|name| {
        let dated = name["nightly-".len()..].starts_with(|c: char| c.is_ascii_digit());
        (dated, Reverse(name.clone()))
    });
    names
        .iter()
        .map(|name| directory.join(name))
        .filter(|root| {
            root.join("lib/rustlib/src/rust/library/core/Cargo.toml")
                .exists()
        })
        .filter_map(|root| {
            let rustc = root.join("bin/rustc");
            Some(Toolchain {
                llvm: llvm_of(&rustc)?,
                cargo: root.join("bin/cargo"),
                rustc,
                core: Core::FromSource,
            })
        })
        .collect()
}

/// `bpf-linker` from the `PATH` or from where `cargo install` puts it.
pub fn linker() -> Option<Linker> {
    let directories = env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect::<Vec<_>>())
        .unwrap_or_default();
    let path = directories
        .into_iter()
        .chain(cargo_home().map(|home| home.join("bin")))
        .map(|directory| directory.join("bpf-linker"))
        .find(|path| path.is_file())?;
    let llvm = fs::read(&path).ok().as_deref().and_then(linked_llvm);
    Some(Linker { path, llvm })
}

/// The major version in the name of the LLVM library that an ELF file asks for.
fn linked_llvm(elf: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"libLLVM.so.";
    let at = elf.windows(NAME.len()).position(|window| window == NAME)?;
    leading_number(&elf[at + NAME.len()..])
}

fn llvm_of(rustc: &Path) -> Option<u32> {
    let text = output_of(
        Command::new(rustc)
            .arg("-vV")
            .env_remove("RUSTUP_TOOLCHAIN"),
    )?;
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    leading_number(version.as_bytes())
}

fn leading_number(text: &[u8]) -> Option<u32> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

fn output_of(command: &mut Command) -> Option<String> {
    // The directory of the toolchain that runs the build script does not concern this one.
    let output = command.env_remove("LD_LIBRARY_PATH").output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).ok())
        .flatten()
}

fn has_extension(name: &OsStr, extension: &str) -> bool {
    Path::new(name).extension() == Some(OsStr::new(extension))
}

pub fn cargo_home() -> Option<PathBuf> {
    home("CARGO_HOME", ".cargo")
}

pub fn rustup_home() -> Option<PathBuf> {
    home("RUSTUP_HOME", ".rustup")
}

fn home(variable: &str, default: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(default)))
}

// Run as part of `xtask`'s tests: a build script has none.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linkers_llvm_is_read_from_the_library_it_asks_for() {
        assert_eq!(linked_llvm(b"\0libc.so.6\0libLLVM.so.22.1\0"), Some(22));
        assert_eq!(linked_llvm(b"\0libc.so.6\0"), None);
        assert_eq!(linked_llvm(b"\0libLLVM.so.\0"), None);
    }

    #[test]
    fn a_version_is_its_leading_number() {
        assert_eq!(leading_number(b"22.1.8"), Some(22));
        assert_eq!(leading_number(b"rust-1"), None);
        assert_eq!(leading_number(b""), None);
    }
}
