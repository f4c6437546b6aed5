//! Whether profiles say anything else than a moment ago, told by a row for each subject: reading what the
//! subjects used takes a thousand times as much.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::super::{Store, StoreError};

/// What there was at one moment. Equal to another of the same process: nothing was new in between.
/// That a subject was observed for longer, and how many calls it made within a power of ten, is
/// nothing new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileNews(u64);

impl Store {
    pub fn profile_news(&self) -> Result<ProfileNews, StoreError> {
        self.reading(|transaction| {
            let mut hasher = DefaultHasher::new();
            for row in self.subjects(transaction)? {
                let executable = &row.subject.executable;
                (row.id, row.features, row.operations).hash(&mut hasher);
                (row.lost.total(), row.calls.checked_ilog10()).hash(&mut hasher);
                (
                    &executable.build_id,
                    &executable.package,
                    &executable.version,
                )
                    .hash(&mut hasher);
            }
            Ok(ProfileNews(hasher.finish()))
        })
    }
}
