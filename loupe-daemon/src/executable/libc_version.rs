//! The C library that a program is linked to, and its version: by the program's interpreter, which
//! lies beside the library.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use object::elf::{FileHeader64, PT_INTERP};
use object::read::ReadCache;
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use super::open_local;

/// Bytes of a C library that are looked through; glibc 2.41 has 2.0 MB.
const MOST_LIBRARY_BYTES: u64 = 16 << 20;
/// What glibc prints when it is executed: "… stable release version 2.36."
const GLIBC_BANNER: &[u8] = b"stable release version ";
/// The longest version that is believed.
const MOST_VERSION_BYTES: usize = 16;

/// `glibc 2.36`, `musl`, `none (static)`; `None`: it could not be told.
pub fn c_library(file: File) -> Option<String> {
    let Some(interpreter) = interpreter(file)? else {
        return Some("none (static)".to_owned());
    };
    let name = Path::new(&interpreter).file_name()?.to_string_lossy();
    if name.starts_with("ld-musl") {
        return Some("musl".to_owned());
    }
    if !name.starts_with("ld-linux") && !name.starts_with("ld.so") {
        return Some(interpreter);
    }
    let version = beside(Path::new(&interpreter)).and_then(|path| glibc_version(&path));
    Some(match version {
        Some(version) => format!("glibc {version}"),
        None => "glibc".to_owned(),
    })
}

/// `Some(None)`: it is an ELF file without one.
fn interpreter(file: File) -> Option<Option<String>> {
    let cache = ReadCache::new(file);
    let header = FileHeader64::<object::Endianness>::parse(&cache).ok()?;
    let endian = header.endian().ok()?;
    for segment in header.program_headers(endian, &cache).ok()? {
        if segment.p_type(endian) == PT_INTERP {
            let bytes = segment.data(endian, &cache).ok()?;
            let text = bytes.split(|byte| *byte == 0).next()?;
            return Some(Some(String::from_utf8_lossy(text).into_owned()));
        }
    }
    Some(None)
}

/// The library lies where the interpreter's own file does, whatever links lead there.
fn beside(interpreter: &Path) -> Option<PathBuf> {
    let real = std::fs::canonicalize(interpreter).ok()?;
    Some(real.parent()?.join("libc.so.6"))
}

fn glibc_version(path: &Path) -> Option<String> {
    let file = open_local(Path::new("/proc/self"), path)?;
    let mut bytes = Vec::new();
    file.take(MOST_LIBRARY_BYTES).read_to_end(&mut bytes).ok()?;
    let length = GLIBC_BANNER.len();
    let at = bytes
        .windows(length)
        .position(|window| window == GLIBC_BANNER)?;
    let rest = bytes.get(at + length..)?;
    let version: String = rest
        .iter()
        .take(MOST_VERSION_BYTES)
        .map(|byte| char::from(*byte))
        .take_while(|character| character.is_ascii_digit() || *character == '.')
        .collect();
    let version = version.trim_end_matches('.');
    (!version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_c_library_of_this_test_is_the_one_that_it_runs_on() {
        let own = std::env::current_exe().expect("a path");
        let found = c_library(File::open(own).expect("there")).expect("an ELF file");
        if cfg!(target_env = "gnu") {
            let told = std::process::Command::new("getconf")
                .arg("GNU_LIBC_VERSION")
                .output()
                .expect("getconf is a part of it");
            assert_eq!(found, String::from_utf8_lossy(&told.stdout).trim());
        }
        let script = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(script.path(), "#!/bin/sh\n").expect("written");
        assert_eq!(c_library(script.reopen().expect("there")), None);
    }
}
