//! What cases need beside the call that they try: a file, a pipe, a process. Each helper takes the
//! first of several syscalls that is not known to fail and is not itself what is tried.

mod network;
mod processes;

pub use processes::{MOUNTS, UTS};

use crate::attempt::{Arg, Kind, Path, Try, choose, new, raw, sys};
use crate::handlers;
use crate::machine;
use crate::tables::{nr, val};

/// The current directory.
pub const HERE: isize = -100;
/// The path is empty: the descriptor itself is meant.
pub const EMPTY_PATH: usize = 0x1000;
pub const PAGE: usize = 4096;

pub const RDONLY: usize = val!("open access", "O_RDONLY");
pub const RDWR: usize = val!("open access", "O_RDWR");
pub const CREAT: usize = val!("open flags", "O_CREAT");
pub const NONBLOCK: usize = val!("open flags", "O_NONBLOCK");
pub const SIGCHLD: usize = val!("signal", "SIGCHLD");
pub const SIGKILL: usize = val!("signal", "SIGKILL");
pub const SIGUSR1: usize = val!("signal", "SIGUSR1");
pub const SIGALRM: usize = val!("signal", "SIGALRM");
pub const AF_UNIX: usize = val!("family", "AF_UNIX");
pub const AF_INET: usize = val!("family", "AF_INET");
pub const STREAM: usize = val!("socket type", "SOCK_STREAM");
pub const DGRAM: usize = val!("socket type", "SOCK_DGRAM");
/// A loop-back address in the order of the network, behind its family and port.
pub const LOOPBACK: u32 = 0x0100_007f;

/// The vector of `readv` and its like, for one buffer.
pub fn vector(bytes: &mut [u8]) -> [usize; 2] {
    [bytes.as_mut_ptr() as usize, bytes.len()]
}

/// What a signal does: `struct sigaction` as the kernel has it.
pub fn action(handler: usize, flags: usize) -> [usize; 4] {
    [handler, flags | 0x0400_0000, machine::restorer(), 0]
}

pub fn noting() -> usize {
    handlers::note as *const () as usize
}

/// With `siginfo_t`.
pub const SIGINFO: usize = 4;

pub fn seen(signal: usize) -> u32 {
    handlers::SEEN[signal].load(core::sync::atomic::Ordering::SeqCst)
}

/// The status of a process that exited with a code.
pub const fn exited(code: u32) -> u32 {
    code << 8
}

