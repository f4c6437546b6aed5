//! The kernel's user-space headers that the tables come from.
//!
//! They are taken from the crate `linux-raw-sys`, which is bindgen's output for every architecture:
//! crates can be pinned by checksum and fetched by cargo, kernel tarballs cannot.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::workspace;

/// The crate; its version is pinned in xtask's manifest, its checksum in Cargo.lock.
const CRATE: &str = "linux-raw-sys";

/// The pinned headers.
pub struct Headers {
    directory: PathBuf,
    version: String,
}

/// The constants of one architecture, in the order of the headers.
pub struct Constants(Vec<(String, u64)>);

impl Headers {
    /// Asks cargo where the crate is; cargo fetches it if need be.
    pub fn pinned() -> Result<Headers> {
        let mut cargo = workspace::cargo();
        cargo.args(["metadata", "--locked", "--format-version", "1"]);
        // Without this, cargo also fetches the crates that only other systems need.
        cargo.arg("--filter-platform");
        cargo.arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH));
        let metadata: Value = serde_json::from_str(&workspace::output(&mut cargo)?)
            .context("cannot read cargo's metadata")?;
        Headers::find(&metadata).with_context(|| format!("{CRATE} is not in cargo's metadata"))
    }

    fn find(metadata: &Value) -> Option<Headers> {
        let packages = metadata["packages"].as_array()?;
        // Other crates may depend on another version of it.
        let pinned = packages.iter().find(|package| package["name"] == "xtask")?["dependencies"]
            .as_array()?
            .iter()
            .find(|dependency| dependency["name"] == CRATE)?["req"]
            .as_str()?
            .strip_prefix('=')?;
        let package = packages
            .iter()
            .find(|package| package["name"] == CRATE && package["version"] == pinned)?;
        let manifest = Path::new(package["manifest_path"].as_str()?);
        Some(Headers {
            directory: manifest.parent()?.join("src"),
            version: pinned.to_owned(),
        })
    }

    /// What a generated file says of its source.
    pub fn source(&self, constants: &Constants) -> Result<String> {
        let part = |name| {
            constants
                .get(name)
                .with_context(|| format!("{CRATE} does not define {name}"))
        };
        Ok(format!(
            "Linux {}.{}'s user-space headers, by way of the crate {CRATE} {}",
            part("LINUX_VERSION_MAJOR")?,
            part("LINUX_VERSION_PATCHLEVEL")?,
            self.version
        ))
    }

    /// All integer constants of one module of the crate, for example `general`.
    pub fn constants(&self, arch: &str, module: &str) -> Result<Constants> {
        let constants = Constants::parse(&self.text(arch, module)?);
        if constants.0.is_empty() {
            bail!("the module {module} of {CRATE} holds no constants for {arch}");
        }
        Ok(constants)
    }

    /// One module of the crate, as it is written.
    pub fn text(&self, arch: &str, module: &str) -> Result<String> {
        let path = self.directory.join(arch).join(module).with_extension("rs");
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

impl Constants {
    pub fn parse(text: &str) -> Constants {
        let parse = |line: &str| {
            let line = line.trim();
            let (name, value) = match line.strip_prefix("pub const ") {
                Some(constant) => {
                    let (name, rest) = constant.split_once(": ")?;
                    (name, rest.strip_suffix(';')?.split_once(" = ")?.1)
                }
                // A member of an enumeration.
                None => line.strip_suffix(',')?.split_once(" = ")?,
            };
            Some((name.to_owned(), value.parse().ok()?))
        };
        Constants(text.lines().filter_map(parse).collect())
    }

    pub fn get(&self, name: &str) -> Option<u64> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(*value)
    }

    /// The constants whose names start so, without that start.
    pub fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, u64)> {
        self.0
            .iter()
            .filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, *value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_read_and_the_rest_is_left() {
        let constants = Constants::parse(
            "pub type __u8 = crate::ctypes::c_uchar;\n\
             pub const __NR_read: u32 = 0;\n\
             pub const NAME: &[u8; 4] = b\"abc\\0\";\n    pub const __NR_write: u32 = 1;\n\
             pub enum e {\nMEMBER = 7,\n}\n",
        );
        let syscalls: Vec<_> = constants.with_prefix("__NR_").collect();
        assert_eq!(syscalls, [("read", 0), ("write", 1)]);
        assert_eq!(constants.get("NAME"), None);
        assert_eq!(constants.get("MEMBER"), Some(7));
    }

    #[test]
    fn the_pinned_version_is_chosen_among_several() {
        let metadata = serde_json::json!({ "packages": [
            { "name": "linux-raw-sys", "version": "0.11.0", "manifest_path": "/a/Cargo.toml" },
            { "name": "linux-raw-sys", "version": "0.12.1", "manifest_path": "/b/Cargo.toml" },
            { "name": "xtask", "dependencies": [{ "name": "linux-raw-sys", "req": "=0.12.1" }] },
        ]});
        let headers = Headers::find(&metadata).expect("it is there");
        assert_eq!(headers.directory, Path::new("/b/src"));
        assert_eq!(headers.version, "0.12.1");
    }
}
