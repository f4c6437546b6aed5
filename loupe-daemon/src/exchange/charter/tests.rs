//! Directories of fleets, for real.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn servers() -> Vec<String> {
    ["hub.example.org", "::1"].map(str::to_owned).to_vec()
}

fn newcomer(word: &str) -> Newcomer {
    word.parse().expect("a name")
}

fn secrets(directory: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).expect("listed") {
        let path = entry.expect("listed").path();
        if path.is_dir() {
            all.extend(secrets(&path));
            continue;
        }
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        if mode & 0o077 == 0 {
            all.push(
                path.file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned(),
            );
        }
    }
    all.sort();
    all
}

#[test]
fn a_fleet_is_founded_once_and_its_secrets_are_its_owners() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("below/fleet");
    let mut charter = Charter::found(&path, &servers(), 4333).expect("founded");
    let enrolled = charter.enrol(&[newcomer("web1")], false).expect("enrolled");
    assert_eq!(
        secrets(&path),
        [
            "ca.key",
            "fleet.salt",
            "hub.credentials",
            "server.key",
            "web1.credentials"
        ]
    );
    assert_eq!(charter.url(), "tls://hub.example.org:4333");
    let again = Charter::found(&path, &servers(), 4333).expect_err("founded");
    assert!(matches!(again, ExchangeError::Founded { .. }), "{again}");
    let read = Credentials::read(&enrolled[0].credentials, Part::Host).expect("read");
    assert_eq!((&*read.id, &*read.name), (&*enrolled[0].id, "web1"));
    Credentials::read(&charter.hub_credentials(), Part::Hub).expect("read");
}

#[test]
fn a_host_that_gets_another_key_stays_the_same_host() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut charter = Charter::found(directory.path(), &servers(), 4222).expect("founded");
    let first = charter
        .enrol(&[newcomer("a"), newcomer("b")], false)
        .expect("enrolled");
    let mut charter = Charter::read(directory.path()).expect("read");
    let twice = charter.enrol(&[newcomer("b")], false).expect_err("there");
    assert!(matches!(twice, ExchangeError::Enrolled { .. }), "{twice}");
    let key = |charter: &Charter, name: &str| {
        let hosts = &charter.register.hosts;
        let host = hosts.iter().find(|host| host.name == name);
        host.expect("enrolled").key.clone()
    };
    let old = key(&charter, "b");
    let renewed = charter.enrol(&[newcomer("b")], true).expect("renewed");
    assert_eq!(renewed[0].id, first[1].id);
    assert_ne!(first[0].id, first[1].id);
    let conf = fs::read_to_string(charter.configuration()).expect("read");
    assert!(!conf.contains(&old), "the old key is worth nothing");
    assert!(conf.contains(&key(&charter, "a")) && conf.contains(&key(&charter, "b")));
}

#[test]
fn a_machine_id_makes_the_id_that_the_hosts_files_have() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut charter = Charter::found(directory.path(), &servers(), 4222).expect("founded");
    let machine = "0123456789abcdef0123456789abcdef";
    let word = format!("web1={}", machine.to_uppercase());
    let enrolled = charter.enrol(&[newcomer(&word)], false).expect("enrolled");
    let salt = Salt::read(&directory.path().join(SALT)).expect("read");
    assert_eq!(enrolled[0].id, salt.id_of(machine));
}

#[test]
fn names_that_would_be_more_than_names_are_refused() {
    for name in ["", "../a", ".a", "a b", "a\"", "-a", "a/b", &"a".repeat(65)] {
        assert!(name.parse::<Newcomer>().is_err(), "{name}");
    }
    assert!("web1=123".parse::<Newcomer>().is_err());
    let directory = tempfile::tempdir().expect("a directory");
    let bad = ["a:b".to_owned()];
    assert!(Charter::found(directory.path(), &bad, 1).is_err());
}

#[test]
fn workers_have_keys_of_their_own_and_trust_who_signs_jobs() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("fleet");
    let mut charter = Charter::found(&path, &servers(), 4333).expect("founded");
    assert!(!charter.has_workers() && !charter.coordinator_credentials().exists());
    let hired = charter
        .hire(&["w1".to_owned(), "w2".to_owned()], false)
        .expect("hired");
    let one = Credentials::read(&hired[0].credentials, Part::Worker).expect("read");
    let other = Credentials::read(&hired[1].credentials, Part::Worker).expect("read");
    assert_ne!((&one.id, &hired[0].id), (&other.id, &hired[1].id));
    let above = Credentials::read(&charter.coordinator_credentials(), Part::Coordinator);
    let signing = above.expect("read").signing.expect("a key");
    let signs = signing.pair().expect("a key").public_key();
    assert_eq!(one.trusts, std::slice::from_ref(&signs));
    assert_eq!(other.trusts, one.trusts);
    // Later ones trust the same, and a renewed one keeps its id.
    let mut read = Charter::read(&path).expect("read");
    let again = read.hire(&["w1".to_owned()], false).expect_err("there");
    assert!(matches!(again, ExchangeError::Enrolled { .. }), "{again}");
    let renewed = read.hire(&["w1".to_owned()], true).expect("renewed");
    assert_eq!(renewed[0].id, one.id);
    let renewed = Credentials::read(&renewed[0].credentials, Part::Worker).expect("read");
    assert_eq!(renewed.trusts, [signs]);
    assert_ne!(renewed, one);
}
