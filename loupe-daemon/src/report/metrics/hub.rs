//! Health of a fleet, as its database tells it: who was heard, what was lost, what waits, what was refused.
//! Nothing of what units use is in it.

use std::fmt;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::{Registry, Unit};

use super::{Float, MetricsForm, gauge, written};
use crate::fleet::{HostRow, Refused};

/// The text of all metrics, at this moment.
pub fn hub_metrics(
    hosts: &[HostRow],
    refused: &[Refused],
    now_ms: u64,
    form: MetricsForm,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("loupe");
    let hub = registry.sub_registry_with_prefix("hub");
    gauge(
        hub,
        "hosts",
        "Hosts that have told anything",
        hosts.len() as u64,
    );
    let losing = hosts.iter().filter(|row| row.lost > 0).count();
    let help = "Of these, those where something could not be kept";
    gauge(hub, "hosts_with_losses", help, losing as u64);
    let lost = Counter::<u64>::default();
    lost.inc_by(
        hosts
            .iter()
            .fold(0, |sum, row| sum.saturating_add(row.lost)),
    );
    hub.register("lost", "What happened on hosts and could not be kept", lost);
    let heard = || hosts.iter().filter_map(|row| row.heard);
    let help = "Hosts that were heard over a server; the others have told in files";
    gauge(hub, "hosts_heard", help, heard().count() as u64);
    // The message that told of it had not been acknowledged yet.
    let waiting = heard().map(|heard| heard.backlog.saturating_sub(1));
    let help = "Messages that waited at hosts when these were heard last";
    gauge(
        hub,
        "waiting_messages",
        help,
        waiting.fold(0, u64::saturating_add),
    );
    let messages = Counter::<u64>::default();
    messages.inc_by(
        refused
            .iter()
            .fold(0, |sum, one| sum.saturating_add(one.times)),
    );
    hub.register(
        "refused_messages",
        "Messages that the hub refused",
        messages,
    );
    let ages = || heard().map(|heard| now_ms.saturating_sub(heard.at_ms) as f64 / 1e3);
    let oldest = "Since the host that has been silent for longest was heard";
    let newest = "Since any host was heard";
    for (name, help, age) in [
        ("oldest_heard_age", oldest, ages().reduce(f64::max)),
        ("newest_heard_age", newest, ages().reduce(f64::min)),
    ] {
        if let Some(age) = age {
            let gauge = Float::default();
            gauge.set(age);
            hub.register_with_unit(name, help, Unit::Seconds, gauge);
        }
    }
    written(&registry, form)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Heard, Host};

    fn host(lost: u64, heard: Option<(u64, u64)>) -> HostRow {
        HostRow {
            host: Host {
                made_ms: 1,
                id: "0".repeat(32),
                name: Some("web1".to_owned()),
                kernel: "6.1".to_owned(),
                arch: "x86_64".to_owned(),
                loupe: "0.1.0".to_owned(),
                kept_home: 0,
            },
            subjects: 3,
            lost,
            heard: heard.map(|(at_ms, backlog)| Heard {
                at_ms,
                offset_ms: 0,
                backlog,
            }),
        }
    }

    #[test]
    fn health_is_counted_and_no_host_is_named() {
        let hosts = [
            host(0, Some((90_000, 1))),
            host(7, Some((40_000, 4))),
            host(0, None),
        ];
        let refused = [Refused {
            subject: "loupe.facts.0".to_owned(),
            at_ms: 5,
            why: "it is damaged".to_owned(),
            times: 3,
        }];
        let text = hub_metrics(&hosts, &refused, 100_000, MetricsForm::OpenMetrics);
        let text = text.expect("text");
        for line in [
            "loupe_hub_hosts 3",
            "loupe_hub_hosts_heard 2",
            "loupe_hub_hosts_with_losses 1",
            "loupe_hub_lost_total 7",
            "loupe_hub_waiting_messages 3",
            "loupe_hub_refused_messages_total 3",
            "loupe_hub_oldest_heard_age_seconds 60.0",
            "loupe_hub_newest_heard_age_seconds 10.0",
            "# EOF",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
        assert!(!text.contains("web1"), "{text}");
    }

    #[test]
    fn of_a_fleet_in_files_no_age_is_told() {
        let text = hub_metrics(&[host(0, None)], &[], 5, MetricsForm::Prometheus).expect("text");
        assert!(text.contains("loupe_hub_hosts_heard 0\n"), "{text}");
        assert!(!text.contains("age_seconds"), "{text}");
    }
}
