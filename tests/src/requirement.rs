//! What a test needs of the host, and what happens when it is not there: a loud skip, or a
//! failure where `CI=true` says that nothing may be skipped.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// Something that this host may lack.
#[derive(Clone, Copy, Debug)]
pub enum Requirement {
    /// Root, a cgroup v2 hierarchy and the kernel's type information: what a replay needs.
    Replays,
    /// A program of this name in the usual places.
    Program(&'static str),
    /// A test suite that `cargo xtask setup` fetches: the name of its directory.
    Suite(&'static str),
    /// A systemd to boot a host with (`host.rs`), and what enters its namespaces.
    Systemd,
    /// `binfmt_misc` for a user namespace alone (Linux 6.7).
    OwnBinfmt,
    /// i386 calls (`CONFIG_IA32_EMULATION`), asked of the victim.
    I386,
}

impl Requirement {
    /// What is missing, if it is.
    fn missing(self) -> Option<String> {
        match self {
            Requirement::Replays => missing_for_replays().map(str::to_owned),
            Requirement::Program(name) => find_program(name)
                .is_none()
                .then(|| format!("no `{name}` is installed")),
            Requirement::Suite(name) => {
                let place = suite(name);
                (!place.is_dir()).then(|| {
                    let place = place.display();
                    format!("there is no {place}, which `cargo xtask setup` fetches")
                })
            }
            Requirement::Systemd => {
                let systemd = Path::new("/lib/systemd/systemd").is_file();
                let entered =
                    find_program("unshare").is_some() && find_program("nsenter").is_some();
                (!systemd || !entered)
                    .then(|| "there is no systemd, or no unshare or nsenter".to_owned())
            }
            Requirement::OwnBinfmt => {
                let status = std::process::Command::new("unshare")
                    .args(["--user", "--map-root-user", "--mount"])
                    .args(["mount", "-t", "binfmt_misc", "none", "/mnt"])
                    .stderr(std::process::Stdio::null())
                    .status();
                let works = status.is_ok_and(|status| status.success());
                (!works).then(|| "no binfmt_misc for a user namespace (Linux 6.7)".to_owned())
            }
            Requirement::I386 => {
                let status = std::process::Command::new(crate::binaries::victim())
                    .arg("i386-available")
                    .status();
                let works = status.is_ok_and(|status| status.success());
                (!works).then(|| "this kernel has no i386 calls".to_owned())
            }
        }
    }
}

fn missing_for_replays() -> Option<&'static str> {
    // SAFETY: a system call without arguments.
    if unsafe { libc::geteuid() } != 0 {
        return Some("not root");
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Some("the kernel has no type information (CONFIG_DEBUG_INFO_BTF)");
    }
    if crate::leftovers::cgroup2_mount().is_none() {
        return Some("no cgroup v2 hierarchy is mounted");
    }
    None
}

/// Where a test suite of Debian's sources is, if it was fetched.
pub fn suite(name: &str) -> std::path::PathBuf {
    Path::new("/var/cache/loupe/suites").join(name)
}

/// Where a program is, by the same places that a workload's `PATH` has.
pub fn find_program(name: &str) -> Option<std::path::PathBuf> {
    [
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
    .into_iter()
    .map(|directory| Path::new(directory).join(name))
    .find(|path| path.is_file())
}

/// Whether everything is there. If not, says so where it is seen, and the test must return.
///
/// # Panics
/// If something is missing and `CI=true` forbids to skip.
#[must_use]
pub fn all_present(test: &str, requirements: &[Requirement]) -> bool {
    let missing: Vec<String> = requirements
        .iter()
        .filter_map(|requirement| requirement.missing())
        .collect();
    if missing.is_empty() {
        return true;
    }
    let line = format!("SKIPPED {test}: {}", missing.join(", "));
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "CI=true forbids to skip. {line}"
    );
    // The harness swallows what a passing test prints, unless it goes past it.
    drop(writeln!(std::io::stderr(), "{line}"));
    if let Some(list) = std::env::var_os("LOUPE_TEST_SKIPS") {
        let file = OpenOptions::new().create(true).append(true).open(&list);
        file.and_then(|mut file| writeln!(file, "{line}"))
            .unwrap_or_else(|error| panic!("cannot note the skip in {list:?}: {error}"));
    }
    false
}

/// Returns from the test, loudly, unless the host has all of these.
#[macro_export]
macro_rules! require {
    ($($requirement:expr),+ $(,)?) => {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        if !$crate::requirement::all_present(&test, &[$($requirement),+]) {
            return;
        }
    };
}
