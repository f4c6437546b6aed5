//! Values of a workload that its types allow and nothing else does: numbers out of bounds, words
//! that no process can be given, characters that steer. Knows nothing of files.

use std::path::Path;

use loupe_common::text::{fault_of_name, fault_of_path};

use super::{LEAST_MEMORY_MIB, LEAST_PROCESSES, Limits, Workload};

/// The longest time limit, in seconds: a day.
const LONGEST_LIMIT: f64 = 86_400.0;

/// Replicas beyond this number tell nothing new.
pub const MOST_REPLICAS: u32 = 1000;

pub(super) fn names(workload: &Workload) -> Result<(), String> {
    for (key, name) in [
        ("application", &workload.application),
        ("workload", &workload.workload),
    ] {
        if let Some(fault) = fault_of_name(name) {
            return Err(format!("`{key}` {fault}"));
        }
    }
    Ok(())
}

pub(super) fn numbers(workload: &Workload) -> Result<(), String> {
    let replicas = workload.replicas;
    if replicas == Some(0) {
        return Err("`replicas` must be at least 1".to_owned());
    }
    if replicas.is_some_and(|replicas| replicas > MOST_REPLICAS) {
        return Err(format!("`replicas` must be at most {MOST_REPLICAS}"));
    }
    // All of them by name: one more is not forgotten.
    let Limits {
        start,
        run,
        test,
        stop,
        cpu,
        memory,
        processes,
    } = workload.limits;
    for (key, limit) in [
        ("start", start),
        ("run", run),
        ("test", test),
        ("stop", stop),
        ("cpu", cpu),
    ] {
        // Not the other way round: NaN is neither above nor below anything.
        if limit.is_some_and(|seconds| !(seconds > 0.0 && seconds <= LONGEST_LIMIT)) {
            return Err(format!(
                "`limits.{key}` must be above 0 and at most {LONGEST_LIMIT} seconds"
            ));
        }
    }
    for (key, limit, least) in [
        ("memory", memory, LEAST_MEMORY_MIB),
        ("processes", processes, LEAST_PROCESSES),
    ] {
        if limit.is_some_and(|limit| !(least..=1 << 32).contains(&limit)) {
            return Err(format!("`limits.{key}` must be at least {least}"));
        }
    }
    Ok(())
}

/// What no process can be given.
pub(super) fn words(workload: &Workload) -> Result<(), String> {
    for (key, command) in [("command", &workload.command), ("test", &workload.test)] {
        if command.words().iter().any(|word| word.contains('\0')) {
            return Err(format!("a word of `{key}` holds a NUL"));
        }
    }
    for (name, value) in &workload.environment {
        if name.is_empty() || name.contains(['=', '\0']) || name.chars().any(char::is_control) {
            return Err(format!(
                "`env`: {name:?} cannot be the name of a variable (empty, or it holds `=` or a \
                 control character)"
            ));
        }
        if value.contains('\0') {
            return Err(format!("`env`: the value of {name:?} holds a NUL"));
        }
    }
    Ok(())
}

pub(super) fn paths(workload: &Workload) -> Result<(), String> {
    let files = workload
        .files
        .iter()
        .flat_map(|file| [("files", &file.from), ("files", &file.to)]);
    let writable = workload.writable.iter().map(|path| ("writable", path));
    let single = [
        ("directory", workload.directory.as_ref()),
        ("target", workload.target.as_ref()),
    ];
    let single = single
        .into_iter()
        .filter_map(|(key, path)| Some((key, path?)));
    for (key, path) in files.chain(writable).chain(single) {
        path_of(key, path)?;
    }
    Ok(())
}

fn path_of(key: &str, path: &Path) -> Result<(), String> {
    match path.to_str().and_then(fault_of_path) {
        Some(fault) => Err(format!("`{key}` {fault}")),
        None => Ok(()),
    }
}
