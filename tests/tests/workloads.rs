//! The workload files that come with Loupe are good ones: without any part of Loupe, the test
//! passes with the application and fails without it, and a second time too.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use loupe_tests::binaries::workloads;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{self, Program, Replays, Suite};

/// The shell's view of a workload file, for a script that stands in for a sandbox.
struct Parts {
    directory: String,
    command: String,
    test: String,
    files: Vec<(String, String)>,
    batch: bool,
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn words(value: &toml::Value) -> String {
    let words = value.as_array().expect("a list of words").iter();
    let words: Vec<_> = words
        .map(|word| quote(word.as_str().expect("a word")))
        .collect();
    words.join(" ")
}

fn read(path: &Path) -> Parts {
    let text = std::fs::read_to_string(path).expect("the workload file");
    let file: toml::Table = text.parse().expect("the workload file is TOML");
    let text = |value: &toml::Value| quote(value.as_str().expect("a text"));
    Parts {
        directory: file.get("directory").map_or("'.'".to_owned(), text),
        command: words(&file["command"]),
        test: words(&file["test"]),
        files: file
            .get("files")
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
            .map(|entry| (text(&entry["from"]), text(&entry["to"])))
            .collect(),
        batch: file["mode"].as_str() == Some("batch"),
    }
}

/// Runs command and test in namespaces of their own, with empty `/tmp`, `/run` and `/srv`.
fn passes(path: &Path, with_application: bool) -> bool {
    let parts = read(path);
    let base = path.parent().expect("a directory");
    // What is under /tmp must be seen past the empty one.
    let copy = tempfile::Builder::new()
        .prefix("loupe-test-")
        .tempdir_in("/var/tmp")
        .expect("a temporary directory");
    let status = Command::new("cp")
        .args(["-r", "--"])
        .arg(format!("{}/.", base.display()))
        .arg(copy.path())
        .status();
    assert!(status.expect("cp can be run").success());
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(copy.path(), open).expect("our own directory");

    let mut script = String::from(
        "set -e; ip link set lo up\n\
         for place in /tmp /run /srv; do mount -n -t tmpfs -o mode=1777 none $place; done\n",
    );
    for (from, to) in &parts.files {
        script += &format!("mkdir -p {to}; cp -r {from}/. {to}\n");
    }
    script += &format!("cd {}\n", parts.directory);
    if with_application && parts.batch {
        script += &format!("{}\n", parts.command);
    } else if with_application {
        // Any listening socket is the server's: nothing else is in here.
        script += &format!(
            "{} & while [ -z \"$(ss -Hltn)\" ]; do kill -0 $!; done\n",
            parts.command
        );
    }
    // Some tests never end without a server (redis-benchmark tries again for ever): that is a
    // failure too.
    script += &format!("timeout 10 {}\n", parts.test);
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--ipc",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(["/bin/sh", "-c", &script])
        .current_dir(copy.path())
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .process_group(0)
        .output()
        .expect("unshare can be run");
    println!("{output:?}");
    output.status.success()
}

fn check(name: &str, needs: &[Requirement]) {
    let mut all = vec![Replays, Program("unshare"), Program("ip"), Program("ss")];
    all.extend(needs);
    if !loupe_tests::requirement::all_present(name, &all) {
        return;
    }
    let path = workloads().join(format!("{name}.toml"));
    assert!(passes(&path, true), "{name} fails with the application");
    assert!(
        !passes(&path, false),
        "{name} passes without the application"
    );
}

macro_rules! workloads {
    ($($test:ident $name:literal $($needs:literal)*;)*) => {$(
        #[test]
        fn $test() {
            check($name, &[$(Program($needs)),*]);
        }
    )*};
}

workloads! {
    nginx "nginx" "nginx" "wrk" "curl";
    redis "redis" "redis-server" "redis-cli";
    memcached "memcached" "memcached";
    lighttpd "lighttpd" "lighttpd" "curl";
    sqlite "sqlite" "sqlite3";
    bench_nginx "bench/nginx" "nginx" "wrk";
    bench_redis "bench/redis" "redis-server" "redis-cli";
    bench_memcached "bench/memcached" "memcached" "python3";
    bench_sqlite "bench/sqlite" "sqlite3";
}

#[test]
fn gzip() {
    check("gzip", &[Program("gzip"), Suite("gzip-1.12")]);
}

#[test]
fn every_shipped_workload_is_checked_here() {
    require!(Requirement::Program("sh"));
    let mut found = Vec::new();
    for directory in ["", "bench"] {
        let entries = std::fs::read_dir(workloads().join(directory)).expect("the workloads");
        for entry in entries.flatten() {
            let path = entry.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                read(&path);
                let name = path.strip_prefix(workloads()).expect("it is in there");
                found.push(name.with_extension("").display().to_string());
            }
        }
    }
    found.sort();
    let checked = [
        "bench/memcached",
        "bench/nginx",
        "bench/redis",
        "bench/sqlite",
        "gzip",
        "lighttpd",
        "memcached",
        "nginx",
        "redis",
        "sqlite",
    ];
    assert_eq!(found, checked);
}
