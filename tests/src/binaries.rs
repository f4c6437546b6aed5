//! Where the programs under test are.

use std::path::{Path, PathBuf};

/// Next to the test programs: `target/<profile>/`.
fn built(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test program knows its own path");
    let directory = own
        .ancestors()
        .skip(1)
        .find(|directory| !directory.ends_with("deps"))
        .expect("a test program lies in a directory");
    directory.join(name)
}

fn given_or_built(variable: &str, name: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(|| built(name), PathBuf::from);
    assert!(
        path.is_file(),
        "{} is not built; build it (cargo xtask build), or name it in {variable}",
        path.display()
    );
    path
}

pub fn loupe() -> PathBuf {
    given_or_built("LOUPE_BIN", "loupe")
}

pub fn louped() -> PathBuf {
    given_or_built("LOUPED_BIN", "louped")
}

pub fn victim() -> PathBuf {
    built("victim")
}

pub fn probe() -> PathBuf {
    built("probe")
}

/// Loupe's chores, which make the package.
pub fn xtask() -> PathBuf {
    built("xtask")
}

/// The workload files that come with Loupe.
pub fn workloads() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/workloads"))
}
