//! A batch goes in: one transaction, which tells what is new.

use std::collections::HashMap;

use loupe_common::feature::Feature;
use loupe_common::profile::{Interval, ProfileEvent};
use loupe_common::trace::CallCounts;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::super::{Store, StoreError};
use super::batch::{ProfileBatch, SubjectDelta};
use super::counts::{Counts, Use};
use super::step::{Step, row_id};
use super::subjects::SubjectRow;
use super::words::{Numbers, Word};
use super::{gaps, number};

/// Runs that are remembered: a batch is tried again within minutes, by the run that made it.
const REMEMBERED_RUNS: u32 = 1_000;

/// What is known of a feature of a subject.
struct Known {
    first_block: u64,
    recurs: bool,
}

/// The batch that is being recorded.
struct Recording<'a> {
    store: &'a Store,
    transaction: &'a Transaction<'a>,
    numbers: Numbers<'a>,
    /// Its number in this database.
    batch: i64,
    covered: Interval,
}

impl Store {
    /// Keeps a batch, wholly or not at all, and returns what is new in it. One that was recorded
    /// before is not counted again, and returns what it returned then.
    pub fn record_profiles(&self, batch: &ProfileBatch) -> Result<Vec<ProfileEvent>, StoreError> {
        self.write(|transaction| {
            let last: Option<(i64, i64)> = self.sorted(
                transaction
                    .query_row(
                        "SELECT sequence, batch FROM profile_runs WHERE run = ?1",
                        [&batch.run],
                        |row| row.try_into(),
                    )
                    .optional(),
            )?;
            let sequence = number(batch.sequence);
            let batch_number = match last {
                Some((last, known)) if sequence == last => known,
                // Its events were told when it was recorded, for later ones have come since.
                Some((last, _)) if sequence < last => return Ok(Vec::new()),
                _ => self.record_new(transaction, batch, sequence)?,
            };
            self.events_of_batch(transaction, batch_number)
        })
    }

    fn record_new(
        &self,
        transaction: &Transaction<'_>,
        batch: &ProfileBatch,
        sequence: i64,
    ) -> Result<i64, StoreError> {
        let batch_number: i64 = self.sorted(transaction.query_row(
            "SELECT coalesce(max(batch), 0) + 1 FROM profile_runs",
            [],
            |row| row.get(0),
        ))?;
        let observed_ms = batch.subjects.iter().map(|delta| delta.observed_ms).max();
        let length_ms = batch.length_ms.max(observed_ms.unwrap_or(0));
        let mut recording = Recording {
            store: self,
            transaction,
            numbers: Numbers::read(self, transaction)?,
            batch: batch_number,
            covered: gaps::covered(batch.from_ms, batch.until_ms, length_ms),
        };
        for delta in &batch.subjects {
            recording.record(delta)?;
        }
        if let Some(kept) = &batch.kept {
            self.keep(transaction, kept)?;
        }
        self.sorted(transaction.execute(
            "INSERT INTO profile_runs (run, sequence, batch) VALUES (?1, ?2, ?3)
             ON CONFLICT (run) DO UPDATE SET sequence = excluded.sequence, batch = excluded.batch",
            params![batch.run, sequence, batch_number],
        ))?;
        self.sorted(transaction.execute(
            "DELETE FROM profile_runs WHERE run NOT IN (
                 SELECT run FROM profile_runs ORDER BY batch DESC LIMIT ?1)",
            [REMEMBERED_RUNS],
        ))?;
        Ok(batch_number)
    }
}

