//! What depends on the rights of a process, and on whether filters may be put on it.

use std::ffi::CStr;

use crate::calls::{address, call};
use crate::trees::exec;
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] =
    &[("is-root", is_root), ("without-filters", without_filters)];

/// A set-uid program of root's is, unless it was executed under `no_new_privs`.
fn is_root(_: &Arguments) -> Result<Ended, &'static str> {
    match call(libc::SYS_geteuid, &[]) {
        Ok(0) => Ok(Ended::Works),
        _ => Err("these are not root's rights"),
    }
}

/// Becomes the command of the words, to which `seccomp` says EPERM.
fn without_filters(arguments: &Arguments) -> Result<Ended, &'static str> {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let refusal = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter {
            jf: 1,
            ..statement(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                libc::SYS_seccomp as u32,
            )
        },
        statement(libc::BPF_RET | libc::BPF_K, refusal),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    let no_new_privs = [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0];
    let mode = libc::SECCOMP_SET_MODE_FILTER as usize;
    call(libc::SYS_prctl, &no_new_privs).map_err(|_| "no_new_privs cannot be set")?;
    call(libc::SYS_seccomp, &[mode, 0, address(&program)]).map_err(|_| "no filter")?;
    let words: Vec<&CStr> = (0..16)
        .map(|index| arguments.word(index))
        .take_while(|word| !word.is_empty())
        .collect();
    Err(exec(arguments.word(0), &words))
}
