//! A feature: what is measured. Today every feature is a whole syscall.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::syscalls::{Syscall, UnknownSyscall};

/// Something that an OS implements or not. Written as its name (`futex`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    Syscall(Syscall),
}

impl Feature {
    /// The word for `kind` in machine-readable output.
    pub fn kind(&self) -> &'static str {
        match self {
            Feature::Syscall(_) => "syscall",
        }
    }

    /// The syscall that the feature is, or is a part of.
    pub fn syscall(&self) -> Syscall {
        match self {
            Feature::Syscall(syscall) => *syscall,
        }
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
        }
    }
}

/// Not the name of a feature.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnknownFeature {
    #[error(transparent)]
    Syscall(#[from] UnknownSyscall),
    #[error("`{0}` is a pseudo-file; only whole syscalls can be injected so far")]
    PseudoFile(String),
    #[error("`{0}` is an operation of a syscall; only whole syscalls can be injected so far")]
    Operation(String),
}

impl std::str::FromStr for Feature {
    type Err = UnknownFeature;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') {
            return Err(UnknownFeature::PseudoFile(text.to_owned()));
        }
        if text.contains(':') {
            return Err(UnknownFeature::Operation(text.to_owned()));
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
