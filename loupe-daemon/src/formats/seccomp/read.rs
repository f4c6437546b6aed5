//! Reads a seccomp profile as its container runtime does. A rule that is not understood, or that
//! cannot be emulated, is an error: a profile with a rule less is another profile.

use std::collections::{BTreeMap, BTreeSet};

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::syscalls::{Arch, Syscall};
use serde::Deserialize;
use serde_json::Value;

use super::{ALLOW, ERRNO};
use crate::formats::profile::{Profile, ProfileError, note};

const LOG: &str = "SCMP_ACT_LOG";
/// What `SCMP_ACT_ERRNO` gives where no errno is given.
const EPERM: i64 = 1;

/// Actions that end, stop or hand over a call; no errno stands for them.
const NOT_EMULATED: [&str; 7] = [
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_SKIP",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

const COMPARISONS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// Arguments that a syscall has.
const ARGUMENT_COUNT: u64 = 6;

/// The capabilities that a container has by default (`DefaultCapabilities` in Moby's
/// `oci/caps/defaults.go`).
const CONTAINER_CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Oci {
    default_action: String,
    default_errno_ret: Option<i64>,
    /// Podman's: the errno by name.
    default_errno: Option<String>,
    syscalls: Option<Vec<Value>>,
    // What follows says nothing of the calls of this architecture.
    #[serde(rename = "architectures")]
    _architectures: Option<Value>,
    #[serde(rename = "archMap")]
    _arch_map: Option<Value>,
    #[serde(rename = "flags")]
    _flags: Option<Value>,
    #[serde(rename = "listenerPath")]
    _listener_path: Option<Value>,
    #[serde(rename = "listenerMetadata")]
    _listener_metadata: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Rule {
    names: Option<Vec<String>>,
    /// Docker's old form.
    name: Option<String>,
    action: String,
    errno_ret: Option<i64>,
    /// Podman's.
    errno: Option<String>,
    args: Option<Vec<Argument>>,
    includes: Option<Condition>,
    excludes: Option<Condition>,
    #[serde(rename = "comment")]
    _comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Argument {
    index: u64,
    #[serde(rename = "value")]
    _value: u64,
    #[serde(rename = "valueTwo")]
    _value_two: Option<u64>,
    op: String,
}

/// Docker's: when a rule is there at all.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// Docker names architectures as Go does.
fn go_architecture(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
    }
}

/// Reads a profile, for a container without added capabilities on a kernel of this version. What a
/// rule on arguments lets through for some calls counts as let through.
pub fn read_oci(text: &str, kernel: (u32, u32)) -> Result<Profile, ProfileError> {
    let oci: Oci = serde_json::from_str(text)?;
    let errno =
        errno_number(oci.default_errno_ret, oci.default_errno.as_deref()).map_err(|name| {
            ProfileError::Action {
                what: "every other syscall".to_owned(),
                action: format!("`{name}`, which is no errno"),
            }
        })?;
    let default = match taken(&oci.default_action, errno)? {
        Taken::Known(action) => action,
        Taken::Unlike(why) => {
            return Err(ProfileError::Action {
                what: "every other syscall".to_owned(),
                action: why,
            });
        }
    };
    let mut reading = Reading {
        profile: Profile {
            allow: BTreeSet::new(),
            answers: BTreeMap::new(),
            default,
            notes: Vec::new(),
        },
        by_argument: BTreeSet::new(),
        unknown: BTreeSet::new(),
    };
    for (index, value) in oci.syscalls.unwrap_or_default().into_iter().enumerate() {
        let names = names_for_people(&value);
        let read = serde_json::from_value(value)
            .map_err(|error| error.to_string())
            .and_then(|rule| reading.rule(&rule, kernel));
        read.map_err(|what| ProfileError::Rule {
            number: index + 1,
            names,
            what,
        })?;
    }
    Ok(reading.finish())
}

/// The first names of a rule, however odd it is.
fn names_for_people(rule: &Value) -> String {
    const SHOWN: usize = 3;
    let names = rule["names"].as_array().map_or(&[][..], Vec::as_slice);
    let mut all = names
        .iter()
        .chain(rule.get("name"))
        .filter_map(Value::as_str);
    let shown: Vec<&str> = all.by_ref().take(SHOWN).collect();
    match (shown.is_empty(), all.count()) {
        (true, _) => "without a name".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

struct Reading {
    profile: Profile,
    by_argument: BTreeSet<String>,
    unknown: BTreeSet<String>,
}

impl Reading {
    /// `Err`: what is not understood.
    fn rule(&mut self, rule: &Rule, kernel: (u32, u32)) -> Result<(), String> {
        let names: Vec<&String> = rule.names.iter().flatten().chain(&rule.name).collect();
        if names.is_empty() {
            return Err("it names no syscall".to_owned());
        }
        let errno = errno_number(rule.errno_ret, rule.errno.as_deref())
            .map_err(|name| format!("`{name}` is no errno"))?;
        let action = match taken(&rule.action, errno).map_err(|error| error.to_string())? {
            Taken::Known(action) => action,
            Taken::Unlike(why) => return Err(why),
        };
        let arguments = rule.args.as_deref().unwrap_or_default();
        for argument in arguments {
            argument.check()?;
        }
        if !rule.applies(kernel)? {
            return Ok(());
        }
        if action.is_some() && !arguments.is_empty() {
            return Err(
                "it refuses some calls by their arguments, and whole syscalls only can be \
                 emulated"
                    .to_owned(),
            );
        }
        for name in names {
            let Some(syscall) = Syscall::from_name(name) else {
                // Profiles name the syscalls of every architecture and of kernels to come.
                self.unknown.insert(name.clone());
                continue;
            };
            if !arguments.is_empty() {
                self.by_argument.insert(name.clone());
            }
            let feature = Feature::from(syscall);
            match action {
                None => {
                    self.profile.answers.remove(&feature);
                    self.profile.allow.insert(feature);
                }
                Some(action) => {
                    self.profile.allow.remove(&feature);
                    self.profile.answers.insert(feature, action);
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Profile {
        self.profile.notes.extend(note(
            "rules that let through by arguments are taken as if every call fitted them",
            &self.by_argument,
        ));
        self.profile.notes.extend(note(
            "names that no known architecture has are left aside",
            &self.unknown,
        ));
        self.profile
    }
}

impl Argument {
    fn check(&self) -> Result<(), String> {
        if self.index >= ARGUMENT_COUNT {
            return Err(format!("there is no argument {}", self.index));
        }
        match COMPARISONS.contains(&self.op.as_str()) {
            true => Ok(()),
            false => Err(format!("`{}` is no comparison", self.op)),
        }
    }
}

impl Rule {
    /// Whether the rule is there in a container without added capabilities, on this kernel.
    fn applies(&self, kernel: (u32, u32)) -> Result<bool, String> {
        let none = Condition::default();
        let (includes, excludes) = (
            self.includes.as_ref().unwrap_or(&none),
            self.excludes.as_ref().unwrap_or(&none),
        );
        let has = |cap: &String| CONTAINER_CAPABILITIES.contains(&cap.as_str());
        let native = |arch: &String| arch == go_architecture(Arch::NATIVE);
        let some = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
        let arches = some(&includes.arches);
        let newer = |condition: &Condition| match &condition.min_kernel {
            None => Ok(None),
            Some(text) => version(text)
                .map(|least| Some(kernel >= least))
                .ok_or_else(|| format!("`{text}` is no kernel's version")),
        };
        let (needs, but_not) = (newer(includes)?, newer(excludes)?);
        Ok(some(&includes.caps).iter().all(has)
            && (arches.is_empty() || arches.iter().any(native))
            && needs != Some(false)
            && !some(&excludes.caps).iter().any(has)
            && !some(&excludes.arches).iter().any(native)
            && but_not != Some(true))
    }
}

/// `4.8`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What an action does to a call.
enum Taken {
    /// `None`: it is let through.
    Known(Option<Action>),
    /// Why no errno stands for it.
    Unlike(String),
}

fn taken(action: &str, errno: Option<i64>) -> Result<Taken, ProfileError> {
    Ok(match action {
        ALLOW | LOG => Taken::Known(None),
        ERRNO => match errno.unwrap_or(EPERM) {
            0 => Taken::Known(Some(Action::Fake)),
            number => Errno::new(number)
                .map(|errno| Taken::Known(Some(Action::Stub(errno))))
                .ok_or(ProfileError::ErrnoRange(number))?,
        },
        known if NOT_EMULATED.contains(&known) => Taken::Unlike(format!(
            "{known}, which cannot be emulated: only errnos can"
        )),
        other => Taken::Unlike(format!("`{other}`, which is no action")),
    })
}

/// Finds the errno by its number, else by its name; the error is a name that does not exist.
fn errno_number(number: Option<i64>, name: Option<&str>) -> Result<Option<i64>, String> {
    match (number, name) {
        (Some(number), _) => Ok(Some(number)),
        (None, None | Some("")) => Ok(None),
        (None, Some(name)) => name
            .parse::<Errno>()
            .map(|errno| Some(i64::from(errno.number())))
            .map_err(|_| name.to_owned()),
    }
}
