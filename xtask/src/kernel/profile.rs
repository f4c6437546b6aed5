//! What the profile of the suite must hold: what the programs of `profile.sh` call, and nothing lost.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// What a program calls, in the order of `profile.sh`: name of the profile, executable, feature,
/// calls.
const CALLS: [(&str, &str, &str, u64); 12] = [
    // Six tasks of 1,000 calls, and a tenth as many that fail.
    ("/jobs", VICTIM, "getpriority", 6600),
    ("/jobs", VICTIM, "execve", 5),
    ("/jobs", VICTIM, "/proc/self/limits", 7),
    ("/jobs", VICTIM, "/proc/<pid>/limits", 3),
    ("/jobs", VICTIM, "/proc/loupe-is-not-there", 5),
    ("/jobs", VICTIM, "/dev/zero", 2),
    ("/jobs", VICTIM, "fcntl:F_GETFL", 4),
    // 200 children, and once beside calls of another ABI.
    ("/jobs", VICTIM, "getppid", 201),
    ("/jobs", VICTIM, "io_uring:IORING_OP_NOP", 3),
    ("/jobs", "/usr/bin/true", "exit_group", 20),
    // Three tasks of 500 calls, and a tenth as many that fail.
    ("/root/wanderer", "/root/wanderer", "getpriority", 1650),
    ("/root/wanderer", "/root/wanderer", "exit_group", 2),
];
const VICTIM: &str = "/usr/local/bin/victim";

/// Fails with every count that is not exact, and every loss.
pub fn counts(shown: &Value) -> Result<()> {
    let profiles = shown["profiles"].as_array().context("no profiles")?;
    let mut faults = Vec::new();
    for (name, executable, feature, calls) in CALLS {
        let of = profiles.iter().find(|profile| {
            let subject = &profile["subject"];
            subject["name"] == name && subject["executable"]["path"] == executable
        });
        let counted = of.map_or(0, |profile| calls_of(profile, feature));
        if counted != calls {
            faults.push(format!(
                "{feature}: called {calls} times, counted {counted} times"
            ));
        }
    }
    faults.extend(profiles.iter().flat_map(lost));
    match faults.is_empty() {
        true => Ok(()),
        false => bail!("the profile: {}", faults.join("; ")),
    }
}

fn calls_of(profile: &Value, feature: &str) -> u64 {
    ["features", "operations"]
        .iter()
        .filter_map(|list| profile[list].as_array())
        .flatten()
        .find(|row| row["feature"] == feature)
        .and_then(|row| row["counts"]["calls"].as_u64())
        .unwrap_or(0)
}

fn lost(of: &Value) -> Vec<String> {
    let Some(lost) = of["lost"].as_object() else {
        return vec!["nothing is said of losses".to_owned()];
    };
    let some = lost.iter().filter(|(_, count)| count.as_u64() != Some(0));
    some.map(|(what, count)| format!("lost {what}: {count}"))
        .collect()
}

/// Fails with every trouble that louped tells of.
pub fn status(status: &Value) -> Result<()> {
    // None is no list.
    let troubles = status["troubles"].as_array().into_iter().flatten();
    let mut faults: Vec<String> = troubles.map(Value::to_string).collect();
    faults.extend(lost(status));
    if status["duty"] != 1.0 {
        faults.push(format!("a duty of {}", status["duty"]));
    }
    match faults.is_empty() {
        true => Ok(()),
        false => bail!("the status of the profile: {}", faults.join("; ")),
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    pub const STATUS: &str = r#"{"duty": 1.0, "lost": {"calls": 0}}"#;

    /// Profiles in which everything is as it should be.
    pub fn profiles() -> String {
        let profiles = CALLS.map(|(name, executable, ..)| {
            let of = |call: &&(&str, &str, &str, u64)| (call.0, call.1) == (name, executable);
            let rows = CALLS.iter().filter(of);
            let rows: Vec<Value> = rows
                .map(|(_, _, feature, calls)| {
                    json!({"feature": feature, "counts": {"calls": calls}})
                })
                .collect();
            json!({
                "subject": {"name": name, "executable": {"path": executable}},
                "features": rows,
                "lost": {"calls": 0},
            })
        });
        json!({ "profiles": profiles }).to_string()
    }

    #[test]
    fn a_count_a_loss_and_a_trouble_are_faults() {
        let told = |text: &str| {
            let value = serde_json::from_str(text).expect("JSON");
            counts(&value).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(told(&profiles()), Ok(()));
        let missing = told(r#"{"profiles": []}"#).expect_err("nothing was counted");
        assert!(
            missing.contains("execve: called 5 times, counted 0"),
            "{missing}"
        );
        let lossy = profiles().replacen(r#""calls":0"#, r#""calls":7"#, 1);
        let lossy = told(&lossy).expect_err("some were lost");
        assert!(lossy.contains("lost calls: 7"), "{lossy}");
        let partial = serde_json::from_str(&STATUS.replace("1.0", "0.5")).expect("JSON");
        assert!(status(&partial).is_err());
    }
}
