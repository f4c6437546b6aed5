//! What dpkg wants to know of a package: the files of `DEBIAN/`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Release;
use super::stage::{self, BINARIES};
use crate::workspace;

/// The libraries that the binaries are linked with, as packages.
pub fn depends(stage: &Path) -> Result<String> {
    // dpkg-shlibdeps wants to be in a source package.
    let source = stage.with_extension("source");
    stage::write(
        &source.join("debian/control"),
        "Source: loupe\n\nPackage: loupe\nArchitecture: any\n",
    )?;
    let mut command = Command::new("dpkg-shlibdeps");
    command.current_dir(&source).arg("-O");
    for name in ["loupe", "louped"] {
        let binary = fs::canonicalize(stage.join(BINARIES).join(name));
        command.arg(binary.context("a binary was staged")?);
    }
    let printed = workspace::output(&mut command);
    fs::remove_dir_all(&source).context("cannot remove the directory for dpkg-shlibdeps")?;
    let printed = printed?;
    let depends = printed.trim().strip_prefix("shlibs:Depends=");
    Ok(depends
        .context("dpkg-shlibdeps printed something else")?
        .to_owned())
}

pub fn write(stage: &Path, release: &Release, depends: &str) -> Result<()> {
    let packaging = workspace::root().join("packaging/debian");
    let control = stage.join("DEBIAN");
    let template = packaging.join("control.in");
    let template = fs::read_to_string(&template)
        .with_context(|| format!("cannot read {}", template.display()))?;
    let mut all = Vec::new();
    let bytes = list(stage, stage, &mut all)?;
    let text = template
        .replace("@VERSION@", &release.version)
        .replace("@ARCHITECTURE@", &release.architecture)
        .replace("@SIZE@", &bytes.div_ceil(1024).to_string())
        .replace("@DEPENDS@", depends);
    stage::write(&control.join("control"), &text)?;

    all.sort();
    let mut md5sum = Command::new("md5sum");
    md5sum.current_dir(stage).args(&all);
    stage::write(&control.join("md5sums"), &workspace::output(&mut md5sum)?)?;
    let kept: String = all
        .iter()
        .filter(|path| path.starts_with("etc/"))
        .map(|path| format!("/{path}\n"))
        .collect();
    if !kept.is_empty() {
        stage::write(&control.join("conffiles"), &kept)?;
    }
    for script in ["postinst", "prerm", "postrm"] {
        let from = packaging.join(script);
        let text =
            fs::read_to_string(&from).with_context(|| format!("cannot read {}", from.display()))?;
        stage::write(&control.join(script), &text)?;
        stage::set_mode(&control.join(script), 0o755)?;
    }
    Ok(())
}

/// All files below a directory, by their paths from the stage on, and how many bytes they have.
fn list(stage: &Path, directory: &Path, all: &mut Vec<String>) -> Result<u64> {
    let failed = || format!("cannot read {}", directory.display());
    let mut bytes = 0;
    for entry in fs::read_dir(directory).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if path.is_dir() {
            bytes += list(stage, &path, all)?;
        } else {
            bytes += path.metadata().with_context(failed)?.len();
            let path = path.strip_prefix(stage).context("it is in the stage")?;
            all.push(path.to_str().context("paths here are text")?.to_owned());
        }
    }
    Ok(bytes)
}
