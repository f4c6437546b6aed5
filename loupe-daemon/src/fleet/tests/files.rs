//! Bundles as files: what was written is read, and what is no bundle is refused by name.

use std::fs;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::FleetError;
use super::super::bundle::{read_bundle, write_bundle};
use super::*;

fn some() -> Bundle {
    let members = vec![
        (
            subject("a.service", "a", "1"),
            member(5, 9, &[("read", 5), ("futex", 7)]),
        ),
        (
            subject("b.service", "b", "1"),
            member(5, 9, &[("read", 5), ("futex", 5)]),
        ),
    ];
    bundle(7, 1, members)
}

fn packed(directory: &Path, text: &str) -> std::path::PathBuf {
    let path = directory.join("packed");
    let mut file = GzEncoder::new(Vec::new(), Compression::fast());
    file.write_all(text.as_bytes()).expect("packed");
    fs::write(&path, file.finish().expect("packed")).expect("written");
    path
}

#[test]
fn a_bundle_is_read_as_it_was_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("host.loupe");
    let bundle = some();
    write_bundle(&path, &bundle).expect("written");
    assert_eq!(read_bundle(&path).expect("read"), bundle);
    assert_eq!(bundle.sets.len(), 1);
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
}

#[test]
fn what_was_cut_off_anywhere_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("host.loupe");
    write_bundle(&path, &some()).expect("written");
    let whole = fs::read(&path).expect("read");
    for length in (1..whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).expect("written");
        let error = read_bundle(&path).expect_err("cut off");
        assert!(
            matches!(
                error,
                FleetError::Damaged { .. } | FleetError::Foreign { .. }
            ),
            "{length}: {error}"
        );
        assert!(error.to_string().contains("host.loupe"), "{error}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_flipped_bit_is_no_other_bundle() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("host.loupe");
    write_bundle(&path, &some()).expect("written");
    let whole = fs::read(&path).expect("read");
    // Beyond the head of ten bytes, in which the time of the packing is nobody's.
    for at in (10..whole.len()).step_by(11) {
        let mut other = whole.clone();
        other[at] ^= 0x10;
        fs::write(&path, other).expect("written");
        assert!(read_bundle(&path).is_err(), "byte {at}");
    }
}

#[test]
fn other_files_and_later_versions_are_told_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let foreign = directory.path().join("foreign");
    for text in ["", "hello", "{}"] {
        fs::write(&foreign, text).expect("written");
        assert!(read_bundle(&foreign).is_err(), "{text}");
    }
    fs::write(&foreign, "hello, world").expect("written");
    let error = read_bundle(&foreign).expect_err("text");
    assert!(matches!(error, FleetError::Foreign { .. }), "{error:?}");
    let other = read_bundle(&packed(directory.path(), r#"{"schema":"loupe.run/1"}"#));
    assert!(
        matches!(other, Err(FleetError::Foreign { .. })),
        "{other:?}"
    );
    let newer = read_bundle(&packed(directory.path(), r#"{"schema":"loupe.bundle/3"}"#));
    assert!(
        matches!(newer, Err(FleetError::Newer { found: 3, .. })),
        "{newer:?}"
    );
}

#[test]
fn a_bundle_that_contradicts_itself_is_damaged() {
    let directory = tempfile::tempdir().expect("a directory");
    let changes: [fn(&mut Bundle); 6] = [
        |bundle| bundle.host.id = "../x".to_owned(),
        |bundle| bundle.host.kernel = "6\x1b[2J".to_owned(),
        |bundle| bundle.sets.clear(),
        |bundle| bundle.calendars.clear(),
        |bundle| bundle.subjects[0].last_hour = 0,
        |bundle| {
            for set in bundle.sets.values_mut() {
                set.insert("ptrace".to_owned());
            }
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut bundle = some();
        change(&mut bundle);
        let path = packed(
            directory.path(),
            &serde_json::to_string(&bundle).expect("JSON"),
        );
        let error = read_bundle(&path).expect_err("refused");
        assert!(
            matches!(error, FleetError::Damaged { .. }),
            "{number}: {error}"
        );
    }
}

/// As the release before operations wrote it, of a program that had called `rt_sigaction` and more.
const VERSION_1: &[u8] = include_bytes!("../fixtures/bundle-1.loupe");

#[test]
fn a_bundle_of_the_first_version_is_read_and_merged_and_its_syscalls_are_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("old.loupe");
    fs::write(&path, VERSION_1).expect("written");
    let mut old = read_bundle(&path).expect("read");
    assert_eq!(old.schema, "loupe.bundle/1");
    let mut fleet = open(directory.path(), "fleet");
    assert_eq!(fleet.merge(&old).expect("merged").new, 1);
    let who = fleet.who("rt_sigaction").expect("readable");
    assert_eq!(who.users[0].name, "v");
    let needs = fleet.needs().expect("readable");
    let whole = "rt_sigaction".parse().expect("a feature");
    assert!(needs[0].0.need.required.contains(&whole));
    // The same host, after its upgrade: what it tells beyond that is joined to it.
    let told = &old.subjects[0];
    let (first, last) = (told.first_hour, told.last_hour);
    let subject = told.subject.clone();
    let more = member(
        first,
        last,
        &[("rt_sigaction", first), ("rt_sigaction:SIGTERM", first)],
    );
    old.schema = schema();
    old.subjects.clear();
    old.tell(subject, more);
    assert_eq!(fleet.merge(&old).expect("merged").changed, 1);
    let needs = fleet.needs().expect("readable");
    let required = &needs[0].0.need.required;
    assert!(!required.contains(&whole));
    assert!(required.contains(&"rt_sigaction:SIGTERM".parse().expect("a feature")));
    assert!(required.contains(&"getpriority".parse().expect("a feature")));
}
