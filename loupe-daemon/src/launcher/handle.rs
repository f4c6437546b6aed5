//! One run's keeper, as the engine sees it: messages to it and from it. Every wait for one ends: if
//! the keeper, or the launcher that should fork it, was stopped, it is ended as soon as that shows.
//!
//! Does not know what the messages mean for a run.

use std::cell::{Cell, OnceCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::channel::Channel;
use super::peer::{LOOK_PAUSE, Peer, StopWatch};
use super::process::Process;
use super::protocol::{FromKeeper, Preparation, ToKeeper};
use super::{LauncherError, READY_LIMIT, SEND_LIMIT};

/// One run's keeper. Dropping it ends the run and everything in it.
pub struct Keeper {
    channel: Channel,
    /// Who forks it.
    launcher: Arc<Process>,
    /// Known when the launcher has forked it.
    process: OnceCell<Peer>,
    watch: StopWatch,
    /// What it was last asked to do.
    asked: Cell<&'static str>,
}

impl Keeper {
    /// Has the launcher fork a keeper, which prepares.
    ///
    /// # Errors
    /// [`LauncherError::Gone`] if the launcher takes no order.
    pub(super) fn order(
        launcher: &Arc<Process>,
        preparation: &Preparation,
    ) -> Result<Keeper, LauncherError> {
        let (ours, theirs) = Channel::pair().map_err(LauncherError::Start)?;
        ours.limit_sending(SEND_LIMIT)
            .map_err(LauncherError::Start)?;
        launcher
            .send(preparation, theirs.as_fd())
            .map_err(LauncherError::Gone)?;
        Ok(Keeper::new(ours, launcher))
    }

    fn new(channel: Channel, launcher: &Arc<Process>) -> Keeper {
        Keeper {
            channel,
            launcher: Arc::clone(launcher),
            process: OnceCell::new(),
            watch: StopWatch::new(),
            asked: Cell::new("prepare a run"),
        }
    }

    /// Whether its launcher is gone: so is the keeper then, and it is not to blame.
    pub fn has_lost_its_launcher(&self) -> bool {
        self.launcher.is_gone()
    }

    /// Sends a message; what it is told to do is then what it is waited for.
    pub fn send(
        &self,
        message: &ToKeeper,
        descriptors: &[BorrowedFd],
    ) -> Result<(), LauncherError> {
        self.asked.set(match message {
            ToKeeper::Start { .. } => "start and follow the command",
            ToKeeper::Run { .. } => "run the test",
            ToKeeper::Signal { .. } => "send a signal",
            ToKeeper::Finish => "end what is left",
        });
        let sent = self.channel.send(message, descriptors);
        sent.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => self.last_words(),
            io::ErrorKind::WouldBlock => self.give_up(),
            _ => LauncherError::Keeper {
                step: "send it a message".to_owned(),
                source: error,
            },
        })
    }

    /// Why a keeper is gone, if it said so.
    fn last_words(&self) -> LauncherError {
        loop {
            match self.try_receive() {
                Ok(Some(_)) => {}
                Ok(None) => return LauncherError::KeeperGone,
                Err(error) => return error,
            }
        }
    }

    /// The next message, if one is there.
    pub fn try_receive(&self) -> Result<Option<FromKeeper>, LauncherError> {
        Ok(self.try_receive_all()?.map(|(message, _)| message))
    }

    fn try_receive_all(&self) -> Result<Option<(FromKeeper, Vec<OwnedFd>)>, LauncherError> {
        match self.channel.receive::<FromKeeper>() {
            Ok(Some((FromKeeper::Forked { pid }, mut descriptors))) => {
                if let Some(descriptor) = descriptors.pop() {
                    self.process
                        .get_or_init(|| Peer::from_parts(pid, descriptor));
                }
                self.try_receive_all()
            }
            Ok(Some((FromKeeper::Failed { step, errno }, _))) => Err(LauncherError::Keeper {
                step,
                source: io::Error::from_raw_os_error(errno),
            }),
            Ok(Some(received)) => Ok(Some(received)),
            Ok(None) => Err(LauncherError::KeeperGone),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match self.watch.is_stopped(self.awaited()) {
                    true => Err(self.give_up()),
                    false => Ok(None),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                Err(LauncherError::KeeperGone)
            }
            Err(error) => Err(LauncherError::Protocol(error.to_string())),
        }
    }

    /// Who has to do something before a message can come.
    fn awaited(&self) -> &Peer {
        self.process.get().unwrap_or(&self.launcher.peer)
    }

    /// Ends who is waited for, and says what was seen of it.
    fn give_up(&self) -> LauncherError {
        let awaited = self.awaited();
        let state = match awaited.state() {
            Some('T') => "which somebody has stopped".to_owned(),
            Some(state) => format!("in state {state}"),
            None => "of which no state can be seen".to_owned(),
        };
        let pid = awaited.pid;
        let (who, asked) = match self.process.get() {
            Some(keeper) => {
                keeper.kill();
                ("the process that keeps the sandbox", self.asked.get())
            }
            None => {
                self.launcher.kill();
                ("the launcher process", "fork a process to keep a sandbox")
            }
        };
        LauncherError::NoAnswer {
            who,
            pid,
            state,
            asked,
        }
    }

    /// Waits for a message; `None` when the time is over.
    pub fn receive(&self, timeout: Duration) -> Result<Option<FromKeeper>, LauncherError> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some((message, _)) = self.try_receive_all()? {
                return Ok(Some(message));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            wait(&mut [PollFd::new(self.as_fd(), PollFlags::POLLIN)], left)?;
        }
    }

    /// Waits until a command can be started, and returns what the sandbox ends with, if there is one
    /// (see [`kill`](super::kill)). `None`: `cancel` could be read from before.
    pub fn wait_ready(
        &self,
        cancel: Option<BorrowedFd<'_>>,
    ) -> Result<Option<Option<OwnedFd>>, LauncherError> {
        let deadline = Instant::now() + READY_LIMIT;
        let mut descriptors = vec![PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        descriptors.extend(cancel.map(|cancel| PollFd::new(cancel, PollFlags::POLLIN)));
        loop {
            let received = self.try_receive_all().map_err(|error| match error {
                LauncherError::Keeper { step, source } => LauncherError::Sandbox { step, source },
                other => other,
            })?;
            match received {
                Some((FromKeeper::Ready, mut descriptors)) => return Ok(Some(descriptors.pop())),
                Some((other, _)) => return Err(LauncherError::Protocol(format!("{other:?}"))),
                None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.give_up());
            }
            wait(&mut descriptors, left)?;
            if descriptors
                .get(1)
                .is_some_and(|cancel| cancel.any().unwrap_or(false))
            {
                return Ok(None);
            }
        }
    }
}

