//! Puts a filter on a process that stands at its exec stop, from outside.
//!
//! The tracer writes the filter below the stack pointer, borrows the first instructions of the
//! new image for a `syscall`, lets the target execute `seccomp()` with them, and puts
//! everything back. The target never runs an instruction of its own without the filter. A
//! refused filter is an error: the caller must end the process.
//!
//! Signals that arrive meanwhile are the target's: they stay pending (see `signals`).

mod signals;

use std::cell::Cell;
use std::io::{self, IoSlice};

use libc::{c_long, siginfo_t, sock_filter};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::uio::{RemoteIoVec, process_vm_writev};
use nix::unistd::Pid;

use super::listener::Listener;
use crate::arch::{self, Abi, CODE_WORDS, RED_ZONE_BYTES, Registers, TRAP_OFFSET};
use crate::sys;
use signals::Next;

/// Kinds of entries of the auxiliary vector (`include/uapi/linux/auxvec.h`).
const AT_NULL: c_long = 0;
const AT_IGNORE: c_long = 1;
const AT_SYSINFO_EHDR: c_long = 33;

/// First argument of `seccomp()` (`include/uapi/linux/seccomp.h`).
const SET_MODE_FILTER: u64 = 1;

/// Why the filter is not on the target.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("ptrace on the target failed at `{step}`: {source}")]
    Ptrace { step: &'static str, source: Errno },
    #[error("the target stopped in an unexpected way while the filter was installed: {0}")]
    UnexpectedStop(String),
    #[error("the target ended while the filter was installed")]
    Ended,
    #[error("the target is a 32-bit program, whose registers Loupe does not know on this machine")]
    ThirtyTwoBit,
    #[error("the listener for notified calls cannot be taken out of the target: {0}")]
    Listener(#[source] io::Error),
    #[error("the kernel refused the filter: {0}")]
    Refused(#[source] io::Error),
}

fn step(step: &'static str) -> impl FnOnce(Errno) -> InstallError {
    move |source| InstallError::Ptrace { step, source }
}

/// A process that is past its `execve` and stands before its first instruction.
#[derive(Debug)]
pub struct AtEntry {
    pub listener: Option<Listener>,
    /// To be given with the detach: one that came meanwhile and could not stay pending.
    pub signal: Option<Signal>,
}

/// Installs the filters on the process `pid`, which stands in its exec event stop under this
/// thread's ptrace. An empty filter is none.
///
/// The one that notifies goes first: the process closes its copy of the listener with a syscall
/// of its own, which the other may answer.
pub fn install(
    pid: Pid,
    filter: &[sock_filter],
    notifying: &[sock_filter],
) -> Result<AtEntry, InstallError> {
    at_entry(pid, |target| {
        let listener = match notifying {
            [] => None,
            _ => Some(target.listen(notifying)?),
        };
        if !filter.is_empty() {
            target.seccomp(filter, 0)?;
        }
        Ok(listener)
    })
}

/// Lets the process return from its `execve` without running an instruction of its own, so that
/// what is traced from here on starts with the new image, as it does under a filter.
pub fn leave_exec(pid: Pid) -> Result<AtEntry, InstallError> {
    at_entry(pid, |target| {
        let number = arch::harmless_call(target.registers.abi());
        target.call(number, &[0; 6]).map(|_| None)
    })
}

/// Has a target do something, and puts everything back, whatever came of it.
fn at_entry(
    pid: Pid,
    act: impl FnOnce(&Stopped) -> Result<Option<Listener>, InstallError>,
) -> Result<AtEntry, InstallError> {
    let target = Stopped::new(pid)?;
    let done = act(&target);
    let signal = target.restore()?;
    Ok(AtEntry {
        listener: done?,
        signal,
    })
}

/// What a process at its exec stop is.
pub fn abi(pid: Pid) -> Result<Abi, InstallError> {
    registers(pid).map(|registers| registers.abi())
}

fn registers(pid: Pid) -> Result<Registers, InstallError> {
    let registers = Registers::of(pid).map_err(step("read registers"))?;
    registers.ok_or(InstallError::ThirtyTwoBit)
}

/// Tells whether a process at its exec stop knows where its vDSO is. With `hide` it forgets: its C
/// library then makes syscalls instead.
pub fn vdso(pid: Pid, hide: bool) -> Result<bool, InstallError> {
    let registers = registers(pid)?;
    let (abi, stack) = (registers.abi(), registers.stack_pointer());
    let at = |index: u64| (stack + abi.word_bytes() * index) as ptrace::AddressType;
    let eight =
        |index: u64| ptrace::read(pid, at(index)).map_err(step("read the auxiliary vector"));
    let word = |index: u64| eight(index).map(|bytes| bytes & abi.word_mask());
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
                let others = eight(index)? & !abi.word_mask();
                ptrace::write(pid, at(index), others | AT_IGNORE).map_err(step("hide the vDSO"))?;
                return Ok(false);
            }
            AT_SYSINFO_EHDR => return Ok(true),
            _ => index += 2,
        }
    }
}

