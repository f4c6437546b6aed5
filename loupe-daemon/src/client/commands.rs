//! One file per command; what several of them share is in `command_run` and `follow`.

pub mod analyze;
pub mod cancel;
pub mod doctor;
pub mod explain;
pub mod jobs;
pub mod list;
pub mod run;
pub mod show;
pub mod trace;
pub mod watch;

mod command_run;
mod follow;
mod stream;
