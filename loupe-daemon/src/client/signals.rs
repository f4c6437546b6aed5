//! Signals to `loupe` itself while it works.

use std::sync::{Arc, OnceLock};

use loupe_common::wire::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// For work that blocks: what it is to look at now and then, and the first signal that came.
#[derive(Clone, Default)]
pub struct Interruption {
    stop: CancellationToken,
    signal: Arc<OnceLock<i32>>,
}

impl Interruption {
    /// Each signal that would end the process fires it instead.
    pub fn catch() -> Result<Interruption, Failure> {
        let mut signals = Signals::catch()?;
        let caught = Interruption::default();
        let told = caught.clone();
        tokio::spawn(async move {
            let signal = signals.next().await;
            told.signal.get_or_init(|| signal);
            told.stop.cancel();
        });
        Ok(caught)
    }

    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    pub fn signal(&self) -> Option<i32> {
        self.signal.get().copied()
    }
}

/// Signals that this process was started to ignore (`nohup`, `&` in a script); bit `n - 1` is
/// signal `n`. Meaningful only before [`Signals::catch`].
pub fn ignored() -> Result<u64, Failure> {
    // The runtime of Rust ignores SIGPIPE on its own account.
    const OWN: u64 = 1 << (libc::SIGPIPE - 1);
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| {
        Failure::internal("cannot read /proc/self/status").because(Some(&error))
    })?;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .ok_or_else(|| Failure::internal("/proc/self/status has no SigIgn line"))?;
    Ok(mask & !OWN)
}

/// Catches what would end the process. The handlers are gone in programs that are executed.
pub struct Signals {
    interrupt: Option<Signal>,
    quit: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
}

impl Signals {
    /// What the process was started to ignore it goes on ignoring.
    pub fn catch() -> Result<Signals, Failure> {
        let ignored = ignored()?;
        let catch = |kind: SignalKind| {
            if ignored & 1 << (kind.as_raw_value() - 1) != 0 {
                return Ok(None);
            }
            signal(kind)
                .map(Some)
                .map_err(|error| Failure::internal("cannot catch signals").because(Some(&error)))
        };
        Ok(Signals {
            interrupt: catch(SignalKind::interrupt())?,
            quit: catch(SignalKind::quit())?,
            terminate: catch(SignalKind::terminate())?,
            hang_up: catch(SignalKind::hangup())?,
        })
    }

    /// Waits for work that ends soon once `cancel` fires, which each signal does; `told` hears of it,
    /// with the first signal if this is another. What came of the work, and the first signal.
    pub async fn interrupting<T>(
        &mut self,
        running: impl Future<Output = T>,
        cancel: &CancellationToken,
        told: impl Fn(Option<i32>),
    ) -> (T, Option<i32>) {
        tokio::pin!(running);
        let mut interrupted = None;
        loop {
            let signal = tokio::select! {
                ended = &mut running => return (ended, interrupted),
                signal = self.next() => signal,
            };
            told(interrupted);
            interrupted.get_or_insert(signal);
            cancel.cancel();
        }
    }

    /// The next one. Dropping the future loses none.
    pub async fn next(&mut self) -> i32 {
        tokio::select! {
            () = caught(&mut self.interrupt) => libc::SIGINT,
            () = caught(&mut self.quit) => libc::SIGQUIT,
            () = caught(&mut self.terminate) => libc::SIGTERM,
            () = caught(&mut self.hang_up) => libc::SIGHUP,
        }
    }
}

async fn caught(signal: &mut Option<Signal>) {
    match signal {
        // The stream never ends.
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
