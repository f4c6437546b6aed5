//! Profiles come out. Changes nothing.

use std::collections::BTreeMap;

use loupe_common::errno::Errno;
use loupe_common::feature::Feature;
use loupe_common::profile::{
    FeatureUse, Interval, Maturity, Observation, Profile, ProfileLost, Subject,
};
use loupe_common::trace::{CallCounts, ForeignCall};
use rusqlite::{Connection, Transaction, params};

use super::super::{Store, StoreError};
use super::counts::{Counts, Use};
use super::step::{Step, row_id};
use super::subjects::SubjectRow;
use super::words::{Word, Words};
use super::{gaps, matches_name, number, unsigned};
use crate::completeness::{Appearance, curve, unseen};

/// Which profiles, and of what time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileQuery {
    /// Only subjects of this user; `None`: of anybody.
    pub owner: Option<u32>,
    /// A name or a pattern, as [`matches_name`] reads it; `None`: all.
    pub name: Option<String>,
    /// What was observed since this moment, rounded down to the steps that are kept of that time
    /// (minutes, hours, days, months); `None`: all of it.
    pub since_ms: Option<u64>,
}

impl ProfileQuery {
    pub(super) fn asks_for(&self, subject: &Subject) -> bool {
        let name = self.name.as_deref();
        self.owner.is_none_or(|owner| subject.uid == owner)
            && name.is_none_or(|pattern| matches_name(pattern, &subject.name))
    }
}

/// How a subject is doing, without its features.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileSummary {
    pub subject: Subject,
    /// Syscalls, operations of io_uring and pseudo-files.
    pub features: u64,
    /// Operations and flags of vectored syscalls.
    pub operations: u64,
    /// Of syscalls.
    pub calls: u64,
    /// Of both kinds, first seen in the hour before the moment that was asked for.
    pub new_last_hour: u64,
    pub maturity: Maturity,
    pub observation: Observation,
    pub lost: ProfileLost,
    pub starts: u64,
}

/// A feature's first use, as it is kept.
struct FirstUse {
    word: u32,
    first_ms: u64,
    observed_ms: u64,
    first_block: u64,
    recurs: bool,
}

/// The times of which there are rows, by step.
type Times = Vec<(Step, Vec<i64>)>;

impl Store {
    /// The profiles that are asked for, by name, path and age. What [`Profile::unseen`],
    /// [`Profile::maturity`] and [`Profile::curve`] say is of the whole time, whatever part of it
    /// the counts are of; so are the moments at which features were first seen.
    pub fn profiles(&self, query: &ProfileQuery) -> Result<Vec<Profile>, StoreError> {
        self.reading(|transaction| {
            let words = Words::read(self, transaction)?;
            let times = self.all_times(transaction)?;
            let mut profiles = Vec::new();
            for row in self.subjects(transaction)? {
                if query.asks_for(&row.subject) {
                    let since_ms = query.since_ms.unwrap_or(0);
                    profiles.push(self.profile(transaction, row, &words, &times, since_ms)?);
                }
            }
            Ok(profiles)
        })
    }

    /// How the subjects are doing, in the same order; of [`ProfileQuery::since_ms`] nothing is
    /// heeded.
    pub fn profile_summaries(
        &self,
        query: &ProfileQuery,
        now_ms: u64,
    ) -> Result<Vec<ProfileSummary>, StoreError> {
        self.reading(|transaction| {
            let hour_ago_ms = number(now_ms.saturating_sub(3_600_000));
            let new: Vec<(i64, i64)> = self.sorted(
                transaction
                    .prepare_cached(
                        "SELECT subject, count(*) FROM profile_uses
                         WHERE first_seen_ms >= ?1 AND first_seen_ms <= ?2 GROUP BY subject",
                    )
                    .and_then(|mut statement| {
                        statement
                            .query_map(params![hour_ago_ms, number(now_ms)], |row| row.try_into())?
                            .collect()
                    }),
            )?;
            let new: BTreeMap<i64, i64> = new.into_iter().collect();
            let mut rows = self.subjects(transaction)?;
            rows.retain(|row| query.asks_for(&row.subject));
            rows.into_iter()
                .map(|row| {
                    let gaps = self.gaps(transaction, row.id)?;
                    Ok(ProfileSummary {
                        features: row.features,
                        operations: row.operations,
                        calls: row.calls,
                        new_last_hour: new.get(&row.id).copied().map_or(0, unsigned),
                        maturity: row.maturity(),
                        observation: observation(row.known, row.observed_ms, &gaps),
                        lost: row.lost,
                        starts: row.starts,
                        subject: row.subject,
                    })
                })
                .collect()
        })
    }

    fn all_times(&self, connection: &Connection) -> Result<Times, StoreError> {
        let of = |step| Ok((step, self.times(connection, step)?));
        Step::ALL.into_iter().map(of).collect()
    }

    /// The sum of a subject's rows of this time.
    fn counts_since(
        &self,
        connection: &Connection,
        subject: i64,
        times: &Times,
        since_ms: u64,
    ) -> Result<Counts, StoreError> {
        let mut sum = Counts::default();
        for (step, times) in times {
            let first = step.index(since_ms);
            for time in times.iter().filter(|time| **time >= first) {
                let counts = self.counts(connection, *step, row_id(*time, subject))?;
                if let Some(counts) = counts.filter(|counts| counts.until_ms > since_ms) {
                    sum.add(counts);
                }
            }
        }
        Ok(sum)
    }

