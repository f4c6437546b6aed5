//! Answers the calls that a target's filter notifies: those that name a pseudo-file, and those
//! that are faked plausibly. Part of the keeper, which waits for notifications as for anything
//! else: when the keeper goes, so does the run, and no call can wait for an answer in vain.
//!
//! It answers by the policy's rules and counts; what that means, others judge.

mod answers;
mod content;
mod memory;
mod view;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::pseudo_file::PseudoFile;
use nix::errno::Errno;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::inject::Notified;
use crate::inject::listener::{Listener, Notification, Response};
use crate::inject::notify::file_errno;
use crate::inject::notify::paths::{self, Follow, PathCall, Want};
use crate::inject::notify::plausible::{self, Plausible};
use crate::launcher::protocol::Identity;
use memory::Memory;
use view::View;

/// Different pseudo-files of one run that are told apart; what comes later is a loss.
const MOST_FILES: usize = 1000;

/// What a supervisor saw and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervised {
    /// Pseudo-files were looked out for.
    pub watched: bool,
    /// Calls that named a pseudo-file, in the order of first use.
    pub files: Vec<(Feature, u64)>,
    /// Calls that each rule answered.
    pub answered: BTreeMap<Feature, u64>,
    /// Calls of which it could not be told what they name.
    pub lost: u64,
    /// Why it could not do its work.
    pub failed: Option<String>,
}

/// The supervisor of one run, with a listener for each start of the target.
pub struct Supervisor {
    notified: Notified,
    path_calls: BTreeMap<i32, PathCall>,
    /// What is faked plausibly, by number.
    values: BTreeMap<i32, (Feature, Plausible)>,
    listeners: Vec<Listener>,
    /// The host's `/proc`.
    proc: OwnedFd,
    /// Whose the workload is.
    identity: Identity,
    /// Opened for all who only read it.
    empty: OnceCell<OwnedFd>,
    supervised: Supervised,
}

/// What is to be answered, and what it counts for.
struct Answer {
    response: Response,
    rule: Option<Feature>,
    file: Option<PseudoFile>,
}

impl Answer {
    fn go_on() -> Answer {
        Answer {
            response: Response::Continue,
            rule: None,
            file: None,
        }
    }
}

impl Supervisor {
    pub fn new(notified: Notified, proc: OwnedFd, identity: Identity) -> Supervisor {
        let has_paths = notified.has_paths();
        let path_calls = paths::by_number().filter(|_| has_paths);
        let row = |(feature, action): (&Feature, Action)| {
            let syscall = feature.syscall().filter(|_| action == Action::Plausible)?;
            let row = plausible::of(syscall).ok()?;
            Some((syscall.number()? as i32, (feature.clone(), row.value)))
        };
        Supervisor {
            path_calls: path_calls
                .map(|(number, call)| (number as i32, call))
                .collect(),
            values: notified.rules.iter().filter_map(row).collect(),
            supervised: Supervised {
                watched: has_paths,
                ..Supervised::default()
            },
            notified,
            listeners: Vec::new(),
            proc,
            identity,
            empty: OnceCell::new(),
        }
    }

    pub fn add(&mut self, listener: Listener) {
        self.listeners.push(listener);
    }

    /// A target runs without a filter that notifies: not every pseudo-file is seen.
    pub fn lose_sight(&mut self) {
        self.supervised.watched = false;
    }

    /// Readable while a call waits.
    pub fn listeners(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.listeners.iter().map(|listener| listener.as_fd())
    }