/// The addresses of the words that the code of a call borrows.
fn words_at(registers: &Registers) -> impl Iterator<Item = ptrace::AddressType> + use<> {
    let entry = registers.instruction_pointer() as usize;
    (0..CODE_WORDS).map(move |word| (entry + size_of::<c_long>() * word) as ptrace::AddressType)
}

/// A target at its exec stop, with what must be put back.
struct Stopped {
    pid: Pid,
    registers: Registers,
    /// What stood where the code of a call goes.
    text: [c_long; CODE_WORDS],
    /// The signals that it blocks itself.
    blocked: u64,
    /// A SIGTRAP that somebody sent: it cannot stay pending, as our own stop is one.
    sent: Cell<Option<siginfo_t>>,
}

impl Stopped {
    fn new(pid: Pid) -> Result<Stopped, InstallError> {
        let registers = registers(pid)?;
        let mut text = [0; CODE_WORDS];
        for (word, address) in text.iter_mut().zip(words_at(&registers)) {
            *word = ptrace::read(pid, address).map_err(step("read the first instructions"))?;
        }
        let blocked = signals::hold(pid).map_err(step("hold its signals"))?;
        Ok(Stopped {
            pid,
            registers,
            text,
            blocked,
            sent: Cell::new(None),
        })
    }

    /// Writes `struct sock_fprog` and the program below the stack; returns its address.
    fn place_filter(&self, filter: &[sock_filter]) -> Result<u64, InstallError> {
        let size = size_of_val(filter) as u64;
        let code_at = (self.registers.stack_pointer() - RED_ZONE_BYTES - size) & !15;
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
        let mut result = self.call(libc::SYS_seccomp, &set)?;
        if result == -c_long::from(libc::EACCES) {
            // Without CAP_SYS_ADMIN the kernel wants no_new_privs first.
            let own = [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0, 0, 0, 0];
            self.call(libc::SYS_prctl, &own)?;
            result = self.call(libc::SYS_seccomp, &set)?;
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
        self.call(libc::SYS_close, &[descriptor as u64, 0, 0, 0, 0, 0])?;
        Ok(listener)
    }

    /// Lets the target execute one syscall; returns its raw result.
    fn call(&self, number: c_long, arguments: &[u64; 6]) -> Result<c_long, InstallError> {
        let code = arch::call_code(self.registers.abi(), number, arguments);
        self.write_text(&code, "write the trampoline")?;
        self.registers
            .with_arguments(arguments)
            .give_to(self.pid)
            .map_err(step("set registers"))?;
        self.run_to_trap()?;
        let registers = Registers::of(self.pid).map_err(step("read the result"))?;
        registers
            .map(|registers| registers.result())
            .ok_or(InstallError::ThirtyTwoBit)
    }

    fn write_text(
        &self,
        words: &[c_long; CODE_WORDS],
        what: &'static str,
    ) -> Result<(), InstallError> {
        for (word, address) in words.iter().zip(words_at(&self.registers)) {
            ptrace::write(self.pid, address, *word).map_err(step(what))?;
        }
        Ok(())
    }

    /// Lets it run to the end of the trampoline.
    fn run_to_trap(&self) -> Result<(), InstallError> {
        let mut signal = None;
        loop {
            ptrace::cont(self.pid, signal).map_err(step("continue"))?;
            signal = None;
            match signals::next(self.pid).map_err(step("wait"))? {
                Next::Ended => return Err(InstallError::Ended),
                // Told again at the detach, if it still lasts then.
                Next::GroupStop => {}
                // Cannot be blocked. It begins a group stop, which does not hold us up.
                Next::Signal(Signal::SIGSTOP) => signal = Some(Signal::SIGSTOP),
                // It did its work when it was sent, and there is no handler yet.
                Next::Signal(Signal::SIGCONT) => {}
                Next::Signal(Signal::SIGTRAP) => {
                    let info = ptrace::getsiginfo(self.pid).map_err(step("read a signal"))?;
                    if info.si_code == arch::TRAP_CODE {
                        return self.check_trap();
                    }
                    self.sent.set(Some(info));
                }
                Next::Signal(other) => {
                    return Err(InstallError::UnexpectedStop(other.to_string()));
                }
            }
        }
    }

    fn check_trap(&self) -> Result<(), InstallError> {
        let at = registers(self.pid)?.instruction_pointer();
        match at == self.registers.instruction_pointer() + TRAP_OFFSET {
            true => Ok(()),
            false => Err(InstallError::UnexpectedStop(format!("SIGTRAP at {at:#x}"))),
        }
    }

    /// Returns the signal that the detach must give it.
    fn restore(&self) -> Result<Option<Signal>, InstallError> {
        self.write_text(&self.text, "restore the text")?;
        // Not in a syscall: nothing to restart.
        self.registers
            .after_execve()
            .give_to(self.pid)
            .map_err(step("restore registers"))?;
        sys::ptrace::block_signals(self.pid, self.blocked).map_err(step("restore its signals"))?;
        let Some(info) = self.sent.take() else {
            return Ok(None);
        };
        ptrace::setsiginfo(self.pid, &info).map_err(step("hand over a signal"))?;
        Ok(Some(Signal::SIGTRAP))
    }
}
