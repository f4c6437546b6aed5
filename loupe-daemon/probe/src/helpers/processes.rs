//! Other processes that cases need beside what they try.

use super::{SIGCHLD, SIGKILL, exit};
use crate::attempt::{Kind, Try, choose, new, raw, sys};
use crate::machine;
use crate::tables::{nr, val};
use crate::tools::WALL;

/// What a namespace is called.
pub type Namespace = [u8; 64];

/// The links that tell of them.
pub const UTS: &[u8] = b"/proc/self/ns/uts\0";
pub const MOUNTS: &[u8] = b"/proc/self/ns/mnt\0";

impl Try<'_> {
    /// Another process of the case; 0 in it. It goes when the case goes.
    pub fn fork(&self) -> usize {
        if !self.tools.isolated {
            self.skip("needs another process");
        }
        let me = self.tools.me();
        let number = self.pick(&[nr!("fork"), nr!("clone"), nr!("clone3")]);
        let child = match number {
            number if number == nr!("clone") => sys!(self, "clone", SIGCHLD, 0, 0, 0, 0),
            number if number == nr!("clone3") => {
                let mut arguments = [0_u64; 8];
                arguments[4] = SIGCHLD as u64;
                sys!(self, "clone3", &mut arguments, 64)
            }
            _ => sys!(self, "fork"),
        };
        if child == 0 {
            if self.tools.me() == me {
                self.failed(number, &[], 0);
            }
            let leave = [val!("prctl", "PR_SET_PDEATHSIG"), SIGKILL, 0, 0, 0, 0];
            machine::syscall(nr!("prctl"), leave);
        }
        child
    }

    /// The same by what the probe itself stands on; whether it was only faked cannot be told where both
    /// have the same number.
    pub fn fork_unseen(&self) -> usize {
        self.tools.fork().max(0) as usize
    }

    /// Runs something in a process of its own that then exits with 0.
    pub fn in_child(&self, work: impl FnOnce()) -> usize {
        let child = self.fork();
        if child == 0 {
            work();
            exit(0);
        }
        child
    }

    /// Leaves a namespace for one of the case's own, and makes sure of it before anything in it is
    /// changed: where the call only says that it did so, that would be the host's.
    pub fn leave_namespace(&self, flag: usize, path: &'static [u8]) -> Namespace {
        let before = self.namespace(path);
        sys!(self, "unshare", flag);
        if self.namespace(path) == before {
            self.failed(nr!("unshare"), &[flag], 0);
        }
        before
    }

    /// Which namespace this is, by a link below `/proc/self/ns`.
    pub fn namespace(&self, path: &'static [u8]) -> Namespace {
        let mut found: Namespace = [0; 64];
        let file = self.pseudo_file_at(path);
        let result = choose!(self, ["readlinkat", "readlink"], {
            "readlink" => raw!(self, "readlink", path, &mut found, 64),
            "readlinkat" => raw!(self, "readlinkat", super::HERE, path, &mut found, 64),
        });
        if result <= 0 || found[0] == 0 {
            let link = self.place_of(self.pick(&[nr!("readlinkat"), nr!("readlink")]));
            self.finish(Kind::Blocked, file.unwrap_or(link), 0);
        }
        found
    }

    /// The address of the path of the probe's own file.
    pub fn program(&self) -> usize {
        let path = self.tools.program;
        if path != 0 && machine::peek(path) == b'/' {
            return path;
        }
        if path != 0 && self.tools.origin > 0 {
            sys!(self, "fchdir", self.tools.origin);
            return path;
        }
        c"/proc/self/exe".as_ptr() as usize
    }

    /// Whether a process that does this is ended by a signal.
    pub fn dies(&self, work: impl FnOnce()) -> bool {
        let child = self.in_child(work);
        self.wait(child) & 0x7f != 0
    }

    /// How a child ended, as `wait4` tells it.
    pub fn wait(&self, child: usize) -> u32 {
        choose!(self, ["wait4", "waitid"], {
            "waitid" => {
                let mut info = [0_u32; 32];
                sys!(self, "waitid", 1, child, &mut info, 4 | 2 | WALL, 0);
                match info[2] {
                    0 => self.failed(nr!("waitid"), &[], 0),
                    1 => info[6] << 8,
                    // It was killed, or has stopped.
                    2 | 3 => info[6],
                    _ => info[6] << 8 | 0x7f,
                }
            },
            "wait4" => {
                let mut status = 0_u32;
                new!(self, "wait4", child, &mut status, WALL, 0);
                status
            },
        })
    }

    pub fn kill(&self, process: usize, signal: usize) {
        choose!(self, ["kill", "tgkill", "tkill"], {
            "tgkill" => sys!(self, "tgkill", process, process, signal),
            "tkill" => sys!(self, "tkill", process, signal),
            "kill" => sys!(self, "kill", process, signal),
        });
    }

    pub fn me(&self) -> usize {
        choose!(self, ["getpid", "gettid", "set_tid_address"], {
            "gettid" => new!(self, "gettid"),
            "set_tid_address" => new!(self, "set_tid_address", 0),
            "getpid" => new!(self, "getpid"),
        })
    }
}
