//! Of what an analysis was made, and where: what may differ when another comes to something else.
//! Every field is there only if it is known. No results; those are in `analysis`.

use serde::{Deserialize, Serialize};

/// The binary whose syscalls were measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Binary {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its GNU build-id, in hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// The package that brought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The package's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// SHA-256 of what was asked for, in hexadecimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Digests {
    /// The whole workload, as it was understood: comments do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
}

/// Everything that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// The kernel's release, as `uname -r` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// What the kernel tells time by: the vDSO cannot read every clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clocksource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Loupe's own version, with the commit where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loupe: Option<String>,
    /// `glibc 2.36`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub libc: Option<String>,
    pub target: Binary,
    pub digests: Digests,
}

impl Provenance {
    /// All that is known, by name, in the order in which it is told.
    pub fn named(&self) -> Vec<(&'static str, &str)> {
        let (target, digests) = (&self.target, &self.digests);
        [
            ("target", &target.path),
            ("package", &target.package),
            ("package version", &target.version),
            ("build-id", &target.build_id),
            ("C library", &self.libc),
            ("kernel", &self.kernel),
            ("architecture", &self.architecture),
            ("CPU", &self.cpu),
            ("clocksource", &self.clocksource),
            ("host", &self.host),
            ("Loupe", &self.loupe),
            ("workload (SHA-256)", &digests.workload),
            ("command (SHA-256)", &digests.command),
            ("test (SHA-256)", &digests.test),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_told() {
        let provenance = Provenance {
            kernel: Some("6.1.0".to_owned()),
            ..Provenance::default()
        };
        assert_eq!(provenance.named(), [("kernel", "6.1.0")]);
        let json = serde_json::to_value(&provenance).expect("serializable");
        assert_eq!(
            json,
            serde_json::json!({ "kernel": "6.1.0", "target": {}, "digests": {} })
        );
        let none: Provenance = serde_json::from_str("{}").expect("readable");
        assert_eq!(none.named(), []);
    }
}
