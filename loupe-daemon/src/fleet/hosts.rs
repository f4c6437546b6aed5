//! `loupe fleet hosts`: who has told anything, and when.

use serde::Serialize;

use super::bundle::Host;
use super::database::Fleet;
use super::heard::Heard;
use super::merge::decode;
use crate::store::StoreError;

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct HostRow {
    #[serde(flatten)]
    pub host: Host,
    pub subjects: u64,
    /// Of all of its subjects.
    pub lost: u64,
    /// By a hub; `None`: it has only told in files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard: Option<Heard>,
}

impl Fleet {
    /// The one that was heard of last comes first.
    pub fn hosts(&self) -> Result<Vec<HostRow>, StoreError> {
        let mut rows: Vec<HostRow> = self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT state, subject_count, lost_count, at_ms, offset_ms, backlog
                     FROM hosts LEFT JOIN heard ON host = id",
                )?
                .query_map([], |row| {
                    let state: String = row.get(0)?;
                    Ok(HostRow {
                        host: decode(&state)?,
                        subjects: row.get::<_, i64>(1)?.unsigned_abs(),
                        lost: row.get::<_, i64>(2)?.unsigned_abs(),
                        heard: match row.get::<_, Option<i64>>(3)? {
                            Some(at_ms) => Some(Heard {
                                at_ms: at_ms.unsigned_abs(),
                                offset_ms: row.get(4)?,
                                backlog: row.get::<_, i64>(5)?.unsigned_abs(),
                            }),
                            None => None,
                        },
                    })
                })?
                .collect()
        })?;
        rows.sort_by(|a, b| b.host.cmp(&a.host));
        Ok(rows)
    }
}

/// What people call a host: its name, or the beginning of its id.
pub fn called(host: &Host) -> String {
    let id = host.id.get(..12).unwrap_or(&host.id);
    host.name.clone().unwrap_or_else(|| id.to_owned())
}
