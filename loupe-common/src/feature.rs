//! A feature: what is measured: a syscall, an operation or a flag of one, a pseudo-file, or an
//! operation of io_uring.

use std::fmt;

use serde::Serialize;

use crate::io_uring::{self, IoUringOp};
use crate::operations::{Operation, UnknownOperation};
use crate::pseudo_file::PseudoFile;
use crate::syscalls::{Syscall, UnknownSyscall};
use crate::text::as_text;

/// Something that an OS implements or not. Written as its name (`futex`, `fcntl:F_SETFD`) or
/// path (`/proc/self/maps`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    Syscall(Syscall),
    /// A part of a vectored syscall: one of its operations, or a flag.
    Operation(Operation),
    PseudoFile(PseudoFile),
    IoUring(IoUringOp),
}

impl Feature {
    /// The word for `kind` in machine-readable output.
    pub fn kind(&self) -> &'static str {
        match self {
            Feature::Syscall(_) => "syscall",
            Feature::Operation(operation) if operation.is_flag() => "flag",
            Feature::Operation(_) => "operation",
            Feature::PseudoFile(_) => "pseudo-file",
            Feature::IoUring(_) => "io_uring",
        }
    }

    /// The syscall that the feature is, or is a part of; a pseudo-file belongs to none, and what
    /// is submitted to a ring is no part of the syscall that submits it.
    pub fn syscall(&self) -> Option<Syscall> {
        match self {
            Feature::Syscall(syscall) => Some(*syscall),
            Feature::Operation(operation) => Some(operation.syscall()),
            Feature::PseudoFile(_) | Feature::IoUring(_) => None,
        }
    }

    /// Whether it is a syscall as a whole.
    pub fn is_syscall(&self) -> bool {
        matches!(self, Feature::Syscall(_))
    }

    /// What the feature is a part of.
    pub fn parent(&self) -> Option<Feature> {
        match self {
            Feature::Syscall(_) | Feature::PseudoFile(_) | Feature::IoUring(_) => None,
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

impl From<PseudoFile> for Feature {
    fn from(file: PseudoFile) -> Self {
        Feature::PseudoFile(file)
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
            Feature::PseudoFile(file) => fmt::Display::fmt(file, f),
            Feature::IoUring(operation) => fmt::Display::fmt(operation, f),
        }
    }
}

/// How deep an analysis goes.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    schemars::JsonSchema,
    serde::Deserialize,
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
    #[error(
        "`{0}` is no pseudo-file: those are paths below /proc, /sys and /dev, without `.` and `..`"
    )]
    PseudoFile(String),
    #[error("`{0}` is no operation of io_uring (as `io_uring:IORING_OP_READV`)")]
    IoUring(String),
    #[error(transparent)]
    Operation(#[from] UnknownOperation),
}

impl std::str::FromStr for Feature {
    type Err = UnknownFeature;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') {
            let file = PseudoFile::new(text, None);
            return file
                .map(Feature::PseudoFile)
                .ok_or_else(|| UnknownFeature::PseudoFile(text.to_owned()));
        }
        if let Some(name) = text.strip_prefix(io_uring::PREFIX) {
            return IoUringOp::from_name(name)
                .map(Feature::IoUring)
                .ok_or_else(|| UnknownFeature::IoUring(text.to_owned()));
        }
        if text.contains(':') {
            return Ok(Feature::Operation(text.parse()?));
        }
        Ok(Feature::Syscall(text.parse()?))
    }
}

as_text!(Feature);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudo_file_is_written_as_its_path() {
        let feature: Feature = "/proc/self/maps".parse().expect("a pseudo-file");
        assert_eq!((feature.kind(), feature.syscall()), ("pseudo-file", None));
        assert_eq!(feature.to_string(), "/proc/self/maps");
        let json = serde_json::to_string(&feature).expect("serializable");
        assert_eq!(json, r#""/proc/self/maps""#);
        let back: Feature = serde_json::from_str(&json).expect("readable");
        assert_eq!(back, feature);
    }

    #[test]
    fn an_operation_of_io_uring_is_written_with_its_name() {
        let feature: Feature = "io_uring:IORING_OP_READV".parse().expect("known");
        assert_eq!((feature.kind(), feature.syscall()), ("io_uring", None));
        assert_eq!(feature.to_string(), "io_uring:IORING_OP_READV");
        assert!("io_uring:READV".parse::<Feature>().is_err());
    }

    #[test]
    fn a_path_elsewhere_is_refused_with_the_reason() {
        let error = "/etc/passwd".parse::<Feature>().expect_err("no feature");
        assert!(error.to_string().contains("below /proc"), "{error}");
    }
}
