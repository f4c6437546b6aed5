//! The cases, by area: each a small, correct use of one feature, and a look at its effect. What has
//! none is in [`reasons`]. A table; runs nothing.

mod attributes;
mod clones;
mod content;
mod controls;
mod descriptors;
mod events;
mod flags;
mod futexes;
mod identity;
mod ipc;
mod keys;
mod limits;
mod mapping;
mod memory;
mod mounts;
mod names;
mod options;
mod processes;
mod pseudo_files;
mod queues;
mod reasons;
mod rings;
mod signals;
mod sockets;
mod submissions;
mod terminals;
mod time;
mod tracing;

use crate::list::Case;

const GROUPS: &[&[Case]] = &[
    content::CASES,
    descriptors::CASES,
    names::CASES,
    memory::CASES,
    signals::CASES,
    time::CASES,
    processes::CASES,
    identity::CASES,
    sockets::CASES,
    sockets::CONTROLS,
    options::CASES,
    events::CASES,
    ipc::CASES,
    queues::CASES,
    keys::CASES,
    rings::CASES,
    limits::CASES,
    controls::CASES,
    futexes::CASES,
    attributes::CASES,
    mounts::CASES,
    terminals::CASES,
    tracing::CASES,
    flags::CASES,
    mapping::CASES,
    clones::CASES,
    submissions::CASES,
    submissions::OF_FILES,
    pseudo_files::CASES,
];

/// All, in no order that matters.
pub fn all() -> impl Iterator<Item = &'static Case> {
    GROUPS.iter().copied().flatten()
}

/// Those of files below `/proc`, `/sys` and `/dev`.
pub fn pseudo_files() -> impl Iterator<Item = &'static Case> {
    all().filter(|case| case.name.starts_with('/'))
}

/// Why features are not tried, by name or by how their names begin.
pub fn reasons() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = reasons::REASONS.iter();
    rows.flat_map(|(names, reason)| names.iter().map(move |name| (*name, *reason)))
}