impl Try<'_> {
    pub fn open(&self, path: &[u8], flags: usize) -> usize {
        let how = [flags as u64, if flags & CREAT != 0 { 0o644 } else { 0 }, 0];
        let file = self.pseudo_file_at(path);
        let result = choose!(self, ["openat", "open", "openat2"], {
            "open" => raw!(self, "open", path, flags, 0o644),
            "openat2" => raw!(self, "openat2", HERE, path, &how, 24),
            "openat" => raw!(self, "openat", HERE, path, flags, 0o644),
        });
        match (result, file) {
            (1.., _) => result as usize,
            // The file is not there, and not the call.
            (_, Some(file)) => self.finish(Kind::Blocked, file, result.unsigned_abs()),
            _ => {
                let number = self.pick(&[nr!("openat"), nr!("open"), nr!("openat2")]);
                // With its flags: one of them may be what fails.
                let arguments = match number {
                    number if number == nr!("open") => [path.arg(), flags, 0],
                    number if number == nr!("openat") => [HERE.arg(), path.arg(), flags],
                    _ => [0; 3],
                };
                self.failed(number, &arguments, result.unsigned_abs())
            }
        }
    }

    /// The pseudo-file of a path, by its place in the list; it is used.
    fn pseudo_file_at(&self, path: &[u8]) -> Option<usize> {
        let path = path.split(|byte| *byte == 0).next().unwrap_or(path);
        let named = |feature: &crate::list::Feature| {
            feature.number.is_none() && feature.name.as_bytes() == path
        };
        let found = self.features.iter().position(named)?;
        self.uses(found);
        Some(found)
    }

    /// A new, empty file of this letter, for reading and writing.
    pub fn file(&self, letter: u8) -> usize {
        self.open(&self.name(letter), RDWR | CREAT)
    }

    /// The same with these bytes in it, and at its end.
    pub fn file_with(&self, letter: u8, bytes: &[u8]) -> usize {
        let file = self.file(letter);
        self.write(file, bytes);
        file
    }

    pub fn close(&self, fd: usize) {
        choose!(self, ["close", "close_range"], {
            "close" => sys!(self, "close", fd),
            "close_range" => sys!(self, "close_range", fd, fd, 0),
        });
    }

    /// Writes all of it.
    pub fn write(&self, fd: usize, bytes: &[u8]) {
        let vector = [bytes.as_ptr() as usize, bytes.len()];
        let written = choose!(self, ["write", "writev", "pwritev2"], {
            "writev" => new!(self, "writev", fd, &vector, 1),
            "pwritev2" => new!(self, "pwritev2", fd, &vector, 1, -1, -1, 0),
            "write" => new!(self, "write", fd, bytes, bytes.len()),
        });
        self.check(written == bytes.len());
    }

    /// Reads what there is, at most as much as fits.
    pub fn read(&self, fd: usize, bytes: &mut [u8]) -> usize {
        let vector = vector(bytes);
        choose!(self, ["read", "readv", "preadv2"], {
            "readv" => sys!(self, "readv", fd, &vector, 1),
            "preadv2" => sys!(self, "preadv2", fd, &vector, 1, -1, -1, 0),
            "read" => sys!(self, "read", fd, &mut *bytes, bytes.len()),
        })
    }

    /// Whether a file has exactly these bytes from `offset` on.
    pub fn has(&self, fd: usize, offset: usize, expected: &[u8]) -> bool {
        let mut bytes = [0_u8; 64];
        let vector = vector(&mut bytes);
        let count = choose!(self, ["pread64", "preadv", "preadv2", "read"], {
            "preadv" => sys!(self, "preadv", fd, &vector, 1, offset, 0),
            "preadv2" => sys!(self, "preadv2", fd, &vector, 1, offset, 0, 0),
            "read" => {
                sys!(self, "lseek", fd, offset, 0);
                sys!(self, "read", fd, &mut bytes, bytes.len())
            },
            "pread64" => sys!(self, "pread64", fd, &mut bytes, bytes.len(), offset),
        });
        bytes.get(..count) == Some(expected)
    }

    /// Whether there is anything of this name; links are not followed.
    pub fn exists(&self, path: &[u8]) -> bool {
        self.mode_of(path).is_some()
    }

    /// Kind and permissions; `None`: there is nothing.
    pub fn mode_of(&self, path: &[u8]) -> Option<u32> {
        let mut stat = [0_u32; 64];
        let nofollow = 0x100;
        let (result, place) = choose!(self, ["newfstatat", "lstat", "statx"], {
            "lstat" => (raw!(self, "lstat", path, &mut stat), 6),
            "statx" => (raw!(self, "statx", HERE, path, nofollow, 0x7ff, &mut stat), 7),
            "newfstatat" => (raw!(self, "newfstatat", HERE, path, &mut stat, nofollow), 6),
        });
        // An answer without a kind is none.
        let mode = if place == 7 {
            stat[7] & 0xffff
        } else {
            stat[place]
        };
        (result == 0 && mode != 0).then_some(mode)
    }

    /// `struct stat`, or what corresponds to it.
    pub fn stat(&self, fd: usize) -> Stat {
        let mut stat = [0_u64; 32];
        choose!(self, ["fstat", "newfstatat", "statx"], {
            "newfstatat" => {
                sys!(self, "newfstatat", fd, b"\0", &mut stat, EMPTY_PATH);
            },
            "statx" => {
                sys!(self, "statx", fd, b"\0", EMPTY_PATH, 0x7ff, &mut stat);
                return Stat {
                    links: stat[2] & 0xffff_ffff,
                    uid: (stat[2] >> 32) as u32,
                    gid: stat[3] as u32,
                    size: stat[5],
                    modified: stat[14] as i64,
                };
            },
            "fstat" => {
                sys!(self, "fstat", fd, &mut stat);
            },
        });
        Stat {
            links: stat[2],
            uid: (stat[3] >> 32) as u32,
            gid: stat[4] as u32,
            size: stat[6],
            modified: stat[11] as i64,
        }
    }

    pub fn make_directory(&self, letter: u8) -> Path {
        let path = self.name(letter);
        choose!(self, ["mkdirat", "mkdir"], {
            "mkdir" => sys!(self, "mkdir", &path, 0o755),
            "mkdirat" => sys!(self, "mkdirat", HERE, &path, 0o755),
        });
        if !self.exists(&path) {
            let tried = self.pick(&[nr!("mkdirat"), nr!("mkdir")]);
            self.failed(tried, &[], 0);
        }
        path
    }

    /// The ends of a pipe: to read from, to write to.
    pub fn pipe(&self) -> [usize; 2] {
        let mut ends = [0_i32; 2];
        let number = self.pick(&[nr!("pipe2"), nr!("pipe")]);
        match number {
            number if number == nr!("pipe") => sys!(self, "pipe", &mut ends),
            _ => sys!(self, "pipe2", &mut ends, 0),
        };
        if ends[1] == 0 {
            self.failed(number, &[], 0);
        }
        ends.map(|end| end as usize)
    }

    /// Private memory.
    pub fn map(&self, length: usize) -> usize {
        let flags = val!("map type", "MAP_PRIVATE") | val!("map flags", "MAP_ANONYMOUS");
        new!(self, "mmap", 0, length, 3, flags, -1, 0)
    }

    /// A file in memory.
    pub fn map_file(&self, fd: usize, length: usize) -> usize {
        new!(
            self,
            "mmap",
            0,
            length,
            3,
            val!("map type", "MAP_SHARED"),
            fd,
            0
        )
    }

    /// Notes a signal when it comes.
    pub fn handle(&self, signal: usize) {
        self.uses_call(nr!("rt_sigreturn"));
        sys!(
            self,
            "rt_sigaction",
            signal,
            &action(noting(), SIGINFO),
            0,
            8
        );
    }

    pub fn sleep_ms(&self, ms: usize) {
        let time = [0, ms * 1_000_000];
        choose!(self, ["nanosleep", "poll", "ppoll"], {
            "poll" => raw!(self, "poll", 0, 0, ms),
            "ppoll" => raw!(self, "ppoll", 0, 0, &time, 0),
            "nanosleep" => raw!(self, "nanosleep", &time, 0),
        });
    }

    /// Waits until something holds, for two seconds at most; whether it does.
    pub fn soon(&self, holds: impl Fn() -> bool) -> bool {
        let until = self.tools.now_ms() + 2_000;
        while !holds() {
            if self.tools.now_ms() > until {
                return false;
            }
            self.tools.sleep_ms(1);
        }
        true
    }

    /// What a pseudo-file begins with.
    pub fn pseudo_file<'b>(&self, path: &'static str, bytes: &'b mut [u8]) -> &'b [u8] {
        let fd = self.open(path.as_bytes(), RDONLY);
        let mut count = 0;
        loop {
            let more = self.read(fd, &mut bytes[count..]);
            count += more;
            if more == 0 || count == bytes.len() {
                break;
            }
        }
        self.close(fd);
        if let (0, Some(file)) = (count, self.pseudo_file_at(path.as_bytes())) {
            self.finish(Kind::Blocked, file, 0);
        }
        &bytes[..count]
    }
}

/// What is known of an open file.
pub struct Stat {
    pub links: u64,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub modified: i64,
}

/// Ends a process of a case, without a report.
pub fn exit(code: usize) -> ! {
    machine::syscall(nr!("exit_group"), [code, 0, 0, 0, 0, 0]);
    machine::syscall(nr!("exit"), [code, 0, 0, 0, 0, 0]);
    machine::die()
}

/// The first position of some bytes in others.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// The number behind a word, as `VmLck:   4 kB` has it.
pub fn number_after(bytes: &[u8], word: &[u8]) -> Option<usize> {
    let rest = &bytes[find(bytes, word)? + word.len()..];
    let digits = rest.iter().skip_while(|byte| !byte.is_ascii_digit());
    let digits = digits.take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}