    fn profile(
        &self,
        transaction: &Transaction<'_>,
        row: SubjectRow,
        words: &Words,
        times: &Times,
        since_ms: u64,
    ) -> Result<Profile, StoreError> {
        let all = self.counts_since(transaction, row.id, times, 0)?;
        let uses = self.uses(transaction, row.id)?;
        let appearances: Vec<Appearance> = uses.iter().map(|one| appearance(one, &all)).collect();
        let came = uses.iter().filter(|one| {
            let word = words.get(one.word);
            matches!(word, Some(Word::Feature(feature)) if !matches!(feature, Feature::Operation(_)))
        });
        let mut profile = Profile {
            features: Vec::new(),
            operations: Vec::new(),
            foreign: Vec::new(),
            observation: Observation::default(),
            lost: ProfileLost::default(),
            maturity: row.maturity(),
            unseen: unseen(row.blocks.complete, row.observed_ms, &appearances),
            curve: curve(came.map(|one| one.observed_ms).collect(), row.observed_ms),
            starts: 0,
            subject: row.subject,
        };
        let first_ms: BTreeMap<u32, u64> =
            uses.iter().map(|one| (one.word, one.first_ms)).collect();

        let asked = match since_ms {
            0 => all,
            _ => self.counts_since(transaction, row.id, times, since_ms)?,
        };
        (profile.starts, profile.lost) = (asked.starts, asked.lost);
        let gaps = self.gaps(transaction, row.id)?;
        let within = match since_ms {
            0 => row.known,
            // Where it was not observed since, that is the answer.
            _ => Interval {
                from_ms: asked.from_ms.min(since_ms).max(row.known.from_ms),
                until_ms: row.known.until_ms.max(since_ms),
            },
        };
        profile.observation = observation(within, asked.observed_ms, &gaps);
        for (word, one) in asked.uses {
            let first_seen_ms = first_ms.get(&word).copied();
            match words.get(word) {
                Some(Word::Feature(feature)) => {
                    let one = feature_use(feature, one, first_seen_ms);
                    match feature {
                        Feature::Operation(_) => profile.operations.push(one),
                        _ => profile.features.push(one),
                    }
                }
                Some(Word::Foreign { abi, number }) => profile.foreign.push(ForeignCall {
                    abi: abi.clone(),
                    number: *number,
                    calls: one.calls,
                }),
                None => {
                    return Err(StoreError::Damaged {
                        path: self.path.clone(),
                        message: format!("feature {word} of a profile has no name"),
                    });
                }
            }
        }
        profile.features.sort_by(|a, b| a.feature.cmp(&b.feature));
        profile.operations.sort_by(|a, b| a.feature.cmp(&b.feature));
        profile
            .foreign
            .sort_by(|a, b| (&a.abi, a.number).cmp(&(&b.abi, b.number)));
        Ok(profile)
    }

    fn uses(&self, connection: &Connection, subject: i64) -> Result<Vec<FirstUse>, StoreError> {
        self.sorted(
            connection
                .prepare_cached(
                    "SELECT feature, first_seen_ms, observed_ms, first_block, recurs
                     FROM profile_uses WHERE subject = ?1",
                )
                .and_then(|mut statement| {
                    statement
                        .query_map([subject], |row| {
                            Ok(FirstUse {
                                word: row.get(0)?,
                                first_ms: row.get(1).map(unsigned)?,
                                observed_ms: row.get(2).map(unsigned)?,
                                first_block: row.get(3).map(unsigned)?,
                                recurs: row.get(4)?,
                            })
                        })?
                        .collect()
                }),
        )
    }
}

fn appearance(first: &FirstUse, all: &Counts) -> Appearance {
    let counts = all.uses.get(&first.word);
    Appearance {
        first_block: first.first_block,
        recurs: first.recurs,
        first_ms: first.first_ms,
        last_ms: counts.map_or(first.first_ms, |counts| counts.last_ms),
        minutes: counts.map_or(1, |counts| counts.minutes),
    }
}

/// A clock that was set back lets the same time be observed twice: more than all of it is not told.
fn observation(within: Interval, observed_ms: u64, gaps: &[Interval]) -> Observation {
    let length_ms = within.until_ms.saturating_sub(within.from_ms);
    Observation {
        from_ms: within.from_ms,
        until_ms: within.until_ms,
        observed_ms: observed_ms.min(length_ms),
        gaps: gaps::told(gaps, within),
    }
}

fn feature_use(feature: &Feature, one: Use, first_seen_ms: Option<u64>) -> FeatureUse {
    let errors = one.errors.into_iter().filter_map(|(number, calls)| {
        // Only what was an errno was packed.
        Errno::new(i64::from(number)).map(|errno| (errno, calls))
    });
    FeatureUse {
        feature: feature.clone(),
        counts: CallCounts {
            calls: one.calls,
            errors: errors.collect(),
            latency: None,
        },
        first_seen_ms: first_seen_ms.unwrap_or(one.last_ms),
        last_seen_ms: one.last_ms,
        minutes: one.minutes,
    }
}
