//! Tables are read back by the reader that analytics engines share: what was told is there.

use std::fs::File;

use parquet::file::reader::{FileReader as _, SerializedFileReader};

use super::*;

/// Rows as texts, cell by cell.
fn read(path: &Path) -> Vec<String> {
    let file = File::open(path).expect("a file");
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let rows = reader.get_row_iter(None).expect("rows");
    rows.map(|row| row.expect("a row").to_string()).collect()
}

fn told(directory: &Path) -> Fleet {
    let mut fleet = open(directory, "fleet");
    for host in 0..3 {
        let mut uses = vec![("read", 490_000), ("mmap", 490_000 + host)];
        if host == 2 {
            uses.push(("/proc/<pid>/stat", 490_005));
        }
        let one = (
            subject("nginx.service", "nginx", "1.22"),
            member(490_000, 490_009, &uses),
        );
        fleet
            .merge(&super::bundle(host, 7, vec![one]))
            .expect("merged");
    }
    fleet
}

#[test]
fn one_file_has_what_each_version_uses_on_how_many_hosts_and_since_when() {
    let directory = tempfile::tempdir().expect("a directory");
    let fleet = told(directory.path());
    let path = directory.path().join("uses.parquet");
    assert_eq!(
        fleet.export_tables(&path).expect("written"),
        std::slice::from_ref(&path)
    );
    let mut rows = read(&path);
    rows.sort();
    assert_eq!(rows.len(), 3, "{rows:#?}");
    let begin = "{name: \"nginx.service\", kind: \"unit\", executable: \"nginx\", package: \"nginx\", \
                 version: \"1.22\", build_id: \"b1.22\", feature: ";
    // 490,000 hours after the beginning of 1970.
    let hours = "2025-11-24 16:00:00.000 +00:00";
    assert_eq!(
        rows[1],
        format!("{begin}\"mmap\", hosts: 3, first_seen: {hours}}}")
    );
    assert!(
        rows[0].starts_with(&format!("{begin}\"/proc/<pid>/stat\", hosts: 1, ")),
        "{rows:#?}"
    );
}

#[test]
fn a_directory_has_tables_that_refer_to_each_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let fleet = told(directory.path());
    let path = directory.path().join("new/tables");
    let written = fleet.export_tables(&path).expect("written");
    let names: Vec<String> = written
        .iter()
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(
        names,
        ["uses", "hosts", "subjects", "sets", "members", "later"]
    );
    let counts: Vec<usize> = written.iter().map(|path| read(path).len()).collect();
    // Two sets, of two and of three features; each host has one subject; what came later: mmap on two
    // hosts, the pseudo-file on one.
    assert_eq!(counts, [3, 3, 1, 5, 3, 3]);
    let members = read(&written[4]);
    assert!(
        members[0].contains(&format!("host: \"{:032x}\", set: ", 0)),
        "{members:#?}"
    );
    let hosts = read(&written[1]);
    assert!(
        hosts[0].contains("name: \"host2\"") && hosts[0].contains("heard: null"),
        "{hosts:#?}"
    );
    // Again, over what is there; and nothing else is left.
    fleet.export_tables(&path).expect("written");
    assert_eq!(std::fs::read_dir(&path).expect("there").count(), 6);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let fleet = told(directory.path());
    let error = fleet
        .export_tables(Path::new("/proc/nothing.parquet"))
        .expect_err("no file can be made there");
    assert!(
        error
            .to_string()
            .starts_with("cannot write /proc/nothing.parquet"),
        "{error}"
    );
}
