//! Which commit the sources are of. No commit is no error: an unpacked archive has none.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A commit, as `--version` and the package's version name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Abbreviated.
    pub hash: String,
    /// `2026-11-29`
    pub date: String,
    /// Since the epoch.
    pub seconds: u64,
}

/// The commit that is checked out at `root`, the top of a repository.
pub fn find(root: &Path) -> Option<Commit> {
    // The sources may lie in a repository of somebody else's.
    let top = PathBuf::from(git(root, &["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    let format = "--format=%h %cd %ct";
    let shown = git(root, &["log", "-1", "--date=short", "--abbrev=7", format])?;
    let mut words = shown.split(' ');
    Some(Commit {
        hash: words.next()?.to_owned(),
        date: words.next()?.to_owned(),
        seconds: words.next()?.parse().ok()?,
    })
}

/// What git prints, if it knows the answer.
pub fn git(root: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .current_dir(root)
        .args(words)
        .env("TZ", "UTC")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
