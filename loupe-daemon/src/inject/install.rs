//! Puts a filter on a process that stands at its exec stop, from outside.
//!
//! The tracer writes the filter below the stack pointer, borrows the first instructions of the
//! new image for a `syscall`, lets the target execute `seccomp()` with them, and puts
//! everything back. The target never runs an instruction of its own without the filter. A
//! refused filter is an error: the caller must end the process.

use std::io::{self, IoSlice};

use libc::{c_long, sock_filter, user_regs_struct};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::uio::{RemoteIoVec, process_vm_writev};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::listener::Listener;

/// `mov eax, number; syscall; int3`: executes one syscall and stops. The number is in the
/// code, because the end of the execve that the target is still in overwrites `rax`.
fn trampoline(number: c_long) -> c_long {
    let [a, b, c, d] = (number as u32).to_le_bytes();
    c_long::from_le_bytes([0xb8, a, b, c, d, 0x0f, 0x05, 0xcc])
}

/// Kinds of entries of the auxiliary vector (`include/uapi/linux/auxvec.h`).
const AT_NULL: c_long = 0;
const AT_IGNORE: c_long = 1;
const AT_SYSINFO_EHDR: c_long = 33;

/// First argument of `seccomp()` (`include/uapi/linux/seccomp.h`).
const SET_MODE_FILTER: u64 = 1;

/// Bytes below the stack pointer that belong to the current function (System V ABI, 3.2.2).
const RED_ZONE: u64 = 128;

