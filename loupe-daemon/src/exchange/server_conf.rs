//! The configuration of the NATS server of a fleet: who may say and hear what. Pure.
//!
//! Hosts are in an account that has no streams at all: a publication of theirs passes to
//! another account, where the stream is, as a call of the service that this exports. Were they in
//! the stream's own account, they could name any subject as the one to which the server's answer goes,
//! the server publishes that answer with its own rights, and what it publishes may be read as an
//! order to the stream (`$JS.API.STREAM.PURGE…`; seen with 2.9.10). So are workers, in one of their
//! own, whose services are those of the streams of studies.

use std::fmt::Write as _;
use std::path::Path;

use super::stream;
use crate::dispatch::subjects;

/// What waits for the hub, on the server's disk, in all. Beyond it the server refuses, and hosts keep
/// what they have to tell.
const STORE_GB: u32 = 4;
/// Bytes of a message.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// A host, as the server has to know it.
pub struct Known<'a> {
    pub name: &'a str,
    pub id: &'a str,
    pub key: &'a str,
}

/// Everybody who may connect.
pub struct Members<'a> {
    pub hub: &'a str,
    pub hosts: Vec<Known<'a>>,
    /// The key of who has replays of studies run.
    pub coordinator: Option<&'a str>,
    pub workers: Vec<Known<'a>>,
}

/// The whole file. `directory` is where its certificate is, and where it keeps its messages.
pub fn text(directory: &Path, port: u16, members: &Members<'_>) -> String {
    let place = |name: &str| quoted(&directory.join(name).display().to_string());
    let mut text = format!(
        "# Made by `loupe fleet`; `loupe fleet add-host` writes it anew, and then
# `nats-server --signal reload` has it read.
port: {port}
server_name: loupe-fleet
max_payload: {MAX_PAYLOAD}
max_control_line: 4096
jetstream {{
  store_dir: {store}
  max_memory_store: 16MB
  max_file_store: {STORE_GB}GB
}}
tls {{
  cert_file: {certificate}
  key_file: {key}
  timeout: 5
}}
accounts {{
  FLEET: {{
    jetstream: enabled
    exports: [ {{ service: \"{all}\", accounts: [HOSTS] }} ]
    users: [
      {{ nkey: {hub_key} }} # the hub
    ]
  }}
  HOSTS: {{
    imports: [ {{ service: {{ account: FLEET, subject: \"{all}\" }} }} ]
    users: [
",
        store = place("jetstream"),
        certificate = place("server.crt"),
        key = place("server.key"),
        all = stream::ALL_FACTS,
        hub_key = members.hub,
    );
    for host in &members.hosts {
        let Known { name, id, key } = host;
        // Writing to a text cannot fail.
        _ = writeln!(
            text,
            "      {{ nkey: {key}, permissions: {{ publish: {{ allow: [\"{}\"] }}, subscribe: {{ \
             allow: [\"_INBOX.{id}.>\"] }} }} }} # {name}",
            stream::facts_of(id)
        );
    }
    text.push_str("    ]\n  }\n");
    if let Some(coordinator) = members.coordinator {
        add_studies(&mut text, coordinator, &members.workers);
    }
    text.push_str("}\n");
    text
}

/// The two accounts of studies: that of the streams, and that of workers.
fn add_studies(text: &mut String, coordinator: &str, workers: &[Known<'_>]) {
    let listed = |line: &dyn Fn(&str) -> String| {
        let lines = subjects::SERVICES.iter().map(|service| line(service));
        lines.collect::<String>()
    };
    let exports =
        listed(&|service| format!("      {{ service: \"{service}\", accounts: [WORKERS] }}\n"));
    let imports = listed(&|service| {
        format!("      {{ service: {{ account: STUDIES, subject: \"{service}\" }} }}\n")
    });
    // Writing to a text cannot fail.
    _ = write!(
        text,
        "  STUDIES: {{
    jetstream: enabled
    exports: [
{exports}    ]
    users: [
      {{ nkey: {coordinator} }} # who has replays of studies run
    ]
  }}
  WORKERS: {{
    imports: [
{imports}    ]
    users: [
"
    );
    for worker in workers {
        let Known { name, id, key } = worker;
        let allowed: Vec<String> = subjects::of_worker(id)
            .iter()
            .map(|subject| format!("\"{subject}\""))
            .collect();
        // Writing to a text cannot fail.
        _ = writeln!(
            text,
            "      {{ nkey: {key}, permissions: {{ publish: {{ allow: [{}] }}, subscribe: {{ \
             allow: [\"_INBOX.{id}.>\"] }} }} }} # {name}",
            allowed.join(", ")
        );
    }
    text.push_str("    ]\n  }\n");
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_publish_its_facts_and_hear_its_answers_and_nothing_else() {
        let hosts = [Known {
            name: "web1",
            id: "0a",
            key: "UHOST",
        }];
        let members = Members {
            hub: "UHUB",
            hosts: Vec::from(hosts),
            coordinator: None,
            workers: Vec::new(),
        };
        let text = text(Path::new("/srv/a \"b\""), 4222, &members);
        let line = text.lines().find(|line| line.contains("UHOST"));
        assert_eq!(
            line.map(str::trim),
            Some(
                "{ nkey: UHOST, permissions: { publish: { allow: [\"loupe.facts.0a\"] }, \
                 subscribe: { allow: [\"_INBOX.0a.>\"] } } } # web1"
            )
        );
        assert!(text.contains("\"/srv/a \\\"b\\\"/jetstream\""), "{text}");
        let (fleet, hosts) = text.split_once("  HOSTS: {").expect("two accounts");
        assert!(fleet.contains("jetstream: enabled") && !hosts.contains("jetstream"));
    }

    #[test]
    fn workers_are_in_an_account_without_streams_and_each_tells_as_itself_only() {
        let worker = |name, id, key| Known { name, id, key };
        let members = Members {
            hub: "UHUB",
            hosts: Vec::new(),
            coordinator: Some("UCOORDINATOR"),
            workers: vec![worker("w1", "0b", "UONE"), worker("w2", "0c", "UTWO")],
        };
        let text = text(Path::new("/srv"), 4222, &members);
        let (above, workers) = text.split_once("  WORKERS: {").expect("an account");
        assert!(!workers.contains("jetstream") && !workers.contains("UCOORDINATOR"));
        assert!(above.contains("UCOORDINATOR") && !above.contains("UONE"));
        let line = text.lines().find(|line| line.contains("UONE")).expect("it");
        assert!(line.contains("\"loupe.results.0b.*\""), "{line}");
        assert!(line.contains("\"_INBOX.0b.>\""), "{line}");
        assert!(
            !line.contains("0c") && !line.contains("loupe.jobs"),
            "{line}"
        );
        assert!(!line.contains("$JS.API.STREAM"), "{line}");
    }
}
