//! Whether the documents hold together: every link of one leads to a file that is there, and to a heading
//! that the file has. Follows no link to the web.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Lines of the README: what a newcomer reads at once. The rest belongs into `docs`.
const README_MAX_LINES: usize = 150;

/// Checks all documents of the repository.
pub fn check(root: &Path) -> Result<()> {
    let mut complaints = Vec::new();
    for file in documents(root)? {
        let text = read(&file)?;
        let shown = file.strip_prefix(root).unwrap_or(&file).display();
        for link in links(&text) {
            if let Some(what) = broken(&file, &text, link)? {
                complaints.push(format!("  {shown}: {link}: {what}"));
            }
        }
    }
    let lines = read(&root.join("README.md"))?.lines().count();
    if lines > README_MAX_LINES {
        complaints.push(format!(
            "  README.md has {lines} lines, of {README_MAX_LINES}: move something to docs"
        ));
    }
    if complaints.is_empty() {
        return Ok(());
    }
    bail!("in the documents:\n{}", complaints.join("\n"))
}

/// At the top and in `docs`, by name.
fn documents(root: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for directory in [root.to_owned(), root.join("docs"), root.join("docs/design")] {
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let path = entry.context("an entry")?.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                all.push(path);
            }
        }
    }
    all.sort();
    Ok(all)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// What is wrong with a link of this file.
fn broken(file: &Path, text: &str, link: &str) -> Result<Option<&'static str>> {
    if link.contains("://") {
        return Ok(None);
    }
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => file.to_owned(),
        path => file.with_file_name(path),
    };
    if !target.exists() {
        return Ok(Some("there is no such file"));
    }
    if heading.is_empty() {
        return Ok(None);
    }
    let other = match path {
        "" => text.to_owned(),
        _ => read(&target)?,
    };
    let known = anchors(&other).contains(heading);
    Ok((!known).then_some("there is no such heading"))
}

/// Lines that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// Where the links of a text lead. A link may be broken over two lines in its words, not in its address.
fn links(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| {
        line.split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
    })
}

/// The addresses of a text's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = |char: &char| char.is_alphanumeric() || [' ', '-', '_'].contains(char);
            words.chars().filter(kept).collect::<String>()
        })
        .map(|words| words.replace(' ', "-"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A title\n## Why: `loupe explain`\n[a](b.md#c), [d](#a-title)\n\
        ```\n[no](code)\n# no heading\n```\n![p](p.png)\n";

    #[test]
    fn links_are_found_outside_of_code_and_headings_have_the_addresses_of_github() {
        let found: Vec<&str> = links(TEXT).collect();
        assert_eq!(found, ["b.md#c", "#a-title", "p.png"]);
        let anchors = anchors(TEXT);
        assert_eq!(
            anchors.iter().collect::<Vec<_>>(),
            ["a-title", "why-loupe-explain"]
        );
    }

    #[test]
    fn a_link_is_broken_where_the_file_or_the_heading_is_missing() {
        let file = crate::workspace::root().join("docs/glossary.md");
        let says = |link: &str| broken(&file, TEXT, link).expect("readable");
        assert_eq!(says("../README.md"), None);
        assert_eq!(says("../README.md#loupe"), None);
        assert_eq!(says("#why-loupe-explain"), None);
        assert_eq!(says("https://example.org/x"), None);
        assert_eq!(says("absent.md"), Some("there is no such file"));
        assert_eq!(says("../README.md#b"), Some("there is no such heading"));
        assert_eq!(says("#b"), Some("there is no such heading"));
    }

    #[test]
    fn the_documents_of_this_repository_hold_together() {
        check(crate::workspace::root()).expect("they do");
    }
}
