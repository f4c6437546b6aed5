//! What goes over the queue: a replay to run, and what came of it. Both are known by what is replayed,
//! not by who asked when, so that the same job twice is one.

use std::collections::BTreeSet;
use std::fmt;

use loupe_common::host_class::HostClass;
use loupe_common::policy::Policy;
use loupe_common::replay::{Control, Replay};
use serde::{Deserialize, Serialize};

use crate::executable::Digest;
use crate::explore::{Reached, Request};
use crate::replay::{BaselineFacts, Part};

/// Says which replay it is: of which workload, on what, under which policy, the how-manieth.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One replay, as `explore` asks for it. (Where it runs is the worker's to say: each has as many
/// replays at a time as have a CPU of their own.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub policy: Policy,
    pub replica: u32,
    #[serde(default)]
    pub watch: bool,
    #[serde(default)]
    pub control: Option<Control>,
    #[serde(default)]
    pub purpose: String,
    #[serde(default)]
    pub part: Part,
}

impl Order {
    pub fn new(request: &Request, part: Part) -> Order {
        Order {
            policy: request.policy.clone(),
            replica: request.replica,
            watch: request.watch,
            control: request.control,
            purpose: request.purpose.clone(),
            part,
        }
    }

    pub fn request(&self) -> Request {
        Request {
            watch: self.watch,
            control: self.control,
            purpose: self.purpose.clone(),
            ..Request::new(self.policy.clone(), self.replica)
        }
    }

    /// Whether it is the replay by which an analysis finds its class: the baseline's first.
    pub fn opens(&self) -> bool {
        self.policy.is_empty()
            && self.replica == 0
            && self.control.is_none()
            && self.part == Part::Whole
    }
}

/// A replay that some worker is to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub key: Key,
    /// The digest of what is replayed: workload, files, options. By it a worker gets them.
    pub subject: String,
    /// The process that asks, of several that ask for the same one after the other.
    pub asker: String,
    /// The hosts whose replays are compared with this one's.
    pub class: HostClass,
    pub order: Order,
    /// What the baseline says about time so far.
    pub facts: BaselineFacts,
    /// How often it was published, from 0: so that the queue takes it again after a worker could do
    /// nothing with it.
    pub attempt: u32,
    /// Workers that could do nothing with it.
    #[serde(default)]
    pub not_by: BTreeSet<String>,
}

impl Job {
    pub fn new(
        (subject, asker): (&str, &str),
        class: &HostClass,
        order: Order,
        facts: BaselineFacts,
    ) -> Job {
        Job {
            key: key(subject, class, &order),
            subject: subject.to_owned(),
            asker: asker.to_owned(),
            class: class.clone(),
            order,
            facts,
            attempt: 0,
            not_by: BTreeSet::new(),
        }
    }

    /// By this the queue knows a job that was published already. What another process has asked for is
    /// not meant: its answer may have been taken, and gone with it.
    pub fn message_id(&self) -> String {
        format!("{}.{}.{}", self.key, self.asker, self.attempt)
    }
}

fn key(subject: &str, class: &HostClass, order: &Order) -> Key {
    let mut digest = Digest::default();
    digest.text(subject.as_bytes());
    let own = (
        class,
        &order.policy,
        order.replica,
        order.watch,
        order.control,
        order.part,
    );
    // Serializing plain strings and numbers to a string cannot fail.
    digest.text(serde_json::to_string(&own).unwrap_or_default().as_bytes());
    let text = digest.finish();
    Key(text.trim_start_matches("sha256:").to_owned())
}

/// What a worker has to say of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    pub key: Key,
    pub subject: String,
    /// Who asked for it.
    pub asker: String,
    pub order: Order,
    pub worker: String,
    /// Where it ran; the same as the job's, but for the build that the job may leave open.
    pub class: HostClass,
    pub answer: Answer,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Replayed(Box<Replay>),
    /// It was not the whole workload that was to be run, or something was done to it: this is no
    /// replay to keep. Of one that was only to begin, nothing has failed so far.
    Partial(Box<Replay>, Reached),
    /// This worker cannot run it: what it lacks, or what is broken there. Another may.
    Cannot(String),
    /// The host may have been too busy for it.
    Lost(String),
}
