//! Reading files that the kernel makes up while they are read (`/proc`, cgroups), by as few calls as
//! that takes: they say that they are empty, so `std::fs::read_to_string` asks for their size in vain
//! and then reads in small steps.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Most of these files are shorter, and are read at once.
const USUAL: usize = 4096;

/// All of a file.
pub fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let mut text = String::with_capacity(USUAL);
    // A file asks for its own size, what is taken of one does not.
    File::open(path)?.take(u64::MAX).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_the_kernel_tells_is_read_to_its_end() {
        let path = "/proc/self/limits";
        let expected = fs::read_to_string(path).expect("a table");
        assert_eq!(read(path).expect("a table"), expected);
    }

    #[test]
    fn a_long_file_is_read_to_its_end() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("long");
        let text = "a line\n".repeat(USUAL);
        fs::write(&path, &text).expect("a file");
        assert_eq!(read(&path).expect("a file"), text);
        assert!(read(directory.path().join("none")).is_err());
    }
}
