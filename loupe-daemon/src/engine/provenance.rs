//! On what, and of what, an analysis is measured: asked of the host and of the workload's files when it
//! begins. Decides nothing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use loupe_common::profile::Executable;
use loupe_common::provenance::Provenance;

use crate::executable::{self, Digest};
use crate::launcher::protocol::{CommandSpec, Identity};
use crate::launcher::with_rights_of;
use crate::replay::{PrepareError, Prepared};
use crate::text;

/// What the kernel tells the time by.
const CLOCKSOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// Files are looked at with the rights of whoever asked for the analysis.
pub fn of(
    prepared: &Prepared,
    identity: &Identity,
    now_ms: i64,
) -> Result<Provenance, PrepareError> {
    with_rights_of(identity, || collect(prepared, now_ms)).map_err(PrepareError::Rights)
}

fn collect(prepared: &Prepared, now_ms: i64) -> Provenance {
    let name = nix::sys::utsname::uname().ok();
    let word = |of: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        name.as_ref()
            .map(|name| of(name).to_string_lossy().into_owned())
    };
    // Without the `.` of a path that the workload file names from its own directory.
    let target: PathBuf = prepared.target.components().collect();
    let path = target.to_string_lossy().into_owned();
    let mut workload = Digest::default();
    // Serializing plain strings and numbers to a string cannot fail.
    workload.text(
        serde_json::to_string(&prepared.workload)
            .unwrap_or_default()
            .as_bytes(),
    );
    let open = |path: &Path| executable::open_local(Path::new("/proc/self"), path);
    let root = File::open("/").ok();
    Provenance {
        date: text::rfc3339(now_ms),
        loupe: crate::VERSION.to_owned(),
        host: word(nix::sys::utsname::UtsName::nodename),
        kernel: word(nix::sys::utsname::UtsName::release),
        architecture: word(nix::sys::utsname::UtsName::machine),
        cpu: cpu(),
        clocksource: first_line(CLOCKSOURCE),
        libc: open(&target).and_then(executable::c_library),
        target: match open(&target) {
            Some(file) => {
                executable::facts(file, path, root.as_ref().map(std::os::fd::AsFd::as_fd))
            }
            // It is yet to be made.
            None => Executable {
                path,
                ..Executable::default()
            },
        },
        workload_digest: Some(workload.finish()),
        command_digest: Some(digest(&prepared.command)),
        test_digest: Some(digest(&prepared.test)),
        options_digest: None,
    }
}

/// The words, and what is in the files that they name: another test script is another test.
fn digest(command: &CommandSpec) -> String {
    let mut digest = Digest::default();
    for word in &command.argv {
        digest.text(word.as_os_str().as_encoded_bytes());
        let path = command.directory.join(word.as_os_str());
        if let Some(file) = executable::open_local(Path::new("/proc/self"), &path) {
            digest.file(file);
        }
    }
    digest.finish()
}

fn first_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| line.trim().to_owned())
}

/// The name of the first CPU; machines that have none (aarch64) tell its parts.
fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let value = |key: &str| {
        let mut lines = text.lines();
        let line = lines.find(|line| {
            line.split(':')
                .next()
                .is_some_and(|word| word.trim() == key)
        });
        Some(line?.split_once(':')?.1.trim().to_owned())
    };
    value("model name").or_else(|| {
        Some(format!(
            "implementer {} part {}",
            value("CPU implementer")?,
            value("CPU part")?
        ))
    })
}
