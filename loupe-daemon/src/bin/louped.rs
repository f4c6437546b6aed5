//! The daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The launcher is this binary too; it wants a process without threads.
    loupe_daemon::launcher_if_asked();
    loupe_daemon::louped()
}
