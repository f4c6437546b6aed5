//! Seccomp profiles as container runtimes take them: `linux.seccomp` of the OCI runtime
//! specification, which Docker and Podman read too. Docker's own additions (`includes`,
//! `excludes`) are understood in what is read.

mod read;

use std::collections::BTreeMap;

use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::syscalls::Arch;
use serde::Serialize;

use super::profile::Profile;

pub use read::read_oci;

const ALLOW: &str = "SCMP_ACT_ALLOW";
const ERRNO: &str = "SCMP_ACT_ERRNO";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Oci {
    default_action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_errno_ret: Option<i64>,
    architectures: Vec<String>,
    syscalls: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<String>,
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno_ret: Option<i64>,
}

fn architecture(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "SCMP_ARCH_X86_64",
        Arch::Aarch64 => "SCMP_ARCH_AARCH64",
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
        // A filter can only return constants; no profile has a plausible fake, or ends anybody.
        Action::Fake | Action::Plausible | Action::Kill => 0,
    }
}
