//! What must be equal of two hosts, and of the application on them, for their replays to be compared.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of host, and the build of a workload's target on it.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, schemars::JsonSchema, Deserialize,
)]
pub struct HostClass {
    /// The kernel's release.
    pub kernel: String,
    /// As `uname -m`.
    pub architecture: String,
    /// The host's C library: `glibc 2.36`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libc: Option<String>,
    /// Whether workloads have root's rights: others are refused other calls.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub root: bool,
    /// The build-id of the workload's target, or what else tells two builds apart; `None`: any build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl HostClass {
    /// The same hosts, with any build.
    pub fn of_any_target(&self) -> HostClass {
        HostClass {
            target: None,
            ..self.clone()
        }
    }

    /// Whether what was measured there counts where this one is wanted.
    pub fn admits(&self, other: &HostClass) -> bool {
        let any_target = self.target.is_none();
        self.of_any_target() == other.of_any_target() && (any_target || self.target == other.target)
    }
}

impl fmt::Display for HostClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linux {} {}", self.kernel, self.architecture)?;
        if let Some(libc) = &self.libc {
            write!(f, ", {libc}")?;
        }
        if self.root {
            write!(f, ", as root")?;
        }
        match &self.target {
            Some(target) => write!(f, ", build {target}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_admits_its_own_builds_and_no_other_host() {
        let class = |kernel: &str, target: Option<&str>| HostClass {
            kernel: kernel.to_owned(),
            architecture: "x86_64".to_owned(),
            libc: Some("glibc 2.36".to_owned()),
            root: false,
            target: target.map(str::to_owned),
        };
        let any = class("6.1", None);
        let built = class("6.1", Some("abc"));
        assert!(any.admits(&built) && built.admits(&built) && any.admits(&any));
        assert!(!built.admits(&class("6.1", Some("def"))));
        assert!(!built.admits(&any), "nobody knows its build");
        assert!(!any.admits(&class("6.12", Some("abc"))));
        let root = HostClass {
            root: true,
            ..any.clone()
        };
        assert!(!any.admits(&root) && !root.admits(&built));
        assert_eq!(root.to_string(), "Linux 6.1 x86_64, glibc 2.36, as root");
        assert_eq!(built.to_string(), "Linux 6.1 x86_64, glibc 2.36, build abc");
    }
}
