//! One file per command; what several of them share is in `command_run` and `follow`.

pub mod analyze;
pub mod cancel;
pub mod diff;
pub mod doctor;
pub mod emulate;
pub mod explain;
pub mod export;
pub mod fleet;
pub mod gap;
pub mod import;
pub mod jobs;
pub mod list;
pub mod os;
pub mod plan;
pub mod probe;
pub mod profile;
pub mod remove;
pub mod report;
pub mod run;
pub mod show;
pub mod stats;
pub mod study;
pub mod trace;
pub mod trial;
pub mod verify_os;
pub mod watch;

mod command_run;
mod follow;
mod plan_file;
mod profile_host;
mod profiles;
mod stream;
mod trace_running;
mod verify;
mod verify_there;
