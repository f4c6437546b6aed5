//! The workload's own word on when its server is ready, for those who know better than what the
//! kernel shows. Reads and checks; looks at nothing.

use std::num::NonZeroU16;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::metric::{SIZE_LIMIT, reason};
use super::workload::CommandLine;

/// Of what was printed, so much is kept to be searched with what comes next.
const KEPT_BYTES: usize = 4096;

/// When a server is ready: when all of this is so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Given")]
pub struct Ready {
    /// TCP listens on it in the sandbox, or UDP is bound to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// Matches what the application has printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Expression>,
    /// Ends with exit status 0; is run in the sandbox, again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandLine>,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    port: Option<NonZeroU16>,
    output: Option<Expression>,
    command: Option<CommandLine>,
}

/// A word that says nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadReady {
    #[error("`ready` needs at least one of `port`, `output` and `command`")]
    Empty,
    #[error("`ready.command` is empty")]
    NoCommand,
    #[error("`ready.output` is not a regular expression: {0}")]
    Expression(String),
}

impl TryFrom<Given> for Ready {
    type Error = BadReady;

    fn try_from(given: Given) -> Result<Ready, BadReady> {
        let Given {
            port,
            output,
            command,
        } = given;
        if port.is_none() && output.is_none() && command.is_none() {
            return Err(BadReady::Empty);
        }
        let first = |command: &CommandLine| command.words().first().cloned();
        if command
            .as_ref()
            .is_some_and(|c| first(c).is_none_or(|word| word.is_empty()))
        {
            return Err(BadReady::NoCommand);
        }
        Ok(Ready {
            port,
            output,
            command,
        })
    }
}

/// A regular expression over bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression(Regex);

impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> String {
        expression.0.as_str().to_owned()
    }
}

impl TryFrom<String> for Expression {
    type Error = BadReady;

    fn try_from(expression: String) -> Result<Expression, BadReady> {
        let regex = RegexBuilder::new(&expression)
            .size_limit(SIZE_LIMIT)
            .multi_line(true)
            .build();
        let regex = regex.map_err(|error| BadReady::Expression(reason(&error)))?;
        Ok(Expression(regex))
    }
}

/// Looks for an expression in what comes in pieces.
pub struct Search {
    expression: Expression,
    kept: Vec<u8>,
    pub found: bool,
}

impl Search {
    pub fn new(expression: Expression) -> Search {
        Search {
            expression,
            kept: Vec::new(),
            found: false,
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        if self.found {
            return;
        }
        self.kept.extend(bytes);
        self.found = self.expression.0.is_match(&self.kept);
        let excess = self.kept.len().saturating_sub(KEPT_BYTES);
        self.kept.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(expression: &str) -> Search {
        let expression = Expression::try_from(expression.to_owned());
        Search::new(expression.expect("valid"))
    }

    #[test]
    fn what_comes_in_pieces_is_found() {
        let mut ready = search("^ready on port [0-9]+$");
        for piece in ["starting\nrea", "dy on po", "rt 80"] {
            assert!(!ready.found);
            ready.feed(piece.as_bytes());
        }
        assert!(ready.found);
        ready.feed(b"81 or so\n");
        assert!(ready.found);
    }

    #[test]
    fn what_is_no_text_is_searched_too() {
        let mut ready = search("up");
        ready.feed(&[0xff, 0xfe, b'u', b'p', 0]);
        assert!(ready.found);
        let mut long = search("first.*last");
        long.feed(b"first ");
        long.feed(&vec![b'x'; 2 * KEPT_BYTES]);
        long.feed(b" last");
        assert!(!long.found);
    }
}
