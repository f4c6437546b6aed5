//! What a signal does to this process. Installs no handlers.
#![expect(unsafe_code, reason = "dispositions of signals")]

use nix::sys::signal::{SigHandler, Signal, signal};

/// Has a signal do what it does by default.
pub fn set_default(number: Signal) -> nix::Result<()> {
    // SAFETY: the default is no handler, so no code of ours can run in the signal's context.
    unsafe { signal(number, SigHandler::SigDfl) }.map(drop)
}

/// Has a signal do nothing.
pub fn ignore(number: Signal) -> nix::Result<()> {
    // SAFETY: ignoring installs no handler.
    unsafe { signal(number, SigHandler::SigIgn) }.map(drop)
}
