//! Whether `unsafe` stands only where ARCHITECTURE.md says. The compiler refuses it wherever no
//! attribute lets it in; this looks for the attributes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::layers::rust_files;

/// The folder of the thin wrappers, in `loupe-daemon/src`.
const WRAPPERS: &str = "sys";
/// The other files: what aya wants to be promised, and tests that fork.
const OTHERS: [&str; 3] = [
    "tracer/maps.rs",
    "launcher/keyring.rs",
    "launcher/rights.rs",
];
/// What lets `unsafe` in, or (in lib.rs) forbids it.
const LINT: &str = "unsafe_code";

/// Checks the whole library.
pub fn check(root: &Path) -> Result<()> {
    let source = root.join("loupe-daemon/src");
    let lib = source.join("lib.rs");
    let text =
        fs::read_to_string(&lib).with_context(|| format!("cannot read {}", lib.display()))?;
    if !text.contains("#![deny(unsafe_code)]") {
        bail!("{} does not deny unsafe_code", lib.display());
    }
    let mut complaints = Vec::new();
    for file in rust_files(&source)? {
        let path = file.strip_prefix(&source).unwrap_or(&file);
        let code =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if code.contains(LINT) && !may_have_it(path) {
            complaints.push(format!("  {}", path.display()));
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    bail!(
        "these files let `unsafe` in; put the call into a file of `{WRAPPERS}`:\n{}",
        complaints.join("\n")
    )
}

fn may_have_it(path: &Path) -> bool {
    path.starts_with(WRAPPERS)
        || path == Path::new("lib.rs")
        || OTHERS.iter().any(|other| path == Path::new(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_let_into_the_wrappers_and_into_files_that_are_named() {
        for good in ["sys/process.rs", "tracer/maps.rs", "lib.rs"] {
            assert!(may_have_it(Path::new(good)), "{good}");
        }
        for bad in ["inject/sys.rs", "system.rs", "tracer.rs"] {
            assert!(!may_have_it(Path::new(bad)), "{bad}");
        }
    }
}
