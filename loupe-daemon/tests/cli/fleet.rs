//! `loupe fleet` as a program: bundles of hosts in, answers out, and what is said of bad files.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{assert_fails, home, loupe, run, stderr, stdout};

/// The name of a set or calendar, as docs/fleet.md says.
fn name_of(lines: &[String]) -> String {
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(format!("{line}\n"));
    }
    let bytes = hash.finalize();
    bytes[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn write(home: &Path, name: &str, bundle: &Value) -> PathBuf {
    let path = home.join(name);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed
        .write_all(bundle.to_string().as_bytes())
        .expect("packed");
    fs::write(&path, packed.finish().expect("packed")).expect("written");
    path
}

/// A host with nginx, which uses these; sorted.
fn host(home: &Path, number: u32, features: &[&str]) -> PathBuf {
    let lines: Vec<String> = features.iter().map(|name| (*name).to_owned()).collect();
    let (set, calendar) = (name_of(&lines), name_of(&["2026-11-28 60000".to_owned()]));
    let bundle = json!({
        "schema": "loupe.bundle/1",
        "host": {
            "made_ms": 1_795_910_280_000_u64 + u64::from(number), "id": format!("{number:032x}"),
            "name": format!("web{number}"), "kernel": "6.12", "arch": "x86_64", "loupe": "0.1.0",
            "kept_home": 0,
        },
        "sets": { &set: features },
        "calendars": { &calendar: { "2026-11-28": 60000 } },
        "subjects": [{
            "name": "nginx.service", "kind": "unit", "executable": "nginx", "package": "nginx",
            "version": "1.22", "set": set, "first_hour": 498_000, "last_hour": 498_900,
            "magnitude": 4, "calendar": calendar, "lost": 0,
        }],
    });
    write(home, &format!("host{number}.loupe"), &bundle)
}

fn fleet(home: &Path, database: &str, words: &[&str]) -> std::process::Output {
    let database = home.join(database);
    let mut command = loupe(home);
    command.env_remove("LOUPE_SOCKET").arg("fleet").args(words);
    run(command.arg("--fleet-db").arg(database))
}

fn json_of(output: &std::process::Output) -> Value {
    let document = serde_json::from_str(&stdout(output)).expect("JSON");
    crate::schema::assert_fits(&document);
    document
}

#[test]
fn hosts_are_imported_in_any_order_and_asked_as_one() {
    let home = home();
    let one = host(home.path(), 1, &["read", "write"]);
    let two = host(home.path(), 2, &["io_uring_setup", "read"]);
    let (one, two) = (one.to_str().expect("a path"), two.to_str().expect("a path"));
    for (database, files) in [("a.db", vec![one, two]), ("b.db", vec![two, one, two])] {
        let words: Vec<&str> = ["import"].into_iter().chain(files).collect();
        let output = fleet(home.path(), database, &words);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(
            stdout(&output).contains("2 new hosts"),
            "{}",
            stdout(&output)
        );
    }
    let os = home.path().join("myos.toml");
    fs::write(&os, "name = \"myos\"\nimplement = [\"read\"]\n").expect("written");
    let os = os.to_str().expect("a path");
    for (words, code, says) in [
        (vec!["hosts"], 0, "web2"),
        (vec!["who", "io_uring_setup"], 0, "used on 1 of 2 hosts"),
        (vec!["show", "nginx"], 0, "3 features on 2 hosts"),
        (vec!["drift", "--since", "2026-11-01"], 0, "Since"),
        (vec!["gap", "--os", os], 1, "1 of 1 unit would not run"),
        (vec!["plan", "--os", os, "--weights", "hosts"], 0, "nginx"),
    ] {
        let answers = ["a.db", "b.db"].map(|database| fleet(home.path(), database, &words));
        let text = stdout(&answers[0]);
        assert_eq!(text, stdout(&answers[1]), "{words:?}");
        assert_eq!(
            answers[0].status.code(),
            Some(code),
            "{}",
            stderr(&answers[0])
        );
        assert!(text.contains(says), "{words:?}: {text}");
        let mut words = words;
        words.push("--json");
        let [one, other] = ["a.db", "b.db"].map(|db| json_of(&fleet(home.path(), db, &words)));
        assert_eq!(one, other, "{words:?}");
        assert!(
            one["schema"]
                .as_str()
                .is_some_and(|name| name.starts_with("loupe."))
        );
    }
}

#[test]
fn a_bad_file_is_named_and_the_others_are_imported() {
    let home = home();
    let good = host(home.path(), 1, &["read"]);
    let cut = home.path().join("cut.loupe");
    let whole = fs::read(&good).expect("read");
    fs::write(&cut, &whole[..whole.len() / 2]).expect("written");
    let newer = write(
        home.path(),
        "newer.loupe",
        &json!({ "schema": "loupe.bundle/9" }),
    );
    let foreign = home.path().join("foreign.loupe");
    fs::write(&foreign, "no bundle at all").expect("written");
    let absent = home.path().join("absent.loupe");
    let files = [&cut, &newer, &foreign, &absent, &good];
    let mut words = vec!["import"];
    words.extend(files.iter().map(|file| file.to_str().expect("a path")));
    let output = fleet(home.path(), "f.db", &words);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let text = stderr(&output);
    for (file, why) in [
        ("cut.loupe", "cut off"),
        ("newer.loupe", "version 9"),
        ("foreign.loupe", "no bundle of a host"),
        ("absent.loupe", "cannot read"),
    ] {
        assert!(text.contains(file) && text.contains(why), "{file}: {text}");
    }
    assert!(text.contains("hint: update Loupe"), "{text}");
    assert!(
        stdout(&output).contains("1 bundle into"),
        "{}",
        stdout(&output)
    );
    let hosts = json_of(&fleet(home.path(), "f.db", &["hosts", "--json"]));
    assert_eq!(hosts["hosts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_question_needs_a_fleet_and_a_known_name() {
    let home = home();
    let none = fleet(home.path(), "f.db", &["hosts"]);
    assert_fails(&none, 2, "there is no fleet's database");
    assert!(!home.path().join("f.db").exists());
    let good = host(home.path(), 1, &["read"]);
    fleet(
        home.path(),
        "f.db",
        &["import", good.to_str().expect("a path")],
    );
    let near = fleet(home.path(), "f.db", &["show", "ngnix"]);
    assert_fails(&near, 2, "did you mean nginx.service?");
    let near = fleet(home.path(), "f.db", &["who", "io_uring_setupp"]);
    assert_fails(&near, 2, "io_uring_setup");
    let flag = fleet(home.path(), "f.db", &["who", "mmap:MAP_POPULATE"]);
    assert_fails(&flag, 2, "`loupe fleet who mmap`");
    let part = fleet(home.path(), "f.db", &["who", "fcntl:F_SETFD"]);
    assert!(
        stdout(&part).contains("Nobody was seen"),
        "{}",
        stdout(&part)
    );
    // An ordinary database is no fleet's.
    let nobody = fleet(home.path(), "f.db", &["who", "ptrace"]);
    assert!(
        stdout(&nobody).contains("Nobody was seen"),
        "{}",
        stdout(&nobody)
    );
}

#[test]
fn without_profiles_there_is_nothing_to_export() {
    let home = home();
    let file = home.path().join("host.loupe");
    let mut command = loupe(home.path());
    command
        .env_remove("LOUPE_SOCKET")
        .args(["profile", "export", "--bundle"]);
    let output = run(command
        .arg(&file)
        .arg("--db")
        .arg(home.path().join("no.db")));
    assert_fails(&output, 2, "there are no profiles");
    assert!(!file.exists());
}

#[test]
fn a_fleet_over_a_server_is_founded_with_what_everybody_needs() {
    let home = home();
    let directory = home.path().join("fleet");
    let directory = directory.to_str().expect("a path");
    let mut words = vec!["init", directory, "--server", "hub.example.org", "--json"];
    words.extend(["--host", "web1", "--host", "web2"]);
    let made = json_of(&fleet(home.path(), "f.db", &words));
    assert_eq!(made["schema"], "loupe.fleet-init/1");
    assert_eq!(made["url"], "tls://hub.example.org:4222");
    assert_eq!(made["hosts"].as_array().map(Vec::len), Some(2));
    let conf = fs::read_to_string(made["configuration"].as_str().expect("a path"));
    let conf = conf.expect("the server's configuration");
    for host in made["hosts"].as_array().expect("a list") {
        let id = host["id"].as_str().expect("an id");
        assert!(conf.contains(&format!("loupe.facts.{id}")), "{conf}");
        assert!(Path::new(host["credentials"].as_str().expect("a path")).is_file());
    }
    let again = fleet(home.path(), "f.db", &["init", directory]);
    assert_fails(&again, 2, "is the directory of a fleet already");
    let words = ["add-host", directory, "--host", "web2"];
    assert_fails(&fleet(home.path(), "f.db", &words), 2, "--renew");
    let names = home.path().join("names");
    fs::write(&names, "# the new ones\nweb3\n\nweb4\n").expect("written");
    let names = names.to_str().expect("a path");
    let words = ["add-host", directory, "--hosts", names];
    let added = stdout(&fleet(home.path(), "f.db", &words));
    assert!(added.contains("hosts/web3.credentials") && added.contains("hosts/web4.credentials"));
    // Credentials of a host are none for a hub, and the other way round.
    let key = format!("{directory}/hosts/web1.credentials");
    let words = ["hub", "tls://localhost:1", "--credentials", &key];
    assert_fails(
        &fleet(home.path(), "f.db", &words),
        2,
        "are those of a host, not of a hub",
    );
}

#[test]
fn a_fleet_goes_out_as_tables_events_and_metrics() {
    let home = home();
    let two = host(home.path(), 2, &["io_uring_setup", "read"]);
    let words = ["import", two.to_str().expect("a path")];
    fleet(home.path(), "f.db", &words);
    let tables = home.path().join("tables");
    let words = ["export", "--parquet", tables.to_str().expect("a path")];
    let output = fleet(home.path(), "f.db", &words);
    assert!(output.status.success(), "{}", stderr(&output));
    for name in ["uses", "hosts", "subjects", "sets", "members", "later"] {
        let table = fs::read(tables.join(format!("{name}.parquet"))).expect("written");
        assert!(
            table.starts_with(b"PAR1") && table.ends_with(b"PAR1"),
            "{name}"
        );
        assert!(stdout(&output).contains(&format!("{name}.parquet: ")));
    }
    let drift = ["drift", "--since", "2026-01-01", "--format", "jsonl"];
    let lines = stdout(&fleet(home.path(), "f.db", &drift));
    let [line] = lines.lines().collect::<Vec<_>>()[..] else {
        panic!("one event: {lines}");
    };
    let event: Value = serde_json::from_str(line).expect("JSON");
    crate::schema::assert_fits(&event);
    assert_eq!(
        (&event["event"], &event["name"], &event["first_hour"]),
        (&"new_unit".into(), &"nginx.service".into(), &498_000.into())
    );
    let words = ["drift", "--since", "2026-01-01", "--otlp"];
    let otlp: Value =
        serde_json::from_str(&stdout(&fleet(home.path(), "f.db", &words))).expect("JSON");
    let record = &otlp["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["timeUnixNano"], "1792800000000000000");
    let metrics = stdout(&fleet(home.path(), "f.db", &["metrics"]));
    assert!(
        metrics.contains("loupe_hub_hosts 1\n") && metrics.ends_with("# EOF\n"),
        "{metrics}"
    );
    let none = fleet(home.path(), "none.db", &["export", "--parquet", "x"]);
    assert_fails(&none, 2, "there is no fleet's database");
}
