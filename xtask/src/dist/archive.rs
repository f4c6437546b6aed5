//! The stage as a package and as a tarball. The same stage makes the same bytes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Release;
use super::stage;
use crate::workspace;

/// A package of Debian's.
pub fn package(stage: &Path, output: &Path, release: &Release) -> Result<PathBuf> {
    let name = format!("loupe_{}_{}.deb", release.version, release.architecture);
    let path = output.join(name);
    let mut command = Command::new("dpkg-deb");
    command
        .args(["--build", "--root-owner-group"])
        .args(match release.quick {
            true => ["-Zgzip", "-z1"],
            // What every release of Debian's can read.
            false => ["-Zxz", "-z6"],
        })
        .arg(stage)
        .arg(&path)
        .env("SOURCE_DATE_EPOCH", release.seconds.to_string());
    // It clamps times to this one, so younger files have it and older ones would keep theirs.
    touch(stage, release)?;
    workspace::output(&mut command)?;
    Ok(path)
}

/// The same files, to be unpacked at the root of a host, or anywhere to look at them.
pub fn tarball(stage: &Path, output: &Path, release: &Release) -> Result<PathBuf> {
    let top = format!("loupe-{}", release.version);
    let path = output.join(format!("{top}-{}-linux.tar.gz", std::env::consts::ARCH));
    let tar = output.join(format!("{top}.tar"));
    let mut command = Command::new("tar");
    command
        .args([
            "--create",
            "--format=ustar",
            "--sort=name",
            "--numeric-owner",
        ])
        .args(["--owner=0", "--group=0", "--mode=u+rw,go+rX,go-w"])
        .arg(format!("--mtime=@{}", release.seconds))
        .arg(format!("--transform=s,^\\.,{top},"))
        .arg("--directory")
        .arg(stage)
        .arg("--file")
        .arg(&tar)
        .arg(".");
    workspace::output(&mut command)?;
    let level = if release.quick { "-1" } else { "-9" };
    let mut gzip = Command::new("gzip");
    gzip.args(["--no-name", "--force", level]).arg(&tar);
    workspace::output(&mut gzip)?;
    let packed = tar.with_extension("tar.gz");
    std::fs::rename(&packed, &path)
        .with_context(|| format!("cannot rename {}", packed.display()))?;
    Ok(path)
}

/// `SHA256SUMS`, as `sha256sum --check` reads it.
pub fn checksums(output: &Path, made: &[PathBuf]) -> Result<()> {
    let mut command = Command::new("sha256sum");
    command.current_dir(output);
    for path in made {
        command.arg(path.file_name().context("it has a name")?);
    }
    let text = workspace::output(&mut command)?;
    stage::write(&output.join("SHA256SUMS"), &text)
}

fn touch(stage: &Path, release: &Release) -> Result<()> {
    let mut find = Command::new("find");
    find.arg(stage)
        .args(["-exec", "touch", "--no-dereference", "--date"]);
    find.arg(format!("@{}", release.seconds)).args(["{}", "+"]);
    workspace::output(&mut find).map(drop)
}
