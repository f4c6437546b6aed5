//! `loupe fleet who FEATURE`: which units, in which versions, on which hosts, since when.

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;

use super::bundle::{Host, Hour};
use super::catalogue::Version;
use super::database::Fleet;
use super::hosts::called;
use super::merge::decode;
use crate::store::StoreError;

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Who {
    pub schema: &'static str,
    pub feature: String,
    /// The names or short ids of the hosts, and how many there are in the fleet.
    pub hosts: BTreeSet<String>,
    pub fleet: u64,
    /// The one on the most hosts first.
    pub users: Vec<User>,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct User {
    pub name: String,
    #[serde(flatten)]
    pub version: Version,
    pub hosts: u64,
    pub first_hour: Hour,
}

impl Fleet {
    pub fn who(&self, feature: &str) -> Result<Who, StoreError> {
        let fleet: i64 = self.read(|connection| {
            connection.query_row("SELECT count(*) FROM hosts", [], |row| row.get(0))
        })?;
        let mut who = Who {
            schema: "loupe.fleet-who/1",
            feature: feature.to_owned(),
            hosts: BTreeSet::new(),
            fleet: fleet.unsigned_abs(),
            users: Vec::new(),
        };
        let Some(word) = self.word(feature)? else {
            return Ok(who);
        };
        let pairs: Vec<(i64, i64)> = self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT subject, set_id FROM tallies
                     WHERE set_id IN (SELECT set_id FROM set_words WHERE word = ?1)
                     ORDER BY hosts DESC",
                )?
                .query_map([word], |row| row.try_into())?
                .collect()
        })?;
        let users: Vec<(i64, User)> = self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT s.id, name, executable, package, version, build_id, sum(hosts)
                     FROM tallies JOIN subjects s ON s.id = subject
                     WHERE set_id IN (SELECT set_id FROM set_words WHERE word = ?1)
                     GROUP BY s.id",
                )?
                .query_map([word], |row| {
                    let known = |text: String| (!text.is_empty()).then_some(text);
                    let user = User {
                        name: row.get(1)?,
                        version: Version {
                            executable: row.get(2)?,
                            package: known(row.get(3)?),
                            version: known(row.get(4)?),
                            build_id: known(row.get(5)?),
                        },
                        hosts: row.get::<_, i64>(6)?.unsigned_abs(),
                        first_hour: 0,
                    };
                    Ok((row.get(0)?, user))
                })?
                .collect()
        })?;
        for (subject, mut user) in users {
            user.first_hour = self.first_seen(subject, word)?.unwrap_or_default();
            who.users.push(user);
        }
        who.users.sort_by(|a, b| {
            let order = |user: &User| (std::cmp::Reverse(user.hosts), user.name.clone());
            (order(a), &a.version).cmp(&(order(b), &b.version))
        });
        who.hosts = self.hosts_with(&pairs, who.fleet)?;
        Ok(who)
    }

    /// Hosts on which one of these subjects has one of these sets. Most are met early where most have
    /// it: nothing is looked at once all were.
    fn hosts_with(&self, pairs: &[(i64, i64)], all: u64) -> Result<BTreeSet<String>, StoreError> {
        self.read(|connection| {
            let mut met: HashSet<i64> = HashSet::new();
            let mut of_pair = connection
                .prepare_cached("SELECT host FROM members WHERE subject = ?1 AND set_id = ?2")?;
            for (subject, set) in pairs {
                if met.len() as u64 == all {
                    break;
                }
                for host in of_pair.query_map([subject, set], |row| row.get(0))? {
                    met.insert(host?);
                }
            }
            let mut names = BTreeSet::new();
            let mut state = connection.prepare_cached("SELECT state FROM hosts WHERE id = ?1")?;
            for host in met {
                let text: String = state.query_row([host], |row| row.get(0))?;
                let host: Host = decode(&text)?;
                // Two hosts may have one name: none of them is to be missing.
                let name = called(&host);
                if !names.insert(name.clone()) {
                    names.insert(format!("{name} ({})", host.id));
                }
            }
            Ok(names)
        })
    }
}
