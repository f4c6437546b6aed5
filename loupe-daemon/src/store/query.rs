//! Reading the database for reports: what there is, results, evidence. Changes nothing.

use std::collections::BTreeMap;

use loupe_common::analysis::Analysis;
use loupe_common::feature::Feature;
use loupe_common::policy::Policy;
use loupe_common::provenance::Provenance;
use loupe_common::replay::Replay;
use loupe_common::verdict::Verdict;
use rusqlite::{OptionalExtension as _, Params, Row, params};
use serde::{Deserialize, Serialize};

use super::choice::{Choosable, Key, Standing, WorkloadKind, choose, is_suite};
use super::selector::Selector;
use super::{FIRST_TRIAL, Store, StoreError};

/// How many features got which verdict.
pub type VerdictCounts = BTreeMap<Verdict, u64>;

/// An analysis that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progressing {
    /// Somebody works on it.
    Running,
    /// Nobody does; `analyze` would continue it.
    Interrupted,
}

/// One line of `loupe list`: a workload's newest finished analysis, or an unfinished one that
/// is newer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub analysis: i64,
    pub application: String,
    pub workload: String,
    /// `None`: finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progressing>,
    pub started_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_ms: Option<i64>,
    /// Replays in the database.
    pub replays: u64,
    /// Empty while unfinished.
    pub verdicts: VerdictCounts,
    /// It was measured elsewhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub imported: bool,
    /// The workload is the application's own test suite.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suite: bool,
    /// On what it was measured, where that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// A finished analysis and where it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredAnalysis {
    pub id: i64,
    pub fingerprint: String,
    pub started_ms: i64,
    pub finished_ms: i64,
    pub analysis: Analysis,
    /// Where the name that it was asked for by fits others too: that it was chosen, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
}

/// A replay and where it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredReplay {
    pub id: i64,
    pub replica: u32,
    pub finished_ms: i64,
    /// Why it was run; absent of replays from before that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    pub replay: Replay,
}

/// Everything that was measured about one feature in one analysis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub baseline: Vec<StoredReplay>,
    /// Replays that stubbed or faked this feature and nothing else.
    pub alone: Vec<StoredReplay>,
    /// Replays that stubbed or faked others with it.
    pub together: Vec<StoredReplay>,
}

/// The columns of [`Store::listed`]. Only what was imported has no workload file.
const LISTED: &str = "SELECT id, application, workload, started_ms, ended_ms, result,
        (SELECT count(*) FROM replays WHERE replays.analysis = analyses.id),
        definition = 'null', coalesce(json_extract(definition, '$.kind') = 'suite', 0)
     FROM analyses AS analyses";

/// Of the finished analyses of the same workload and owner (`?1`) the one that is meant: as in
/// [`super::choice`].
pub(super) const MEANT: &str = "SELECT id FROM analyses AS other
     WHERE other.application = analyses.application AND other.workload = analyses.workload
       AND other.state = 'finished' AND (?1 IS NULL OR other.owner = ?1)
     ORDER BY other.definition = 'null', ended_ms DESC, id DESC LIMIT 1";

/// What the rule needs to know of an analysis, without its result.
pub(super) struct Candidate {
    application: String,
    workload: String,
    suite: bool,
    finished: bool,
    standing: Standing,
}

impl Choosable for Candidate {
    fn key(&self) -> Key<'_> {
        Key {
            application: &self.application,
            workload: &self.workload,
            suite: self.suite,
            standing: self.standing,
        }
    }
}

/// The policy as it is searched for: independent of how [`Feature`] sorts in this version.
pub(super) fn policy_key(policy: &Policy) -> String {
    let rules: BTreeMap<String, String> = policy
        .iter()
        .map(|(feature, action)| (feature.to_string(), action.to_string()))
        .collect();
    serde_json::Value::from_iter(rules).to_string()
}

