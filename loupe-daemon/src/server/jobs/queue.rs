//! The jobs that have not ended, and whose turn is next: the users in turn, and each user's own
//! in the order of their arrival, some of them at once. So nobody waits for more than one turn of
//! each other user, however many jobs these have. Runs nothing.

use std::collections::BTreeMap;

use loupe_common::wire::{Failure, JobId, JobInfo, JobState};

use super::job::Job;
use super::turn::Turn;
use super::{Order, failures};
use crate::backend::Viewer;
use crate::engine::Identity;

/// Jobs of all users that may run and wait.
pub(super) const MAX_JOBS: usize = 128;

/// Jobs of one user other than root that may run and wait: nobody can fill the queue alone.
pub(super) const MAX_JOBS_OF_USER: usize = 16;

#[derive(Debug, Default)]
pub(super) struct State {
    /// Jobs that have not ended.
    pub jobs: BTreeMap<JobId, Job>,
    /// All of one user, whose turn it is.
    pub running: Vec<Turn>,
    pub stopping: bool,
    /// Whose orders are being written down.
    coming: Vec<u32>,
    /// When each user had a turn last, in turns of the daemon's life.
    turns: Turns,
}

/// Who had a turn when.
#[derive(Clone, Debug, Default)]
struct Turns {
    last: u64,
    /// The last turn of each user; at most as many as the host has users.
    of: BTreeMap<u32, u64>,
}

impl Turns {
    /// Chooses the user who has waited longest; one who never had a turn comes before all others.
    fn next(&self, waiting: &[(u32, JobId)]) -> Option<usize> {
        let had = |uid: &u32| self.of.get(uid).copied().unwrap_or(0);
        let order = waiting.iter().enumerate();
        let first = order.min_by_key(|(_, (uid, id))| (had(uid), *id));
        first.map(|(position, _)| position)
    }

    fn take(&mut self, uid: u32) {
        self.last += 1;
        self.of.insert(uid, self.last);
    }
}

impl State {
    /// The job that does already what the order says, unless that wants a fresh start.
    pub fn same(&self, order: &Order) -> Result<Option<JobId>, Failure> {
        if self.stopping {
            return Err(failures::stopping());
        }
        let same = self.jobs.values().find(|job| job.does(order));
        Ok(same.map(|job| job.info.id))
    }

    /// Makes room for an order, until [`State::has_come`].
    pub fn admit(&mut self, identity: &Identity) -> Result<(), Failure> {
        let uids = self.jobs.values().map(|job| job.info.uid);
        let uids = uids.chain(self.coming.iter().copied());
        let (mut all, mut own) = (0, 0);
        for uid in uids {
            all += 1;
            own += usize::from(uid == identity.uid);
        }
        if identity.uid != 0 && own >= MAX_JOBS_OF_USER {
            return Err(failures::too_many_of_user(own));
        }
        if all >= MAX_JOBS {
            return Err(failures::too_many_jobs(all));
        }
        self.coming.push(identity.uid);
        Ok(())
    }

    /// An order that was admitted is written down, or was not to be.
    pub fn has_come(&mut self, identity: &Identity) {
        let own = self.coming.iter().position(|uid| *uid == identity.uid);
        if let Some(own) = own {
            self.coming.swap_remove(own);
        }
    }

    #[cfg(test)]
    pub fn is_being_ordered(&self, uid: u32) -> bool {
        self.coming.contains(&uid)
    }

    /// Another's job is as good as none.
    pub fn visible(&self, viewer: Viewer, id: JobId) -> Option<&Job> {
        let job = self.jobs.get(&id);
        job.filter(|job| viewer.sees(job.info.uid))
    }

    fn waiting(&self) -> Vec<(u32, JobId)> {
        let queued = |job: &&Job| job.info.state == JobState::Queued;
        let jobs = self.jobs.values().filter(queued);
        jobs.map(|job| (job.info.uid, job.info.id)).collect()
    }

    /// The job that begins now, where at most so many run at once; takes its turn. Beside a job run
    /// only its owner's others, and these begin only while nobody else waits: so a turn ends.
    pub fn take_next(&mut self, at_once: usize) -> Option<JobId> {
        if self.running.len() >= at_once || self.others_wait() {
            return None;
        }
        let waiting = self.waiting();
        let (uid, id) = waiting[self.turns.next(&waiting)?];
        self.turns.take(uid);
        Some(id)
    }

    fn running_jobs(&self) -> impl Iterator<Item = &Job> {
        let turns = self.running.iter();
        turns.filter_map(|turn| self.jobs.get(&turn.id))
    }

    /// Somebody else than the running jobs' owner waits.
    pub fn others_wait(&self) -> bool {
        self.running_jobs().next().is_some_and(|job| {
            let mut waiting = self.waiting().into_iter();
            waiting.any(|(uid, _)| uid != job.info.uid)
        })
    }

    /// Jobs that run before each waiting one, if nothing changes.
    fn ahead(&self) -> BTreeMap<JobId, usize> {
        let (mut waiting, mut turns) = (self.waiting(), self.turns.clone());
        let mut ahead = BTreeMap::new();
        let running = self.running.len();
        while let Some(position) = turns.next(&waiting) {
            let (uid, id) = waiting.remove(position);
            turns.take(uid);
            ahead.insert(id, running + ahead.len());
        }
        ahead
    }

    pub fn ahead_of(&self, id: JobId) -> usize {
        self.ahead().get(&id).copied().unwrap_or(0)
    }

    /// What this viewer may know of the jobs.
    pub fn infos(&self, viewer: Viewer) -> Vec<JobInfo> {
        let ahead = self.ahead();
        let seen = self.jobs.values().filter(|job| viewer.sees(job.info.uid));
        seen.map(|job| JobInfo {
            watchers: job.attached,
            ahead: ahead.get(&job.info.id).copied().unwrap_or(0),
            ..job.info.clone()
        })
        .collect()
    }

    /// One line on what is going on.
    pub fn status(&self) -> String {
        let job = |job: &Job| {
            let (application, workload) = (&job.info.application, &job.info.workload);
            format!("job {}: {application}/{workload}; ", job.info.id)
        };
        let running: String = self.running_jobs().map(job).collect();
        match running.is_empty() {
            true => "idle".to_owned(),
            false => format!("{running}{} waiting", self.waiting().len()),
        }
    }
}
