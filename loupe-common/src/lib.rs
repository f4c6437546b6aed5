//! What Loupe's two sides share.
//!
//! Without features this crate is `no_std` and holds only the ABI between the in-kernel
//! programs and user space: plain `repr(C)` records and map keys, one module per map or probe.
//! With the feature `user` it also holds the words of the project as types: syscalls,
//! features, policies, verdicts, replay records and the wire protocol. It does no I/O.
#![cfg_attr(not(feature = "user"), no_std)]
#![forbid(unsafe_code)]
#![warn(unused_crate_dependencies)]

pub mod event;
pub mod profile_abi;
pub mod scope;
pub mod stats;

#[cfg(feature = "user")]
pub mod analysis;
#[cfg(feature = "user")]
pub mod emulation;
#[cfg(feature = "user")]
pub mod errno;
#[cfg(feature = "user")]
pub mod exit;
#[cfg(feature = "user")]
pub mod feature;
#[cfg(feature = "user")]
pub mod host_class;
#[cfg(feature = "user")]
pub mod impact;
#[cfg(feature = "user")]
pub mod io_uring;
#[cfg(feature = "user")]
pub mod operations;
#[cfg(feature = "user")]
pub mod phase;
#[cfg(feature = "user")]
pub mod policy;
#[cfg(feature = "user")]
pub mod profile;
#[cfg(feature = "user")]
pub mod progress;
#[cfg(feature = "user")]
pub mod provenance;
#[cfg(feature = "user")]
pub mod pseudo_file;
#[cfg(feature = "user")]
pub mod replay;
#[cfg(feature = "user")]
pub mod syscalls;
#[cfg(feature = "user")]
pub mod text;
#[cfg(feature = "user")]
pub mod trace;
#[cfg(feature = "user")]
pub mod verdict;
#[cfg(feature = "user")]
pub mod wire;
#[cfg(feature = "user")]
pub mod word;
