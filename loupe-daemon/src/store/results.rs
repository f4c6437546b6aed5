//! Whole results: those that were measured elsewhere in, kept as finished analyses without
//! replays; all of them out. What they rest on is `query`'s.

use loupe_common::analysis::Analysis;
use rusqlite::{OptionalExtension as _, params};

use super::query::MEANT;
use super::{Store, StoreError, StoredAnalysis, encode, now_ms};
use crate::replay::Workload;

/// A result to keep.
#[derive(Clone, Copy, Debug)]
pub struct Import<'a> {
    /// Says what it is: another one of the same workload is another run.
    pub fingerprint: &'a str,
    pub analysis: &'a Analysis,
}

impl Store {
    /// Keeps results, all or none of them, and says of each whether it is new: what is already
    /// the newest that was imported of its workload, and equal, is left as it is.
    pub fn import(&self, owner: u32, imports: &[Import<'_>]) -> Result<Vec<bool>, StoreError> {
        let texts: Vec<String> = imports
            .iter()
            .map(|import| encode("an analysis", import.analysis))
            .collect::<Result<_, _>>()?;
        self.write(|transaction| {
            let mut newest = self.sorted(transaction.prepare_cached(
                "SELECT fingerprint, result FROM analyses
                 WHERE application = ?1 AND workload = ?2 AND owner = ?3 AND state = 'finished'
                   AND definition = 'null'
                 ORDER BY ended_ms DESC, id DESC LIMIT 1",
            ))?;
            let mut insert = self.sorted(transaction.prepare_cached(
                // There is no workload file to define it.
                "INSERT INTO analyses
                     (application, workload, definition, fingerprint, state, started_ms,
                      ended_ms, owner, result)
                 VALUES (?1, ?2, 'null', ?3, 'finished', ?4, ?4, ?5, ?6)",
            ))?;
            let now = now_ms();
            let mut new = Vec::with_capacity(imports.len());
            for (import, text) in imports.iter().zip(&texts) {
                let (application, workload) =
                    (&import.analysis.application, &import.analysis.workload);
                let there: Option<(String, String)> = self.sorted(
                    newest
                        .query_row(params![application, workload, owner], |row| row.try_into())
                        .optional(),
                )?;
                let known = there.is_some_and(|(fingerprint, result)| {
                    fingerprint == import.fingerprint && result == *text
                });
                if !known {
                    self.sorted(insert.execute(params![
                        application,
                        workload,
                        import.fingerprint,
                        now,
                        owner,
                        text
                    ]))?;
                }
                new.push(!known);
            }
            Ok(new)
        })
    }

    /// This user's newest finished analysis of a workload with this fingerprint that was done with
    /// these options.
    pub fn finished_like(
        &self,
        owner: u32,
        workload: &Workload,
        fingerprint: &str,
        options_digest: &str,
    ) -> Result<Option<StoredAnalysis>, StoreError> {
        let found: Vec<i64> = self.rows(
            "SELECT id FROM analyses
             WHERE application = ?1 AND workload = ?2 AND state = 'finished' AND owner = ?3
               AND fingerprint = ?4
               AND json_extract(result, '$.provenance.options_digest') = ?5
             ORDER BY id DESC LIMIT 1",
            params![
                workload.application,
                workload.workload,
                owner,
                fingerprint,
                options_digest
            ],
            |row| row.get(0),
        )?;
        match found.first() {
            Some(id) => Ok(self.results_of(Some(owner), Some(*id))?.pop()),
            None => Ok(None),
        }
    }

    /// A user's (`None`: anybody's) finished analyses, by application and workload: the one
    /// that is meant of each ([`super::choice`]), or the one of this id.
    pub fn results_of(
        &self,
        owner: Option<u32>,
        id: Option<i64>,
    ) -> Result<Vec<StoredAnalysis>, StoreError> {
        let rows: Vec<(i64, String, i64, i64, String)> = self.rows(
            &format!(
                "SELECT id, fingerprint, started_ms, ended_ms, result FROM analyses AS analyses
                 WHERE state = 'finished' AND (?1 IS NULL OR owner = ?1) AND CASE
                    WHEN ?2 IS NOT NULL THEN id = ?2
                    ELSE id = ({MEANT})
                    END
                 ORDER BY application, workload"
            ),
            params![owner, id],
            |row| row.try_into(),
        )?;
        rows.into_iter()
            .map(|(id, fingerprint, started_ms, finished_ms, result)| {
                Ok(StoredAnalysis {
                    id,
                    fingerprint,
                    started_ms,
                    finished_ms,
                    analysis: self.decode(|| format!("the result of analysis {id}"), &result)?,
                    choice: None,
                })
            })
            .collect()
    }
}
