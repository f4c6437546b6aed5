//! The Debian package through its whole life, on a host with a real systemd.

use std::path::{Path, PathBuf};
use std::process::Command;

use loupe_tests::binaries::{self, workloads};
use loupe_tests::command::{self, Finished};
use loupe_tests::daemon::wait_until;
use loupe_tests::host::Host;
use loupe_tests::require;
use loupe_tests::requirement::Requirement::{Program, Replays, Systemd};
use loupe_tests::scene::{RESULT, Scene};

/// Packs the binaries under test, as the version of this commit with something behind it.
fn pack(scene: &Scene, suffix: &str) -> PathBuf {
    let output = scene.path(&format!("dist{suffix}"));
    let binaries = binaries::loupe();
    let mut xtask = Command::new(binaries::xtask());
    xtask
        .arg("dist")
        .arg("--binaries")
        .arg(binaries.parent().expect("it is in a directory"))
        .arg("--output")
        .arg(&output)
        .arg(format!("--suffix={suffix}"));
    command::run(xtask).expect_code(0);
    let packages = files(&output, ".deb");
    assert_eq!(packages.len(), 1, "{packages:?}");
    packages[0].clone()
}

fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    std::fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect()
}

fn run_here(words: &[&str], directory: &Path) -> Finished {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(directory);
    command::run(command)
}

/// What of Loupe's is on the host, but for packages that wait to be installed.
fn traces(host: &Host) -> String {
    host.shell(
        "find / -xdev -regex '.*/\\(_\\|\\)loupe[^/]*' -not -path '/srv/*' -not -path '/proc/*' \
         -not -path '/work*' | sort; ls /run | grep loupe || true",
    )
}

#[test]
fn the_same_sources_make_the_same_package_and_lintian_finds_no_error() {
    require!(Replays, Program("lintian"));
    let scene = Scene::new();
    let package = pack(&scene, "");
    let output = package.parent().expect("it is in a directory").to_owned();
    run_here(&["sha256sum", "--check", "SHA256SUMS"], &output).expect_code(0);
    let sums = std::fs::read_to_string(output.join("SHA256SUMS")).expect("checksums");
    assert_eq!(sums.lines().count(), 2, "{sums}");

    let first = std::fs::read(&package).expect("the package");
    pack(&scene, "");
    let again = std::fs::read(&package).expect("the package");
    assert!(first == again, "another package of the same");

    let words = ["lintian", "--allow-root", "--fail-on=error,warning"];
    let name = package.to_str().expect("a plain path");
    run_here(&[&words[..], &[name]].concat(), &output).expect_code(0);
    let terms = "dpkg-deb --fsys-tarfile \"$0\" | \
                 tar -xO ./usr/share/doc/loupe/licenses-of-crates.gz | zcat";
    let terms = run_here(&["sh", "-c", terms, name], &output).expect_code(0);
    for part in ["\naya 0.", "\nserde 1.", "Permission is hereby granted"] {
        assert!(terms.stdout.contains(part), "{part:?} is missing");
    }
    std::fs::remove_dir_all(output).expect("removed");
    scene.assert_nothing_left();
}

#[test]
fn installed_upgraded_removed_and_purged_it_keeps_what_should_stay_and_nothing_else() {
    require!(Replays, Systemd);
    let scene = Scene::new();
    let host = Host::boot(&scene);
    for (suffix, name) in [("", "/srv/old.deb"), ("+2", "/srv/new.deb")] {
        let package = pack(&scene, suffix);
        host.copy(&package, name);
        let directory = package.parent().expect("it is in a directory");
        std::fs::remove_dir_all(directory).expect("removed");
    }
    let before = traces(&host);
    is_installed_where_no_systemd_runs(&host);
    assert_eq!(traces(&host), before);

    is_installed_and_serves(&host);
    watches(&host);
    goes_on_with_a_job_over_an_upgrade(&host);
    has_counted_every_call(&host);
    is_removed_and_keeps_its_state(&host);
    host.shell("dpkg --purge loupe");
    assert_eq!(traces(&host), before);
    // It ends with 1 where there is none.
    let units =
        host.shell("systemctl list-units --all 'louped*'; systemctl list-unit-files || true");
    assert!(!units.contains("louped"), "{units}");
    host.down();
    scene.assert_nothing_left();
}

/// In a container, an image that is being made.
fn is_installed_where_no_systemd_runs(host: &Host) {
    host.shell(
        "unshare --mount sh -euc '
            mount -t tmpfs run /run
            dpkg --install /srv/old.deb
            loupe --version
            dpkg --purge loupe'
         groupdel loupe; groupdel loupe-profile",
    );
}

fn is_installed_and_serves(host: &Host) {
    host.shell("dpkg --install /srv/old.deb");
    for unit in ["louped.socket", "louped.service"] {
        assert_eq!(
            host.shell(&format!("systemctl is-enabled {unit}")),
            "enabled\n"
        );
    }
    assert_eq!(host.property("louped.socket", "ActiveState"), "active");
    assert_eq!(host.property("louped.service", "ActiveState"), "inactive");
    host.shell("getent group loupe loupe-profile");

    // The first client starts it; members may, others may not.
    host.shell("useradd --groups loupe member; useradd stranger");
    let run = "loupe run --socket /run/loupe/louped.sock -- id -un";
    let said = host.shell(&format!("runuser -u member -- {run}"));
    assert_eq!(said, "member\n");
    assert_eq!(host.property("louped.service", "ActiveState"), "active");
    let refused = host.run(&["runuser", "-u", "stranger", "--", "sh", "-c", run]);
    refused
        .expect_code(125)
        .expect_message(&["you may not connect"]);

    // Everything has its manual, and `loupe` tells of which commit it is.
    let pages = host.shell(
        "for page in /usr/share/man/man[158]/loupe*.gz; do zcat $page | head -c 4000 | grep -c '^.SH NAME'; done",
    );
    assert!(pages.lines().count() > 20 && pages.lines().all(|count| count == "1"));
    let version = host.shell("loupe --version");
    let here = run_here(
        &["git", "log", "-1", "--abbrev=7", "--format=%h"],
        workloads(),
    );
    match here.code() {
        Some(0) => assert!(version.contains(here.stdout.trim()), "{version}"),
        // Sources without a repository, or in somebody else's.
        _ => assert_eq!(version, "loupe 0.1.0\n"),
    }
}

