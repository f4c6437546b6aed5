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

/// `mov eax, number; syscall; int3`: executes one syscall and stops. The number is in the
/// code, because the end of the execve that the target is still in overwrites `rax`.
fn trampoline(number: c_long) -> c_long {
    let [a, b, c, d] = (number as u32).to_le_bytes();
    c_long::from_le_bytes([0xb8, a, b, c, d, 0x0f, 0x05, 0xcc])
}

/// Bytes below the stack pointer that belong to the current function (System V ABI, 3.2.2).
const RED_ZONE: u64 = 128;

/// Why the filter is not on the target.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("ptrace on the target failed at `{step}`: {source}")]
    Ptrace { step: &'static str, source: Errno },
    #[error("the target stopped in an unexpected way while the filter was installed: {0}")]
    UnexpectedStop(String),
    #[error("the kernel refused the filter: {0}")]
    Refused(#[source] io::Error),
}

fn step(step: &'static str) -> impl FnOnce(Errno) -> InstallError {
    move |source| InstallError::Ptrace { step, source }
}

/// Installs `filter` on the process `pid`, which stands in its exec event stop under this
/// thread's ptrace; leaves it stopped there, as it was found.
pub fn install(pid: Pid, filter: &[sock_filter]) -> Result<(), InstallError> {
    let target = Stopped::new(pid)?;
    let program = target.place_filter(filter)?;
    let mut result = target.call(libc::SYS_seccomp, [1, 0, program, 0, 0, 0])?;
    if result == -c_long::from(libc::EACCES) {
        // Without CAP_SYS_ADMIN the kernel wants no_new_privs first.
        let set = [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0];
        target.call(libc::SYS_prctl, set)?;
        result = target.call(libc::SYS_seccomp, [1, 0, program, 0, 0, 0])?;
    }
    target.restore()?;
    if result != 0 {
        return Err(InstallError::Refused(io::Error::from_raw_os_error(
            -result as i32,
        )));
    }
    Ok(())
}

/// Lets the process return from its `execve` without running an instruction of its own, so that
/// what is traced from here on starts with the new image, as it does under a filter.
pub fn leave_exec(pid: Pid) -> Result<(), InstallError> {
    let target = Stopped::new(pid)?;
    target.call(libc::SYS_getpid, [0; 6])?;
    target.restore()
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
