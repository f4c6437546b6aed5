//! A feature: what is measured: a syscall, an operation of one, or a flag of one.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::operations::{Operation, UnknownOperation};
use crate::syscalls::{Syscall, UnknownSyscall};

/// Something that an OS implements or not. Written as its name (`futex`, `fcntl:F_SETFD`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    Syscall(Syscall),
    /// A part of a vectored syscall: one of its operations, or a flag.
    Operation(Operation),
}

impl Feature {
    /// The word for `kind` in machine-readable output.
    pub fn kind(&self) -> &'static str {
        match self {
            Feature::Syscall(_) => "syscall",
            Feature::Operation(operation) if operation.is_flag() => "flag",
            Feature::Operation(_) => "operation",
        }
    }

    /// The syscall that the feature is, or is a part of.
    pub fn syscall(&self) -> Syscall {
        match self {
            Feature::Syscall(syscall) => *syscall,
            Feature::Operation(operation) => operation.syscall(),
        }
    }

    /// What the feature is a part of.
    pub fn parent(&self) -> Option<Feature> {
        match self {
            Feature::Syscall(_) => None,
            Feature::Operation(operation) => Some(Feature::Syscall(operation.syscall())),
        }
    }
}

impl Feature {
    /// Itself, or what it is a part of.
    pub fn whole(&self) -> Feature {
        self.parent().unwrap_or_else(|| self.clone())
    }
}

impl From<Operation> for Feature {
    fn from(operation: Operation) -> Self {
        Feature::Operation(operation)
    }
}

impl From<Syscall> for Feature {
    fn from(syscall: Syscall) -> Self {
        Feature::Syscall(syscall)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Feature::Syscall(syscall) => fmt::Display::fmt(syscall, f),
            Feature::Operation(operation) => fmt::Display::fmt(operation, f),
        }
    }
}

/// How deep an analysis goes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// Whole syscalls.
    Syscall,
    /// The operations of required ones, too.
    #[default]
    Operation,
    /// And the flags.
    Flag,
}

impl Depth {
    pub const NAMES: [&str; 3] = ["syscall", "operation", "flag"];

    /// Whether features of this kind are looked at.
    pub fn reaches(self, feature: &Feature) -> bool {
        match feature {
            Feature::Operation(part) if part.is_flag() => self >= Depth::Flag,
            Feature::Operation(_) => self >= Depth::Operation,
            _ => true,
        }
    }
}

/// Not a depth.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown depth `{0}` (syscall, operation or flag)")]
pub struct UnknownDepth(String);

impl std::str::FromStr for Depth {
    type Err = UnknownDepth;

    fn from_str(text: &str) -> Result<Depth, UnknownDepth> {
        match text {
            "syscall" => Ok(Depth::Syscall),
            "operation" => Ok(Depth::Operation),
            "flag" => Ok(Depth::Flag),
            _ => Err(UnknownDepth(text.to_owned())),
        }
    }
}

/// Not the name of a feature.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnknownFeature {
    #[error(transparent)]
    Syscall(#[from] UnknownSyscall),
    #[error("`{0}` is a pseudo-file; only syscalls and their parts can be injected so far")]
    PseudoFile(String),
    #[error(transparent)]
    Operation(#[from] UnknownOperation),
}

impl std::str::FromStr for Feature {
    type Err = UnknownFeature;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') {
            return Err(UnknownFeature::PseudoFile(text.to_owned()));
        }
        if text.contains(':') {
            return Ok(Feature::Operation(text.parse()?));
        }
        Ok(Feature::Syscall(text.parse()?))
    }
}

impl Serialize for Feature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Feature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
