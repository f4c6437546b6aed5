//! How a program is run on an OS: facts for whoever starts it. Starts nothing.

use serde::{Deserialize, Serialize};

/// The words before a program's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OsRunner {
    /// `["runsc", "do"]`; `%LOG%` in it stands for a directory that it may write logs to. The
    /// program has the host's files there, and what it writes stays there.
    pub command: Vec<String>,
    /// The same with a trace of all calls in `%LOG%`, as `strace` or gVisor write it: for a run that
    /// is to be explained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
}
