//! Answers the calls that a target's filter notifies: those that name a pseudo-file, and those
//! that are faked plausibly. Part of the keeper, which waits for notifications as for anything
//! else: when the keeper goes, so does the run, and no call can wait for an answer in vain.
//!
//! It answers by the policy's rules and counts; what that means, others judge.

mod content;
mod memory;
mod view;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::pseudo_file::PseudoFile;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, makedev};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::inject::Notified;
use crate::inject::listener::{Listener, Notification, Response};
use crate::inject::notify::file_errno;
use crate::inject::notify::paths::{self, Follow, PathCall, Want};
use crate::inject::notify::plausible::{self, Inert, Plausible};
use crate::launcher::protocol::Identity;
use memory::Memory;
use view::View;

/// Different pseudo-files of one run that are told apart; what comes later is a loss.
const MOST_FILES: usize = 1000;
/// The longest vector that the kernel takes (`UIO_MAXIOV`).
const MOST_PARTS: u64 = 1024;

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
        files.into_iter().for_each(|file| self.count(file));
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

    /// What a call gets of a file that is there, and empty.
    fn empty_file(
        &self,
        want: Want,
        flags: i32,
        is_device: bool,
        call: &Notification,
        write: impl Fn(u64, &[u8]) -> nix::Result<()>,
    ) -> nix::Result<Response> {
        // As `/dev/null` has it (Documentation/admin-guide/devices.txt).
        let (mode, device) = match is_device {
            true => (libc::S_IFCHR | 0o666, makedev(1, 3)),
            false => (libc::S_IFREG | 0o644, 0),
        };
        match want {
            Want::Access => Ok(Response::Value(0)),
            // A link without content.
            Want::Link => Ok(Response::Value(0)),
            Want::Stat { buffer } => {
                write(call.args[buffer], &content::stat(mode, device))?;
                Ok(Response::Value(0))
            }
            Want::Statx { buffer } => {
                write(call.args[buffer], &content::statx(mode, device))?;
                Ok(Response::Value(0))
            }
            Want::Open { .. } | Want::OpenHow { .. } | Want::Create => {
                if flags & libc::O_DIRECTORY != 0 {
                    return Err(Errno::ENOTDIR);
                }
                if flags & libc::O_CREAT != 0 && flags & libc::O_EXCL != 0 {
                    return Err(Errno::EEXIST);
                }
                let kept = libc::O_ACCMODE | libc::O_APPEND | libc::O_NONBLOCK;
                let flags_kept = OFlag::from_bits_truncate(flags & kept) | OFlag::O_CLOEXEC;
                let file = match is_device {
                    true => open("/dev/null", flags_kept | OFlag::O_NOCTTY, Mode::empty())?,
                    false => self.opened_empty(flags_kept)?,
                };
                Ok(Response::Descriptor {
                    file,
                    close_on_exec: flags & libc::O_CLOEXEC != 0,
                })
            }
        }
    }

    /// An empty file, opened anew. What is only read is always the same file; what may be written
    /// to is one of its own, so that nobody reads it.
    fn opened_empty(&self, flags: OFlag) -> nix::Result<OwnedFd> {
        let open = |file: &OwnedFd| {
            let name = format!("self/fd/{}", file.as_raw_fd());
            openat(&self.proc, name.as_str(), flags, Mode::empty())
        };
        if flags.bits() & libc::O_ACCMODE != libc::O_RDONLY {
            return open(&content::inert(Inert::File)?);
        }
        match self.empty.get() {
            Some(file) => open(file),
            None => {
                let file = content::inert(Inert::File)?;
                let opened = open(&file);
                // Nobody else has set it meanwhile.
                let _ = self.empty.set(file);
                opened
            }
        }
    }

    fn plausible(
        &self,
        value: Plausible,
        call: &Notification,
        memory: &Memory,
        write: impl Fn(u64, &[u8]) -> nix::Result<()>,
    ) -> nix::Result<Response> {
        let own = || {
            let view = View {
                proc: &self.proc,
                tid: call.tid,
                identity: &self.identity,
            };
            view.own().ok_or(Errno::ESRCH)
        };
        let args = &call.args;
        Ok(Response::Value(match value {
            Plausible::Constant(value) => value,
            Plausible::Argument(at) => args[at] as i64,
            Plausible::Vector { array, count } => total(memory, args[array], args[count])?,
            Plausible::Message(at) => {
                // `msg_iov` and `msg_iovlen` of a `struct msghdr`.
                let header = args[at];
                total(memory, memory.word(header + 16)?, memory.word(header + 24)?)?
            }
            Plausible::OwnPid => i64::from(own()?.pid),
            Plausible::OwnTid => i64::from(own()?.tid),
            Plausible::Structure { at, content } => {
                if args[at] != 0 {
                    write(args[at], &content::structure(content, args))?;
                }
                0
            }
            Plausible::Bytes { at, length } => {
                // Constant on purpose: nothing random was done. At most what one read gives.
                let length = args[length].min(256);
                write(args[at], &vec![0x5a; length as usize])?;
                length as i64
            }
            Plausible::Descriptor {
                inert,
                close_on_exec,
            } => {
                let asked = |(at, flag): (usize, i32)| args[at] as i32 & flag != 0;
                return Ok(Response::Descriptor {
                    file: content::inert(inert)?,
                    close_on_exec: close_on_exec.is_some_and(asked),
                });
            }
        }))
    }
}

/// The lengths in an array of `struct iovec`, added up.
fn total(memory: &Memory, array: u64, count: u64) -> nix::Result<i64> {
    if count > MOST_PARTS {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0; count as usize * 16];
    memory.read(array, &mut bytes)?;
    let lengths = bytes.as_chunks::<8>().0.iter().skip(1).step_by(2);
    let total: u64 = lengths.map(|length| u64::from_ne_bytes(*length)).sum();
    Ok(total as i64)
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
