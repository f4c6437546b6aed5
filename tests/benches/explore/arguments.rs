//! The command line of the benchmark.

use crate::{PAPER, PROTOTYPE, SHORT, WAYS};

pub const USAGE: &str = "\
Usage: cargo xtask bench explore -- [OPTIONS] [WORKLOAD...]

  WORKLOAD    a name in tests/workloads/bench, or the path of a workload file (NAME.toml)
              [default: sqlite memcached nginx redis]
  --no-paper  without --paper-mode, which takes longer than all else
  --short     only the single verdicts and everything, which the goal compares
  --rounds N  every way N times, by turns: medians, least and most [default: 1]
  --help      this text

tests/workloads/bench/README.md says what the columns are.";

pub struct Arguments {
    pub workloads: Vec<String>,
    /// The first of the ways, so many of them.
    pub ways: usize,
    pub rounds: u32,
}

impl Arguments {
    /// `None` where help was asked for.
    pub fn read(words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
        let mut words = words;
        let mut read = Arguments {
            workloads: Vec::new(),
            ways: WAYS.len(),
            rounds: 1,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                // From cargo, to every benchmark.
                "--bench" => {}
                "--help" => return Ok(None),
                "--no-paper" => read.ways = read.ways.min(PAPER),
                "--short" => read.ways = SHORT,
                "--rounds" => read.rounds = number(words.next())?,
                option if option.starts_with('-') => return Err(format!("no option `{option}`")),
                _ => read.workloads.push(word),
            }
        }
        if read.workloads.is_empty() {
            read.workloads = PROTOTYPE.map(|(name, ..)| name.to_owned()).to_vec();
        }
        Ok(Some(read))
    }
}

fn number(word: Option<String>) -> Result<u32, String> {
    let number = word.as_ref().and_then(|word| word.parse().ok());
    number
        .filter(|number| *number > 0)
        .ok_or_else(|| "`--rounds` needs a number from 1".to_owned())
}