impl Store {
    /// What one user (`None`: anybody) has: by application and workload, newest last.
    pub fn list_of(&self, owner: Option<u32>) -> Result<Vec<Listed>, StoreError> {
        self.listed(
            &format!(
                "{LISTED} WHERE (?1 IS NULL OR owner = ?1) AND (
                    (state = 'finished' AND id = ({MEANT}))
                 OR (state = 'unfinished' AND NOT EXISTS (
                        SELECT 1 FROM analyses AS other
                        WHERE other.application = analyses.application
                          AND other.workload = analyses.workload AND other.state = 'finished'
                          AND (?1 IS NULL OR other.owner = ?1)
                          AND other.id > analyses.id)))
                 ORDER BY application, workload, id"
            ),
            params![owner],
        )
    }

    /// All that one user (`None`: anybody) has of an application, newest first.
    pub fn history_of(
        &self,
        owner: Option<u32>,
        application: &str,
        workload: Option<&str>,
    ) -> Result<Vec<Listed>, StoreError> {
        self.listed(
            &format!(
                "{LISTED} WHERE (?1 IS NULL OR owner = ?1) AND application = ?2
                    AND (?3 IS NULL OR workload = ?3) AND state IN ('finished', 'unfinished')
                 ORDER BY coalesce(ended_ms, started_ms) DESC, id DESC"
            ),
            params![owner, application, workload],
        )
    }

    fn listed(&self, sql: &str, params: impl Params) -> Result<Vec<Listed>, StoreError> {
        type Found = (Listed, Option<String>);
        let rows: Vec<Found> = self.rows(sql, params, |row| {
            let workload: String = row.get(2)?;
            let listed = Listed {
                analysis: row.get(0)?,
                application: row.get(1)?,
                suite: is_suite(row.get(8)?, &workload),
                workload,
                progress: None,
                started_ms: row.get(3)?,
                finished_ms: row.get(4)?,
                replays: row.get::<_, i64>(6)?.unsigned_abs(),
                verdicts: VerdictCounts::new(),
                imported: row.get(7)?,
                provenance: None,
            };
            Ok((listed, row.get(5)?))
        })?;
        rows.into_iter()
            .map(|(mut listed, result)| {
                match result {
                    Some(result) => {
                        (listed.verdicts, listed.provenance) =
                            self.count_verdicts(&listed, &result)?;
                    }
                    None => listed.progress = Some(self.progress_of(listed.analysis)?),
                }
                Ok(listed)
            })
            .collect()
    }

    fn count_verdicts(
        &self,
        listed: &Listed,
        result: &str,
    ) -> Result<(VerdictCounts, Option<Provenance>), StoreError> {
        /// Only what is counted, so that listing stays quick.
        #[derive(Deserialize)]
        struct Verdicts {
            features: Vec<OneVerdict>,
            #[serde(default)]
            provenance: Option<Provenance>,
        }
        #[derive(Deserialize)]
        struct OneVerdict {
            feature: Feature,
            verdict: Verdict,
        }
        let verdicts: Verdicts = self.decode(
            || format!("the result of analysis {}", listed.analysis),
            result,
        )?;
        let mut counts = VerdictCounts::new();
        // What is only a part of a feature is counted with it.
        let whole = |row: &OneVerdict| row.feature.parent().is_none();
        for row in verdicts.features.into_iter().filter(whole) {
            *counts.entry(row.verdict).or_default() += 1;
        }
        Ok((counts, verdicts.provenance))
    }

    fn progress_of(&self, analysis: i64) -> Result<Progressing, StoreError> {
        let claimed = self
            .claims
            .is_claimed(analysis)
            .map_err(|source| self.claims_error(source))?;
        Ok(if claimed {
            Progressing::Running
        } else {
            Progressing::Interrupted
        })
    }

    /// The finished analysis of a user (`None`: of anybody) that a name means.
    pub fn meant_by(
        &self,
        owner: Option<u32>,
        wanted: &Selector,
    ) -> Result<Option<StoredAnalysis>, StoreError> {
        let mut all = self.candidates(owner, wanted)?;
        all.retain(|candidate| candidate.finished);
        let Some(chosen) = choose(&all, wanted, WorkloadKind::Any) else {
            return Ok(None);
        };
        let mut found = self.results_of(owner, Some(chosen.item.standing().id))?;
        Ok(found.pop().map(|stored| StoredAnalysis {
            choice: chosen.note(),
            ..stored
        }))
    }

    /// All analyses that have the names of what is wanted.
    pub(super) fn candidates(
        &self,
        owner: Option<u32>,
        wanted: &Selector,
    ) -> Result<Vec<Candidate>, StoreError> {
        self.rows(
            "SELECT id, application, workload, coalesce(ended_ms, started_ms),
                    definition = 'null',
                    coalesce(json_extract(definition, '$.kind') = 'suite', 0),
                    state = 'finished'
             FROM analyses
             WHERE state IN ('finished', 'unfinished') AND (?1 IS NULL OR owner = ?1)
               AND (?2 IS NULL OR application = ?2) AND (?3 IS NULL OR workload = ?3)",
            params![owner, wanted.application, wanted.workload],
            |row| {
                let workload: String = row.get(2)?;
                Ok(Candidate {
                    application: row.get(1)?,
                    suite: is_suite(row.get(5)?, &workload),
                    workload,
                    finished: row.get(6)?,
                    standing: Standing {
                        id: row.get(0)?,
                        imported: row.get(4)?,
                        finished_ms: row.get(3)?,
                    },
                })
            },
        )
    }

    /// One replay, by its id.
    pub fn replay(&self, id: i64) -> Result<Option<Replay>, StoreError> {
        let text: Option<String> = self.read(|connection| {
            connection
                .query_row("SELECT replay FROM replays WHERE id = ?1", [id], |row| {
                    row.get(0)
                })
                .optional()
        })?;
        text.map(|text| self.decode(|| format!("replay {id}"), &text))
            .transpose()
    }

    /// The replays of this feature alone, or (`None`) the baseline's, in the order of their end.
    /// Controls and trials are none of these.
    pub fn replays_of(
        &self,
        analysis: i64,
        feature: Option<&Feature>,
    ) -> Result<Vec<StoredReplay>, StoreError> {
        match feature {
            None => {
                let mut replays = self.stored_replays(
                    "SELECT id, replica, finished_ms, purpose, replay FROM replays
                     WHERE analysis = ?1 AND rules = 0 AND replica < ?2 ORDER BY id",
                    params![analysis, FIRST_TRIAL],
                )?;
                replays.retain(|stored| stored.replay.conditions.control.is_none());
                Ok(replays)
            }
            Some(feature) => self.stored_replays(
                "SELECT id, replica, finished_ms, purpose, replays.replay FROM replay_rules
                 JOIN replays ON replays.id = replay_rules.replay
                 WHERE analysis = ?1 AND feature = ?2 AND rules = 1 ORDER BY id",
                params![analysis, feature.to_string()],
            ),
        }
    }

    /// The replays of policies that stubbed or faked this feature and others at once.
    pub fn group_replays_of(
        &self,
        analysis: i64,
        feature: &Feature,
    ) -> Result<Vec<StoredReplay>, StoreError> {
        self.stored_replays(
            "SELECT id, replica, finished_ms, purpose, replays.replay FROM replay_rules
             JOIN replays ON replays.id = replay_rules.replay
             WHERE analysis = ?1 AND feature = ?2 AND rules > 1 ORDER BY id",
            params![analysis, feature.to_string()],
        )
    }

    /// All replays that say something about a feature.
    pub fn evidence(&self, analysis: i64, feature: &Feature) -> Result<Evidence, StoreError> {
        Ok(Evidence {
            baseline: self.replays_of(analysis, None)?,
            alone: self.replays_of(analysis, Some(feature))?,
            together: self.group_replays_of(analysis, feature)?,
        })
    }

    fn stored_replays(
        &self,
        sql: &str,
        params: impl Params,
    ) -> Result<Vec<StoredReplay>, StoreError> {
        type Found = (i64, u32, i64, Option<String>, String);
        let rows: Vec<Found> = self.rows(sql, params, |row| row.try_into())?;
        rows.into_iter()
            .map(|(id, replica, finished_ms, purpose, text)| {
                Ok(StoredReplay {
                    id,
                    replica,
                    finished_ms,
                    purpose,
                    replay: self.decode(|| format!("replay {id}"), &text)?,
                })
            })
            .collect()
    }

    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        from_row: impl FnMut(&Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Vec<T>, StoreError> {
        self.read(|connection| {
            connection
                .prepare_cached(sql)?
                .query_map(params, from_row)?
                .collect()
        })
    }
}
