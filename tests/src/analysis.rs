//! Reads the JSON of an analysis (`loupe.analysis/1`) as a script would: by its documented keys,
//! not by Loupe's own types.

use serde_json::Value;

/// A finished analysis.
#[derive(Clone, Debug)]
pub struct Analysis(pub Value);

impl Analysis {
    /// # Panics
    /// If it is not of the schema.
    #[track_caller]
    pub fn new(value: Value) -> Analysis {
        assert_eq!(value["schema"], "loupe.analysis/1", "{value:#}");
        assert_eq!(value["lost_events"], 0, "{value:#}");
        Analysis(value)
    }

    /// The row of a feature.
    pub fn row(&self, feature: &str) -> Option<&Value> {
        self.0["features"]
            .as_array()?
            .iter()
            .find(|row| row["feature"] == feature)
    }

    pub fn verdict(&self, feature: &str) -> Option<&str> {
        self.row(feature)?["verdict"].as_str()
    }

    /// Features whose verdict was not reached.
    pub fn undecided(&self) -> Vec<&str> {
        let rows = self.0["features"].as_array().into_iter().flatten();
        rows.filter(|row| row["verdict"] == "undecided")
            .filter_map(|row| row["feature"].as_str())
            .collect()
    }

    /// # Panics
    /// If the number is not there.
    #[track_caller]
    pub fn number(&self, key: &str) -> u64 {
        self.0[key]
            .as_u64()
            .unwrap_or_else(|| panic!("no number {key} in {:#}", self.0))
    }

    /// Calls of other ABIs: `i386:20`.
    pub fn foreign(&self) -> Vec<String> {
        let calls = self.0["foreign"].as_array().into_iter().flatten();
        calls
            .map(|call| {
                let abi = call["abi"].as_str().expect("the ABI's name");
                let number = call["number"].as_u64().expect("the call's number");
                format!("{abi}:{number}")
            })
            .collect()
    }

    pub fn warnings(&self) -> String {
        self.0["warnings"].to_string()
    }
}
