//! `CHANGELOG.md` in the form in which Debian keeps what has changed. Pure, but for reading it.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result};

use super::Release;
use crate::workspace;

const NAME: &str = "CHANGELOG.md";

/// Columns of a line, as Debian's tools want it.
const WIDTH: usize = 80;

/// When it was last written, in seconds since the epoch.
pub fn written(root: &Path) -> Result<u64> {
    let path = root.join(NAME);
    let modified = path
        .metadata()
        .and_then(|metadata| metadata.modified())
        .with_context(|| format!("cannot look at {}", path.display()))?;
    let since = modified.duration_since(UNIX_EPOCH);
    Ok(since.context("it was written before 1970")?.as_secs())
}

/// The newest changes, as of this release.
pub fn debian(root: &Path, release: &Release) -> Result<String> {
    let path = root.join(NAME);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let date = workspace::output(
        std::process::Command::new("date")
            .args(["--utc", "--rfc-email", "--date"])
            .arg(format!("@{}", release.seconds))
            .env("LC_ALL", "C"),
    )?;
    Ok(entry(&text, &release.version, date.trim()))
}

fn entry(changes: &str, version: &str, date: &str) -> String {
    let newest = changes
        .lines()
        .skip_while(|line| !line.starts_with("## "))
        .skip(1)
        .take_while(|line| !line.starts_with("## "));
    let mut entry = format!("loupe ({version}) unstable; urgency=medium\n\n");
    let mut column = 0;
    for line in newest {
        let (text, begins) = match line.strip_prefix("- ") {
            Some(text) => (text, true),
            None => (line, false),
        };
        for (number, word) in text.split_whitespace().enumerate() {
            let length = word.chars().count();
            if begins && number == 0 {
                entry.push_str(if column > 0 { "\n  * " } else { "  * " });
                column = 4;
            } else if column + 1 + length > WIDTH {
                entry.push_str("\n    ");
                column = 4;
            } else {
                entry.push(' ');
                column += 1;
            }
            entry.push_str(word);
            column += length;
        }
    }
    if column > 0 {
        entry.push('\n');
    }
    entry.push_str(&format!(
        "\n -- Loupe's authors <loupe-os@users.noreply.github.com>  {date}\n"
    ));
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_changes_become_one_entry() {
        let changes =
            "# Changes\n\nHow.\n\n## Unreleased\n\n- One\n  of two.\n- Two.\n\n## 0.0\n\n- Old.\n";
        assert_eq!(
            entry(changes, "0.1.0", "Sun, 29 Nov 2026 02:00:00 +0000"),
            "loupe (0.1.0) unstable; urgency=medium\n\n  * One of two.\n  * Two.\n\n \
             -- Loupe's authors <loupe-os@users.noreply.github.com>  \
             Sun, 29 Nov 2026 02:00:00 +0000\n"
        );
    }

    #[test]
    fn no_line_is_longer_than_debian_wants() {
        let changes = format!("## Unreleased\n\n- {}\n", "four ".repeat(40));
        let entry = entry(&changes, "0.1.0", "now");
        assert_eq!(entry.matches("four").count(), 40);
        let begins = |line: &str| line.starts_with("    four") || line.starts_with("  * four");
        let lines: Vec<_> = entry.lines().filter(|line| line.contains("four")).collect();
        assert!(
            lines.iter().all(|line| line.len() <= WIDTH && begins(line)),
            "{entry}"
        );
        assert_eq!(lines.len(), 3);
    }
}