fn goes_on_with_a_job_over_an_upgrade(host: &Host) {
    host.copy(&binaries::victim(), "/srv/job/victim");
    host.copy(&binaries::probe(), "/srv/job/probe");
    host.write("/srv/job/counter", "");
    let script = format!("exec ./victim records {RESULT} /srv/job/counter");
    host.write(
        "/srv/job/records.toml",
        &format!(
            "application = \"records\"\nworkload = \"truth\"\nmode = \"batch\"\n\
             command = {script:?}\ntarget = \"./victim\"\n\
             test = [\"./probe\", \"works\", {RESULT:?}]\nwritable = [\"/srv/job/counter\"]\n"
        ),
    );
    // What an administrator has decided.
    host.shell("systemctl disable louped.service; echo '# mine' >> /etc/loupe/louped.toml");
    let id = host.shell("loupe analyze /srv/job/records.toml --detach");
    let counter = host.path("/srv/job/counter");
    let runs = || std::fs::metadata(&counter).expect("the counter").len();
    wait_until("the workload was started", || runs() >= 15);
    let old = host.property("louped.service", "MainPID");

    host.shell("dpkg --install /srv/new.deb");
    let new = host.property("louped.service", "MainPID");
    assert!(new != "0" && new != old, "{old} is {new} now");
    let enabled = host.run(&["systemctl", "is-enabled", "louped.service"]);
    assert_eq!(enabled.stdout, "disabled\n");
    let job = || {
        let jobs = host.run(&["loupe", "jobs", "--json"]).expect_code(0).json();
        jobs["jobs"][0].clone()
    };
    wait_until("the job has ended", || job()["ended"].is_u64());
    assert_eq!(job()["state"], "finished", "{}", job());
    assert_eq!(job()["id"].to_string(), id.trim());
    host.shell("loupe show records");
    host.shell("grep -qx '# mine' /etc/loupe/louped.toml");
    // It left no replay of its own behind, and none of the old one's.
    let unit = host.cgroup().join("system.slice/louped.service");
    let left = std::fs::read_dir(unit.join("loupe"))
        .into_iter()
        .flatten()
        .count();
    assert_eq!(left, 0);
}

/// Watches a service from before the upgrade on.
fn watches(host: &Host) {
    host.copy(&binaries::victim(), "/usr/bin/victim");
    host.write(
        "/etc/systemd/system/ceaseless.service",
        "[Service]\nExecStart=/usr/bin/victim ceaseless /srv/calls /srv/stop\n",
    );
    host.shell(
        "sed -i 's/^#pin/pin/; s/^#duty.*/duty = \"100%\"/' /etc/loupe/louped.toml
         systemctl daemon-reload; systemctl restart louped.service
         loupe profile add ceaseless.service; systemctl start ceaseless.service",
    );
}

fn has_counted_every_call(host: &Host) {
    host.write("/srv/stop", "");
    wait_until("the service has ended", || {
        host.property("ceaseless.service", "ActiveState") == "inactive"
    });
    let said = std::fs::read_to_string(host.path("/srv/calls")).expect("it says so");
    let shown = host.run(&["loupe", "profile", "show", "ceaseless.service", "--json"]);
    let shown = shown.expect_code(0).json();
    let profiles = shown["profiles"].as_array().expect("a list");
    let victim = profiles
        .iter()
        .find(|profile| profile["subject"]["executable"]["path"] == "/usr/bin/victim");
    let victim = victim.unwrap_or_else(|| panic!("{shown:#}"));
    let features = victim["features"].as_array().expect("a list");
    let row = features.iter().find(|row| row["feature"] == "getpriority");
    let counted = row.unwrap_or_else(|| panic!("{victim:#}"))["counts"]["calls"].to_string();
    assert_eq!(counted, said.trim());
    assert_eq!(victim["observation"].get("gaps"), None, "{victim:#}");
    host.shell("loupe profile remove ceaseless.service; rm /usr/bin/victim");
}

fn is_removed_and_keeps_its_state(host: &Host) {
    host.shell("dpkg -L loupe > /srv/files; dpkg --remove loupe");
    assert_eq!(host.run(&["pidof", "louped"]).code(), Some(1));
    assert!(!host.cgroup().join("system.slice/louped.service").exists());
    let left = host.shell(
        "grep -v ^/etc /srv/files | while read path
         do test -d $path || test ! -e $path || echo $path; done",
    );
    assert_eq!(left, "");
    assert_eq!(host.run(&["ls", "/run/loupe"]).code(), Some(2));
    host.shell("test -s /var/lib/loupe/loupe.db; grep -qx '# mine' /etc/loupe/louped.toml");
    // Back again, it knows what it knew.
    host.shell("dpkg --install /srv/new.deb; loupe show records; dpkg --remove loupe");
}
