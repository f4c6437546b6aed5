//! What cannot be a database is refused with its path, the cause and a cure, unchanged.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn refused(path: &Path) -> StoreError {
    let error = Store::open(path).expect_err("must be refused");
    let (message, hint) = (error.to_string(), error.hint());
    assert!(
        message.contains(&path.display().to_string()),
        "no path in {message:?}"
    );
    assert!(hint.is_some(), "no cure for {message:?}");
    assert_eq!(error.exit_code(), 125);
    error
}

#[test]
fn a_text_file_is_refused_and_left_alone() {
    let scratch = Scratch::new();
    let text = "not a database, ".repeat(1000);
    std::fs::write(scratch.path(), &text).expect("written");
    assert!(matches!(
        refused(&scratch.path()),
        StoreError::NotADatabase { .. }
    ));
    assert_eq!(std::fs::read_to_string(scratch.path()).expect("read"), text);
}

#[test]
fn the_database_of_another_program_is_refused_and_left_alone() {
    let scratch = Scratch::new();
    Connection::open(scratch.path())
        .and_then(|other| other.execute_batch("CREATE TABLE bookmarks (url TEXT)"))
        .expect("a database");
    let before = std::fs::read(scratch.path()).expect("read");
    assert!(matches!(
        refused(&scratch.path()),
        StoreError::Foreign { .. }
    ));
    assert_eq!(std::fs::read(scratch.path()).expect("read"), before);
}

#[test]
fn a_newer_database_is_refused_with_both_versions_and_its_writer() {
    let scratch = Scratch::new();
    drop(scratch.open());
    Connection::open(scratch.path())
        .and_then(|other| {
            other.execute_batch(
                "PRAGMA user_version = 1000;
                 UPDATE meta SET value = 'loupe 9.9.9' WHERE key = 'writer'",
            )
        })
        .expect("written");
    let message = refused(&scratch.path()).to_string();
    let known = MIGRATIONS.len();
    assert!(
        message.ends_with(&format!(
            "has version 1000 (written by loupe 9.9.9); this program knows versions up to {known}"
        )),
        "{message}"
    );
}

#[test]
fn a_damaged_database_is_reported_as_damaged() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let run = store
        .begin_analysis(&workload("nginx", "wrk"), "f", false)
        .expect("begun");
    for replica in 0..50 {
        store
            .record_replay(run.id, replica, None, &replay(Policy::baseline(), true))
            .expect("recorded");
    }
    drop(store);
    let mut bytes = std::fs::read(scratch.path()).expect("read");
    bytes[4096..].fill(0xff);
    std::fs::write(scratch.path(), bytes).expect("written");
    // Whether it is found at the opening or later depends on how much the first page holds.
    let error = Store::open(&scratch.path())
        .and_then(|store| store.list())
        .expect_err("every other page is rubbish");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains(".recover")));
}

#[test]
fn a_result_of_another_shape_names_the_analysis() {
    let scratch = Scratch::new();
    let store = scratch.open();
    let run = store
        .begin_analysis(&workload("nginx", "wrk"), "f", false)
        .expect("begun");
    store
        .finish_analysis(run.id, &result_of("nginx", "wrk", &[]))
        .expect("finished");
    store
        .read(|connection| {
            connection.execute("UPDATE analyses SET result = '{\"features\":[]}'", [])
        })
        .expect("written");
    let error = store
        .latest_analysis("nginx", None)
        .expect_err("no schema field");
    let message = error.to_string();
    assert!(
        message.contains("cannot decode the result of analysis 1: missing field"),
        "{message}"
    );
}

#[test]
fn a_directory_in_the_place_of_the_file_is_refused() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path()).expect("made");
    refused(&scratch.path());
}

#[test]
fn a_place_where_nothing_can_be_made_is_refused() {
    let error = refused(Path::new("/proc/loupe/loupe.db"));
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
}

/// As a user who may read the file and not write it. Root may always, so root's thread takes
/// another user's file-system identity (which is per thread).
#[test]
fn a_read_only_database_is_refused_as_such() {
    let scratch = Scratch::new();
    drop(scratch.open());
    for (path, mode) in [
        (scratch.path(), 0o444),
        (scratch.directory.path().into(), 0o555),
    ] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("changed");
    }
    let path = scratch.path();
    std::thread::spawn(move || {
        let nobody = nix::unistd::Uid::from_raw(65534);
        if nix::unistd::geteuid().is_root() {
            nix::unistd::setfsuid(nobody);
        }
        let error = refused(&path);
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    })
    .join()
    .expect("refused as read-only");
}

#[test]
fn a_new_database_and_its_directory_are_for_their_owner_only() {
    let scratch = Scratch::new();
    let path = scratch.directory.path().join("state/loupe/loupe.db");
    let store = Store::open(&path).expect("made with its directories");
    let _run = store
        .begin_analysis(&workload("nginx", "wrk"), "f", false)
        .expect("begun");
    let directory = path.parent().expect("it has one");
    for entry in std::fs::read_dir(directory).expect("readable") {
        let entry = entry.expect("readable");
        let mode = entry.metadata().expect("readable").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", entry.path());
    }
    let mode = std::fs::metadata(directory)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}
