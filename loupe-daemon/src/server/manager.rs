//! What the service manager is told: that louped is ready, what it does, that it is alive. Decides
//! nothing else; without a manager that wants to know it does nothing.

use std::sync::Arc;

use nix::time::{ClockId, clock_gettime};
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::Server;
use super::config::InForce;
use crate::backend::Here;
use crate::text::printable;

/// In each time that the watchdog waits, it is told so often, if all is well.
const TELLS_A_TIME: u32 = 4;

/// Tells systemd, if it wants to know.
pub fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

/// What the jobs do and what is watched, and what is wrong with the configuration, in one line.
pub async fn tell_status(
    mut jobs: watch::Receiver<String>,
    mut watching: watch::Receiver<String>,
    mut config: watch::Receiver<InForce>,
) {
    loop {
        let refused = config.borrow_and_update().refused.clone();
        let line = match refused {
            Some(why) => format!("the configuration was not changed: {why}"),
            None => status_line(&jobs.borrow_and_update(), &watching.borrow_and_update()),
        };
        tell(&[NotifyState::Status(&line)]);
        let changed = tokio::select! {
            changed = jobs.changed() => changed,
            changed = watching.changed() => changed,
            changed = config.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// `idle; watching 3 targets`.
fn status_line(jobs: &str, watching: &str) -> String {
    match watching {
        "" => jobs.to_owned(),
        // A trouble may have any name of a file in it.
        watching => format!("{jobs}; {}", printable(watching)),
    }
}

/// That it is not ready, and when it began not to be.
pub fn tell_reloading() {
    match clock_gettime(ClockId::CLOCK_MONOTONIC) {
        Ok(now) => {
            let microseconds =
                i128::from(now.tv_sec()) * 1_000_000 + i128::from(now.tv_nsec()) / 1000;
            tell(&[
                NotifyState::Reloading,
                NotifyState::MonotonicUsec(microseconds),
            ]);
        }
        Err(error) => tracing::warn!(%error, "cannot read the clock"),
    }
}

/// Tells systemd's watchdog that louped is alive, each time that the loop that accepts connections
/// and the threads that observe have come round. Where one of them does not, nothing is told, and
/// systemd starts louped anew.
pub async fn feed_watchdog(server: Arc<Server<Here>>, backend: Arc<Here>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let between = limit / TELLS_A_TIME;
    let mut ticks = interval(between);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        server.comes_round().await;
        let backend = Arc::clone(&backend);
        match tokio::task::spawn_blocking(move || backend.goes_on(between)).await {
            Ok(true) => tell(&[NotifyState::Watchdog]),
            Ok(false) => {
                tracing::error!(
                    "the observation of services stands still: the watchdog is not told"
                );
            }
            Err(error) => tracing::error!(%error, "the watchdog is not told"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_one_line_of_jobs_and_of_what_is_watched() {
        assert_eq!(status_line("idle", ""), "idle");
        assert_eq!(
            status_line("idle", "watching 3 targets; trouble: a\nb"),
            "idle; watching 3 targets; trouble: a\\nb"
        );
    }
}
