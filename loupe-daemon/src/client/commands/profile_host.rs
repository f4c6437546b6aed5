//! What the meaning of a profile depends on, asked of this host: its systemd's groups of syscalls,
//! and its kernel's version.

use std::process::Command;

use crate::doctor::kernel_version;
use crate::formats::{Groups, Host};

/// Without systemd here, the groups are those of a release that Loupe knows.
pub fn ask() -> Host {
    Host {
        groups: groups().unwrap_or_else(Groups::built_in),
        kernel: kernel_version().unwrap_or_default(),
    }
}

fn groups() -> Option<Groups> {
    let version = systemd_analyze(&["--version"])?;
    let release = version.lines().next()?.trim();
    Groups::parse(
        format!("{release}, this host's"),
        &systemd_analyze(&["syscall-filter"])?,
    )
}

/// What it prints, where it is there and succeeds.
fn systemd_analyze(words: &[&str]) -> Option<String> {
    let output = Command::new("systemd-analyze")
        .args(words)
        .env("SYSTEMD_PAGER", "")
        .env("SYSTEMD_COLORS", "0")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(text)
}
