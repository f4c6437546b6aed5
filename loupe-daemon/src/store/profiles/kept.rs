//! What was read of in-kernel counts that outlive the process, recorded with what came of it. What
//! the records say is the service's own business.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};

use super::super::{Store, StoreError};

/// The rows of no slot: of the whole set, of all owners, of what was heard.
const WHOLE: i64 = -1;
const OWNERS: i64 = -2;
const HEARD: i64 = -3;

/// What changes of a set of in-kernel counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub set: String,
    /// Of the whole set; `None`: as before.
    pub whole: Option<String>,
    /// All owners; `None`: as before.
    pub owners: Option<String>,
    /// What was told and is not dealt with; `None`: as before.
    pub heard: Option<String>,
    /// By slot; `None`: it is no more.
    pub slots: BTreeMap<u32, Option<String>>,
}

impl Kept {
    /// Adds what changed later.
    pub fn merge(&mut self, later: Kept) {
        self.set = later.set;
        self.whole = later.whole.or(self.whole.take());
        self.owners = later.owners.or(self.owners.take());
        self.heard = later.heard.or(self.heard.take());
        self.slots.extend(later.slots);
    }
}

impl Store {
    /// What is kept of a set.
    pub fn profile_kept(&self, set: &str) -> Result<Kept, StoreError> {
        let rows: Vec<(i64, String)> = self.rows(
            "SELECT slot, record FROM profile_kept WHERE set_name = ?1",
            [set],
            |row| row.try_into(),
        )?;
        let mut kept = Kept {
            set: set.to_owned(),
            ..Kept::default()
        };
        for (slot, record) in rows {
            match u32::try_from(slot) {
                Ok(slot) => {
                    kept.slots.insert(slot, Some(record));
                }
                Err(_) if slot == OWNERS => kept.owners = Some(record),
                Err(_) if slot == HEARD => kept.heard = Some(record),
                Err(_) => kept.whole = Some(record),
            }
        }
        Ok(kept)
    }

    /// Keeps this beside every batch.
    pub fn keep_profile(&self, kept: &Kept) -> Result<(), StoreError> {
        self.write(|transaction| self.keep(transaction, kept))
    }

    /// Forgets what is kept of every set but this one.
    pub fn forget_profile_kept(&self, but: &str) -> Result<(), StoreError> {
        self.write(|transaction| {
            let sql = "DELETE FROM profile_kept WHERE set_name <> ?1";
            self.sorted(transaction.execute(sql, [but])).map(drop)
        })
    }

    pub(super) fn keep(
        &self,
        transaction: &Transaction<'_>,
        kept: &Kept,
    ) -> Result<(), StoreError> {
        let whole = kept.whole.iter().map(|record| (WHOLE, Some(record)));
        let owners = kept.owners.iter().map(|record| (OWNERS, Some(record)));
        let heard = kept.heard.iter().map(|record| (HEARD, Some(record)));
        let slots = kept.slots.iter();
        let slots = slots.map(|(slot, record)| (i64::from(*slot), record.as_ref()));
        for (slot, record) in whole.chain(owners).chain(heard).chain(slots) {
            let written = match record {
                Some(record) => transaction
                    .prepare_cached(
                        "INSERT INTO profile_kept (set_name, slot, record) VALUES (?1, ?2, ?3)
                     ON CONFLICT (set_name, slot) DO UPDATE SET record = excluded.record",
                    )
                    .and_then(|mut statement| statement.execute(params![kept.set, slot, record])),
                None => transaction
                    .prepare_cached("DELETE FROM profile_kept WHERE set_name = ?1 AND slot = ?2")
                    .and_then(|mut statement| statement.execute(params![kept.set, slot])),
            };
            self.sorted(written)?;
        }
        Ok(())
    }
}
