//! What is wrong with a TOML file that somebody wrote, and where: the line, the place in it, and the key
//! that was probably meant.

use std::path::{Path, PathBuf};

use loupe_common::text::nearest;

/// The first thing that is wrong in a file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {what}", path.display())]
pub struct Wrong {
    path: PathBuf,
    line: usize,
    /// Both are counted from 1, this one in characters.
    column: usize,
    what: String,
    /// The line itself.
    text: String,
    /// How many characters of it are meant.
    length: usize,
}

impl Wrong {
    pub fn new(text: &str, path: &Path, error: &toml::de::Error) -> Wrong {
        let span = error.span().unwrap_or_default();
        let before = text.get(..span.start).unwrap_or(text);
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(begin..).unwrap_or_default();
        let line = line.lines().next().unwrap_or_default();
        let meant = text.get(span).unwrap_or_default();
        let meant = meant.lines().next().unwrap_or_default();
        Wrong {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: text
                .get(begin..before.len())
                .map_or(0, |it| it.chars().count())
                + 1,
            what: describe(error.message()),
            text: line.to_owned(),
            length: meant.chars().count().max(1),
        }
    }

    /// From 1.
    pub fn line(&self) -> usize {
        self.line
    }

    pub fn what(&self) -> &str {
        &self.what
    }

    /// The line with a mark below what is meant.
    pub fn picture(&self) -> String {
        let number = self.line.to_string();
        // Tabs stay, so that both lines are as wide.
        let before: String = self
            .text
            .chars()
            .take(self.column - 1)
            .map(|character| if character == '\t' { '\t' } else { ' ' })
            .collect();
        format!(
            "{number} | {}\n{} | {before}{}",
            self.text,
            " ".repeat(number.len()),
            "^".repeat(self.length)
        )
    }
}

/// The message of the parser, with a guess at what was meant.
fn describe(message: &str) -> String {
    let message = message.lines().collect::<Vec<_>>().join(", ");
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return message;
    };
    let mut quoted = rest.split('`').step_by(2);
    let misspelt = quoted.next().unwrap_or_default();
    let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
    match &*nearest(misspelt, known.iter().copied()) {
        [] => format!(
            "unknown key `{misspelt}`; possible are {}",
            known.join(", ")
        ),
        near => format!(
            "unknown key `{misspelt}` (did you mean {}?)",
            near.join(", ")
        ),
    }
}
