//! What the test harness said, counted and judged. Reads lines; runs nothing.

use std::time::Duration;

use anyhow::{Result, bail};

/// All rungs of one run.
#[derive(Debug, Default)]
pub struct Report {
    pub rungs: Vec<Rung>,
    /// What the tests themselves said that they left out.
    pub skips: Vec<String>,
}

/// The tests of one rung, over all test programs.
#[derive(Debug, Default)]
pub struct Rung {
    name: &'static str,
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Names of those that failed, and of those that were ignored with the reason: as far as the
    /// output of the tests' own children left their lines whole.
    failed_names: Vec<String>,
    ignored_names: Vec<String>,
    /// Cargo's own verdict: also false when a test program crashed or did not build.
    success: bool,
    elapsed: Duration,
}

impl Rung {
    pub fn new(name: &'static str) -> Rung {
        Rung {
            name,
            ..Rung::default()
        }
    }

    /// Takes one line of the harness's output.
    pub fn count(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count_of(counts, "passed");
            self.failed += count_of(counts, "failed");
            self.ignored += count_of(counts, "ignored");
        } else if let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        {
            if result == "FAILED" {
                self.failed_names.push(name.to_owned());
            } else if result.starts_with("ignored") {
                self.ignored_names.push(format!("{name} ({result})"));
            }
        }
    }

    pub fn finish(&mut self, success: bool, elapsed: Duration) {
        self.success = success;
        self.elapsed = elapsed;
    }
}

/// The number before a word, as in `3 passed; 0 failed; …`.
fn count_of(counts: &str, word: &str) -> u64 {
    counts
        .split(['.', ';'])
        .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
        .unwrap_or(0)
}

impl Report {
    fn passed(&self) -> u64 {
        self.rungs.iter().map(|rung| rung.passed).sum()
    }

    fn failed(&self) -> u64 {
        self.rungs.iter().map(|rung| rung.failed).sum()
    }

    pub fn print(&self) {
        println!();
        for rung in &self.rungs {
            println!(
                "{:<20} {:>5} passed {:>4} failed {:>4} ignored {:>7.1} s{}",
                rung.name,
                rung.passed,
                rung.failed,
                rung.ignored,
                rung.elapsed.as_secs_f64(),
                if rung.success { "" } else { "  FAILED" }
            );
        }
        for name in self.rungs.iter().flat_map(|rung| &rung.failed_names) {
            println!("FAILED   {name}");
        }
        for name in self.rungs.iter().flat_map(|rung| &rung.ignored_names) {
            println!("IGNORED  {name}");
        }
        for reason in &self.skips {
            println!("{reason}");
        }
        println!(
            "{} passed, {} failed, {} skipped",
            self.passed(),
            self.failed(),
            self.skips.len()
        );
    }

    /// Fails unless everything ran and passed; a skip fails only where none may happen. Ignored
    /// tests are none: their source says that they are for other occasions, on every machine.
    pub fn judge(&self, no_skips: bool) -> Result<()> {
        if let Some(rung) = self.rungs.iter().find(|rung| !rung.success) {
            bail!("the {} failed", rung.name);
        }
        if self.passed() == 0 {
            bail!("no test ran");
        }
        if no_skips && !self.skips.is_empty() {
            bail!("tests were skipped, and with CI=true none may be");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_PASSED: &str = "test result: ok. 1 passed; 0 failed; 0 ignored";

    fn rung(lines: &[&str], success: bool) -> Rung {
        let mut rung = Rung::new("unit tests");
        for line in lines {
            rung.count(line);
        }
        rung.finish(success, Duration::ZERO);
        rung
    }

    fn report(rung: Rung) -> Report {
        Report {
            rungs: vec![rung],
            skips: Vec::new(),
        }
    }

    #[test]
    fn counts_come_from_the_result_lines_of_all_programs() {
        let rung = rung(
            &[
                "running 4 tests",
                "test a::b ... ok",
                "test c ... what its child printed",
                "ok",
                "test d ... FAILED",
                "test e ... ignored, needs a second machine",
                "test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out",
                "test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            ],
            false,
        );
        assert_eq!((rung.passed, rung.failed, rung.ignored), (42, 1, 1));
        assert_eq!(rung.failed_names, ["d"]);
        assert_eq!(rung.ignored_names, ["e (ignored, needs a second machine)"]);
    }

    #[test]
    fn a_crash_of_the_harness_is_a_failure_even_if_no_test_failed() {
        let report = report(rung(&[ONE_PASSED], false));
        assert!(report.judge(false).is_err());
    }

    #[test]
    fn a_run_without_tests_is_a_failure() {
        assert!(
            report(rung(&["test result: ok. 0 passed; 0 failed"], true))
                .judge(false)
                .is_err()
        );
    }

    #[test]
    fn a_skip_fails_only_where_none_may_happen() {
        let mut report = report(rung(&[ONE_PASSED], true));
        report.judge(true).expect("nothing was skipped");
        report.skips.push("SKIPPED b: no memcached".to_owned());
        report.judge(false).expect("a person may skip");
        assert!(report.judge(true).is_err());
    }
}
