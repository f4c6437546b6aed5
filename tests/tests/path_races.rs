//! A member of the group `loupe` names paths and changes what they lead to while louped looks:
//! nothing that the member cannot reach itself may be shown, and nothing be written there.

use std::fs::{self, File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use loupe_tests::daemon::Daemon;
use loupe_tests::member::{NOBODY, ask};
use loupe_tests::require;
use loupe_tests::requirement::Requirement::Replays;
use loupe_tests::scene::Scene;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Requests for each key.
const TRIES: u64 = 16;
const FLIPS: u64 = 100_000;
/// In the name and in the content of what nobody but root may reach.
const SECRET: &str = "top-secret";

/// Two places that change their names with each other, over and over.
struct Flipper<'a> {
    one: PathBuf,
    other: PathBuf,
    stop: &'a AtomicBool,
    flips: &'a AtomicU64,
}

impl Flipper<'_> {
    fn run(&self) {
        let [one, other] = [&self.one, &self.other]
            .map(|path| std::ffi::CString::new(path.as_os_str().as_bytes()).expect("a path"));
        let mut seed = 1u32;
        while !self.stop.load(Ordering::Relaxed) {
            // SAFETY: two strings, which outlive the call.
            let result = unsafe {
                libc::renameat2(
                    libc::AT_FDCWD,
                    one.as_ptr(),
                    libc::AT_FDCWD,
                    other.as_ptr(),
                    libc::RENAME_EXCHANGE,
                )
            };
            assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
            self.flips.fetch_add(1, Ordering::Relaxed);
            // Pauses of many lengths, so that nothing of louped's keeps step with them: most of them
            // short, some as long as a sandbox takes to be made.
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let spins = match seed >> 26 {
                0 => seed >> 10,
                short => short,
            };
            for _ in 0..spins {
                std::hint::spin_loop();
            }
        }
    }
}

/// What is raced for.
struct Ground {
    /// The member's directories: one that a sandbox shows, one where it has its own instead.
    shown: TempDir,
    hidden: TempDir,
    roots: TempDir,
}

impl Ground {
    fn new() -> Ground {
        let directory = |parent: &str, mode| {
            tempfile::Builder::new()
                .prefix("loupe-races-")
                .permissions(Permissions::from_mode(mode))
                .tempdir_in(parent)
                .expect("a directory")
        };
        let ground = Ground {
            shown: directory("/var/tmp", 0o755),
            hidden: directory("/tmp", 0o755),
            roots: directory("/var/tmp", 0o755),
        };
        let vault = ground.roots.path().join("vault");
        fs::create_dir(&vault).expect("made");
        fill(&ground.vault(), SECRET);
        write(&ground.vault().join(SECRET), SECRET, 0o600);
        set_mode(&vault, 0o700);
        fs::create_dir(ground.castle()).expect("made");
        for top in [ground.shown.path(), ground.hidden.path()] {
            fill(&top.join("place"), "own");
            write(&top.join("place/point"), "own", 0o666);
            symlink(ground.vault(), top.join("to-vault")).expect("a link");
            symlink(ground.castle(), top.join("to-castle")).expect("a link");
            give_away(top);
        }
        write(&ground.log(), "", 0o666);
        ground
    }

    /// Behind a directory that is root's alone, with files that would let everybody in.
    fn vault(&self) -> PathBuf {
        self.roots.path().join("vault/inner")
    }

    /// Where everybody may look, and only root may write.
    fn castle(&self) -> PathBuf {
        self.roots.path().join("castle")
    }

    /// What the applications saw.
    fn log(&self) -> PathBuf {
        self.roots.path().join("log")
    }

    fn assert_unharmed(&self, key: &str) {
        let log = fs::read_to_string(self.log()).expect("a log");
        assert!(!log.contains(SECRET), "{key}: seen: {log}");
        let written = fs::read_to_string(self.vault().join("open")).expect("there");
        assert_eq!(written, SECRET, "{key}: written");
        let castle = self.castle();
        let made: Vec<_> = fs::read_dir(&castle).expect("there").collect();
        assert!(made.is_empty(), "{key}: made: {made:?}");
        assert_eq!(fs::read_dir(self.vault()).expect("there").count(), 4);
        for (place, mode) in [(castle, 0o755), (self.vault(), 0o755)] {
            let place = fs::metadata(place).expect("there");
            assert_eq!((place.uid(), place.mode() & 0o7777), (0, mode), "{key}");
        }
    }
}

/// A directory as the member has one, and as root has one.
fn fill(directory: &Path, content: &str) {
    fs::create_dir(directory).expect("made");
    write(&directory.join("read"), content, 0o644);
    write(&directory.join("open"), content, 0o666);
    fs::copy("/bin/true", directory.join("program")).expect("copied");
}

fn write(path: &Path, content: &str, mode: u32) {
    fs::write(path, content).expect("written");
    set_mode(path, mode);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("changed");
}

fn give_away(directory: &Path) {
    for entry in fs::read_dir(directory).expect("there").flatten() {
        if entry.path().is_dir() && !entry.path().is_symlink() {
            give_away(&entry.path());
        }
        std::os::unix::fs::lchown(entry.path(), Some(NOBODY), Some(NOBODY)).expect("given away");
    }
    chown(directory, Some(NOBODY), Some(NOBODY)).expect("given away");
}

/// A script that looks at everything in a directory, and writes what it can.
fn look(directory: &Path, log: &str) -> String {
    let directory = directory.display();
    format!(
        "{{ echo looked; ls -aR {directory}/; cat {directory}/[ort]*; }} >>{log} 2>&1; \
         echo written >>{directory}/open; echo made >{directory}/made"
    )
}

