//! The workload's own metric: a number that its test prints, found by a regular expression. What
//! the number means, and whether more of it is better, is the reader's to know.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Bytes of a compiled expression: enough for any that a person writes, and little enough to
/// take one from anybody.
pub(super) const SIZE_LIMIT: usize = 1 << 20;

/// A regular expression with one group, which matches a number.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Metric(Regex);

impl Metric {
    /// The number in the last match: what a test prints on its way comes before its result.
    /// `None` where nothing matches, or the group holds no finite number.
    pub fn find(&self, output: &str) -> Option<f64> {
        let found = self.0.captures_iter(output).last()?;
        let number: f64 = found.get(1)?.as_str().trim().parse().ok()?;
        number.is_finite().then_some(number)
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Metric) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> String {
        metric.0.as_str().to_owned()
    }
}

/// An expression that is not the metric's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadMetric {
    #[error("`metric` is not a regular expression: {0}")]
    Syntax(String),
    #[error(
        "`metric` must have one group, which matches the number, as in \"rate: ([0-9.]+)\"; it \
         has {0} (a group that only holds together is written (?:…))"
    )]
    Groups(usize),
}

impl TryFrom<String> for Metric {
    type Error = BadMetric;

    fn try_from(expression: String) -> Result<Metric, BadMetric> {
        let regex = RegexBuilder::new(&expression)
            .size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| BadMetric::Syntax(reason(&error)))?;
        // The whole match counts as one.
        match regex.captures_len() - 1 {
            1 => Ok(Metric(regex)),
            groups => Err(BadMetric::Groups(groups)),
        }
    }
}

/// The last line of what the parser says; those before it show the expression with a mark below.
pub(super) fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(expression: &str) -> Result<Metric, BadMetric> {
        expression.to_owned().try_into()
    }

    #[test]
    fn the_last_number_that_matches_counts() {
        let metric = metric("requests/s: *([-0-9.e]+)").expect("valid");
        let output = "requests/s: 1\nwarm\nrequests/s:   2150.5\nlatency: 3\n";
        assert_eq!(metric.find(output), Some(2150.5));
        assert_eq!(metric.find("requests/s: -4e2\n"), Some(-400.0));
        assert_eq!(metric.find("no such line\n"), None);
    }

    #[test]
    fn what_matches_and_is_no_number_is_none() {
        let metric = metric("rate: (.*)").expect("valid");
        for output in [
            "rate: fast",
            "rate: ",
            "rate: inf",
            "rate: NaN",
            "rate: 1,000",
        ] {
            assert_eq!(metric.find(output), None, "{output}");
        }
    }

    #[test]
    fn a_group_that_takes_no_part_is_none() {
        let metric = metric("none|rate: ([0-9]+)").expect("valid");
        assert_eq!(metric.find("rate: 7\nnone\n"), None);
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let error = |expression| metric(expression).expect_err("must be refused").to_string();
        let unclosed = "`metric` is not a regular expression: unclosed group";
        assert_eq!(error("rate: ([0-9]+"), unclosed);
        assert!(error("rate: [0-9]+").contains("it has 0"));
        assert!(error("([a-z]+): ([0-9]+)").contains("it has 2"));
        assert!(error(r"(\w{500}){500}").contains("size limit"));
    }
}
