//! On what, and of what, an analysis was measured. What could not be told is absent.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::profile::Executable;

/// Characters of a digest that are shown: enough to tell two apart.
const SHOWN_DIGEST: usize = 12;

/// On what, and of what, an analysis was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Provenance {
    /// When it began (RFC 3339, UTC).
    pub date: String,
    /// Loupe's release, its commit and that commit's date.
    pub loupe: String,
    /// The host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The kernel's release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// As `uname -m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// What the kernel tells the time by. With another one than `tsc` the vDSO may have to ask it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocksource: Option<String>,
    /// The C library that the target is linked to: `glibc 2.36`, `musl`, `none (static)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libc: Option<String>,
    pub target: Executable,
    /// What the workload file says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_digest: Option<String>,
    /// The words of the command, and the files that they name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_digest: Option<String>,
    /// The same of the test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_digest: Option<String>,
    /// The options that decide what is measured and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options_digest: Option<String>,
}

/// Something that is another one on the other side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Changed {
    pub what: String,
    /// `None`: not recorded.
    pub from: Option<String>,
    pub to: Option<String>,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| match value {
            None => "not recorded".to_owned(),
            Some(value) => short(value),
        };
        // `glibc 2.36 -> 2.41` says what it is.
        if let (Some(from), Some(to)) = (&self.from, &self.to)
            && let (Some((name, old)), Some((other, new))) =
                (from.split_once(' '), to.split_once(' '))
            && name == other
            && matches!(self.what.as_str(), "C library" | "package")
        {
            return write!(f, "{name} {old} -> {new}");
        }
        write!(
            f,
            "{}: {} -> {}",
            self.what,
            shown(&self.from),
            shown(&self.to)
        )
    }
}

/// Digests are long, and their beginnings tell them apart.
fn short(value: &str) -> String {
    let is_digest = value.len() > SHOWN_DIGEST
        && (value.starts_with("sha256:") || value.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match is_digest {
        false => value.to_owned(),
        true => {
            let digits = value.strip_prefix("sha256:").unwrap_or(value);
            format!("{}…", &digits[..SHOWN_DIGEST.min(digits.len())])
        }
    }
}

impl Provenance {
    /// `nginx 1.22.1-9`
    pub fn package(&self) -> Option<String> {
        let package = self.target.package.as_ref()?;
        Some(match &self.target.version {
            Some(version) => format!("{package} {version}"),
            None => package.clone(),
        })
    }

    /// Everything, each with what it is called.
    pub fn rows(&self) -> Vec<(&'static str, Option<String>)> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        vec![
            ("package", self.package()),
            ("target", text(&self.target.path)),
            ("build-id", self.target.build_id.clone()),
            ("C library", self.libc.clone()),
            ("kernel", self.kernel.clone()),
            ("architecture", self.architecture.clone()),
            ("CPU", self.cpu.clone()),
            ("clocksource", self.clocksource.clone()),
            ("host", self.host.clone()),
            ("Loupe", text(&self.loupe)),
            ("workload file", self.workload_digest.clone()),
            ("command", self.command_digest.clone()),
            ("test", self.test_digest.clone()),
            ("date", text(&self.date)),
        ]
    }

    /// What is another one there; when it was measured always is.
    pub fn changes(&self, to: &Provenance) -> Vec<Changed> {
        let pairs = self.rows().into_iter().zip(to.rows());
        pairs
            .filter(|((what, from), (_, to))| *what != "date" && from != to)
            .map(|((what, from), (_, to))| Changed {
                what: what.to_owned(),
                from,
                to,
            })
            .collect()
    }

    /// What matters most, in one line: `nginx 1.22.1-9, glibc 2.36, Linux 6.1.0 x86_64`.
    pub fn summary(&self) -> String {
        let target = self.package().or_else(|| {
            let path = &self.target.path;
            (!path.is_empty()).then(|| path.clone())
        });
        let kernel = self.kernel.as_ref().map(|kernel| {
            let machine = self.architecture.as_deref().unwrap_or_default();
            format!("Linux {kernel} {machine}").trim_end().to_owned()
        });
        let parts = [target, self.libc.clone(), kernel];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Provenance {
        Provenance {
            date: "2026-11-29T09:00:00Z".to_owned(),
            loupe: "0.1.0".to_owned(),
            kernel: Some("6.1.0".to_owned()),
            architecture: Some("x86_64".to_owned()),
            libc: Some("glibc 2.36".to_owned()),
            target: Executable {
                path: "/usr/sbin/nginx".to_owned(),
                build_id: Some("0123456789abcdef0123".to_owned()),
                package: Some("nginx".to_owned()),
                version: Some("1.22.1-9".to_owned()),
            },
            ..Provenance::default()
        }
    }

    #[test]
    fn what_changed_is_told_by_name_and_the_date_is_no_change() {
        let from = sample();
        let mut to = sample();
        to.date = "2027-01-01T00:00:00Z".to_owned();
        assert_eq!(from.changes(&to), []);
        to.libc = Some("glibc 2.41".to_owned());
        to.target.build_id = Some("ffff456789abcdef0123".to_owned());
        to.host = Some("b".to_owned());
        let told: Vec<String> = from.changes(&to).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "build-id: 0123456789ab… -> ffff456789ab…",
                "glibc 2.36 -> 2.41",
                "host: not recorded -> b",
            ]
        );
        assert_eq!(
            from.summary(),
            "nginx 1.22.1-9, glibc 2.36, Linux 6.1.0 x86_64"
        );
    }
}
