//! What a service does in production that the workload of an analysis never did. Compares names:
//! how often something is called is another question.

use std::collections::BTreeSet;

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use loupe_common::profile::ProfileLost;
use serde::Serialize;

use super::need::is_restart;
use super::service::{Service, features_of};

/// A feature that only production uses.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Missed {
    pub feature: Feature,
    pub executables: Vec<String>,
    pub calls: u64,
    pub last_seen_ms: u64,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Coverage {
    pub schema: &'static str,
    pub name: String,
    pub application: String,
    pub workload: String,
    /// Of the features of the profile that can be compared, how many the workload used.
    pub covered: usize,
    pub missing: Vec<Missed>,
    /// Used by the workload and not seen in production.
    pub only_workload: Vec<Feature>,
    /// What could not be compared, as sentences.
    pub not_compared: Vec<String>,
    pub lost: ProfileLost,
}

impl Coverage {
    pub fn of(service: &Service<'_>, analysis: &Analysis) -> Coverage {
        let own = service.own();
        let rows = analysis.features.iter().map(|row| &row.feature);
        let rings = analysis.not_injected.iter().map(|row| &row.feature);
        let worked: BTreeSet<&Feature> = rows
            .chain(rings)
            .filter(|feature| is_comparable(feature, analysis))
            .collect();
        let seen: BTreeSet<&Feature> = features_of(&own)
            .into_iter()
            .filter(|feature| is_comparable(feature, analysis))
            .collect();
        let missing = seen.difference(&worked).map(|feature| {
            let uses: Vec<_> = own
                .iter()
                .flat_map(|profile| profile.features.iter().map(move |used| (profile, used)))
                .filter(|(_, used)| used.feature == **feature)
                .collect();
            let executables: BTreeSet<&String> = uses
                .iter()
                .map(|(profile, _)| &profile.subject.executable.path)
                .collect();
            let last = uses.iter().map(|(_, used)| used.last_seen_ms);
            Missed {
                feature: (*feature).clone(),
                executables: executables.into_iter().cloned().collect(),
                calls: uses.iter().map(|(_, used)| used.counts.calls).sum(),
                last_seen_ms: last.max().unwrap_or(0),
            }
        });
        Coverage {
            schema: "loupe.profile-coverage/1",
            name: service.name.to_owned(),
            application: analysis.application.clone(),
            workload: analysis.workload.clone(),
            covered: seen.intersection(&worked).count(),
            missing: missing.collect(),
            only_workload: worked
                .difference(&seen)
                .map(|feature| (*feature).clone())
                .collect(),
            not_compared: not_compared(service, analysis),
            lost: service.lost(),
        }
    }
}

/// Operations are opened where a syscall is required only; files may not have been looked for; what
/// the kernel has processes call is nobody's doing.
fn is_comparable(feature: &Feature, analysis: &Analysis) -> bool {
    match feature {
        Feature::Operation(_) => false,
        Feature::PseudoFile(_) => analysis.pseudo_files,
        _ => !is_restart(feature),
    }
}

fn not_compared(service: &Service<'_>, analysis: &Analysis) -> Vec<String> {
    let mut sentences = Vec::new();
    let files = features_of(&service.own());
    let files = files
        .iter()
        .filter(|feature| feature.kind() == "pseudo-file");
    if !analysis.pseudo_files && files.count() > 0 {
        sentences.push("pseudo-files: the analysis did not look for them".to_owned());
    }
    if service.own().len() < service.profiles.len() {
        sentences.push("what systemd does before it starts the service".to_owned());
    }
    sentences
}

#[cfg(test)]
mod tests {
    use loupe_common::analysis::{FeatureVerdict, NotInjected};

    use super::super::samples::{NGINX, SYSTEMD, profile, used};
    use super::*;

    fn analysis(features: &[&str], pseudo_files: bool) -> Analysis {
        let row = |name: &&str| -> FeatureVerdict {
            serde_json::from_value(serde_json::json!({
                "feature": name, "kind": "syscall", "verdict": "required", "calls": 1,
                "stub": {"runs": 0, "passes": 0, "injections": 0, "works": null},
                "fake": {"runs": 0, "passes": 0, "injections": 0, "works": null},
                "basis": "measured",
            }))
            .expect("a row")
        };
        Analysis {
            application: "nginx".to_owned(),
            workload: "wrk".to_owned(),
            features: features.iter().map(row).collect(),
            pseudo_files,
            ..Analysis::default()
        }
    }

    #[test]
    fn what_only_production_does_is_missing_and_the_rest_is_counted() {
        let mut one = profile(
            "nginx.service",
            NGINX,
            &[("read", 5), ("sendfile", 3), ("restart_syscall", 1)],
        );
        one.features.push(used("/proc/stat", 2, 0, 7));
        let start = profile("nginx.service", SYSTEMD, &[("prctl", 2)]);
        let all = [one, start];
        let service = &Service::all(&all)[0];
        let blind = Coverage::of(service, &analysis(&["read", "write"], false));
        let missing = |coverage: &Coverage| -> Vec<String> {
            let rows = coverage.missing.iter();
            rows.map(|row| row.feature.to_string()).collect()
        };
        assert_eq!(
            (missing(&blind), blind.covered),
            (vec!["sendfile".into()], 1)
        );
        assert_eq!(blind.missing[0].calls, 3);
        assert_eq!(blind.only_workload.len(), 1);
        assert_eq!(blind.not_compared.len(), 2, "{:?}", blind.not_compared);
        let mut looked = analysis(&["read"], true);
        let seeing = Coverage::of(service, &looked);
        assert_eq!(missing(&seeing), ["sendfile", "/proc/stat"]);
        assert_eq!(seeing.missing[1].last_seen_ms, 7);
        looked.not_injected = vec![NotInjected {
            feature: "io_uring:IORING_OP_READV".parse().expect("an operation"),
            kind: "io_uring".to_owned(),
            calls: 1,
        }];
        assert_eq!(Coverage::of(service, &looked).only_workload.len(), 1);
    }
}
