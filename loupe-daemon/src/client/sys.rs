//! Dying by a signal, as the command did that was run.

use loupe_common::exit;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, raise, signal, sigprocmask};

/// Ends this process by the signal, without a core dump: the one that matters is the command's.
pub fn die_by(number: i32) -> ! {
    if let Ok(deadly) = Signal::try_from(number) {
        // Each of these may fail without harm: then the exit below says what happened.
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
        // SAFETY: SIG_DFL installs no handler, so no code of ours can run in signal context;
        // the runtime, whose handlers this may replace, has ended.
        let _ = unsafe { signal(deadly, SigHandler::SigDfl) };
        let mut set = SigSet::empty();
        set.add(deadly);
        let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None);
        let _ = raise(deadly);
    }
    // A signal that does not kill, or a real-time one: as a shell says it.
    std::process::exit(exit::by_signal(number).into())
}
