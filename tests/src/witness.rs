//! A second opinion: runs a program under a seccomp filter of our own making, without any part
//! of Loupe, and says whether it worked.
//!
//! The filter is installed before the program's `exec`, so it also covers the calls of the
//! starting child between the two; the syscalls of the ground truth are none of those.

use std::ffi::c_long;
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// What the filter answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// `-errno`
    Errno(i32),
    /// 0
    Zero,
}

/// The paper's stub.
pub const STUB: Injection = Injection::Errno(libc::ENOSYS);

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;

/// Bits of an argument and the value that they must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// From 0.
    pub index: u32,
    pub mask: u32,
    pub value: u32,
}

/// Allows everything but native calls of this number, and with this argument if one is given.
fn filter(
    number: c_long,
    argument: Option<Argument>,
    injection: Injection,
) -> Vec<libc::sock_filter> {
    let errno = match injection {
        Injection::Errno(errno) => errno as u32,
        Injection::Zero => 0,
    };
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equals = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let and = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    let tests = match argument {
        None => Vec::new(),
        Some(Argument { index, mask, value }) => vec![
            step(load, 0, 0, 16 + 8 * index), // seccomp_data.args
            step(and, 0, 0, mask),
            step(equals, 0, 1, value),
        ],
    };
    let to_the_end = tests.len() as u8 + 1;
    let mut program = vec![
        step(load, 0, 0, 4), // seccomp_data.arch
        step(equals, 0, to_the_end + 2, AUDIT_ARCH),
        step(load, 0, 0, 0), // seccomp_data.nr
        step(equals, 0, to_the_end, number as u32),
    ];
    program.extend(tests);
    program.push(step(answer, 0, 0, libc::SECCOMP_RET_ERRNO | errno));
    program.push(step(answer, 0, 0, libc::SECCOMP_RET_ALLOW));
    program
}

/// Makes `command` start under the filter.
pub fn inject(command: &mut Command, number: c_long, injection: Injection) {
    install(command, filter(number, None, injection));
}

/// As [`inject`], of calls with this argument only.
pub fn inject_part(
    command: &mut Command,
    number: c_long,
    argument: Argument,
    injection: Injection,
) {
    install(command, filter(number, Some(argument), injection));
}

fn install(command: &mut Command, program: Vec<libc::sock_filter>) {
    let install = move || {
        let header = libc::sock_fprog {
            len: program.len() as u16,
            filter: program.as_ptr().cast_mut(),
        };
        // SAFETY: only system calls, on memory that the closure owns, in the child of a fork.
        unsafe {
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &header) != 0
            {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only and allocates nothing.
    unsafe { command.pre_exec(install) };
}

/// A started program and everything that comes of it; all of it is killed on drop.
pub struct Tree {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Inherited by every process of the tree, wherever it goes.
    tag: String,
}

/// How a program's tree went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Every process that held its standard output has ended; this is the first one's status.
    Ended(ExitStatus),
    /// It said that it is about to hang.
    Hangs,
}

/// The environment variable that holds a tree's tag.
const TAG: &str = "LOUPE_WITNESS";

impl Tree {
    pub fn start(mut command: Command) -> io::Result<Tree> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let value = format!("{}-{number}", std::process::id());
        become_subreaper()?;
        let mut child = command
            .env(TAG, &value)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().map(BufReader::new);
        Ok(Tree {
            child,
            output: output.ok_or_else(|| io::Error::other("no pipe for the output"))?,
            tag: format!("{TAG}={value}"),
        })
    }

    /// Reads the tree's output to its end, or to the word that it hangs.
    pub fn course(&mut self) -> io::Result<Course> {
        let mut line = Vec::new();
        while self.output.read_until(b'\n', &mut line)? > 0 {
            if line == b"hanging\n" {
                return Ok(Course::Hangs);
            }
            line.clear();
        }
        Ok(Course::Ended(self.child.wait()?))
    }

    /// Whether any process still holds the tree's standard output. (Looking through `/proc`
    /// would miss a process that forks and ends meanwhile.)
    pub fn is_alive(&self) -> bool {
        let mut pipe = libc::pollfd {
            fd: self.output.get_ref().as_raw_fd(),
            events: 0,
            revents: 0,
        };
        // SAFETY: one `pollfd`, which lives across the call.
        unsafe { libc::poll(&mut pipe, 1, 0) };
        pipe.revents & libc::POLLHUP == 0
    }

    /// The tree's processes that are not dead, orphans included.
    fn processes(&self) -> Vec<libc::pid_t> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| self.owns(*pid))
            .collect()
    }

    fn owns(&self, pid: libc::pid_t) -> bool {
        // Empty for a zombie, absent for a process that is gone.
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == self.tag.as_bytes())
        })
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        loop {
            let processes = self.processes();
            for pid in &processes {
                // SAFETY: a system call without memory; the process was just seen to be ours.
                unsafe { libc::kill(*pid, libc::SIGKILL) };
            }
            for pid in &processes {
                // SAFETY: as above. Fails for those that are not our children, which their
                // parents, or we after them, reap.
                unsafe { libc::waitpid(*pid, std::ptr::null_mut(), 0) };
            }
            if processes.is_empty() {
                break;
            }
        }
        drop(self.child.wait());
    }
}

/// Orphans of the trees become children of this process instead of init's.
fn become_subreaper() -> io::Result<()> {
    // SAFETY: a system call without memory.
    match unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
