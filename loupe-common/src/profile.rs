//! What services really use: the words of `loupe profile`, stored, sent and printed. No I/O.
//!
//! Times are milliseconds since the epoch. *Not seen*, *not observed* and *lost* are three
//! different answers: a feature that is not among [`Profile::features`] was not seen; when its
//! subject was observed at all says [`Observation`]; what could not be kept says [`ProfileLost`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::feature::Feature;
use crate::trace::{CallCounts, ForeignCall};

/// What kind of thing a profile is of.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    schemars::JsonSchema,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// A unit of systemd; the instances of a template are one (`foo@.service`).
    Unit,
    /// A container of podman, Docker, Kubernetes or systemd-nspawn.
    Container,
    /// A cgroup that was asked for by its path, or that is no unit.
    Cgroup,
    /// An executable that was asked for by its path, wherever it runs.
    Executable,
    /// Whatever could not be told apart any more.
    Other,
}

impl SubjectKind {
    pub fn as_str(self) -> &'static str {
        match self {
            SubjectKind::Unit => "unit",
            SubjectKind::Container => "container",
            SubjectKind::Cgroup => "cgroup",
            SubjectKind::Executable => "executable",
            SubjectKind::Other => "other",
        }
    }
}

/// A program as it is installed: another build of it is another one.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    schemars::JsonSchema,
    Deserialize,
)]
pub struct Executable {
    /// As its processes see it; empty where it could not be told.
    pub path: String,
    /// The GNU build-id, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// The package that it came with, and that package's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What a profile is of.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, schemars::JsonSchema, Deserialize,
)]
pub struct Subject {
    pub kind: SubjectKind,
    /// `nginx.service`, a container's name or id, a path below the cgroup root.
    pub name: String,
    pub executable: Executable,
    /// Whose it is: the owner of its cgroup.
    #[serde(default)]
    pub uid: u32,
}

/// What somebody asks to have watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// Units by name or pattern (`*`, `?`).
    Unit(String),
    /// Every unit below this slice.
    Slice(String),
    /// By name or by (the beginning of) its id.
    Container(String),
    /// An absolute path.
    Executable(String),
    /// A path below the cgroup root, or an absolute one.
    Cgroup(String),
    /// The cgroup that this process is in now.
    Process(u32),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Unit(name) => write!(f, "unit:{name}"),
            Target::Slice(name) => write!(f, "slice:{name}"),
            Target::Container(name) => write!(f, "container:{name}"),
            Target::Executable(path) => write!(f, "executable:{path}"),
            Target::Cgroup(path) => write!(f, "cgroup:{path}"),
            Target::Process(pid) => write!(f, "pid:{pid}"),
        }
    }
}

/// A target that is written wrongly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names nothing to watch: unit:NAME, slice:NAME, container:NAME, executable:PATH, cgroup:PATH, pid:N"
)]
pub struct UnknownTarget(String);

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(text: &str) -> Result<Target, UnknownTarget> {
        let unknown = || UnknownTarget(text.to_owned());
        let (kind, rest) = text.split_once(':').ok_or_else(unknown)?;
        let named = || match rest {
            "" => Err(unknown()),
            name => Ok(name.to_owned()),
        };
        Ok(match kind {
            "unit" => Target::Unit(named()?),
            "slice" => Target::Slice(named()?),
            "container" => Target::Container(named()?),
            "executable" => Target::Executable(named()?),
            "cgroup" => Target::Cgroup(named()?),
            "pid" => Target::Process(rest.parse().map_err(|_| unknown())?),
            _ => return Err(unknown()),
        })
    }
}

crate::text::as_text!(Target);

/// A feature that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct FeatureUse {
    pub feature: Feature,
    pub counts: CallCounts,
    pub first_seen_ms: u64,
    pub last_seen_ms: u64,
    /// Observed minutes in which it was seen.
    pub minutes: u64,
}

/// A time from one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Interval {
    pub from_ms: u64,
    pub until_ms: u64,
}

/// When the subject was really observed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Observation {
    /// From the first to the last moment that is spoken of.
    pub from_ms: u64,
    pub until_ms: u64,
    /// Milliseconds of these in which programs were attached and counted.
    pub observed_ms: u64,
    /// The largest times without observation, latest last; windows of a duty below 100 % are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Interval>,
}

/// What could not be kept, by what it was.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize,
)]
#[serde(default)]
pub struct ProfileLost {
    /// First-seen events and those of processes that found the ring buffer full.
    pub events: u64,
    /// Calls that found their map full.
    pub calls: u64,
    pub errors: u64,
    pub operations: u64,
    pub foreign: u64,
    pub pseudo_files: u64,
    /// Calls of executables that no slot was left for.
    pub executables: u64,
}

impl ProfileLost {
    /// Each kind by its name in JSON. Databases have them in this order.
    pub fn kinds(&self) -> [(&'static str, u64); 7] {
        // A new kind of loss does not compile without a row.
        let ProfileLost {
            events,
            calls,
            errors,
            operations,
            foreign,
            pseudo_files,
            executables,
        } = *self;
        [
            ("events", events),
            ("calls", calls),
            ("errors", errors),
            ("operations", operations),
            ("foreign", foreign),
            ("pseudo_files", pseudo_files),
            ("executables", executables),
        ]
    }

    pub fn total(&self) -> u64 {
        self.kinds().iter().map(|(_, count)| count).sum()
    }
}

impl std::ops::AddAssign for ProfileLost {
    fn add_assign(&mut self, other: ProfileLost) {
        self.events += other.events;
        self.calls += other.calls;
        self.errors += other.errors;
        self.operations += other.operations;
        self.foreign += other.foreign;
        self.pseudo_files += other.pseudo_files;
        self.executables += other.executables;
    }
}

/// Whether new features are still to be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Maturity {
    Learning,
    /// Some hours of observation and a restart have brought nothing new.
    Stable {
        since_ms: u64,
    },
}

