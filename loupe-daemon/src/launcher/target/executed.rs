//! What a process at its exec stop executes, by file and by name. Only looks: at `/proc`, and with
//! descriptors that can neither read nor write.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use nix::unistd::Pid;

use super::{IN_MEMORY, MEMFD};
use crate::launcher::protocol::Identity;
use crate::launcher::rights::within_rights_of;

/// Index of the file name in the auxiliary vector (`AT_EXECFN`).
const AT_EXECFN: u64 = 31;
/// The longest argument list that is looked at for what a loader was given.
const MOST_ARGUMENTS: usize = 64 << 10;

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl From<FileStat> for FileId {
    fn from(file: FileStat) -> FileId {
        FileId {
            device: file.st_dev,
            inode: file.st_ino,
        }
    }
}

/// A name of what is executed, and the file that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    name: String,
    file: Option<FileId>,
}

/// The binary first, then the script or program that it was executed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed(Vec<Named>);

impl Executed {
    pub fn look(proc: &OwnedFd, pid: Pid, identity: &Identity) -> io::Result<Executed> {
        let process = Process { proc, pid };
        let binary = process.binary();
        let script = process
            .executed_name()
            .filter(|name| !name.starts_with("/dev/fd/"));
        let program = match &binary {
            Some(binary) if is_loader(&binary.name) => process.arguments().and_then(|words| {
                program_of_loader(words.iter().map(String::as_str).skip(1)).map(str::to_owned)
            }),
            _ => None,
        };
        let mut all: Vec<Named> = binary.into_iter().collect();
        for name in [script, program].into_iter().flatten() {
            let file = lead(proc, pid, Path::new(&name), identity)?;
            if file.is_none() || !all.iter().any(|known| known.file == file) {
                all.push(Named { name, file });
            }
        }
        Ok(Executed(all))
    }

    pub fn is(&self, file: FileId) -> bool {
        self.0.iter().any(|named| named.file == Some(file))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|named| named.name.as_str())
    }
}

/// Where a path leads for a process, whose root or working directory it starts from. Looked up with
/// the rights of `identity`, and through no magic link: these would be the keeper's own.
pub fn lead(
    proc: &OwnedFd,
    pid: Pid,
    path: &Path,
    identity: &Identity,
) -> io::Result<Option<FileId>> {
    let (place, resolve) = match path.is_absolute() {
        true => ("root", ResolveFlag::RESOLVE_IN_ROOT),
        false => ("cwd", ResolveFlag::empty()),
    };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let Ok(from) = openat(
        proc,
        format!("{pid}/{place}").as_str(),
        flags,
        Mode::empty(),
    ) else {
        return Ok(None);
    };
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(resolve | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = within_rights_of(identity, || openat2(&from, path, how))?;
    Ok(file.and_then(fstat).ok().map(FileId::from))
}

/// A process, seen through the host's `/proc`.
struct Process<'a> {
    proc: &'a OwnedFd,
    pid: Pid,
}

impl Process<'_> {
    fn binary(&self) -> Option<Named> {
        let link = format!("{}/exe", self.pid);
        let name = readlinkat(self.proc, link.as_str()).ok()?;
        let name = name.to_string_lossy();
        let name = match name.strip_prefix(IN_MEMORY) {
            Some(name) => format!("{MEMFD}{}", name.trim_end_matches(" (deleted)")),
            None => name.into_owned(),
        };
        let file = fstatat(self.proc, link.as_str(), AtFlags::empty());
        let file = file.ok().map(FileId::from);
        Some(Named { name, file })
    }

    fn open(&self, name: &str) -> Option<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let path = format!("{}/{name}", self.pid);
        let file = openat(self.proc, path.as_str(), flags, Mode::empty());
        file.ok().map(File::from)
    }

    /// The name that was given to `execve`.
    fn executed_name(&self) -> Option<String> {
        let mut vector = Vec::new();
        self.open("auxv")?.read_to_end(&mut vector).ok()?;
        let word = |bytes: &[u8]| Some(u64::from_ne_bytes(bytes.try_into().ok()?));
        let address = vector.chunks_exact(16).find_map(|entry| {
            (word(&entry[..8])? == AT_EXECFN)
                .then(|| word(&entry[8..]))
                .flatten()
        })?;
        let mut name = [0; 4096];
        let length = self.open("mem")?.read_at(&mut name, address).ok()?;
        let name = CStr::from_bytes_until_nul(&name[..length]).ok()?;
        name.to_str().ok().map(str::to_owned)
    }

    fn arguments(&self) -> Option<Vec<String>> {
        let mut bytes = Vec::new();
        let file = self.open("cmdline")?;
        file.take(MOST_ARGUMENTS as u64)
            .read_to_end(&mut bytes)
            .ok()?;
        let words = bytes.split(|byte| *byte == 0);
        Some(
            words
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect(),
        )
    }
}

/// Whether a binary that was executed itself is a dynamic loader (`ld-linux-x86-64.so.2`,
/// `ld-musl-x86_64.so.1`, `ld.so`).
fn is_loader(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    (name.starts_with("ld-") || name.starts_with("ld.")) && name.contains("so")
}

/// Options of the loaders of glibc and musl that have a word for a value.
const WITH_VALUE: [&str; 8] = [
    "--argv0",
    "--audit",
    "--glibc-hwcaps-mask",
    "--glibc-hwcaps-prepend",
    "--inhibit-rpath",
    "--library-path",
    "--preload",
    "--rpath",
];
/// With these, nothing is executed.
const WITHOUT_PROGRAM: [&str; 6] = [
    "--help",
    "--list",
    "--list-diagnostics",
    "--list-tunables",
    "--verify",
    "--version",
];

/// What a loader with these arguments executes. A name without a slash is looked for among the
/// libraries, and is no program here.
fn program_of_loader<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    loop {
        let word = words.next()?;
        if word == "--" {
            return words.next().filter(|word| word.contains('/'));
        }
        if !word.starts_with("--") {
            return Some(word).filter(|word| word.contains('/'));
        }
        if WITHOUT_PROGRAM.contains(&word) {
            return None;
        }
        if WITH_VALUE.contains(&word) {
            words.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_is_known_by_its_name() {
        for name in [
            "/lib64/ld-linux-x86-64.so.2",
            "/lib/ld-musl-x86_64.so.1",
            "/usr/bin/ld.so",
        ] {
            assert!(is_loader(name), "{name}");
        }
        for name in [
            "/usr/bin/ldd",
            "/usr/bin/ld",
            "/usr/bin/ld.gold",
            "/usr/sbin/ldconfig",
        ] {
            assert!(!is_loader(name), "{name}");
        }
    }

    #[test]
    fn the_program_of_a_loader_is_its_first_word_that_is_no_options() {
        let program = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            program_of_loader(words.into_iter()).map(str::to_owned)
        };
        assert_eq!(program("./app --list"), Some("./app".to_owned()));
        let line = "--library-path /lib --inhibit-cache --argv0 x /bin/app y";
        assert_eq!(program(line), Some("/bin/app".to_owned()));
        assert_eq!(
            program("--library-path=/lib -- ./app"),
            Some("./app".to_owned())
        );
        for line in [
            "--list ./app",
            "--library-path ./app",
            "libc.so.6",
            "--help",
        ] {
            assert_eq!(program(line), None, "{line}");
        }
    }
}
