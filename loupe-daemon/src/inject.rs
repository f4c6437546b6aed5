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
    let program = compile(policy)?;
    Ok(program
        .iter()
        .map(|insn| (insn.code, insn.jt, insn.jf, insn.k))
        .collect())
}
