//! The licence texts of what is linked into the binaries, as their licences ask of those who give
//! binaries away. Knows which crates these are and where their texts lie; which licences may come
//! in at all is for `deny.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::stage;
use crate::workspace;

/// How the names of files that hold terms begin, in capitals.
const BEGINNINGS: [&str; 6] = [
    "COPYING",
    "COPYRIGHT",
    "LICENCE",
    "LICENSE",
    "NOTICE",
    "UNLICENSE",
];

/// What is linked: a crate, or Rust's own library.
struct Part {
    /// `serde 1.0.228`
    name: String,
    /// As its manifest says it: `MIT OR Apache-2.0`.
    terms: String,
    texts: Vec<String>,
}

/// One document with all parts and all texts.
pub fn document() -> Result<String> {
    let mut parts = crates()?;
    parts.push(standard_library()?);
    Ok(format(&parts))
}

/// The crates of other people that are in the binaries or in the in-kernel programs.
fn crates() -> Result<Vec<Part>> {
    let verbose = workspace::output(Command::new("rustc").arg("-vV"))?;
    let host = verbose.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not name its host")?;
    let metadata = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--filter-platform",
        host,
    ])?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).context("cargo metadata does not print JSON")?;
    let packages = metadata["packages"].as_array();
    let packages = packages.context("cargo metadata names no packages")?;
    let mut directories = BTreeMap::new();
    for package in packages {
        let text = |key: &str| package[key].as_str().map(str::to_owned);
        let (Some(name), Some(version), Some(manifest)) =
            (text("name"), text("version"), text("manifest_path"))
        else {
            bail!("cargo metadata has a package without a name, a version or a manifest");
        };
        // Those of this workspace have no source. Their terms are in the file `copyright`.
        if package["source"].is_string() {
            directories.insert(format!("{name} {version}"), PathBuf::from(manifest));
        }
    }
    let mut linked = vec!["tree", "--edges", "normal", "--prefix", "none"];
    linked.extend(["--package", "loupe-daemon", "--package", "loupe-ebpf"]);
    linked.extend(["--format", "{p}|{l}"]);
    let linked = cargo(&linked)?;
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    for line in linked.lines().filter(|line| !line.is_empty()) {
        let (package, terms) = line.split_once('|').context("cargo tree: no terms")?;
        let mut words = package.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else {
            bail!("cargo tree: no name and version in {line:?}");
        };
        let name = format!("{name} {}", version.trim_start_matches('v'));
        // What only runs in the compiler is in no binary; nor are there terms of our own here.
        let in_compiler = package.ends_with("(proc-macro)");
        let Some(manifest) = directories.get(&name).filter(|_| !in_compiler) else {
            continue;
        };
        let directory = manifest.parent().context("a manifest is in a directory")?;
        let part = Part {
            name: name.clone(),
            terms: terms.trim_end_matches(" (*)").to_owned(),
            texts: texts(directory)?,
        };
        parts.insert(name, part);
    }
    Ok(parts.into_values().collect())
}

/// Rust's own library, which is in each binary.
fn standard_library() -> Result<Part> {
    let sysroot = workspace::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let documents = Path::new(sysroot.trim()).join("share/doc/rust");
    let texts = match documents.is_dir() {
        true => texts(&documents)?,
        // Debian's compiler has its documents elsewhere.
        false => Vec::new(),
    };
    Ok(Part {
        name: "the Rust standard library".to_owned(),
        terms: "MIT OR Apache-2.0".to_owned(),
        texts,
    })
}

fn cargo(arguments: &[&str]) -> Result<String> {
    let mut cargo = workspace::cargo();
    cargo.args(arguments).args(["--locked", "--offline"]);
    workspace::output(&mut cargo)
}

fn texts(directory: &Path) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for file in stage::files(directory)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_uppercase();
        if BEGINNINGS.iter().any(|begin| name.starts_with(begin)) {
            let text = fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            all.push(text.trim().replace("\r\n", "\n"));
        }
    }
    Ok(all)
}

/// First what there is, then each text once, with those that it belongs to.
fn format(parts: &[Part]) -> String {
    let mut document = String::from(
        "Linked into loupe, louped and the in-kernel programs inside of them.\n\
         First all parts with their terms, then each text with the parts that come with it.\n\n",
    );
    let mut by_text: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for part in parts {
        let note = if part.texts.is_empty() {
            " (no text comes with it)"
        } else {
            ""
        };
        // Writing to a String cannot fail.
        let _ = writeln!(document, "{}: {}{note}", part.name, part.terms);
        for text in &part.texts {
            by_text.entry(text).or_default().push(&part.name);
        }
    }
    for (text, names) in by_text {
        let line = "-".repeat(79);
        let _ = write!(document, "\n{line}\n{}\n\n{text}\n", names.join(", "));
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, texts: &[&str]) -> Part {
        Part {
            name: name.to_owned(),
            terms: "MIT".to_owned(),
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    #[test]
    fn each_text_stands_once_with_all_that_it_belongs_to() {
        let parts = [
            part("one 1.0.0", &["Take it."]),
            part("two 2.0.0", &["Take it.", "By Ann."]),
            part("three 3.0.0", &[]),
        ];
        let document = format(&parts);
        assert_eq!(document.matches("Take it.").count(), 1, "{document}");
        assert!(document.contains("one 1.0.0, two 2.0.0\n\nTake it."));
        assert!(document.contains("two 2.0.0\n\nBy Ann."));
        assert!(document.contains("three 3.0.0: MIT (no text comes with it)"));
    }
}
