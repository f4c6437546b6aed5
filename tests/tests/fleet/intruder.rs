//! Somebody with a host's credentials who speaks the server's own protocol and does what louped never
//! would.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use async_nats::{Client, ConnectOptions, Event};
use futures::StreamExt as _;
use loupe_tests::fleet::Fleet;

/// The server has answered by then, if it ever does.
const PATIENCE: Duration = Duration::from_secs(2);

struct Credentials {
    id: String,
    seed: String,
    path: PathBuf,
}

fn read(path: PathBuf) -> Credentials {
    let text = std::fs::read_to_string(&path).expect("credentials");
    let table: toml::Table = toml::from_str(&text).expect("TOML");
    let word = |key: &str| table[key].as_str().expect("a word").to_owned();
    Credentials {
        id: word("id"),
        seed: word("seed"),
        path,
    }
}

/// What the server complained of.
type Complaints = Arc<Mutex<Vec<String>>>;

async fn connect(
    fleet: &Fleet<'_>,
    who: &Credentials,
) -> Result<(Client, Complaints), async_nats::ConnectError> {
    let complaints = Complaints::default();
    let heard = Arc::clone(&complaints);
    let client = ConnectOptions::with_nkey(who.seed.clone())
        .add_root_certificates(who.path.clone())
        .require_tls(true)
        .custom_inbox_prefix(format!("_INBOX.{}", who.id))
        .event_callback(move |event| {
            if let Event::ServerError(error) = event {
                heard.lock().expect("unpoisoned").push(error.to_string());
            }
            std::future::ready(())
        })
        .connect(fleet.url())
        .await?;
    Ok((client, complaints))
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

/// Has a host's key publish a file to the host's own subject, as often as it is asked to: no id makes
/// two of them one.
pub fn publish_own(fleet: &Fleet<'_>, host: &str, bundle: &Path) -> Result<(), String> {
    let who = read(fleet.credentials(host));
    let payload = std::fs::read(bundle).expect("a bundle");
    block_on(async {
        let (client, _) = connect(fleet, &who)
            .await
            .map_err(|error| error.to_string())?;
        let context = async_nats::jetstream::new(client);
        let message = PublishMessage::build().payload(payload.into());
        let subject = format!("loupe.facts.{}", who.id);
        let sent = context.send_publish(subject, message).await;
        let acknowledged = sent.map_err(|error| error.to_string())?.await;
        acknowledged.map(|_| ()).map_err(|error| error.to_string())
    })
}

/// Messages that the hub has not acknowledged.
pub fn waiting(fleet: &Fleet<'_>) -> u64 {
    let who = read(fleet.hub_credentials());
    block_on(async {
        let (client, _) = connect(fleet, &who).await.expect("connected");
        let context = async_nats::jetstream::new(client);
        let mut stream = context.get_stream("LOUPE_FACTS").await.expect("the stream");
        stream.info().await.expect("an answer").state.messages
    })
}

/// Tries, with the key of one host, all that would harm another or the fleet: what of it worked. Its last
/// deed is allowed by the server, and the hub's to refuse: it tells of the other on its own subject.
pub fn try_everything(fleet: &Fleet<'_>, own: &str, other: &str, others: &Path) -> Vec<String> {
    let (who, victim) = (read(fleet.credentials(own)), read(fleet.credentials(other)));
    let payload = std::fs::read(others).expect("a bundle");
    let before = waiting(fleet);
    let mut worked = Vec::new();
    block_on(async {
        // Who has no key, or trusts another authority, gets no connection.
        let open = ConnectOptions::new().add_root_certificates(who.path.clone());
        if open.require_tls(true).connect(fleet.url()).await.is_ok() {
            worked.push("connect without a key".to_owned());
        }
        let trusting = ConnectOptions::with_nkey(who.seed.clone()).require_tls(true);
        if trusting.connect(fleet.url()).await.is_ok() {
            worked.push("take the server's certificate on trust".to_owned());
        }

        let (client, complaints) = connect(fleet, &who).await.expect("its own key");
        let others_facts = format!("loupe.facts.{}", victim.id);
        let others_inbox = format!("_INBOX.{}.>", victim.id);
        let mut hearing = Vec::new();
        for subject in [
            ">",
            "loupe.>",
            "loupe.facts.*",
            &others_facts,
            &others_inbox,
            "$JS.>",
            "_INBOX.>",
        ] {
            hearing.push((
                subject.to_owned(),
                client.subscribe(subject.to_owned()).await.expect("asked"),
            ));
        }
        let forbidden = [
            &*others_facts,
            "loupe.jobs.x86_64",
            "loupe.facts",
            "$JS.API.INFO",
            "$JS.API.STREAM.INFO.LOUPE_FACTS",
            "$JS.API.STREAM.PURGE.LOUPE_FACTS",
            "$JS.API.STREAM.DELETE.LOUPE_FACTS",
            "$JS.API.STREAM.MSG.GET.LOUPE_FACTS",
            "$JS.API.CONSUMER.MSG.NEXT.LOUPE_FACTS.hub",
            "$JS.API.CONSUMER.DELETE.LOUPE_FACTS.hub",
            "$JS.ACK.LOUPE_FACTS.hub.1.1.1.1.1",
        ];
        for subject in forbidden {
            let asked = client.request(subject.to_owned(), payload.clone().into());
            if let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, asked).await {
                worked.push(format!("ask {subject}: {:?}", answer.payload));
            }
        }
        // The server answers with its own rights, to whichever subject a message names.
        let own_facts = format!("loupe.facts.{}", who.id);
        for reply in [
            "$JS.API.STREAM.PURGE.LOUPE_FACTS",
            "$JS.API.STREAM.DELETE.LOUPE_FACTS",
            &others_facts,
            &format!("_INBOX.{}.x", victim.id),
        ] {
            let sent = client.publish_with_reply(
                own_facts.clone(),
                reply.to_owned(),
                payload.clone().into(),
            );
            sent.await.expect("queued");
        }
        client.flush().await.expect("connected");
        tokio::time::sleep(PATIENCE).await;
        for (subject, mut messages) in hearing {
            while let Ok(Some(message)) =
                tokio::time::timeout(Duration::from_millis(20), messages.next()).await
            {
                worked.push(format!("hear {} by {subject}", message.subject));
            }
        }
        let complaints = complaints.lock().expect("unpoisoned").clone();
        for subject in forbidden
            .iter()
            .copied()
            .chain([">", "loupe.>", "_INBOX.>"])
        {
            if !complaints.iter().any(|it| {
                it.to_lowercase()
                    .contains(&format!("\"{}\"", subject.to_lowercase()))
            }) {
                worked.push(format!(
                    "use {subject} without a complaint: {complaints:#?}"
                ));
            }
        }
    });
    // The stream is there as it was; the hub may have taken what it was allowed to send.
    if waiting(fleet) > before + 4 {
        worked.push("put more into the stream than its own".to_owned());
    }
    worked
}
