//! Seccomp profiles as container runtimes take them: `linux.seccomp` of the OCI runtime
//! specification, which Docker and Podman read too. Docker's own additions (`includes`,
//! `excludes`) are understood in what is read.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::syscalls::{Arch, Syscall};
use serde::{Deserialize, Serialize};

use super::profile::{Profile, ProfileError};

const ALLOW: &str = "SCMP_ACT_ALLOW";
const LOG: &str = "SCMP_ACT_LOG";
const ERRNO: &str = "SCMP_ACT_ERRNO";
/// What `SCMP_ACT_ERRNO` gives where no errno is given.
const EPERM: i64 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Oci {
    default_action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    architectures: Vec<String>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    names: Vec<String>,
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno_ret: Option<i64>,
    #[serde(skip_serializing)]
    args: Option<Vec<serde_json::Value>>,
    #[serde(skip_serializing)]
    includes: Condition,
    #[serde(skip_serializing)]
    excludes: Condition,
}

/// Docker's: when a rule is there at all.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    caps: Vec<String>,
    arches: Vec<String>,
}

fn architecture(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "SCMP_ARCH_X86_64",
        Arch::Aarch64 => "SCMP_ARCH_AARCH64",
    }
}

/// Docker names architectures as Go does.
fn go_architecture(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
    }
}

/// The profile as JSON: one syscall an entry, sorted, so that two profiles can be compared line
/// by line.
pub fn write_oci(profile: &Profile) -> Result<String, serde_json::Error> {
    let allowed = profile.allow.iter().map(|feature| (feature, None));
    let answered = profile
        .answers
        .iter()
        .map(|(feature, action)| (feature, Some(*action)));
    let rules: BTreeMap<&Feature, Option<Action>> = allowed.chain(answered).collect();
    let rules = rules.into_iter().map(|(feature, action)| Rule {
        names: vec![feature.to_string()],
        action: action.map_or(ALLOW, |_| ERRNO).to_owned(),
        errno_ret: action.map(number),
        ..Rule::default()
    });
    let oci = Oci {
        default_action: profile.default.map_or(ALLOW, |_| ERRNO).to_owned(),
        default_errno_ret: profile.default.map(number),
        architectures: vec![architecture(Arch::NATIVE).to_owned()],
        syscalls: rules.collect(),
    };
    let mut text = serde_json::to_string_pretty(&oci)?;
    text.push('\n');
    Ok(text)
}

/// The errno that makes a call return so.
fn number(action: Action) -> i64 {
    match action {
        Action::Stub(errno) => i64::from(errno.number()),
        // A filter can only return constants; no profile has a plausible fake.
        Action::Fake | Action::Plausible => 0,
    }
}

/// Reads a profile. Rules on arguments are taken as if the arguments fitted: what a rule lets
/// through for some calls counts as let through.
pub fn read_oci(text: &str) -> Result<Profile, ProfileError> {
    let oci: Oci = serde_json::from_str(text)?;
    let default = taken(&oci.default_action, oci.default_errno_ret, || {
        "every other syscall".to_owned()
    })?;
    let mut profile = Profile {
        allow: BTreeSet::new(),
        answers: BTreeMap::new(),
        default,
        notes: Vec::new(),
    };
    let mut by_argument: BTreeSet<&str> = BTreeSet::new();
    let mut unknown: BTreeSet<&str> = BTreeSet::new();
    for rule in oci.syscalls.iter().filter(|rule| rule.applies()) {
        let action = taken(&rule.action, rule.errno_ret, || rule.names.join(", "))?;
        let conditional = rule.args.as_ref().is_some_and(|args| !args.is_empty());
        for name in &rule.names {
            let Some(syscall) = Syscall::from_name(name) else {
                // Profiles name the syscalls of every architecture and of kernels to come.
                unknown.insert(name);
                continue;
            };
            let feature = Feature::from(syscall);
            if conditional {
                by_argument.insert(name);
            }
            match action {
                None => {
                    profile.answers.remove(&feature);
                    profile.allow.insert(feature);
                }
                // It answers some calls only, and lets the others through.
                Some(_) if conditional => {}
                Some(action) => {
                    profile.allow.remove(&feature);
                    profile.answers.insert(feature, action);
                }
            }
        }
    }
    profile.notes.extend(note(
        "rules on arguments are taken as if every call fitted them",
        &by_argument,
    ));
    profile.notes.extend(note(
        "names that no known architecture has are left aside",
        &unknown,
    ));
    Ok(profile)
}

fn note(what: &str, names: &BTreeSet<&str>) -> Option<String> {
    let names: Vec<&str> = names.iter().copied().collect();
    (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
}

impl Rule {
    /// Whether the rule is there in a container without added capabilities.
    fn applies(&self) -> bool {
        let native = go_architecture(Arch::NATIVE);
        let names_native = |arches: &[String]| arches.iter().any(|arch| arch == native);
        self.includes.caps.is_empty()
            && (self.includes.arches.is_empty() || names_native(&self.includes.arches))
            && !names_native(&self.excludes.arches)
    }
}

/// What an action does to a call; `None`: it is let through.
fn taken(
    action: &str,
    errno: Option<i64>,
    what: impl FnOnce() -> String,
) -> Result<Option<Action>, ProfileError> {
    match action {
        ALLOW | LOG => Ok(None),
        ERRNO => match errno.unwrap_or(EPERM) {
            0 => Ok(Some(Action::Fake)),
            number => Errno::new(number)
                .map(|errno| Some(Action::Stub(errno)))
                .ok_or(ProfileError::ErrnoRange(number)),
        },
        other => Err(ProfileError::Action {
            what: what(),
            action: other.to_owned(),
        }),
    }
}
