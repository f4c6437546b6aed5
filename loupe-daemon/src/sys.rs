//! Calls of the kernel that no crate wraps safely, or not in the way that Loupe needs: one thin
//! function each, which is sound whoever calls it. All `unsafe` of the library stands in these
//! files (and in `tracer/maps.rs`, where aya wants it); the compiler refuses it anywhere else.
//!
//! Decides nothing, and knows nothing of Loupe.

pub mod bpf;
pub mod bpffs;
pub mod capabilities;
pub mod credentials;
pub mod descriptors;
pub mod files;
pub mod mounts;
pub mod network;
pub mod plain;
pub mod process;
pub mod ptrace;
pub mod scm;
pub mod seccomp;
pub mod signals;
