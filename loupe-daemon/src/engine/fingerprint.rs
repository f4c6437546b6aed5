//! What must be the same for replays of two analyses to be comparable. Reads file attributes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::AnalyzeOptions;
use crate::launcher::places::find;
use crate::launcher::protocol::Identity;
use crate::launcher::with_rights_of;
use crate::replay::{PrepareError, Prepared};

/// A text that changes when the workload, its files, the target, the caller, the kernel or
/// Loupe itself changes.
pub fn of(
    prepared: &Prepared,
    identity: &Identity,
    options: &AnalyzeOptions,
) -> Result<String, PrepareError> {
    let workload = &prepared.workload;
    let mut text = format!(
        "loupe {}; kernel {}; uid {} gid {}; in {}\n",
        env!("CARGO_PKG_VERSION"),
        nix::sys::utsname::uname().map_or_else(
            |_| "unknown".to_owned(),
            |name| name.release().to_string_lossy().into_owned()
        ),
        identity.uid,
        identity.gid,
        workload.base.display(),
    );
    for (chosen, what) in [
        (options.paper_mode, "as the paper's prototype\n"),
        (options.no_pseudo_files, "without pseudo-files\n"),
        (options.no_vdso, "without vDSO\n"),
    ] {
        if chosen {
            text.push_str(what);
        }
    }
    // Serializing plain strings and numbers to a string cannot fail.
    text += &serde_json::to_string(workload).unwrap_or_default();
    text.push('\n');
    let words = prepared.command.argv.iter().chain(&prepared.test.argv);
    let files = workload
        .files
        .iter()
        .map(|file| workload.base.join(&file.from));
    let named = words.map(|word| prepared.command.directory.join(word.as_os_str()));
    let paths: Vec<PathBuf> = std::iter::once(prepared.target.clone())
        .chain(named)
        .chain(files)
        // What the replays themselves may write to is no input.
        .filter(|path| !workload.writable.iter().any(|top| path.starts_with(top)))
        .collect();
    let add_all = || paths.iter().for_each(|path| add(&mut text, path));
    with_rights_of(identity, add_all).map_err(PrepareError::Rights)?;
    Ok(text)
}

/// Words of a command line that are no files have nothing to add.
fn add(text: &mut String, path: &Path) {
    if let Ok(found) = find(path)
        && found.is_file()
    {
        let (seconds, nanoseconds) = found.changed;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} {} {seconds}.{nanoseconds}",
            path.display(),
            found.length,
        );
    }
}
