//! The keeper: one process per run, single-threaded, outside the sandbox's process namespace.
//!
//! It prepares the sandbox, starts what it is told to start, follows the application to its
//! target, reports every end, and finally ends and reaps everything. It judges nothing.

mod end;
mod hurry;

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use libc::sock_filter;
use loupe_common::replay::{ExitStatus, Usage};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;
use nix::sys::wait::WaitStatus;
use nix::unistd::{Pid, getuid};

use super::channel::Channel;
use super::child::{self, Report};
use super::copy;
use super::protocol::{CommandSpec, FromKeeper, Instruction, Preparation, Role, ToKeeper};
use super::ptrace::{Filters, Stop, Tree};
use super::sandbox::{self, SetupError};
use super::supervisor::Supervisor;
use super::target::Target;
use super::{init, keyring, wait};
use crate::arch::Abi;
use crate::cgroup;
use hurry::Hurry;

/// Runs one keeper to its end; returns the exit code.
pub fn run(engine: Channel, preparation: &Preparation) -> i32 {
    let mut keeper = match Keeper::prepare(engine, preparation) {
        Ok(keeper) => keeper,
        Err(code) => return code,
    };
    let result = keeper.serve();
    if let Err(SetupError { step, errno }) = result {
        let errno = errno as i32;
        // Told before the end, which the engine does not wait for then. If the engine is gone
        // too, nobody needs to know.
        drop(keeper.tell(&FromKeeper::Failed { step, errno }));
        keeper.end();
        return 1;
    }
    keeper.end();
    0
}

struct Child {
    role: Role,
    pid: Pid,
    report: Report,
}

/// What the keeper knows of its sandbox.
struct Sandbox {
    /// Its process 1.
    init: OwnedFd,
    /// The memory that holds what is written.
    memory: OwnedFd,
}

struct Keeper {
    engine: Channel,
    children_signal: SignalFd,
    /// The host's `/proc`.
    proc: OwnedFd,
    cgroup: cgroup::ReplayCgroup,
    /// Where Loupe itself is, and what its run leaves behind goes on.
    home: Option<PathBuf>,
    /// `None`: the command runs right here.
    sandbox: Option<Sandbox>,
    tree: Option<Tree>,
    /// Where calls are notified.
    supervisor: Option<Supervisor>,
    hurry: Hurry,
    children: Vec<Child>,
    usage: Usage,
    finished: bool,
}

fn setup(step: &str) -> impl FnOnce(Errno) -> SetupError + '_ {
    move |errno| SetupError {
        step: step.to_owned(),
        errno,
    }
}

/// Moves the keeper to a cgroup.
fn join(directory: &Path) -> Result<(), SetupError> {
    cgroup::move_process(std::process::id() as i32, directory).map_err(|error| SetupError {
        step: error.to_string(),
        errno: Errno::EIO,
    })
}

/// The same for an error that may have come from elsewhere than the kernel, and then has a text.
fn failed(step: &str) -> impl FnOnce(io::Error) -> SetupError + '_ {
    move |error| match error.raw_os_error() {
        Some(errno) => setup(step)(Errno::from_raw(errno)),
        None => SetupError {
            step: format!("{step}: {error}"),
            errno: Errno::EIO,
        },
    }
}

impl Keeper {
    fn prepare(engine: Channel, preparation: &Preparation) -> Result<Keeper, i32> {
        // Only what ran right here is left behind; and `mountinfo` takes 0.1 ms and more.
        let own = || cgroup::own().ok().flatten();
        let home = preparation.sandbox.is_none().then(own).flatten();
        match Keeper::try_prepare(preparation) {
            Ok((children_signal, proc, sandbox)) => {
                let keeper = Keeper {
                    engine,
                    children_signal,
                    proc,
                    cgroup: cgroup::ReplayCgroup::of(preparation.cgroup.clone()),
                    home,
                    sandbox,
                    tree: None,
                    supervisor: None,
                    hurry: Hurry::default(),
                    children: Vec::new(),
                    usage: Usage::default(),
                    finished: false,
                };
                let sandbox = keeper.sandbox.iter();
                let descriptors: Vec<BorrowedFd> =
                    sandbox.map(|sandbox| sandbox.init.as_fd()).collect();
                keeper
                    .engine
                    .send(&FromKeeper::Ready, &descriptors)
                    .map_err(|_| 1)?;
                Ok(keeper)
            }
            Err(SetupError { step, errno }) => {
                let errno = errno as i32;
                // If the engine is gone too, nobody needs to know.
                drop(engine.send(&FromKeeper::Failed { step, errno }, &[]));
                Err(1)
            }
        }
    }