/// How much of what the subject does is not in its profile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Unseen {
    /// The estimated chance that its next observed minute brings a feature that is not in the profile.
    pub chance: f64,
    /// The bound that it lies below with 95 % confidence.
    pub at_most: f64,
    /// Observed minutes that it rests on.
    pub minutes: u64,
}

/// How many features were known after so much observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct CurvePoint {
    pub observed_ms: u64,
    pub features: u64,
}

/// What one subject really used.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct Profile {
    pub subject: Subject,
    /// Syscalls, operations of io_uring and pseudo-files.
    pub features: Vec<FeatureUse>,
    /// The same calls by operations and flags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<FeatureUse>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ForeignCall>,
    pub observation: Observation,
    #[serde(default)]
    pub lost: ProfileLost,
    pub maturity: Maturity,
    /// None: too little was observed to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<Unseen>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<CurvePoint>,
    /// Starts of the unit (or of the executable) that were seen.
    #[serde(default)]
    pub starts: u64,
}

/// One thing that happened to a profile.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct ProfileEvent {
    pub at_ms: u64,
    pub subject: Subject,
    #[serde(flatten)]
    pub what: Happening,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Happening {
    /// A feature that the subject had not used before.
    FirstSeen {
        feature: Feature,
    },
    /// The same, of a profile that was stable.
    Drift {
        feature: Feature,
        /// Versions of the package, where they were known: before, now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        now: Option<String>,
    },
    Stable,
}

/// How a subject is doing, for `status` and `top`.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct SubjectStatus {
    pub subject: Subject,
    pub features: u64,
    pub calls: u64,
    /// In the last full minute.
    pub calls_per_second: f64,
    pub new_last_hour: u64,
    pub maturity: Maturity,
    pub observation: Observation,
    pub lost: ProfileLost,
    /// Processes of it that are running now.
    pub processes: u64,
}

/// How the service is doing.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct ProfileStatus {
    /// When this daemon began to observe.
    pub since_ms: u64,
    pub targets: Vec<TargetStatus>,
    pub subjects: Vec<SubjectStatus>,
    /// The part of the time in which programs are attached, from 0 to 1.
    pub duty: f64,
    /// Chosen by measurement, not by a user.
    pub duty_measured: bool,
    /// Programs are attached right now.
    pub attached: bool,
    /// The part of the host's CPU time that this costs, as measured; none: not yet measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead: Option<f64>,
    pub lost: ProfileLost,
    /// Bytes of the database.
    pub store_bytes: u64,
    /// What went wrong and goes on, in sentences: a full disk, a configuration that was refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
    /// Where the host belongs to a fleet, or is its hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetStatus>,
}

/// How louped does what it does for a fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct FleetStatus {
    pub role: FleetRole,
    /// Of the server.
    pub url: String,
    pub connected: bool,
    /// When the server acknowledged the last message of this host, or the hub merged the last of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ms: Option<u64>,
    /// Messages that wait: here until the server has them, at the server until the hub has.
    pub backlog: u64,
    /// Messages that the hub refused since it was started.
    #[serde(default)]
    pub refused: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// What louped does for a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FleetRole {
    /// Tells what this host knows.
    Agent,
    /// Takes in what all hosts tell.
    Hub,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema, Deserialize)]
pub struct TargetStatus {
    pub target: Target,
    /// From the configuration file, not by `profile add`.
    pub configured: bool,
    /// Cgroups that it fits now.
    pub cgroups: u64,
}

/// What a client asks of the service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum ProfileRequest {
    Add {
        targets: Vec<Target>,
    },
    Remove {
        targets: Vec<Target>,
    },
    Status,
    /// Profiles whose subject has this name (a pattern is allowed; none: all), of what was observed
    /// since this moment.
    Show {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since_ms: Option<u64>,
    },
    /// What happened, from now on, one reply each.
    Watch {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum ProfileAnswer {
    /// The targets as they are now, of those that were asked for.
    Targets {
        targets: Vec<TargetStatus>,
    },
    Status(Box<ProfileStatus>),
    Profiles {
        profiles: Vec<Profile>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_it_is_written() {
        for target in [
            Target::Unit("nginx.service".to_owned()),
            Target::Slice("system.slice".to_owned()),
            Target::Container("web:1".to_owned()),
            Target::Executable("/usr/bin/redis-server".to_owned()),
            Target::Cgroup("/a b/c".to_owned()),
            Target::Process(17),
        ] {
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        for wrong in ["nginx", "unit:", "pid:x", "pid:", "host:a", ""] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn losses_add_up() {
        let mut sum = ProfileLost::default();
        let one = ProfileLost {
            events: 1,
            calls: 2,
            errors: 3,
            operations: 4,
            foreign: 5,
            pseudo_files: 6,
            executables: 7,
        };
        sum += one;
        sum += one;
        assert_eq!(sum.total(), 56);
    }
}
