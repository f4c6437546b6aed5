//! `loupe fleet init` and `add-host`: the directory of a fleet that tells over a server.

use loupe_common::wire::Failure;
use serde_json::json;

use crate::backend::exchange_failure;
use crate::client::args::{FleetAddHost, FleetInit, Newcomers};
use crate::client::{Ending, output};
use crate::exchange::{Charter, Enrolled, ExchangeError, Newcomer};
use crate::text::{counted, printable};

/// By which the server is reached on its own host, whatever else it is called.
const OWN_HOST: [&str; 2] = ["localhost", "127.0.0.1"];

pub fn init(args: &FleetInit) -> Result<Ending, Failure> {
    let newcomers = newcomers(&args.hosts)?;
    let mut servers = args.servers.clone();
    if servers.is_empty() {
        let name = nix::unistd::gethostname().map_err(|errno| {
            Failure::internal("cannot find out this host's name")
                .because(Some(&errno))
                .hint("name the server: --server NAME")
        })?;
        servers.push(name.to_string_lossy().into_owned());
    }
    servers.extend(OWN_HOST.map(str::to_owned));
    servers.dedup();
    let made = (|| {
        let mut charter = Charter::found(&args.directory, &servers, args.port)?;
        let enrolled = charter.enrol(&newcomers, false)?;
        let hired = charter.hire(&args.hosts.workers, false)?;
        Ok((charter, enrolled, hired))
    })();
    let (charter, enrolled, hired) = made.map_err(|error| exchange_failure(&error))?;
    told(&charter, (&enrolled, &hired), args.json, "Founded a fleet")
}

pub fn add_host(args: &FleetAddHost) -> Result<Ending, Failure> {
    let newcomers = newcomers(&args.hosts)?;
    if newcomers.is_empty() && args.servers.is_empty() && args.hosts.workers.is_empty() {
        return Err(Failure::usage("there is nobody to add")
            .hint("--host NAME, --worker NAME, or --server NAME"));
    }
    let made = (|| {
        let mut charter = Charter::read(&args.directory)?;
        if !args.servers.is_empty() {
            charter.serve_by(&args.servers)?;
        }
        let enrolled = charter.enrol(&newcomers, args.renew)?;
        let hired = charter.hire(&args.hosts.workers, args.renew)?;
        Ok((charter, enrolled, hired))
    })();
    let (charter, enrolled, hired) = made.map_err(|error| exchange_failure(&error))?;
    told(
        &charter,
        (&enrolled, &hired),
        args.json,
        "Changed the fleet",
    )
}

fn newcomers(args: &Newcomers) -> Result<Vec<Newcomer>, Failure> {
    let mut words = args.host.clone();
    if let Some(path) = &args.hosts {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
        let lines = text.lines().map(str::trim);
        words.extend(
            lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned),
        );
    }
    let read = words.iter().map(|word| word.parse());
    read.collect::<Result<_, ExchangeError>>()
        .map_err(|error| exchange_failure(&error))
}

fn told(
    charter: &Charter,
    (enrolled, hired): (&[Enrolled], &[Enrolled]),
    as_json: bool,
    what: &str,
) -> Result<Ending, Failure> {
    let (configuration, hub) = (charter.configuration(), charter.hub_credentials());
    let coordinator = charter
        .has_workers()
        .then(|| charter.coordinator_credentials());
    if as_json {
        output::print_json(&json!({
            "schema": "loupe.fleet-init/1",
            "url": charter.url(),
            "configuration": configuration,
            "hub": hub,
            "hosts": enrolled,
            "coordinator": coordinator,
            "workers": hired,
        }))?;
        return Ok(Ending::OK);
    }
    let url = charter.url();
    let shown = |path: &std::path::Path| printable(&path.display().to_string());
    let mut text = format!(
        "{what}: {}.\n\n  the server   nats-server -c {}\n  the hub      loupe fleet hub {url} \
         --credentials {}\n",
        counted((enrolled.len() + hired.len()) as u64, "new key"),
        shown(&configuration),
        shown(&hub),
    );
    for host in enrolled {
        text.push_str(&format!(
            "  {:<12} copy {} to its /etc/loupe/fleet.credentials\n",
            host.name,
            shown(&host.credentials)
        ));
    }
    for worker in hired {
        text.push_str(&format!(
            "  {:<12} copy {} to its /etc/loupe/worker.credentials\n",
            worker.name,
            shown(&worker.credentials)
        ));
    }
    if let Some(coordinator) = &coordinator {
        text.push_str(&format!(
            "  a study      loupe study DIR --on {url} --credentials {}\n",
            shown(coordinator)
        ));
    }
    text.push_str(&format!(
        "\nOn each host: louped --agent {url}, or below [fleet] in /etc/loupe/louped.toml: \
         url = \"{url}\"\n{}A server that runs reads its configuration again at: nats-server --signal \
         reload\n",
        match hired {
            [] => String::new(),
            _ => format!(
                "On each worker: louped --worker {url}, or the same line below [worker]\n"
            ),
        }
    ));
    output::print(&text)?;
    Ok(Ending::OK)
}