/// Waits until one of these can be read from, or it is time to look at a process again.
fn wait(descriptors: &mut [PollFd<'_>], left: Duration) -> Result<(), LauncherError> {
    // The kernel's milliseconds are rounded up, so that the last wait is not a busy one.
    let pause = left.min(LOOK_PAUSE) + Duration::from_millis(1);
    let pause = PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX);
    match poll(descriptors, pause) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(LauncherError::Gone(error.into())),
    }
}

impl AsFd for Keeper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use nix::sys::eventfd::EventFd;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;

    /// A keeper that nobody has forked yet, the end of the channel that would be its own, and a
    /// process that is no launcher and takes no order.
    fn ordered() -> (Keeper, Channel, Arc<Process>) {
        let (ours, _) = Channel::pair().expect("a pair");
        let idle = Command::new("sleep")
            .arg("300")
            .stdin(Stdio::null())
            .spawn();
        let launcher = Process::new(ours, idle.expect("it starts")).expect("it is there");
        let launcher = Arc::new(launcher);
        let (channel, keeper) = Channel::pair().expect("a pair");
        (Keeper::new(channel, &launcher), keeper, launcher)
    }

    #[test]
    fn who_waits_for_a_sandbox_can_give_up() {
        let (waiting, keeper, launcher) = ordered();
        let cancel = EventFd::new().expect("an eventfd");
        cancel.write(1).expect("written");
        // It says nothing, and lives.
        let ready = waiting.wait_ready(Some(cancel.as_fd()));
        assert!(ready.expect("not lost").is_none());
        cancel.read().expect("read");
        keeper.send(&FromKeeper::Ready, &[]).expect("sent");
        let ready = waiting.wait_ready(Some(cancel.as_fd()));
        assert!(ready.expect("not lost").is_some());
        launcher.kill();
    }

    #[test]
    fn a_launcher_that_was_stopped_is_ended_and_named() {
        let (waiting, _keeper, launcher) = ordered();
        kill(Pid::from_raw(launcher.peer.pid), Signal::SIGSTOP).expect("it is ours");
        let error = waiting.wait_ready(None).expect_err("nobody answers");
        assert!(error.may_be_overload());
        let (said, pid) = (error.to_string(), launcher.peer.pid.to_string());
        for part in ["launcher process", &pid, "somebody has stopped", "fork"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(waiting.has_lost_its_launcher());
    }

    #[test]
    fn a_keeper_that_was_stopped_is_ended_and_its_launcher_is_not() {
        let (waiting, keeper, launcher) = ordered();
        let idle = Command::new("sleep")
            .arg("300")
            .stdin(Stdio::null())
            .spawn();
        let mut idle = idle.expect("it starts");
        let pid = idle.id() as i32;
        let descriptor = crate::sys::process::open(Pid::from_raw(pid)).expect("it is there");
        // The keeper may speak before it is introduced.
        keeper.send(&FromKeeper::Ready, &[]).expect("sent");
        let forked = FromKeeper::Forked { pid };
        keeper.send(&forked, &[descriptor.as_fd()]).expect("sent");
        assert!(waiting.wait_ready(None).expect("ready").is_some());
        waiting.send(&ToKeeper::Finish, &[]).expect("sent");
        kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it is ours");
        let error = waiting.receive(READY_LIMIT).expect_err("nobody answers");
        let said = error.to_string();
        assert!(said.contains("end what is left"), "{said}");
        idle.wait().expect("it is killed");
        assert!(!waiting.has_lost_its_launcher());
        launcher.kill();
    }
}
