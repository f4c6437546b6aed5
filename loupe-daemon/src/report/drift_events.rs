//! Drift of a fleet as events: a JSON object a line, or log records of OpenTelemetry (OTLP in its JSON
//! encoding, one request a line, as collectors read it from files and take it by HTTP).

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::fleet::{FleetDrift, Version};

const HOUR_NS: u64 = 3_600_000_000_000;
/// `SEVERITY_NUMBER_INFO` of OTLP.
const INFO: u8 = 9;

/// What happened somewhere for the first time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DriftEvent {
    pub schema: &'static str,
    #[serde(flatten)]
    pub what: What,
    pub hosts: u64,
    /// When it was seen first, in hours since 1970.
    pub first_hour: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A unit did what it did on no host before.
    NewUse {
        name: String,
        #[serde(flatten)]
        version: Version,
        feature: String,
    },
    /// A unit that no host had before.
    NewUnit { name: String, features: u64 },
}

/// All of it, in the order of what happened.
pub fn drift_events(drift: &FleetDrift) -> Vec<DriftEvent> {
    let event = |what, hosts, first_hour| DriftEvent {
        schema: "loupe.fleet-drift-event/1",
        what,
        hosts,
        first_hour,
    };
    let uses = drift.new.iter().map(|new| {
        let what = What::NewUse {
            name: new.name.clone(),
            version: new.version.clone(),
            feature: new.feature.clone(),
        };
        event(what, new.hosts, new.first_hour)
    });
    let units = drift.new_units.iter().map(|new| {
        let what = What::NewUnit {
            name: new.name.clone(),
            features: new.features,
        };
        event(what, new.hosts, new.first_hour)
    });
    let mut events: Vec<DriftEvent> = uses.chain(units).collect();
    // Stable: those of one hour stay in the order of their names.
    events.sort_by_key(|event| event.first_hour);
    events
}

/// One object a line.
pub fn drift_lines(drift: &FleetDrift) -> Result<String, serde_json::Error> {
    let lines = drift_events(drift).into_iter().map(|event| {
        let line = serde_json::to_string(&event)?;
        Ok(line + "\n")
    });
    lines.collect()
}

/// One line with all records; none where nothing is new. In this encoding names are in camel case, and
/// numbers of 64 bits are texts.
pub fn drift_otlp(drift: &FleetDrift, now_ms: u64) -> Result<String, serde_json::Error> {
    let records: Vec<Value> = drift_events(drift)
        .iter()
        .map(|event| record(event, now_ms))
        .collect();
    if records.is_empty() {
        return Ok(String::new());
    }
    let version = env!("CARGO_PKG_VERSION");
    let request = json!({ "resourceLogs": [{
        "resource": { "attributes": [
            text("service.name", "loupe-fleet"),
            text("service.version", version),
        ] },
        "scopeLogs": [{
            "scope": { "name": "loupe.fleet.drift", "version": version },
            "logRecords": records,
        }],
    }] });
    Ok(serde_json::to_string(&request)? + "\n")
}

fn record(event: &DriftEvent, now_ms: u64) -> Value {
    let (name, body, mut attributes) = match &event.what {
        What::NewUse {
            name,
            version,
            feature,
        } => {
            let mut attributes = vec![
                text("loupe.unit", name),
                text("loupe.feature", feature),
                text("loupe.executable", &version.executable),
            ];
            let known = [
                ("loupe.package", &version.package),
                ("loupe.version", &version.version),
                ("loupe.build_id", &version.build_id),
            ];
            for (key, value) in known {
                attributes.extend(value.as_ref().map(|value| text(key, value)));
            }
            let body = format!("{name} began to use {feature}");
            ("loupe.fleet.new_use", body, attributes)
        }
        What::NewUnit { name, features } => {
            let attributes = vec![
                text("loupe.unit", name),
                number("loupe.features", *features),
            ];
            let body = format!("{name} is new");
            ("loupe.fleet.new_unit", body, attributes)
        }
    };
    attributes.push(number("loupe.hosts", event.hosts));
    json!({
        "timeUnixNano": (u64::from(event.first_hour) * HOUR_NS).to_string(),
        "observedTimeUnixNano": now_ms.saturating_mul(1_000_000).to_string(),
        "severityNumber": INFO,
        "severityText": "INFO",
        "eventName": name,
        "body": { "stringValue": body },
        "attributes": attributes,
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{NewUnit, NewUse};

    fn drift() -> FleetDrift {
        FleetDrift {
            schema: "loupe.fleet-drift/1",
            since_hour: 1,
            new: vec![NewUse {
                name: "nginx.service".to_owned(),
                version: Version {
                    executable: "nginx".to_owned(),
                    package: Some("nginx".to_owned()),
                    version: None,
                    build_id: None,
                },
                feature: "io_uring_setup".to_owned(),
                hosts: 2,
                first_hour: 498_840,
            }],
            new_units: vec![NewUnit {
                name: "redis.service".to_owned(),
                hosts: 1,
                features: 40,
                first_hour: 498_000,
            }],
        }
    }

    #[test]
    fn each_event_is_a_line_in_the_order_of_time() {
        let lines = drift_lines(&drift()).expect("JSON");
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(
            lines,
            [
                "{\"schema\":\"loupe.fleet-drift-event/1\",\"event\":\"new_unit\",\"name\":\"redis.service\",\
                 \"features\":40,\"hosts\":1,\"first_hour\":498000}",
                "{\"schema\":\"loupe.fleet-drift-event/1\",\"event\":\"new_use\",\"name\":\"nginx.service\",\
                 \"executable\":\"nginx\",\"package\":\"nginx\",\"feature\":\"io_uring_setup\",\"hosts\":2,\
                 \"first_hour\":498840}",
            ]
        );
    }

    #[test]
    fn records_of_otlp_have_their_numbers_of_64_bits_as_texts() {
        let text = drift_otlp(&drift(), 1_795_824_000_123).expect("JSON");
        assert_eq!(text.lines().count(), 1);
        let all: Value = serde_json::from_str(&text).expect("JSON");
        let logs = &all["resourceLogs"][0];
        assert_eq!(
            logs["resource"]["attributes"][0],
            json!({ "key": "service.name", "value": { "stringValue": "loupe-fleet" } })
        );
        let records = logs["scopeLogs"][0]["logRecords"]
            .as_array()
            .expect("a list");
        assert_eq!(records.len(), 2);
        let new_use = &records[1];
        // 2026-11-28T00:00:00Z.
        assert_eq!(new_use["timeUnixNano"], "1795824000000000000");
        assert_eq!(new_use["observedTimeUnixNano"], "1795824000123000000");
        assert_eq!(new_use["severityNumber"], 9);
        assert_eq!(new_use["eventName"], "loupe.fleet.new_use");
        let attributes = new_use["attributes"].as_array().expect("a list");
        for expected in [
            json!({ "key": "loupe.feature", "value": { "stringValue": "io_uring_setup" } }),
            json!({ "key": "loupe.hosts", "value": { "intValue": "2" } }),
        ] {
            assert!(
                attributes.contains(&expected),
                "{expected}: {attributes:#?}"
            );
        }
        let mut nothing = drift();
        nothing.new.clear();
        nothing.new_units.clear();
        assert_eq!(drift_otlp(&nothing, 0).expect("JSON"), "");
    }
}
