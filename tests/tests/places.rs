//! What of the host a workload finds in its sandbox: its own directory behind links, and the
//! files that it brings.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use loupe_tests::command;
use loupe_tests::daemon::{Daemon, wait_until};
use loupe_tests::member::{NOBODY, ask};
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::Scene;
use serde_json::json;
use tempfile::TempDir;

/// A directory below one of those that a sandbox has for itself.
fn hidden() -> TempDir {
    tempfile::Builder::new()
        .prefix("loupe-places-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in("/tmp")
        .expect("a directory")
}

/// A workload that ends with its baseline, so that what its command printed is shown.
fn write_workload(directory: &Path, command: &str, more: &str) -> PathBuf {
    let path = directory.join("places.toml");
    let text = format!(
        "application = \"places\"\nworkload = \"w\"\nmode = \"batch\"\n\
         command = {command:?}\ntarget = \"/bin/true\"\ntest = [\"false\"]\n{more}"
    );
    fs::write(&path, text).expect("written");
    path
}

fn mkfifo(path: &Path) {
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).expect("a path");
    // SAFETY: one string, which outlives the call.
    let made = unsafe { libc::mkfifo(path.as_ptr(), 0o644) };
    assert_eq!(made, 0, "{}", std::io::Error::last_os_error());
}

/// A directory and a file in it that belong to neither root nor nobody.
fn give_files(top: &Path) -> PathBuf {
    let from = top.join("from");
    fs::create_dir(&from).expect("made");
    fs::write(from.join("file"), "content").expect("written");
    symlink("file", from.join("link")).expect("a link");
    for (path, mode) in [(from.clone(), 0o711), (from.join("file"), 0o4644)] {
        chown(&path, Some(12), Some(34)).expect("given away");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    }
    fs::set_permissions(&from, Permissions::from_mode(0o755)).expect("set");
    from
}

const SHOW: &str = "stat -c '%n %u:%g %a' /tmp/to /tmp/to/file; readlink /tmp/to/link; /bin/true";

#[test]
fn a_workload_is_found_behind_links_and_where_the_sandbox_has_its_own() {
    require!(Replays);
    let scene = Scene::new();
    let hidden = hidden();
    let top = hidden.path();
    fs::create_dir_all(top.join("real/inner, with: odd\\signs")).expect("made");
    symlink("real", top.join("link")).expect("a link");
    let directory = top.join("link/inner, with: odd\\signs");
    fs::write(directory.join("mine"), "x").expect("written");
    let command = format!("cat '{}/mine'; ls; /bin/true", directory.display());
    let path = write_workload(&directory, &command, "");
    scene
        .run(&["analyze", path.to_str().expect("a plain path")])
        .expect_code(3)
        .expect_message(&["| xmine", "| places.toml"]);
    drop(hidden);
    scene.assert_nothing_left();
}

#[test]
fn a_directory_that_is_replaced_meanwhile_ends_the_analysis_with_a_sentence() {
    require!(Replays);
    let scene = Scene::new();
    let hidden = hidden();
    let directory = hidden.path().join("mine");
    fs::create_dir(&directory).expect("made");
    let log = scene.write("log", "");
    let path = scene.write(
        "replaced.toml",
        &format!(
            "application = \"places\"\nworkload = \"w\"\nmode = \"batch\"\nreplicas = 50\n\
             command = \"echo ran >>{0}; echo >/tmp/result; /bin/true\"\n\
             target = \"/bin/true\"\ntest = [\"test\", \"-e\", \"/tmp/result\"]\n\
             directory = {directory:?}\nwritable = [{log:?}]\n",
            log.display()
        ),
    );
    let path = path.to_str().expect("a plain path");
    let running = command::start(scene.loupe(&["analyze", path]));
    wait_until("a replay has run", || {
        fs::metadata(&log).expect("there").len() > 0
    });
    fs::rename(&directory, hidden.path().join("away")).expect("moved");
    symlink("/root", &directory).expect("a link");
    let named = format!("{} is not what it was", directory.display());
    running
        .wait()
        .expect_code(125)
        .expect_message(&[&named, "leave what the workload names"]);
    drop(hidden);
    scene.assert_nothing_left();
}

#[test]
fn copies_have_the_mode_of_their_source_and_roots_its_owner() {
    require!(Replays);
    let scene = Scene::new();
    let hidden = hidden();
    let from = give_files(hidden.path());
    let more = format!("files = [{{ from = {from:?}, to = \"/tmp/to\" }}]\n");
    let path = write_workload(hidden.path(), SHOW, &more);
    scene
        .run(&["analyze", path.to_str().expect("a plain path")])
        .expect_code(3)
        .expect_message(&["/tmp/to 12:34 755", "/tmp/to/file 12:34 4644", "| file"]);

    let daemon = Daemon::start(&scene);
    fs::set_permissions(daemon.socket(), Permissions::from_mode(0o666)).expect("a socket");
    let request = json!({
        "loupe": 1,
        "request": "analyze",
        "workload": {
            "application": "places", "workload": "w", "mode": "batch",
            "command": SHOW, "target": "/bin/true", "test": ["false"],
            "files": [{ "from": from, "to": "/tmp/to" }],
        },
        "base": "/",
    });
    let told = ask(&daemon.socket(), &request, &[]);
    let output = told["output"].as_str().unwrap_or_default();
    for line in [
        format!("/tmp/to {NOBODY}:{NOBODY} 755"),
        format!("/tmp/to/file {NOBODY}:{NOBODY} 4644"),
    ] {
        assert!(output.contains(&line), "{line} is not in {told:#}");
    }
    daemon.stop(libc::SIGTERM).expect_code(0);
    drop(hidden);
    scene.assert_nothing_left();
}

#[test]
fn what_is_neither_file_nor_directory_is_not_copied() {
    require!(Replays);
    let scene = Scene::new();
    let hidden = hidden();
    let from = give_files(hidden.path());
    let fifo = from.join("fifo");
    mkfifo(&fifo);
    for (from, code) in [(&fifo, 2), (&PathBuf::from("/dev/zero"), 2), (&from, 125)] {
        let more = format!("files = [{{ from = {from:?}, to = \"/tmp/to\" }}]\n");
        let path = write_workload(hidden.path(), SHOW, &more);
        let named = if *from == fifo || code == 2 {
            from
        } else {
            &fifo
        };
        let message = format!("{} is neither a file nor a directory", named.display());
        scene
            .run(&["analyze", path.to_str().expect("a plain path")])
            .expect_code(code)
            .expect_message(&[&message]);
    }
    drop(hidden);
    scene.assert_nothing_left();
}
