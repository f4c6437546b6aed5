//! Injection: a policy becomes a classic BPF filter, which is put on a target at its exec.
//!
//! [`compile`] is pure. Installing is in `install`; it knows processes, not workloads.

mod arguments;
pub mod filter;
pub mod install;
#[cfg(test)]
mod interpreter;

use loupe_common::policy::Policy;

pub use filter::{CompileError, compile};

/// A policy as plain numbers for the launcher; empty for the empty policy, which needs no filter.
pub fn instructions(policy: &Policy) -> Result<Vec<(u16, u8, u8, u32)>, CompileError> {
    if policy.is_empty() {
        return Ok(Vec::new());
    }
    let program = compile(policy)?;
    Ok(program
        .iter()
        .map(|insn| (insn.code, insn.jt, insn.jf, insn.k))
        .collect())
}