    fn try_prepare(
        preparation: &Preparation,
    ) -> Result<(SignalFd, OwnedFd, Option<Sandbox>), SetupError> {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(setup("prctl"))?;
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None).map_err(setup("sigprocmask"))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&mask, flags).map_err(setup("signalfd"))?;
        if let Some(cpu) = preparation.cpu {
            let mut set = CpuSet::new();
            set.set(cpu).map_err(setup("choose a CPU"))?;
            sched_setaffinity(Pid::from_raw(0), &set).map_err(setup("pin to a CPU"))?;
        }
        let launcher = preparation.cgroup.join("launcher");
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let proc = open("/proc", flags, Mode::empty()).map_err(setup("open /proc"))?;
        let sandbox = match &preparation.sandbox {
            None => {
                join(&launcher)?;
                None
            }
            Some(spec) => {
                // The root of a new cgroup namespace is where its maker is: it has to be above
                // all that the sandbox's processes will be in.
                join(&preparation.cgroup)?;
                unshare(CloneFlags::CLONE_NEWCGROUP).map_err(setup("a new cgroup namespace"))?;
                join(&launcher)?;
                keyring::renew(&spec.identity).map_err(setup("make a session keyring"))?;
                let (files, memory) = sandbox::enter(spec)?;
                let init = init::start(spec.identity.uid == 0)?;
                copy::all(files, &spec.identity)?;
                Some(Sandbox { init, memory })
            }
        };
        Ok((signals, proc, sandbox))
    }

    fn tell(&self, message: &FromKeeper) -> io::Result<()> {
        self.engine.send(message, &[])
    }

    /// Acts on orders and ends until told to finish.
    fn serve(&mut self) -> Result<(), SetupError> {
        while !self.finished {
            let mut descriptors = vec![
                PollFd::new(self.engine.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.children_signal.as_fd(), PollFlags::POLLIN),
            ];
            if let Some(supervisor) = &self.supervisor {
                let notified = supervisor.listeners();
                descriptors.extend(notified.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
            }
            self.hurry.set(descriptors.len() > 2);
            match poll(&mut descriptors, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(setup("wait for something to happen")(error)),
            }
            let notified: Vec<(i32, PollFlags)> = descriptors[2..]
                .iter()
                .filter_map(|fd| Some((fd.as_fd().as_raw_fd(), fd.revents()?)))
                .filter(|(_, events)| !events.is_empty())
                .collect();
            let others = descriptors[..2].iter().any(|fd| fd.any().unwrap_or(true));
            drop(descriptors);
            self.answer(&notified);
            // A call that waits costs its caller time: nothing else is asked in vain.
            if !others && !notified.is_empty() {
                continue;
            }
            self.hurry.set(false);
            while let Ok(Some(_)) = self.children_signal.read_signal() {}
            self.reap()
                .map_err(failed("follow the processes of the sandbox"))?;
            match self.engine.receive::<ToKeeper>() {
                Ok(Some((message, descriptors))) => self.obey(message, descriptors)?,
                // The engine is gone.
                Ok(None) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(failed("hear the engine")(error)),
            }
        }
        Ok(())
    }

    /// Answers the calls that wait.
    fn answer(&mut self, notified: &[(i32, PollFlags)]) {
        let Some(supervisor) = &mut self.supervisor else {
            return;
        };
        for (descriptor, events) in notified {
            if events.contains(PollFlags::POLLIN) {
                supervisor.serve(*descriptor);
            } else {
                supervisor.remove(*descriptor);
            }
        }
    }

    fn obey(&mut self, message: ToKeeper, descriptors: Vec<OwnedFd>) -> Result<(), SetupError> {
        match message {
            ToKeeper::Start {
                command,
                target,
                filter,
                notified,
                hide_vdso,
            } => {
                let descriptors = take(descriptors).map_err(failed("take descriptors"))?;
                let [stdin, stdout, stderr, target_cgroup] = descriptors;
                let stdio = [stdin, stdout, stderr];
                // A command for somebody else has nothing to do with the keys of this process;
                // one's own has one's own, as from a shell.
                if self.sandbox.is_none() && command.identity.uid != getuid().as_raw() {
                    keyring::renew(&command.identity).map_err(setup("make a session keyring"))?;
                }
                let held = child::fork_held(&command, &stdio).map_err(setup("fork the command"))?;
                let pid = held.pid;
                let proc = || self.proc.try_clone().map_err(failed("copy a descriptor"));
                let target = Target::new(&target, proc()?, command.identity.clone());
                let mut filters = Filters {
                    constant: filter.into_iter().map(instruction).collect(),
                    notifying: Vec::new(),
                    answer: false,
                };
                filters.answer = !filters.constant.is_empty();
                if let Some(notified) = notified {
                    filters.answer |= !notified.rules.is_empty();
                    let program = notified.filter();
                    let program = program.map_err(io::Error::other);
                    filters.notifying = program.map_err(failed("compile the listener's filter"))?;
                    let identity = command.identity.clone();
                    self.supervisor = Some(Supervisor::new(notified, proc()?, identity));
                }
                let tree = Tree::seize(pid, target, filters, target_cgroup);
                let mut tree = tree.map_err(setup("trace the command"))?;
                tree.hide_vdso = hide_vdso;
                self.tree = Some(tree);
                self.children.push(Child {
                    role: Role::Application,
                    pid,
                    report: held.release().map_err(setup("start the command"))?,
                });
                Ok(())
            }
            ToKeeper::Run { role, command } => self.start(role, &command, descriptors),
            ToKeeper::Signal { role, signal } => {
                let signal = Signal::try_from(signal).map_err(setup("send a signal"))?;
                for child in self.children.iter().filter(|child| child.role == role) {
                    // Already gone is as good.
                    let _ = kill(child.pid, signal);
                }
                Ok(())
            }
            ToKeeper::Finish => {
                self.finished = true;
                Ok(())
            }
        }
    }

    fn start(
        &mut self,
        role: Role,
        command: &CommandSpec,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), SetupError> {
        let stdio = take(descriptors).map_err(failed("take descriptors"))?;
        let held = child::fork_held(command, &stdio).map_err(setup("fork the test"))?;
        self.children.push(Child {
            role,
            pid: held.pid,
            report: held.release().map_err(setup("start the test"))?,
        });
        Ok(())
    }

    /// Handles every stop and end that waits.
    fn reap(&mut self) -> io::Result<()> {
        while let Some((status, usage)) = wait::next(false)? {
            self.note(status, usage)?;
        }
        Ok(())
    }

    fn note(&mut self, status: WaitStatus, max_rss_kib: u64) -> io::Result<()> {
        let end = match status {
            WaitStatus::Exited(pid, code) => Some((pid, ExitStatus::Code(code))),
            WaitStatus::Signaled(pid, signal, _) => Some((pid, ExitStatus::Signal(signal as i32))),
            _ => None,
        };
        let Some((pid, status)) = end else {
            let Some(tree) = &mut self.tree else {
                return Ok(());
            };
            return match tree.handle(status) {
                Stop::Passed => Ok(()),
                Stop::TargetStarted {
                    pid,
                    listener,
                    vdso,
                    abi,
                } => {
                    match (listener, &mut self.supervisor) {
                        (Some(listener), Some(supervisor)) => supervisor.add(listener),
                        (None, Some(supervisor)) => supervisor.lose_sight(),
                        _ => {}
                    }
                    let pid = pid.as_raw();
                    let i386 = abi == Abi::ThirtyTwoBit;
                    self.tell(&FromKeeper::TargetStarted { pid, vdso, i386 })
                }
                Stop::Executed(programs) => self.tell(&FromKeeper::Executed { programs }),
                Stop::TargetRefused(why) => self.tell(&FromKeeper::TargetRefused { why }),
            };
        };
        let Some(index) = self.children.iter().position(|child| child.pid == pid) else {
            return Ok(());
        };
        let child = self.children.remove(index);
        let (role, told) = (child.role, child.report.read());
        if role == Role::Application {
            // Includes the largest of the children that it had waited for.
            self.usage.max_rss_kib = max_rss_kib;
            self.usage.start_rss_kib = told.max_rss_kib;
        }
        match told.errno {
            Some(errno) => self.tell(&FromKeeper::ExecFailed { role, errno }),
            None => self.tell(&FromKeeper::Exited { role, status }),
        }
    }
}

/// The descriptors that a message must bring.
fn take<const N: usize>(descriptors: Vec<OwnedFd>) -> io::Result<[OwnedFd; N]> {
    let count = descriptors.len();
    descriptors.try_into().map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{count} descriptors instead of {N}"),
        )
    })
}

fn instruction((code, jt, jf, k): Instruction) -> sock_filter {
    sock_filter { code, jt, jf, k }
}