    pub fn has_listeners(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// No process is left under this listener's filter.
    pub fn remove(&mut self, descriptor: i32) {
        self.listeners
            .retain(|listener| listener.as_fd().as_raw_fd() != descriptor);
    }

    pub fn finish(&mut self) -> Supervised {
        std::mem::take(&mut self.supervised)
    }

    /// Answers the call that waits at a listener.
    pub fn serve(&mut self, descriptor: i32) {
        let listener = self
            .listeners
            .iter()
            .position(|listener| listener.as_fd().as_raw_fd() == descriptor);
        let Some(index) = listener else {
            return;
        };
        if let Err(error) = self.answer_one(index) {
            // Closing it lets every call that waits fail: the run is invalid, and does not hang.
            self.listeners.remove(index);
            let why = format!("the supervisor of notified calls failed: {error}");
            self.supervised.failed.get_or_insert(why);
        }
    }

    fn answer_one(&mut self, index: usize) -> io::Result<()> {
        let Some(call) = self.listeners[index].receive()? else {
            return Ok(());
        };
        let mut lost = 0;
        let answer = self.decide(&mut lost, index, &call);
        self.supervised.lost += lost;
        if !self.listeners[index].answer(call.id, &answer.response)? {
            // Killed, or interrupted by a signal: then it comes again.
            return Ok(());
        }
        let mut files: Vec<Feature> = answer.file.into_iter().map(Feature::from).collect();
        if let Some(rule) = answer.rule {
            *self.supervised.answered.entry(rule.clone()).or_default() += 1;
            let is_file = matches!(rule, Feature::PseudoFile(_));
            if is_file && !files.contains(&rule) {
                files.push(rule);
            }
        }
        for file in files.into_iter() {
            self.count(file);
        }
        Ok(())
    }

    fn count(&mut self, file: Feature) {
        let files = &mut self.supervised.files;
        match files.iter().position(|(known, _)| *known == file) {
            Some(index) => files[index].1 += 1,
            None if files.len() < MOST_FILES => files.push((file, 1)),
            None => self.supervised.lost += 1,
        }
    }

    fn decide(&self, lost: &mut u64, index: usize, call: &Notification) -> Answer {
        let memory = Memory(Pid::from_raw(call.tid));
        let listener = &self.listeners[index];
        let write = |address: u64, bytes: &[u8]| {
            memory.write(&self.proc, || listener.waits(call.id), address, bytes)
        };
        if let Some((feature, value)) = self.values.get(&call.number) {
            let response = self.plausible(*value, call, &memory, write);
            return Answer {
                response: response.unwrap_or_else(|errno| Response::Errno(errno as i32)),
                rule: Some(feature.clone()),
                file: None,
            };
        }
        let Some(path_call) = self.path_calls.get(&call.number).copied() else {
            return Answer::go_on();
        };
        let path = memory.path(call.args[path_call.path]);
        if !listener.waits(call.id) {
            return Answer::go_on();
        }
        let path = match path {
            Ok(path) => path,
            // The kernel will say the same to the call.
            Err(Errno::EFAULT | Errno::ENAMETOOLONG) => return Answer::go_on(),
            Err(_) => {
                *lost += 1;
                return Answer::go_on();
            }
        };
        let Ok(flags) = open_flags(&path_call, call, &memory) else {
            return Answer::go_on();
        };
        let view = View {
            proc: &self.proc,
            tid: call.tid,
            identity: &self.identity,
        };
        let directory = path_call.directory.map(|at| call.args[at] as i32);
        let follow = follows(&path_call, call, flags);
        let path = String::from_utf8_lossy(&path);
        let Ok(files) = view.pseudo_files(directory, &path, follow) else {
            *lost += 1;
            return Answer::go_on();
        };
        let rules = &self.notified.rules;
        let ruled = files.iter().find_map(|file| {
            let feature = Feature::PseudoFile(file.clone());
            Some((rules.get(&feature)?, feature))
        });
        let file = files.last().cloned();
        let Some((action, rule)) = ruled else {
            return Answer {
                file,
                ..Answer::go_on()
            };
        };
        let is_device = file.as_ref().is_some_and(PseudoFile::is_device);
        let response = match action {
            Action::Stub(errno) => Ok(Response::Errno(file_errno(errno))),
            Action::Kill => Ok(Response::Errno(libc::ENOENT)),
            Action::Fake | Action::Plausible => {
                self.empty_file(path_call.want, flags, is_device, call, write)
            }
        };
        Answer {
            response: response.unwrap_or_else(|errno| Response::Errno(errno as i32)),
            rule: Some(rule),
            file,
        }
    }
}

/// The flags that a file is to be opened with; 0 where none is opened.
fn open_flags(path_call: &PathCall, call: &Notification, memory: &Memory) -> nix::Result<i32> {
    Ok(match path_call.want {
        Want::Open { flags } => call.args[flags] as i32,
        // `flags` is the first member of `struct open_how`.
        Want::OpenHow { how } => memory.word(call.args[how])? as i32,
        Want::Create => libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC,
        Want::Stat { .. } | Want::Statx { .. } | Want::Access | Want::Link => 0,
    })
}

fn follows(path_call: &PathCall, call: &Notification, flags: i32) -> bool {
    match path_call.follow {
        Follow::Always => true,
        Follow::Never => false,
        Follow::UnlessAt(at) => call.args[at] as i32 & libc::AT_SYMLINK_NOFOLLOW == 0,
        Follow::UnlessOpen => {
            let exclusive = libc::O_CREAT | libc::O_EXCL;
            flags & libc::O_NOFOLLOW == 0 && flags & exclusive != exclusive
        }
    }
}