/// Why the filter is not on the target.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("ptrace on the target failed at `{step}`: {source}")]
    Ptrace { step: &'static str, source: Errno },
    #[error("the target stopped in an unexpected way while the filter was installed: {0}")]
    UnexpectedStop(String),
    #[error("the listener for notified calls cannot be taken out of the target: {0}")]
    Listener(#[source] io::Error),
    #[error("the kernel refused the filter: {0}")]
    Refused(#[source] io::Error),
}

fn step(step: &'static str) -> impl FnOnce(Errno) -> InstallError {
    move |source| InstallError::Ptrace { step, source }
}

/// Installs the filters on the process `pid`, which stands in its exec event stop under this
/// thread's ptrace; leaves it stopped there, as it was found. An empty filter is none.
///
/// The one that notifies goes first: the process closes its copy of the listener with a syscall
/// of its own, which the other may answer.
pub fn install(
    pid: Pid,
    filter: &[sock_filter],
    notifying: &[sock_filter],
) -> Result<Option<Listener>, InstallError> {
    let target = Stopped::new(pid)?;
    let installed = (|| {
        let listener = match notifying {
            [] => None,
            _ => Some(target.listen(notifying)?),
        };
        if !filter.is_empty() {
            target.seccomp(filter, 0)?;
        }
        Ok(listener)
    })();
    target.restore()?;
    installed
}

/// Lets the process return from its `execve` without running an instruction of its own, so that
/// what is traced from here on starts with the new image, as it does under a filter.
pub fn leave_exec(pid: Pid) -> Result<(), InstallError> {
    let target = Stopped::new(pid)?;
    target.call(libc::SYS_getpid, [0; 6])?;
    target.restore()
}

/// Tells whether a process at its exec stop is told where its vDSO is; if `hide`, it is so no
/// more: its C library will then make syscalls instead.
pub fn vdso(pid: Pid, hide: bool) -> Result<bool, InstallError> {
    let registers = ptrace::getregs(pid).map_err(step("read registers"))?;
    let stack = registers.rsp;
    let word = |index: u64| {
        let address = (stack + 8 * index) as ptrace::AddressType;
        ptrace::read(pid, address).map_err(step("read the auxiliary vector"))
    };
    // Above the arguments' number: the arguments, the environment, both ended by a null.
    let mut index = 1 + word(0)? as u64 + 1;
    while word(index)? != 0 {
        index += 1;
    }
    index += 1;
    loop {
        match word(index)? {
            AT_NULL => return Ok(false),
            AT_SYSINFO_EHDR if hide => {
                let address = (stack + 8 * index) as ptrace::AddressType;
                ptrace::write(pid, address, AT_IGNORE).map_err(step("hide the vDSO"))?;
                return Ok(false);
            }
            AT_SYSINFO_EHDR => return Ok(true),
            _ => index += 2,
        }
    }
}

/// A target at its exec stop, with what must be put back.
struct Stopped {
    pid: Pid,
    registers: user_regs_struct,
    text: c_long,
}

impl Stopped {
    fn new(pid: Pid) -> Result<Stopped, InstallError> {
        let registers = ptrace::getregs(pid).map_err(step("read registers"))?;
        let text = ptrace::read(pid, registers.rip as ptrace::AddressType)
            .map_err(step("read the first instruction"))?;
        Ok(Stopped {
            pid,
            registers,
            text,
        })
    }

    /// Writes `struct sock_fprog` and the program below the stack; returns its address.
    fn place_filter(&self, filter: &[sock_filter]) -> Result<u64, InstallError> {
        let size = size_of_val(filter) as u64;
        let code_at = (self.registers.rsp - RED_ZONE - size) & !15;
        let header_at = code_at - 16;
        let mut image = Vec::with_capacity(16 + size as usize);
        image.extend((filter.len() as u64).to_ne_bytes());
        image.extend(code_at.to_ne_bytes());
        for insn in filter {
            image.extend(insn.code.to_ne_bytes());
            image.extend([insn.jt, insn.jf]);
            image.extend(insn.k.to_ne_bytes());
        }
        // At its exec a process has 128 KiB of stack below the pointer, more than the longest
        // filter (32 KiB).
        let local = [IoSlice::new(&image)];
        let remote = [RemoteIoVec {
            base: header_at as usize,
            len: image.len(),
        }];
        let written =
            process_vm_writev(self.pid, &local, &remote).map_err(step("write the filter"))?;
        if written != image.len() {
            return Err(InstallError::UnexpectedStop(format!(
                "{written} bytes written"
            )));
        }
        Ok(header_at)
    }

    /// Has the target put a filter on itself; returns what the kernel said to it.
    fn seccomp(&self, filter: &[sock_filter], flags: u64) -> Result<c_long, InstallError> {
        let program = self.place_filter(filter)?;
        let set = [SET_MODE_FILTER, flags, program, 0, 0, 0];
        let mut result = self.call(libc::SYS_seccomp, set)?;
        if result == -c_long::from(libc::EACCES) {
            // Without CAP_SYS_ADMIN the kernel wants no_new_privs first.
            let own = [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0];
            self.call(libc::SYS_prctl, own)?;
            result = self.call(libc::SYS_seccomp, set)?;
        }
        if result < 0 {
            let error = io::Error::from_raw_os_error(-result as i32);
            return Err(InstallError::Refused(error));
        }
        Ok(result)
    }

    /// Puts on a filter that notifies, and takes its listener away from the target.
    fn listen(&self, filter: &[sock_filter]) -> Result<Listener, InstallError> {
        let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        // A signal does not take back a call that is being answered; older kernels (before
        // 5.19) do not know this, and start the call again after the signal.
        let killable = flags | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        let descriptor = match self.seccomp(filter, killable) {
            Err(InstallError::Refused(error)) if error.raw_os_error() == Some(libc::EINVAL) => {
                self.seccomp(filter, flags)?
            }
            other => other?,
        };
        let listener =
            Listener::fetch(self.pid, descriptor as i32).map_err(InstallError::Listener)?;
        self.call(libc::SYS_close, [descriptor as u64, 0, 0, 0, 0, 0])?;
        Ok(listener)
    }

    /// Lets the target execute one syscall; returns its raw result.
    fn call(&self, number: c_long, args: [u64; 6]) -> Result<c_long, InstallError> {
        let entry = self.registers.rip as ptrace::AddressType;
        ptrace::write(self.pid, entry, trampoline(number)).map_err(step("write the trampoline"))?;
        let mut registers = self.registers;
        registers.orig_rax = u64::MAX;
        registers.rdi = args[0];
        registers.rsi = args[1];
        registers.rdx = args[2];
        registers.r10 = args[3];
        registers.r8 = args[4];
        registers.r9 = args[5];
        ptrace::setregs(self.pid, registers).map_err(step("set registers"))?;
        ptrace::cont(self.pid, None).map_err(step("continue"))?;
        let status = loop {
            match waitpid(self.pid, Some(WaitPidFlag::__WALL)) {
                Err(Errno::EINTR) => {}
                other => break other.map_err(step("wait"))?,
            }
        };
        if !matches!(status, WaitStatus::Stopped(_, Signal::SIGTRAP)) {
            return Err(InstallError::UnexpectedStop(format!("{status:?}")));
        }
        let registers = ptrace::getregs(self.pid).map_err(step("read the result"))?;
        Ok(registers.rax as c_long)
    }

    fn restore(&self) -> Result<(), InstallError> {
        let address = self.registers.rip as ptrace::AddressType;
        ptrace::write(self.pid, address, self.text).map_err(step("restore the text"))?;
        let mut registers = self.registers;
        // Not in a syscall: nothing to restart.
        registers.orig_rax = u64::MAX;
        registers.rax = 0;
        ptrace::setregs(self.pid, registers).map_err(step("restore registers"))
    }
}
