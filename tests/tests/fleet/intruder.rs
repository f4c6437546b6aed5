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
            "loupe.jobs.x86_64.h-1",
            "loupe.results.a.b",
            "loupe.workers.a",
            "loupe.files.0a",
            "$JS.API.STREAM.PURGE.LOUPE_JOBS",
            "$JS.API.CONSUMER.MSG.NEXT.LOUPE_JOBS.x86_64",
            "$JS.API.DIRECT.GET.LOUPE_FILES.loupe.files.0a",
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
            "$JS.API.STREAM.PURGE.LOUPE_JOBS",
            "loupe.jobs.x86_64.h-1",
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
    if waiting(fleet) > before + 6 {
        worked.push("put more into the stream than its own".to_owned());
    }
    worked
}

/// Messages of a stream of studies.
async fn messages_of(context: &async_nats::jetstream::Context, stream: &str) -> u64 {
    let mut stream = context.get_stream(stream).await.expect("the stream");
    stream.info().await.expect("an answer").state.messages
}

/// Jobs that are still at the server.
pub fn jobs_left(fleet: &Fleet<'_>) -> u64 {
    let who = read(fleet.coordinator_credentials());
    block_on(async {
        let (client, _) = connect(fleet, &who).await.expect("connected");
        let context = async_nats::jetstream::new(client);
        messages_of(&context, "LOUPE_JOBS").await
    })
}

/// The jobs that are published while something is done.
pub fn listen_to_jobs(fleet: &Fleet<'_>, work: impl FnOnce()) -> Vec<async_nats::Message> {
    let who = read(fleet.coordinator_credentials());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut heard = runtime.block_on(async {
        let (client, _) = connect(fleet, &who).await.expect("connected");
        let heard = client.subscribe("loupe.jobs.>").await.expect("asked");
        client.flush().await.expect("connected");
        heard
    });
    work();
    runtime.block_on(async {
        let mut jobs = Vec::new();
        while let Ok(Some(job)) =
            tokio::time::timeout(Duration::from_millis(200), heard.next()).await
        {
            jobs.push(job);
        }
        jobs
    })
}

/// Publishes a job with wrong signatures, and at last with the right one: how many of them a worker with one
/// slot has run.
pub fn offer_jobs(fleet: &Fleet<'_>, jobs: &[async_nats::Message]) -> u64 {
    let who = read(fleet.coordinator_credentials());
    let job = jobs.first().expect("a job");
    let headers = job.headers.clone().expect("a signature");
    let without = |names: &[&str]| {
        let mut some = async_nats::HeaderMap::new();
        for name in ["Loupe-Key", "Loupe-Signature"] {
            if let Some(value) = headers.get(name).filter(|_| !names.contains(&name)) {
                some.insert(name, value.clone());
            }
        }
        some
    };
    let other = jobs.iter().find(|it| it.payload != job.payload);
    let other = other.expect("another job").headers.clone().expect("signed");
    let swapped = {
        let mut swapped = without(&["Loupe-Signature"]);
        let signature = other.get("Loupe-Signature").expect("signed");
        swapped.insert("Loupe-Signature", signature.clone());
        swapped
    };
    let stranger = {
        let mut stranger = without(&["Loupe-Key"]);
        // The public half of a key that was made for this test, and is nobody's.
        let key = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
        stranger.insert("Loupe-Key", key);
        stranger
    };
    let wrong = [
        without(&["Loupe-Key", "Loupe-Signature"]),
        without(&["Loupe-Signature"]),
        swapped,
        stranger,
    ];
    block_on(async {
        let (client, _) = connect(fleet, &who).await.expect("connected");
        let context = async_nats::jetstream::new(client);
        for headers in wrong.into_iter().chain([without(&[])]) {
            let message = PublishMessage::build()
                .payload(job.payload.clone())
                .headers(headers);
            let sent = context.send_publish(job.subject.clone(), message).await;
            sent.expect("sent").await.expect("taken");
        }
        // The worker takes one after the other. What is left is the stranger's, which is always given
        // back: another worker may trust that key.
        let mut ran = 0;
        while ran == 0 || messages_of(&context, "LOUPE_JOBS").await > 1 {
            tokio::time::sleep(PATIENCE / 40).await;
            ran = messages_of(&context, "LOUPE_RESULTS").await;
        }
        for stream in ["LOUPE_RESULTS", "LOUPE_JOBS"] {
            let stream = context.get_stream(stream).await.expect("the stream");
            stream.purge().await.expect("emptied");
        }
        ran
    })
}

