//! An application that ended without its target: what it executed instead, and why that may be.
//! Pure; says it in words.

use std::fmt;
use std::path::PathBuf;

/// Programs whose work is to trace others.
const TRACERS: [&str; 7] = [
    "gdb",
    "gdbserver",
    "lldb",
    "lldb-server",
    "ltrace",
    "rr",
    "strace",
];
/// What is said by those that may not trace.
const SAID_BY_TRACERS: &str = "ptrace";

/// A run in which the target was never executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeverStarted {
    pub target: PathBuf,
    /// Programs, in the order of their first start.
    pub executed: Vec<String>,
    /// The end of what the application printed.
    pub output: String,
}

impl NeverStarted {
    /// What may have failed because Loupe traces until the target's start.
    pub fn tracer(&self) -> Option<&str> {
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut executed = self.executed.iter().map(String::as_str);
        let known = executed.find(|path| TRACERS.contains(&name(path).as_str()));
        let says = self.output.to_lowercase().contains(SAID_BY_TRACERS);
        known.or(says
            .then(|| self.executed.last().map(String::as_str))
            .flatten())
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self.tracer() {
            Some(_) => "leave the tracer out of the command: Loupe sees the target's calls itself",
            None => {
                "`target` must be the path of a binary or script that the command executes, or \
                 `memfd:NAME` for a program in memory (a process that is cloned with \
                 CLONE_UNTRACED cannot be followed)"
            }
        }
    }
}

impl fmt::Display for NeverStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = self.target.display();
        write!(f, "the target {target} was never executed")?;
        if !self.executed.is_empty() {
            write!(f, "; executed were {}", self.executed.join(", "))?;
        }
        if let Some(tracer) = self.tracer() {
            write!(
                f,
                "; {tracer} may not trace what it starts, as until the target's exec Loupe does, \
                 and a process has one tracer at most"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(executed: &[&str], output: &str) -> NeverStarted {
        NeverStarted {
            target: PathBuf::from("/srv/app"),
            executed: executed.iter().map(|name| (*name).to_owned()).collect(),
            output: output.to_owned(),
        }
    }

    #[test]
    fn what_was_executed_is_listed() {
        let listed = without(&["/bin/sh", "memfd:app"], "").to_string();
        let expected = "the target /srv/app was never executed; executed were /bin/sh, memfd:app";
        assert_eq!(listed, expected);
        let none = without(&[], "").to_string();
        assert_eq!(none, "the target /srv/app was never executed");
    }

    #[test]
    fn a_tracer_is_blamed_by_its_name_or_its_words() {
        let strace = without(&["/bin/sh", "/usr/bin/strace"], "");
        assert_eq!(strace.tracer(), Some("/usr/bin/strace"));
        let own = without(
            &["/bin/sh", "/srv/check"],
            "check: PTRACE_TRACEME: not permitted",
        );
        assert_eq!(own.tracer(), Some("/srv/check"));
        assert!(own.to_string().contains("one tracer at most"));
        assert_eq!(without(&["/usr/bin/strace-log-merge"], "").tracer(), None);
    }
}
