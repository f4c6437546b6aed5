//! A feature: what is measured. A whole syscall, a pseudo-file, or an operation of io_uring.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::io_uring::{self, IoUringOp};
use crate::pseudo_file::PseudoFile;
use crate::syscalls::{Syscall, UnknownSyscall};

/// Something that an OS implements or not. Written as its name (`futex`) or path
/// (`/proc/self/maps`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    Syscall(Syscall),
    PseudoFile(PseudoFile),
    IoUring(IoUringOp),
}

impl Feature {
    /// The word for `kind` in machine-readable output.
    pub fn kind(&self) -> &'static str {
        match self {
            Feature::Syscall(_) => "syscall",
            Feature::PseudoFile(_) => "pseudo-file",
            Feature::IoUring(_) => "io_uring",
        }
    }

    /// The syscall that the feature is, or is a part of; a pseudo-file belongs to none, and what
    /// is submitted to a ring is no part of the syscall that submits it.
    pub fn syscall(&self) -> Option<Syscall> {
        match self {
            Feature::Syscall(syscall) => Some(*syscall),
            Feature::PseudoFile(_) | Feature::IoUring(_) => None,
        }
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
            Feature::PseudoFile(file) => fmt::Display::fmt(file, f),
            Feature::IoUring(operation) => fmt::Display::fmt(operation, f),
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
    #[error("`{0}` is an operation of a syscall; only whole syscalls can be injected so far")]
    Operation(String),
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
