//! One connection, which comes back by itself, and what is to be known of how it is.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Credentials, NatsError};

/// Between two attempts, at most. Hosts draw half of it anew each time, so that a thousand of them do
/// not come back in the same second.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A server that says nothing for this long (twice) is taken for gone.
const PING: Duration = Duration::from_secs(20);
/// Requests wait so long for their answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How the connection is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub is_up: bool,
    /// What went wrong last, until it is up again.
    pub trouble: Option<String>,
}

/// Connects, or goes on trying: it never ends by itself. Answers of the server come to an inbox that
/// nobody else can read.
pub async fn connect(
    url: &str,
    credentials: &Credentials,
) -> Result<(Client, watch::Receiver<Link>), NatsError> {
    let address: ServerAddr = url.parse().map_err(|error| NatsError::Address {
        url: url.to_owned(),
        what: format!("{error}"),
    })?;
    let (told, link) = watch::channel(Link::default());
    let told = Arc::new(told);
    let options = ConnectOptions::with_nkey(credentials.seed.clone())
        .name(format!("loupe {}", credentials.name))
        .add_root_certificates(credentials.path.clone())
        .require_tls(true)
        .custom_inbox_prefix(format!("_INBOX.{}", credentials.id))
        .ping_interval(PING)
        .request_timeout(Some(PATIENCE))
        .ignore_discovered_servers()
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(wait)
        .event_callback(move |event| {
            hear(&told, &event);
            std::future::ready(())
        });
    let client = options
        .connect(address)
        .await
        .map_err(|source| NatsError::Connect {
            url: url.to_owned(),
            source,
        })?;
    Ok((client, link))
}

pub fn is_connected(client: &Client) -> bool {
    client.connection_state() == State::Connected
}

/// What is asked of a server that is away would only wait in line. Whatever was heard, there is another
/// look after this `pause`, and `looks` is told of each that finds it away.
pub async fn wait_for_connection(
    client: &Client,
    link: &watch::Receiver<Link>,
    pause: Duration,
    looks: impl Fn(),
) {
    let mut link = link.clone();
    while !is_connected(client) {
        drop(timeout(pause, link.changed()).await);
        looks();
    }
}

fn hear(told: &watch::Sender<Link>, event: &Event) {
    told.send_modify(|link| match event {
        Event::Connected => {
            *link = Link {
                is_up: true,
                trouble: None,
            };
        }
        Event::Disconnected | Event::Closed => link.is_up = false,
        // Refused messages are the business of who sent them.
        Event::ServerError(error) => link.trouble = Some(error.to_string()),
        Event::ClientError(error) => link.trouble = Some(error.to_string()),
        Event::LameDuckMode | Event::Draining | Event::SlowConsumer(_) => {}
    });
}

/// Doubles from a quarter of a second, and half of it is drawn.
fn wait(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(16);
    let whole = Duration::from_millis(125)
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(LONGEST_WAIT);
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rarer_and_never_cease() {
        assert!(wait(1) <= Duration::from_millis(250));
        for attempts in [5, 10, 1000, usize::MAX] {
            let wait = wait(attempts);
            assert!(
                wait >= Duration::from_secs(2) && wait <= LONGEST_WAIT,
                "{wait:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_address_is_refused_with_the_cure() {
        let directory = tempfile::tempdir().expect("a directory");
        let credentials = Credentials {
            path: directory.path().join("none"),
            part: super::super::Part::Host,
            name: "a".to_owned(),
            id: "a".to_owned(),
            seed: "S".to_owned(),
            trusts: Vec::new(),
            signing: None,
        };
        let error = connect("tls://:x:", &credentials).await.err();
        let error = error.expect("refused");
        assert!(matches!(error, NatsError::Address { .. }), "{error}");
        assert!(error.hint().is_some());
    }
}
