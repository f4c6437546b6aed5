//! Builds the probe (`probe/`): a static program without a C library, by the compiler that cargo
//! uses, and by no other cargo: it is one crate without dependencies.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What makes a program of it that needs nothing of the host: no start files, no libraries, no
/// places that are only known when it runs.
const FLAGS: [&str; 14] = [
    "--edition=2024",
    "--crate-name=loupe_probe",
    "--crate-type=bin",
    "--cfg=loupe_program",
    "-Cpanic=abort",
    "-Copt-level=1",
    "-Cstrip=symbols",
    "-Crelocation-model=static",
    "-Clink-arg=-nostartfiles",
    "-Clink-arg=-nostdlib",
    "-Clink-arg=-static",
    "-Clink-arg=-no-pie",
    "-Clink-arg=-Wl,--gc-sections",
    "-Clink-arg=-Wl,--build-id=none",
];

/// What it is made of, below the workspace.
pub const SOURCES: [&str; 5] = [
    "loupe-daemon/probe/src",
    "loupe-common/src/io_uring/table.rs",
    "loupe-common/src/syscalls/x86_64.rs",
    "loupe-common/src/operations/x86_64.rs",
    "loupe-common/src/operations/meaning.rs",
];

/// Where the program is, or what went wrong.
pub fn build(rustc: &str, target: &str, workspace: &Path, out: &Path) -> Result<PathBuf, String> {
    let program = out.join("loupe-probe");
    let output = Command::new(rustc)
        .current_dir(workspace)
        .args(FLAGS)
        .arg(format!("--target={target}"))
        // The same sources make the same program, wherever they lie.
        .arg(format!("--remap-path-prefix={}=", workspace.display()))
        .arg("-o")
        .arg(&program)
        .arg("loupe-daemon/probe/src/lib.rs")
        .output()
        .map_err(|error| format!("cannot run {rustc}: {error}"))?;
    if !output.status.success() {
        let messages = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "the probe does not build by {rustc} ({}):\n{messages}",
            output.status
        ));
    }
    Ok(program)
}
