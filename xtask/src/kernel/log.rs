//! What the smoke suite printed, and whether it is what it should be.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::profile;

/// A command of the suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub name: String,
    /// Its exit status was as it should be.
    pub passed: bool,
    pub line: String,
}

/// The whole output, taken apart.
#[derive(Debug, Default)]
pub struct Log {
    pub steps: Vec<Step>,
    pub files: BTreeMap<String, String>,
    /// The suite came to its end.
    pub finished: bool,
}

/// A line `STEP name rc=0 want=0 1.5s`.
pub fn step(line: &str) -> Option<Step> {
    let words: Vec<&str> = line.strip_prefix("STEP ")?.split(' ').collect();
    let [name, rc, want, _] = words[..] else {
        return None;
    };
    Some(Step {
        name: name.to_owned(),
        passed: rc.strip_prefix("rc=")? == want.strip_prefix("want=")?,
        line: words.join(" "),
    })
}

pub fn read(text: &str) -> Log {
    let mut log = Log::default();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        open = match open.take() {
            Some((name, content)) if line.strip_prefix("END ") == Some(&*name) => {
                log.files.insert(name, content);
                None
            }
            Some((name, content)) => Some((name, content + line + "\n")),
            None => {
                log.steps.extend(step(line));
                log.finished |= line == "FINISHED";
                line.strip_prefix("FILE ")
                    .map(|name| (name.to_owned(), String::new()))
            }
        };
    }
    log
}

impl Log {
    fn file(&self, name: &str) -> Result<&str> {
        let file = self.files.get(name).map(String::as_str);
        file.with_context(|| format!("the suite left no file `{name}`"))
    }

    fn json(&self, name: &str) -> Result<Value> {
        serde_json::from_str(self.file(name)?).with_context(|| format!("`{name}` is no JSON"))
    }

    /// Everything that is wrong, one line each; nothing: it passed.
    pub fn faults(&self, smoke: &str, verdicts: &BTreeMap<String, String>) -> Vec<String> {
        let mut faults: Vec<String> = self
            .steps
            .iter()
            .filter(|step| !step.passed)
            .map(|step| format!("not as it should end: {}", step.line))
            .collect();
        if !self.finished {
            faults.push("the suite did not come to its end".to_owned());
        }
        let refusals = self
            .files
            .iter()
            .filter(|(name, _)| name.starts_with("refused"));
        for (name, text) in refusals {
            faults.extend(unlike_a_refusal(text).map(|why| format!("{name}: {why}: {text}")));
        }
        if smoke == super::WORKS {
            let checks = [
                self.counts(),
                self.ring(),
                self.verdicts(verdicts),
                self.json("profiles")
                    .and_then(|profiles| profile::counts(&profiles)),
                self.json("profile-status")
                    .and_then(|status| profile::status(&status)),
            ];
            faults.extend(
                checks
                    .into_iter()
                    .filter_map(std::result::Result::err)
                    .map(|error| format!("{error:#}")),
            );
        }
        faults
    }

    /// Loupe and strace saw the same calls of the same command.
    fn counts(&self) -> Result<()> {
        let trace = calls(&self.json("trace")?)?;
        let strace = strace_counts(self.file("strace")?);
        same("strace", &strace, "Loupe", &trace)
    }

    /// What the victim does by io_uring is seen there.
    fn ring(&self) -> Result<()> {
        let trace = self.json("rings")?;
        let rows = trace["io_uring"].as_array().context(
            "the operations of io_uring are not counted on this kernel, though it has them",
        )?;
        let submitted = |name: &str| {
            let row = rows.iter().find(|row| row["operation"] == name)?;
            row["submitted"].as_u64()
        };
        match submitted("io_uring:IORING_OP_NOP") {
            Some(3) => Ok(()),
            other => bail!("of three io_uring operations (NOP), Loupe saw {other:?}"),
        }
    }

    fn verdicts(&self, host: &BTreeMap<String, String>) -> Result<()> {
        same(
            "the host",
            host,
            "this kernel",
            &verdicts(&self.json("analysis")?)?,
        )
    }
}

/// What louped logs before it fails, the sentence, its causes and its cure are no more than this.
const LONGEST_REFUSAL: usize = 6;

/// Why this is not one sentence with its cure.
fn unlike_a_refusal(text: &str) -> Option<&'static str> {
    let mut lines = text.lines();
    if !text.contains("hint: ") {
        return Some("there is no cure");
    }
    if lines.any(|line| line.contains("INFO") && line.contains("ready")) {
        return Some("it says that it is ready");
    }
    (text.lines().count() > LONGEST_REFUSAL).then_some("it is long")
}

/// The verdicts in the JSON of an analysis.
pub fn verdicts(analysis: &Value) -> Result<BTreeMap<String, String>> {
    let rows = analysis["features"].as_array().context("no features")?;
    let verdict = |row: &Value| {
        let word = |key: &str| row[key].as_str().map(str::to_owned);
        Some((word("feature")?, word("verdict")?))
    };
    rows.iter()
        .map(|row| verdict(row).context("a row without a verdict"))
        .collect()
}

