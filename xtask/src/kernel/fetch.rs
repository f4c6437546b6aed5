//! Debian's kernel packages: fetched once, kept in the target directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace::step;

/// The suites that have a kernel of their own; newer ones come and go in the backports.
const SUITES: [(&str, &str); 3] = [
    ("5.10", "bullseye"),
    ("6.1", "bookworm"),
    ("6.12", "trixie"),
];
const BACKPORTS: &str = "trixie-backports";

/// See the file.
const SCRIPT: &str = include_str!("fetch.sh");

/// A kernel that can be booted.
#[derive(Clone, Debug)]
pub struct Kernel {
    pub image: PathBuf,
    /// The module of the overlay file system, which Debian builds apart.
    pub overlay: PathBuf,
    /// `6.1.0-50-cloud-amd64`.
    pub release: String,
}

/// The kernel of this version, which is `6.1`, for example; from Debian's mirror the first time.
pub fn kernel(version: &str, target: &Path) -> Result<Kernel> {
    parse(version)?;
    let place = target.join("kernels").join(version);
    if !place.join("release").is_file() {
        fetch(version, &place)?;
    }
    let release = fs::read_to_string(place.join("release"))
        .with_context(|| format!("cannot read what is in {}", place.display()))?;
    Ok(Kernel {
        image: place.join("vmlinuz"),
        overlay: place.join("overlay.ko"),
        release: release.trim().to_owned(),
    })
}

/// Major and minor number. Nothing else may reach the script or a path.
pub fn parse(version: &str) -> Result<(u32, u32)> {
    version
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
        .with_context(|| format!("`{version}` is not a kernel's version, such as 6.1"))
}

fn suite(version: &str) -> &'static str {
    let own = SUITES.iter().find(|(of, _)| *of == version);
    own.map_or(BACKPORTS, |(_, suite)| suite)
}

fn fetch(version: &str, place: &Path) -> Result<()> {
    let suite = suite(version);
    step(&format!(
        "Fetching Debian's kernel {version} from {suite} (about 40 MB)"
    ));
    let parent = place.parent().context("a place below the target")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    // The script is too long to be shown as a command.
    let status = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "fetch.sh", suite, version])
        .arg(place)
        .status()
        .context("cannot run /bin/sh")?;
    if !status.success() {
        bail!(
            "could not fetch kernel {version} ({status}); apt-get's messages are above. Debian's \
             {suite} is asked for it; docs/kernels.md says which there are"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_two_numbers_and_nothing_else() {
        assert_eq!(parse("6.1").expect("a version"), (6, 1));
        for bad in ["6", "6.1.0", "6.x", "", "../6.1", "6.1 ", "-6.1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_in_no_suite_of_its_own_is_in_the_backports() {
        assert_eq!(suite("6.1"), "bookworm");
        assert_eq!(suite("7.3"), BACKPORTS);
    }
}
