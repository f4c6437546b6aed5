//! The phases of a replay: until a batch run is over, and the test (`readiness` has the start of
//! a server). Each waits for what happens, and says what it means.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use loupe_common::feature::Feature;
use loupe_common::policy::Action;
use loupe_common::replay::{Failure, Outcome};

use super::{QUIET_PROBE, Session, left};
use crate::cgroup;
use crate::launcher::protocol::Role;
use crate::replay::calm::{Busy, Calm};
use crate::replay::never_started::NeverStarted;
use crate::replay::progress::{self, Tasks};
use crate::replay::runner::{Pace, Part, ReplayFailure, Sabotage};
use crate::replay::sockets;
use crate::replay::watch::Watcher;
use crate::replay::watch::deadline::Deadline;
use crate::replay::watch::judge::Finding;
use crate::replay::watch::usual::Usual;
use crate::replay::workload::Mode;

/// What the paper's prototype sleeps at the start of every run.
const PAPER_SLEEP: Duration = Duration::from_millis(400);
/// How often `/proc` is asked about what a command has left.
const LEFTOVERS_PROBE: Duration = Duration::from_millis(10);

impl Session<'_> {
    pub(super) fn wait_until_over(&mut self) -> Result<Option<Failure>, ReplayFailure> {
        let mut deadline = Deadline::new(self.limits.run, self.run.cgroup());
        let mut watcher = self.watch_start();
        let mut kill_at = self.kill_at(Mode::Batch);
        let mut leftovers = Leftovers::new();
        loop {
            self.kill_if_due(&mut kill_at)?;
            let exited = self.run.seen().exit(Role::Application);
            // The end of the first process is told at once; what it left behind is asked for.
            let pause = if exited.is_some() {
                QUIET_PROBE
            } else {
                watcher.next_look()
            };
            let pause = kill_at.map_or(pause, |at| pause.min(left(at)));
            self.wait(pause.min(deadline.left()))?;
            if self.is_over() {
                return Ok(None);
            }
            if let Some(status) = self.run.seen().exit(Role::Application)
                && (self.target_is_gone()? || self.only_leftovers(&mut leftovers)?)
            {
                self.require_target()?;
                let expected = self.job.facts.exit.unwrap_or(status);
                return Ok((status != expected).then_some(Failure::Died { status }));
            }
            match self.look(&mut watcher)? {
                // What is left, asleep, looks so.
                Some(Failure::Hung { .. } | Failure::Livelock { .. })
                    if self.run.seen().exit(Role::Application).is_some() && self.may_leave() => {}
                Some(failure) => return Ok(Some(failure)),
                None => {}
            }
            if deadline.is_over() {
                let limit_ms = self.limits.run.as_millis() as u64;
                return Ok(Some(Failure::RunTimeout { limit_ms }));
            }
        }
    }

    /// The baseline may leave something, and a replay if the baseline did.
    fn may_leave(&self) -> bool {
        !self.job.facts.is_known() || self.job.facts.leaves
    }

    /// Whether what the command has left only sleeps: it waits for others or for clients, or
    /// ticks beside a socket that somebody may connect to.
    fn only_leftovers(&mut self, leftovers: &mut Leftovers) -> Result<bool, ReplayFailure> {
        let now = Instant::now();
        if !self.may_leave() || now < leftovers.next {
            return Ok(false);
        }
        leftovers.next = now + LEFTOVERS_PROBE;
        let target = self.run.cgroup().target();
        let tasks = Tasks::of(&target)?;
        let pids = cgroup::members(&target, "cgroup.procs")?;
        let sockets = sockets::held(&pids);
        let sleeps = tasks.all_wait() || (tasks.all_asleep() && !sockets.is_empty());
        let news = (self.run.trace().events().kinds(), pids, sockets);
        leftovers.calm.note(now, news, sleeps);
        if !leftovers.calm.lasts(self.limits.quiet) || progress::is_held_up(&target)? {
            return Ok(false);
        }
        self.state.left = progress::names(&target)?;
        self.state.calm = leftovers.calm.time();
        Ok(true)
    }

    pub(super) fn watch_start(&self) -> Watcher {
        self.watch(self.job.facts.ready_time(), self.limits.start_cpu, false)
    }

    /// Watches a phase that usually takes this long. Nobody knows that before a baseline is known, and
    /// the paper's prototype does not ask.
    fn watch(&self, usual: Duration, cpu_limit: Option<Duration>, tested: bool) -> Watcher {
        let asks = self.job.facts.is_known() && self.job.pace == Pace::Events;
        // Of an operation it is not known by the number whether a call was an injected one.
        let number = |(feature, _): (&Feature, Action)| match feature {
            Feature::Syscall(syscall) => syscall.number(),
            _ => None,
        };
        Watcher::new(Usual {
            duration: asks.then_some(usual),
            cpu_limit,
            idling: self.job.facts.idling().filter(|_| asks && tested),
            injected: self.job.policy.iter().filter_map(number).collect(),
            calls: self.job.facts.most_calls(),
            pauses: self.job.facts.pauses().filter(|_| asks && tested),
            tested,
        })
    }

    /// Looks at a replay that may be overdue, and tells whoever waits for its CPU.
    pub(super) fn look(&self, watcher: &mut Watcher) -> Result<Option<Failure>, ReplayFailure> {
        match watcher.look(&self.run, self.application_output.total(), &self.host)? {
            Finding::GoingOn => Ok(None),
            Finding::Idle => {
                (self.job.on_waiting)();
                Ok(None)
            }
            Finding::Failed(failure) => Ok(Some(failure)),
        }
    }

    pub(super) fn target_is_gone(&self) -> Result<bool, ReplayFailure> {
        Ok(progress::is_empty(&self.run.cgroup().target())?)
    }

    /// An application that never ran its target tells nothing. Unless somebody outside sent a signal
    /// before it could: then the trace says so, and the replay is invalid.
    pub(super) fn require_target(&self) -> Result<(), ReplayFailure> {
        let never = self.run.seen().target_execs == 0 && self.run.seen().refused.is_none();
        if never && !self.run.trace().is_disturbed() {
            return Err(ReplayFailure::TargetNeverStarted(Box::new(NeverStarted {
                target: self.job.prepared.target.clone(),
                executed: self.run.seen().executed.clone(),
                output: self.application_output.tail(),
            })));
        }
        Ok(())
    }

    pub(super) fn test(&mut self) -> Result<Outcome, ReplayFailure> {
        self.start_test()?;
        // Once the server is gone, a test that goes on waiting will not see it again; it gets
        // the time that it would have needed. So does one whose server never was there.
        let usual = self.job.facts.test_time();
        let grace = usual * 2 + Duration::from_millis(100);
        let server = self.job.prepared.workload.mode == Mode::Server;
        let limit = match self.starts() || !server || !self.job.facts.is_known() {
            true => self.limits.test,
            false => self.limits.test.min(grace),
        };
        let mut deadline = Deadline::new(limit, self.run.cgroup());
        let mut gone_since: Option<Instant> = None;
        let mut watcher = self.watch(usual, self.limits.cpu, true);
        let serves = self.serves();
        let mut kill_at = self.kill_at(Mode::Server);
        let beginning = match self.job.part {
            Part::Start => self.job.facts.beginning(),
            Part::Whole | Part::Sabotaged(_) => None,
        };
        let begin = Instant::now();
        loop {
            self.kill_if_due(&mut kill_at)?;
            let mut pause = deadline.left();
            if let Some(since) = gone_since {
                pause = pause.min(left(since + grace));
            }
            if let Some(at) = kill_at {
                pause = pause.min(left(at));
            }
            if beginning.is_some() {
                pause = pause.min(QUIET_PROBE);
            }
            self.wait(pause.min(watcher.next_look()))?;
            if self.is_over() {
                return Ok(Outcome::Passed);
            }
            if let Some(status) = self.run.seen().exit(Role::Test) {
                return Ok(if status.success() {
                    Outcome::Passed
                } else {
                    Outcome::Failed(Failure::Test { status })
                });
            }
            if let Some(beginning) = beginning
                && (begin.elapsed() >= beginning.most || self.calls_of_test()? >= beginning.calls)
            {
                return Ok(Outcome::Passed);
            }
            if let Some(status) = self.run.seen().exit(Role::Application)
                && serves
                && self.job.facts.is_known()
                && self.target_is_gone()?
            {
                let since = *gone_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= grace {
                    return Ok(Outcome::Failed(Failure::Died { status }));
                }
            }
            if let Some(failure) = self.look(&mut watcher)? {
                return Ok(Outcome::Failed(failure));
            }
            if deadline.is_over() {
                let limit_ms = limit.as_millis() as u64;
                return Ok(Outcome::Failed(Failure::TestTimeout { limit_ms }));
            }
        }
    }

    fn calls_of_test(&self) -> Result<u64, ReplayFailure> {
        let before: u64 = self.state.start_calls.iter().sum();
        Ok(self.run.trace().calls_so_far()?.saturating_sub(before))
    }

    /// When the application is to be killed, if its phase begins now.
    fn kill_at(&self, mode: Mode) -> Option<Instant> {
        match self.job.part {
            Part::Sabotaged(Sabotage::KilledAfter(time))
                if self.job.prepared.workload.mode == mode =>
            {
                Some(Instant::now() + time)
            }
            _ => None,
        }
    }

    /// Kills the application when its time has come.
    fn kill_if_due(&mut self, kill_at: &mut Option<Instant>) -> Result<(), ReplayFailure> {
        if let Some(at) = *kill_at
            && left(at).is_zero()
        {
            *kill_at = None;
            self.run.cgroup().kill_target()?;
            self.state.killed_late = Some(at.elapsed());
        }
        Ok(())
    }

    /// As the prototype: a fixed sleep, whatever the application does.
    pub(super) fn sleep_as_the_paper(&mut self) -> Result<(), ReplayFailure> {
        let end = Instant::now() + PAPER_SLEEP;
        while !left(end).is_zero() {
            self.wait(left(end))?;
        }
        Ok(())
    }
}

/// What a command leaves when it ends.
struct Leftovers {
    /// Of it, what is new when it changes: kinds of syscalls, processes, sockets.
    calm: Calm<(usize, Vec<i32>, BTreeSet<u64>)>,
    next: Instant,
}

impl Leftovers {
    fn new() -> Leftovers {
        Leftovers {
            calm: Calm::new(Busy::SetsBack, LEFTOVERS_PROBE),
            next: Instant::now(),
        }
    }
}
