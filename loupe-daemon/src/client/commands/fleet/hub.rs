//! `loupe fleet hub`: the hub in the foreground, which says what changes.

use loupe_common::profile::FleetStatus;
use loupe_common::wire::Failure;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::database;
use crate::backend::exchange_failure;
use crate::client::args::{Fleet as Args, FleetHub, Global};
use crate::client::signals::Signals;
use crate::client::{Ending, output};
use crate::exchange::Hub;
use crate::text::printable;

pub async fn run(global: &Global, args: &Args, hub: &FleetHub) -> Result<Ending, Failure> {
    let path = database(global, args)?;
    let mut signals = Signals::catch()?;
    let started = Hub::start(&hub.url, &hub.credentials, &path).await;
    let started = started.map_err(|error| exchange_failure(&error))?;
    output::note(&format!(
        "merging into {} what hosts tell at {}; Ctrl-C ends it",
        printable(&path.display().to_string()),
        printable(&hub.url)
    ));
    let telling = tokio::spawn(tell(started.status()));
    let stop = CancellationToken::new();
    // The signal is how it ends.
    signals
        .interrupting(started.run(stop.clone()), &stop, |_| ())
        .await;
    telling.abort();
    Ok(Ending::OK)
}

/// A line where the connection or what is wrong with it changes.
async fn tell(mut status: watch::Receiver<FleetStatus>) {
    let mut before = (false, None);
    loop {
        let now = {
            let status = status.borrow_and_update();
            (status.connected, status.trouble.clone())
        };
        if now != before {
            let line = match &now {
                (_, Some(trouble)) => format!("waits: {}", printable(trouble)),
                (true, None) => "connected".to_owned(),
                (false, None) => "not connected".to_owned(),
            };
            output::note(&line);
            before = now;
        }
        if status.changed().await.is_err() {
            return;
        }
    }
}