/// The calls in the JSON of a trace. The exec of the target and its end are not told by strace's
/// counts, or counted otherwise.
fn calls(trace: &Value) -> Result<BTreeMap<String, String>> {
    let rows = trace["calls"].as_array().context("no calls")?;
    let call = |row: &Value| {
        Some((
            row["syscall"].as_str()?.to_owned(),
            row["calls"].to_string(),
        ))
    };
    let all: Option<BTreeMap<String, String>> = rows.iter().map(call).collect();
    let mut all = all.context("a row without a name")?;
    for name in ["execve", "exit_group"] {
        all.remove(name);
    }
    Ok(all)
}

/// Names and counts in the table of `strace -c`.
fn strace_counts(table: &str) -> BTreeMap<String, String> {
    let rows = table.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = words.first()?.parse::<f64>().is_ok();
        let name = words
            .last()
            .filter(|name| !matches!(**name, "total" | "execve"))?;
        (number && words.len() >= 5).then(|| ((*name).to_owned(), words[3].to_owned()))
    });
    rows.collect()
}

/// Fails with every difference.
fn same(
    one: &str,
    left: &BTreeMap<String, String>,
    other: &str,
    right: &BTreeMap<String, String>,
) -> Result<()> {
    let names: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let shown = |map: &BTreeMap<String, String>, name| {
        map.get(name)
            .cloned()
            .unwrap_or_else(|| "nothing".to_owned())
    };
    let different: Vec<String> = names
        .into_iter()
        .filter(|name| left.get(*name) != right.get(*name))
        .map(|name| {
            format!(
                "{name}: {one} says {}, {other} {}",
                shown(left, name),
                shown(right, name)
            )
        })
        .collect();
    if !different.is_empty() || left.is_empty() {
        bail!("{one} and {other} differ: {}", different.join("; "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"{"calls": [{"syscall": "read", "calls": 1},
        {"syscall": "mmap", "calls": 8}, {"syscall": "exit_group", "calls": 1}]}"#;
    const STRACE: &str = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
  0.00    0.000000           0         1           read
 12.50    0.000010           0         8         1 mmap
  0.00    0.000000           0         1           execve
------ ----------- ----------- --------- --------- ----------------
100.00    0.000000           0        10         1 total
";
    const RINGS: &str =
        r#"{"io_uring": [{"operation": "io_uring:IORING_OP_NOP", "submitted": 3}]}"#;
    const ANALYSIS: &str = r#"{"features": [{"feature": "brk", "verdict": "any"}]}"#;
    const REFUSAL: &str = "loupe: Loupe cannot work here\n  hint: use another kernel\n";

    /// What a suite prints where all is well, but with this file as that.
    fn output(name: &str, content: &str) -> String {
        let mut text = "Linux\n--- doctor: loupe doctor\nSTEP doctor rc=0 want=0 1.5s\n".to_owned();
        for (file, good) in [
            ("trace", TRACE),
            ("strace", STRACE),
            ("rings", RINGS),
            ("analysis", ANALYSIS),
            ("profiles", &profile::tests::profiles()),
            ("profile-status", profile::tests::STATUS),
            ("refused-ptrace", REFUSAL),
        ] {
            let content = if file == name { content } else { good };
            text += &format!("FILE {file}\n{}\nEND {file}\n", content.trim_end());
        }
        text + "STEP stub rc=1 want=1 1.5s\nFINISHED\n"
    }

    fn faults(text: &str) -> Vec<String> {
        let host = BTreeMap::from([("brk".to_owned(), "any".to_owned())]);
        read(text).faults(super::super::WORKS, &host)
    }

    #[test]
    fn a_suite_that_went_well_has_no_faults() {
        let text = output("", "");
        assert_eq!(faults(&text), [""; 0]);
        assert_eq!(read(&text).steps.len(), 2);
    }

    #[test]
    fn every_way_to_fail_is_a_fault_of_its_own() {
        let good = output("", "");
        for (text, told) in [
            (good.replace("rc=0", "rc=124"), "doctor rc=124"),
            (good.replace("FINISHED", ""), "did not come to its end"),
            (
                output("trace", &TRACE.replace("8", "7")),
                "mmap: strace says 8, Loupe 7",
            ),
            (output("trace", ""), "`trace` is no JSON"),
            (output("strace", ""), "read: strace says nothing"),
            (output("rings", "{}"), "io_uring are not counted"),
            (
                output("rings", &RINGS.replace("3", "2")),
                "Loupe saw Some(2)",
            ),
            (
                output("analysis", &ANALYSIS.replace("any", "required")),
                "brk: the host says any, this kernel required",
            ),
            (
                output(
                    "profiles",
                    &profile::tests::profiles().replace("6600", "6599"),
                ),
                "getpriority: called 6600 times, counted 6599 times",
            ),
            (
                output(
                    "profile-status",
                    &profile::tests::STATUS.replace("1.0,", r#"1.0, "troubles": ["no room"],"#),
                ),
                "no room",
            ),
            (output("refused-ptrace", "loupe: no"), "there is no cure"),
            (
                output(
                    "refused-ptrace",
                    &(REFUSAL.to_owned() + &"0: R1\n".repeat(5)),
                ),
                "it is long",
            ),
            (
                output("refused-ptrace", &("INFO ready\n".to_owned() + REFUSAL)),
                "it is ready",
            ),
        ] {
            let faults = faults(&text);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].contains(told), "{faults:?}");
        }
    }
}