/// Tries, with the key of one worker, all that would harm another or the studies: what of it worked.
pub fn try_as_worker(fleet: &Fleet<'_>, own: &str, other: &str) -> Vec<String> {
    let who = read(fleet.worker_credentials(own));
    let victim = read(fleet.worker_credentials(other));
    let coordinator = read(fleet.coordinator_credentials());
    let mut worked = Vec::new();
    block_on(async {
        let (above, _) = connect(fleet, &coordinator).await.expect("connected");
        let context = async_nats::jetstream::new(above);
        let class = {
            let stream = context.get_stream("LOUPE_JOBS").await.expect("the stream");
            let mut names = stream.consumer_names();
            names.next().await.expect("a class").expect("an answer")
        };
        // A job that nobody takes: it is of another class.
        let waiting = "loupe.jobs.none.h-1";
        let sent = context.publish(waiting, "a job".into()).await;
        sent.expect("sent").await.expect("taken");
        let (client, complaints) = connect(fleet, &who).await.expect("its own key");
        let results_of_other = format!("loupe.results.{}.x", victim.id);
        let forbidden = [
            waiting,
            &*results_of_other,
            &format!("loupe.workers.{}", victim.id),
            "loupe.files.0a",
            "loupe.facts.0a",
            "$JS.API.INFO",
            "$JS.API.STREAM.INFO.LOUPE_JOBS",
            "$JS.API.STREAM.PURGE.LOUPE_JOBS",
            "$JS.API.STREAM.DELETE.LOUPE_FILES",
            "$JS.API.CONSUMER.DELETE.LOUPE_JOBS.x",
        ];
        for subject in forbidden {
            let asked = client.request(subject.to_owned(), "x".into());
            if let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE / 4, asked).await {
                worked.push(format!("ask {subject}: {:?}", answer.payload));
            }
        }
        // What the server answers goes where the message says, with the server's rights.
        let own_result = format!("loupe.results.{}.x", who.id);
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.LOUPE_JOBS.{class}");
        let get = "$JS.API.DIRECT.GET.LOUPE_FILES.loupe.files.0a".to_owned();
        for reply in [
            "$JS.API.STREAM.PURGE.LOUPE_JOBS",
            "$JS.API.STREAM.DELETE.LOUPE_JOBS",
            "$JS.API.STREAM.DELETE.LOUPE_FILES",
            "loupe.jobs.none.h-2",
            &results_of_other,
            "loupe.facts.0a",
        ] {
            for subject in [&own_result, &next, &get] {
                let text = "{\"batch\":1,\"no_wait\":true}";
                let sent =
                    client.publish_with_reply(subject.clone(), reply.to_owned(), text.into());
                sent.await.expect("queued");
            }
        }
        client.flush().await.expect("connected");
        tokio::time::sleep(PATIENCE / 2).await;
        for stream in ["LOUPE_JOBS", "LOUPE_FILES"] {
            let count = context.get_stream(stream).await.expect("it is there");
            let count = count.cached_info().state.messages;
            if count == 0 {
                worked.push(format!("empty {stream}"));
            }
        }
        if messages_of(&context, "LOUPE_JOBS").await != 1 {
            worked.push("add a job".to_owned());
        }
        let complaints = complaints.lock().expect("unpoisoned").clone();
        for subject in forbidden {
            let told = format!("\"{}\"", subject.to_lowercase());
            if !complaints
                .iter()
                .any(|it| it.to_lowercase().contains(&told))
            {
                worked.push(format!(
                    "use {subject} without a complaint: {complaints:#?}"
                ));
            }
        }
    });
    worked
}