fn analysis(command: &str, base: &Path, keys: &Value) -> Value {
    let mut workload = json!({
        "application": "races",
        "workload": "race",
        "mode": "batch",
        "command": command,
        "target": "/bin/true",
        "directory": "/",
        // One replay is enough: what it does, it has done then.
        "test": ["false"],
    });
    let keys = keys.as_object().expect("keys").clone();
    workload.as_object_mut().expect("a table").extend(keys);
    json!({
        "loupe": 1,
        "request": "analyze",
        "workload": workload,
        "base": base,
        "options": { "jobs": 1, "no_pseudo_files": true, "fresh": true },
    })
}

#[test]
fn no_path_of_a_workload_can_be_raced() {
    require!(Replays);
    let scene = Scene::new();
    let daemon = Daemon::start(&scene);
    set_mode(&daemon.socket(), 0o666);
    let ground = Ground::new();
    let log = ground.log();
    let log_name = log.to_str().expect("a plain path");
    let (shown, hidden) = (ground.shown.path(), ground.hidden.path());
    let place = hidden.join("place");
    let base = Path::new("/");
    let looks = |directory: &Path| format!("{}; /bin/true", look(directory, log_name));
    let written = |more: &Path| json!([&log, more]);
    // What each of them flips with what, and what is asked meanwhile.
    let keys = [
        (
            "directory",
            (hidden, "to-vault"),
            analysis(
                &looks(Path::new(".")),
                base,
                &json!({ "directory": &place, "writable": [&log] }),
            ),
        ),
        (
            "base",
            (hidden, "to-vault"),
            analysis(&looks(&place), &place, &json!({ "writable": [&log] })),
        ),
        (
            "files.from",
            (hidden, "to-vault"),
            analysis(
                &looks(Path::new("/tmp/copied")),
                base,
                &json!({
                    "files": [{ "from": &place, "to": "/tmp/copied" }],
                    "writable": [&log],
                }),
            ),
        ),
        (
            "files.to",
            (shown, "to-castle"),
            analysis(
                "/bin/true",
                base,
                &json!({
                    "files": [{ "from": "/bin/true", "to": shown.join("place/copy") }],
                    "writable": written(shown),
                }),
            ),
        ),
        (
            "writable",
            (shown, "to-vault"),
            analysis(
                &looks(&shown.join("place")),
                base,
                &json!({ "writable": written(&shown.join("place")) }),
            ),
        ),
        (
            "writable, hidden",
            (hidden, "to-vault"),
            analysis(
                &looks(&place),
                base,
                &json!({ "writable": written(&place) }),
            ),
        ),
        (
            "writable, to be made",
            (shown, "to-castle"),
            analysis(
                "/bin/true",
                base,
                &json!({ "writable": written(&shown.join("place/point")) }),
            ),
        ),
        (
            "writable, hidden, to be made",
            (hidden, "to-castle"),
            analysis(
                "/bin/true",
                base,
                &json!({ "writable": written(&place.join("point")) }),
            ),
        ),
        (
            "target",
            (hidden, "to-vault"),
            analysis(
                &format!(
                    "{}; {}",
                    look(&place, log_name),
                    place.join("program").display()
                ),
                base,
                &json!({ "target": place.join("program"), "writable": [&log] }),
            ),
        ),
    ];
    let (stop, flips) = (AtomicBool::new(false), AtomicU64::new(0));
    for (key, (top, other), request) in &keys {
        race(&stop, &flips, top, other, || {
            ask(&daemon.socket(), request, &[]);
            ground.assert_unharmed(key);
        });
    }
    let text = fs::read_to_string(&log).expect("a log");
    assert!(text.contains("looked"), "no application came to look");

    // A command that is run once has a directory, too.
    fs::write(&log, "").expect("emptied");
    let request = json!({
        "loupe": 1,
        "request": "run",
        "command": ["/bin/sh", "-c", look(Path::new("."), log_name)],
        "environment": [["PATH", "/usr/bin:/bin"]],
        "directory": shown.join("place"),
    });
    race(&stop, &flips, shown, "to-vault", || {
        let null = || OwnedFd::from(File::open("/dev/null").expect("it is there"));
        ask(&daemon.socket(), &request, &[null(), null(), null()]);
        ground.assert_unharmed("run");
    });
    let text = fs::read_to_string(&log).expect("a log");
    assert!(text.contains("looked"), "no command came to look");

    let flips = flips.into_inner();
    assert!(flips >= FLIPS, "{flips} flips only");
    daemon.stop(libc::SIGTERM).expect_code(0);
    drop(ground);
    scene.assert_nothing_left();
}

/// Does something several times while `place` and `other` change their names, and leaves `place`
/// the directory that it was.
fn race(stop: &AtomicBool, flips: &AtomicU64, top: &Path, other: &str, act: impl Fn()) {
    let flipper = Flipper {
        one: top.join("place"),
        other: top.join(other),
        stop,
        flips,
    };
    stop.store(false, Ordering::Relaxed);
    std::thread::scope(|scope| {
        // Ends the flipper however the tries end.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(stop);
        scope.spawn(|| flipper.run());
        (0..TRIES).for_each(|_| act());
    });
    if flipper.one.is_symlink() {
        let spare = top.join("spare");
        fs::rename(&flipper.one, &spare).expect("moved");
        fs::rename(&flipper.other, &flipper.one).expect("moved");
        fs::rename(&spare, &flipper.other).expect("moved");
    }
}