impl Recording<'_> {
    fn record(&mut self, delta: &SubjectDelta) -> Result<(), StoreError> {
        let (store, transaction, covered) = (self.store, self.transaction, self.covered);
        let mut row = store.subject_row(transaction, &delta.subject, covered)?;
        let counts = self.counts(delta)?;
        let anything_new = self.find_new(&mut row, delta, &counts)?;

        row.observed_ms += delta.observed_ms;
        row.starts += delta.starts;
        row.lost += delta.lost;
        row.calls += delta
            .calls
            .iter()
            .filter(|(feature, _)| feature.is_syscall())
            .map(|(_, counts)| counts.calls)
            .sum::<u64>();
        let covered_ms = covered.until_ms - covered.from_ms;
        row.blocks.go_on(covered_ms, delta.observed_ms);
        let stable = row
            .learning
            .goes_on(anything_new, delta.observed_ms, delta.starts);
        if stable && row.stable.is_none() {
            row.stable = Some((covered.until_ms, self.batch));
        }
        self.cover(&mut row)?;
        store.keep_subject(transaction, &row)?;
        self.keep_counts(row.id, counts)
    }

    /// What was counted, by numbers.
    fn counts(&mut self, delta: &SubjectDelta) -> Result<Counts, StoreError> {
        let mut counts = Counts {
            from_ms: self.covered.from_ms,
            until_ms: self.covered.until_ms,
            observed_ms: delta.observed_ms,
            starts: delta.starts,
            lost: delta.lost,
            ..Counts::default()
        };
        let used = |counts: &CallCounts| Use {
            calls: counts.calls,
            errors: counts
                .errors
                .iter()
                .filter(|(_, calls)| **calls > 0)
                .map(|(errno, calls)| (u32::from(errno.number()), *calls))
                .collect(),
            minutes: 1,
            last_ms: self.covered.until_ms,
        };
        for (feature, calls) in delta.calls.iter().chain(&delta.operations) {
            if calls.calls > 0 {
                let word = self.numbers.number(Word::Feature(feature.clone()))?;
                counts.uses.insert(word, used(calls));
            }
        }
        for call in delta.foreign.iter().filter(|call| call.calls > 0) {
            let word = self.numbers.number(Word::Foreign {
                abi: call.abi.clone(),
                number: call.number,
            })?;
            let one = counts.uses.entry(word).or_default();
            one.calls += call.calls;
            (one.minutes, one.last_ms) = (1, self.covered.until_ms);
        }
        Ok(counts)
    }

    /// Writes down the features that the subject had not used before, and those that have come back
    /// in a later block.
    fn find_new(
        &mut self,
        row: &mut SubjectRow,
        delta: &SubjectDelta,
        counts: &Counts,
    ) -> Result<bool, StoreError> {
        let known = self.known(row.id)?;
        let block = row.blocks.complete;
        let mut anything_new = false;
        let mut drifts: Option<Drifts> = None;
        for feature in delta.calls.keys().chain(delta.operations.keys()) {
            let word = self.numbers.number_of(feature);
            let Some(word) = word.filter(|word| counts.uses.contains_key(word)) else {
                continue; // It was not called.
            };
            match known.get(&word) {
                Some(known) if known.recurs || block <= known.first_block + 1 => {}
                Some(_) => self.recurs(row.id, word)?,
                None => {
                    anything_new = true;
                    match feature {
                        Feature::Operation(_) => row.operations += 1,
                        _ => row.features += 1,
                    }
                    let drifts = match &mut drifts {
                        Some(drifts) => drifts,
                        none => none.insert(self.drifts(row)?),
                    };
                    let covered = self.covered;
                    let first_ms = delta.first_seen_ms.get(feature);
                    let first_ms = first_ms
                        .copied()
                        .filter(|at| (covered.from_ms..covered.until_ms).contains(at))
                        .unwrap_or(covered.from_ms);
                    self.first_use(row, word, first_ms, block, drifts.is_drift(word), delta)?;
                }
            }
        }
        Ok(anything_new)
    }

    fn known(&self, subject: i64) -> Result<HashMap<u32, Known>, StoreError> {
        self.store.sorted(
            self.transaction
                .prepare_cached(
                    "SELECT feature, first_block, recurs FROM profile_uses WHERE subject = ?1",
                )
                .and_then(|mut statement| {
                    statement
                        .query_map([subject], |row| {
                            let known = Known {
                                first_block: row.get(1).map(super::unsigned)?,
                                recurs: row.get(2)?,
                            };
                            Ok((row.get(0)?, known))
                        })?
                        .collect()
                }),
        )
    }

    fn recurs(&self, subject: i64, word: u32) -> Result<(), StoreError> {
        let written = self
            .transaction
            .prepare_cached(
                "UPDATE profile_uses SET recurs = 1 WHERE subject = ?1 AND feature = ?2",
            )
            .and_then(|mut statement| statement.execute(params![subject, word]));
        self.store.sorted(written).map(|_| ())
    }

    fn first_use(
        &self,
        row: &SubjectRow,
        word: u32,
        first_ms: u64,
        block: u64,
        drift: bool,
        delta: &SubjectDelta,
    ) -> Result<(), StoreError> {
        let written = self
            .transaction
            .prepare_cached(
                "INSERT INTO profile_uses (subject, feature, first_seen_ms, batch, observed_ms,
                                           first_block, drift)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    row.id,
                    word,
                    number(first_ms),
                    self.batch,
                    number(row.observed_ms + delta.observed_ms),
                    number(block),
                    drift
                ])
            });
        self.store.sorted(written).map(|_| ())
    }

    /// What would be drift for this subject: everything that is new, once it is stable; what none of
    /// its earlier builds used, where one of them was.
    fn drifts(&self, row: &SubjectRow) -> Result<Drifts, StoreError> {
        if row.stable.is_some() {
            return Ok(Drifts::Everything);
        }
        const EARLIER: &str = "WITH RECURSIVE earlier (id, stable_ms, predecessor) AS (
                 SELECT id, stable_ms, predecessor FROM profile_subjects WHERE id = ?1
                 UNION
                 SELECT before.id, before.stable_ms, before.predecessor
                 FROM profile_subjects AS before JOIN earlier ON before.id = earlier.predecessor)";
        let stable: bool = self.store.sorted(self.transaction.query_row(
            &format!("{EARLIER} SELECT EXISTS (SELECT 1 FROM earlier WHERE stable_ms IS NOT NULL)"),
            [row.predecessor],
            |row| row.get(0),
        ))?;
        if !stable {
            return Ok(Drifts::Nothing);
        }
        let sql = format!(
            "{EARLIER} SELECT DISTINCT feature FROM profile_uses JOIN earlier ON subject = earlier.id"
        );
        let used = self.transaction.prepare(&sql).and_then(|mut statement| {
            statement
                .query_map([row.predecessor], |row| row.get(0))?
                .collect()
        });
        Ok(Drifts::AllBut(self.store.sorted(used)?))
    }

    /// The time of the batch is covered now.
    fn cover(&self, row: &mut SubjectRow) -> Result<(), StoreError> {
        let (known, covered) = (row.known, self.covered);
        row.known = Interval {
            from_ms: known.from_ms.min(covered.from_ms),
            until_ms: known.until_ms.max(covered.until_ms),
        };
        let follows = known.until_ms.abs_diff(covered.from_ms) < gaps::SHORTEST_GAP_MS;
        if known == covered || (follows && covered.until_ms >= known.until_ms) {
            return Ok(());
        }
        let before = self.store.gaps(self.transaction, row.id)?;
        let after = gaps::with(&before, known, covered);
        self.store
            .keep_gaps(self.transaction, row.id, &before, &after)
    }

    fn keep_counts(&self, subject: i64, mut counts: Counts) -> Result<(), StoreError> {
        // A batch ends in its minute; one that was cut short shares it with the next.
        let minute = Step::Minute.index(counts.until_ms.saturating_sub(1));
        let id = row_id(minute, subject);
        if let Some(mut known) = self.store.counts(self.transaction, Step::Minute, id)? {
            known.add_of_the_same_minute(counts);
            counts = known;
        }
        self.store
            .put_counts(self.transaction, Step::Minute, id, &counts)
    }
}

/// Which new features are drift.
enum Drifts {
    Nothing,
    Everything,
    AllBut(std::collections::HashSet<u32>),
}

impl Drifts {
    fn is_drift(&self, word: u32) -> bool {
        match self {
            Drifts::Nothing => false,
            Drifts::Everything => true,
            Drifts::AllBut(used) => !used.contains(&word),
        }
    }
}
