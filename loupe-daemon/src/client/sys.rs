//! Dying by a signal, as the command did that was run.

use loupe_common::exit;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise, sigprocmask};

use crate::sys::signals;

/// Ends this process by the signal, without a core dump: the one that matters is the command's.
pub fn die_by(number: i32) -> ! {
    if let Ok(deadly) = Signal::try_from(number) {
        // Each of these may fail without harm: then the exit below says what happened.
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
        // The runtime, whose handler this may replace, has ended.
        let _ = signals::set_default(deadly);
        let mut set = SigSet::empty();
        set.add(deadly);
        let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&set), None);
        let _ = raise(deadly);
    }
    // A signal that does not kill, or a real-time one: as a shell says it.
    std::process::exit(exit::by_signal(number).into())
}
