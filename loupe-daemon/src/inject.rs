//! Injection: a policy becomes a classic BPF filter, which is put on a target at its exec.
//!
//! [`compile`] is pure. Installing is in `install`; it knows processes, not workloads.

mod arguments;
pub mod filter;
pub mod install;
#[cfg(test)]
mod interpreter;
pub mod listener;
pub mod notify;

use std::collections::BTreeMap;

use loupe_common::policy::Policy;

pub use filter::{CompileError, compile};
pub use notify::Notified;

/// A policy as plain numbers for the launcher; empty where nothing has a constant answer, which
/// needs no filter.
pub fn instructions(policy: &Policy) -> Result<Vec<(u16, u8, u8, u32)>, CompileError> {
    let mut constants = false;
    for (feature, action) in policy.iter() {
        constants |= feature.syscall().is_some() && notify::constant(feature, action)?.is_some();
    }
    if !constants {
        return Ok(Vec::new());
    }
    Ok(numbers(&compile(policy)?))
}

/// A filter that answers nothing that anybody calls, compiled like any other.
pub fn inert() -> Result<Vec<(u16, u8, u8, u32)>, CompileError> {
    let errno = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let answers = BTreeMap::from([(UNUSED_NUMBER, filter::Decision::always(errno))]);
    Ok(numbers(&filter::program(&answers)?))
}

/// A number above every table of syscalls. A program that calls it all the same gets what the
/// kernel would say.
const UNUSED_NUMBER: u32 = 1023;

/// Whether some rules of a policy are answered by a supervisor.
pub fn notifies(policy: &Policy) -> bool {
    let mut rules = policy.iter();
    rules.any(|(feature, action)| matches!(notify::constant(feature, action), Ok(None)))
}

fn numbers(program: &[libc::sock_filter]) -> Vec<(u16, u8, u8, u32)> {
    let number = |insn: &libc::sock_filter| (insn.code, insn.jt, insn.jf, insn.k);
    program.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use loupe_common::syscalls::Arch;

    use super::interpreter::{Call, interpret};
    use super::*;

    #[test]
    fn an_inert_filter_is_one_and_answers_no_syscall() {
        let program: Vec<_> = inert().expect("compiles");
        assert!(!program.is_empty());
        for (number, name) in Arch::X86_64.table() {
            assert!(u32::from(*number) < UNUSED_NUMBER, "{name}");
        }
        let code: Vec<libc::sock_filter> = program
            .into_iter()
            .map(|(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k })
            .collect();
        for number in (0..UNUSED_NUMBER).chain([UNUSED_NUMBER + 1, u32::MAX]) {
            let call = Call {
                arch: crate::arch::AUDIT_ARCH,
                number,
                arguments: [0; 6],
            };
            let answer = interpret(&code, &call).answer;
            assert_eq!(answer, libc::SECCOMP_RET_ALLOW, "{number}");
        }
    }
}
