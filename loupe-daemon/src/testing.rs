//! For tests: the paper's data set, which is not part of this repository.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Where the data set is: `$LOUPEDB`, else `../shared/loupedb` beside the repository. `None`:
/// nowhere; then this test has nothing to look at, and says so. That is no skip that CI would
/// refuse: what the test looks for is also tested on small tables, everywhere.
pub(crate) fn loupedb(test: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/loupedb");
    let directory = std::env::var_os("LOUPEDB").map_or(beside, PathBuf::from);
    if directory.is_dir() {
        return Some(directory);
    }
    let message = format!(
        "left out: {test}: the paper's data set is not at {} (set LOUPEDB)\n",
        directory.display()
    );
    // The harness swallows `eprintln!`.
    std::io::stderr()
        .write_all(message.as_bytes())
        .expect("standard error is open");
    None
}
