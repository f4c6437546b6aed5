//! When is a server ready? By what the kernel shows of it, or by the workload's own word.

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use loupe_common::feature::Feature;
use loupe_common::replay::Failure;

use super::{QUIET_PROBE, Session, left};
use crate::cgroup;
use crate::launcher::protocol::{CommandSpec, Role};
use crate::replay::calm::{Busy, Calm};
use crate::replay::progress::{self, Tasks};
use crate::replay::ready::{Ready, Search};
use crate::replay::runner::ReplayFailure;
use crate::replay::sockets;
use crate::replay::watch::deadline::Deadline;
use crate::run::io_error;

/// How often `/proc` is asked about a server that listens and is about to wait.
const READY_PROBE: Duration = Duration::from_micros(200);
/// The longer that takes, the less often: a look costs 10 µs and more for each thread. Who is ready is
/// seen to be after a tenth of the time that it took, or at once.
const READY_PART: u32 = 10;
const SLOWEST_READY_PROBE: Duration = Duration::from_millis(2);
/// How often it is asked for sockets, which takes longer.
const SOCKET_PROBE: Duration = Duration::from_millis(10);
/// Who listens, ticks, and does nothing new for so long is ready.
const LISTENING_QUIET: Duration = Duration::from_millis(300);
/// Who listens and waits for clients, and listens to nothing more for so long, is ready, whatever
/// else it does.
const LONGEST_SETTLING: Duration = Duration::from_secs(2);
/// Between two runs of the command of `ready`: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Without one of these an application may serve and not listen, or never come to serve.
const SOCKET_CALLS: [&str; 11] = [
    "accept",
    "accept4",
    "bind",
    "getsockname",
    "getsockopt",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "listen",
    "setsockopt",
    "socket",
];

/// What is asked again and again.
enum Question {
    Rest(Box<Rest>),
    Asked(Box<Asked>),
}

impl Session<'_> {
    pub(super) fn wait_until_ready(&mut self) -> Result<Option<Failure>, ReplayFailure> {
        let mut deadline = Deadline::new(self.limits.start, self.run.cgroup());
        let mut watcher = self.watch_start();
        let mut question = self.question();
        let mut due = Instant::now();
        let mut listening = None;
        loop {
            let listens = self.state.listens;
            self.wait(left(due).min(deadline.left()))?;
            if self.is_over() {
                return Ok(None);
            }
            // What it prints is no reason to look again, and who looks whenever something was printed
            // is what it waits for.
            let is_news =
                self.state.listens > listens || self.run.seen().exit(Role::Application).is_some();
            if Instant::now() < due && !is_news && !deadline.is_over() {
                continue;
            }
            let pause = match (&question, self.state.listens) {
                (Question::Rest(_), 1..) => {
                    let listens_for = listening.get_or_insert_with(Instant::now).elapsed();
                    (listens_for / READY_PART).clamp(READY_PROBE, SLOWEST_READY_PROBE)
                }
                _ => QUIET_PROBE,
            };
            due = Instant::now() + pause;
            if let Some(status) = self.run.seen().exit(Role::Application)
                && self.target_is_gone()?
            {
                self.require_target()?;
                return Ok(Some(Failure::Died { status }));
            }
            let is_ready = match &mut question {
                Question::Rest(rest) => self.is_at_rest(rest)?,
                Question::Asked(asked) => self.is_as_asked(asked)?,
            };
            if is_ready {
                return Ok(None);
            }
            match self.look(&mut watcher)? {
                Some(failure) if !self.may_look_so(&failure, &question) => {
                    return Ok(Some(failure));
                }
                _ => {}
            }
            if deadline.is_over() {
                let limit_ms = self.limits.start.as_millis() as u64;
                return Ok(Some(Failure::StartTimeout { limit_ms }));
            }
        }
    }

    fn question(&mut self) -> Question {
        let Some(ready) = &self.job.prepared.workload.ready else {
            return Question::Rest(Box::new(Rest::new()));
        };
        self.application_output.search = ready.output.clone().map(Search::new);
        let command = self.job.prepared.workload.probe().map(|words| CommandSpec {
            argv: words,
            ..self.job.prepared.test.clone()
        });
        Question::Asked(Box::new(Asked {
            ready: ready.clone(),
            command: command.map(Probe::new),
        }))
    }

    /// A server at rest waits for clients, which come with the test: it stands still, or ticks.
    fn may_look_so(&self, failure: &Failure, question: &Question) -> bool {
        match (failure, question) {
            (Failure::Hung { .. }, Question::Rest(_)) => self.may_rest(),
            (Failure::Livelock { .. }, Question::Rest(rest)) => {
                self.may_rest() && !rest.settled.time().is_zero()
            }
            // What the command does may wake it.
            (Failure::Hung { .. }, Question::Asked(asked)) => asked.command.is_some(),
            _ => false,
        }
    }

    /// Where the baseline listens, an application that does not is not ready, however long it
    /// is silent: it may be held up. Unless what is left out may be the reason.
    fn may_rest(&self) -> bool {
        let listens = self.job.facts.listens.unwrap_or(0);
        listens == 0 || self.state.listens > 0 || self.leaves_out_sockets()
    }

    fn leaves_out_sockets(&self) -> bool {
        self.job.policy.iter().any(|(feature, _)| {
            let syscall = match feature {
                Feature::Syscall(syscall) => Some(*syscall),
                Feature::Operation(operation) => Some(operation.syscall()),
                _ => None,
            };
            syscall.is_some_and(|syscall| SOCKET_CALLS.contains(&syscall.to_string().as_str()))
        })
    }

    fn is_at_rest(&mut self, rest: &mut Rest) -> Result<bool, ReplayFailure> {
        let now = Instant::now();
        let listens = self.state.listens;
        let known = self.job.facts.listens;
        let target = self.run.cgroup().target();
        if !self.may_rest() {
            return Ok(false);
        }
        let has_all = listens > 0 && known.is_some_and(|known| listens >= known);
        let tasks = match has_all {
            true => Tasks::up_to_server_wait(&target)?,
            false => Tasks::of(&target)?,
        };
        if listens > 0 && tasks.in_server_wait > 0 {
            if has_all {
                return Ok(true);
            }
            // Nobody knows yet whether it will listen once more; nothing that waits for others
            // alone will.
            let calls = self.run.trace().calls_so_far()?;
            rest.still.note(now, calls, tasks.none_can_go_on());
            if known.is_none() && rest.still.lasts(READY_PROBE) {
                return Ok(true);
            }
            // One that never comes to rest serves as well.
            if rest.listening_since(listens).elapsed() >= LONGEST_SETTLING {
                return Ok(true);
            }
        }
        let calls = self.run.trace().calls_so_far()?;
        rest.silent.note(now, calls, tasks.all_asleep());
        if now >= rest.next_sockets {
            rest.next_sockets = now + SOCKET_PROBE;
            self.look_at_sockets(rest, &tasks)?;
        }
        let quiet = self.limits.quiet;
        let settled = match listens {
            0 => quiet,
            _ => quiet.min(LISTENING_QUIET),
        };
        if !rest.silent.lasts(quiet) && !rest.settled.lasts(settled) {
            return Ok(false);
        }
        if progress::is_held_up(&target)? {
            rest.silent.restart();
            rest.settled.restart();
            return Ok(false);
        }
        self.state.calm = rest.silent.time().max(rest.settled.time());
        Ok(true)
    }

    /// Has it what somebody could connect to, and does nothing new? A program that is only
    /// started by the first connection leaves that to its launcher.
    fn look_at_sockets(&self, rest: &mut Rest, target: &Tasks) -> Result<(), ReplayFailure> {
        let is_launched_later = target.total == 0 && self.run.seen().target_execs == 0;
        let (place, waits) = match is_launched_later {
            true => {
                let launcher = self.run.cgroup().launcher();
                // One that only sleeps for some time will start its target by itself.
                let waits = Tasks::of(&launcher)?.all_wait();
                (launcher, waits)
            }
            false => {
                let waits = target.all_asleep() && target.in_server_wait > 0;
                (self.run.cgroup().target(), waits)
            }
        };
        let listens = self.state.listens > 0;
        // They are not looked for while it is busy, nor where nothing has called the kernel since: that
        // walks the connections of the whole host to tell those of one namespace, for 1 to 10 ms
        // (`/proc/PID/net/tcp`).
        let calls = match is_launched_later {
            true => None,
            false => Some(self.run.trace().calls_so_far()?),
        };
        if waits && !listens && (calls.is_none() || rest.sockets_at != calls) {
            rest.sockets = sockets::held(&cgroup::members(&place, "cgroup.procs")?);
            rest.sockets_at = calls;
        }
        let has_some = listens || !rest.sockets.is_empty() || self.leaves_out_sockets();
        let news = News {
            kinds: self.run.trace().events().kinds(),
            executed: self.run.seen().executed.len(),
            listens: self.state.listens,
            sockets: rest.sockets.clone(),
        };
        rest.settled.note(Instant::now(), news, waits && has_some);
        Ok(())
    }

    fn is_as_asked(&mut self, asked: &mut Asked) -> Result<bool, ReplayFailure> {
        let has_port = match asked.ready.port {
            None => true,
            Some(port) => {
                let pids = cgroup::members(&self.run.cgroup().launcher(), "cgroup.procs")?;
                let sockets = pids.first().map(|pid| sockets::waiting(*pid));
                let mut sockets = sockets.into_iter().flatten();
                sockets.any(|socket| socket.port == Some(port.get()))
            }
        };
        let search = self.application_output.search.as_ref();
        let has_printed = search.is_none_or(|search| search.found);
        let answers = match &mut asked.command {
            None => true,
            Some(probe) => self.probe(probe)?,
        };
        Ok(has_port && has_printed && answers)
    }

    /// Whether the command has succeeded; runs it again if it has not.
    fn probe(&mut self, probe: &mut Probe) -> Result<bool, ReplayFailure> {
        if probe.runs
            && let Some(status) = self.run.seen().exit(Role::Probe)
        {
            probe.succeeded = status.success();
            probe.runs = false;
            probe.next = Instant::now() + probe.pause;
            probe.pause = (probe.pause * 2).min(LONGEST_PAUSE);
        }
        if probe.succeeded || probe.runs || Instant::now() < probe.next {
            return Ok(probe.succeeded);
        }
        probe.runs = true;
        let mut options = std::fs::OpenOptions::new();
        let null = options.read(true).write(true).open("/dev/null");
        let null = null.map_err(io_error("/dev/null"))?;
        let command = probe.command.clone();
        self.run
            .start_beside(Role::Probe, command, [null.as_fd(); 3])?;
        Ok(false)
    }
}

/// What is new when it changes.
#[derive(PartialEq, Eq)]
struct News {
    /// Different syscalls so far.
    kinds: usize,
    /// Different programs so far, before the target.
    executed: usize,
    listens: u64,
    sockets: BTreeSet<u64>,
}

/// How long an application has been at rest, in three ways.
struct Rest {
    /// It listens, and waits for others alone.
    still: Calm<u64>,
    /// It makes no call at all.
    silent: Calm<u64>,
    /// It has a socket that waits for somebody, and does nothing new: it may tick.
    settled: Calm<News>,
    next_sockets: Instant,
    /// Those that wait for somebody, when it last was not busy.
    sockets: BTreeSet<u64>,
    /// After so many calls of the target; `None`: not looked at, or not its own.
    sockets_at: Option<u64>,
    /// Times that it listens, and since when.
    listening: (u64, Instant),
}

impl Rest {
    fn new() -> Rest {
        Rest {
            still: Calm::new(Busy::EndsIt, READY_PROBE),
            silent: Calm::new(Busy::EndsIt, QUIET_PROBE),
            settled: Calm::new(Busy::SetsBack, SOCKET_PROBE),
            next_sockets: Instant::now(),
            sockets: BTreeSet::new(),
            sockets_at: None,
            listening: (0, Instant::now()),
        }
    }

    fn listening_since(&mut self, listens: u64) -> Instant {
        if self.listening.0 != listens {
            self.listening = (listens, Instant::now());
        }
        self.listening.1
    }
}

/// The workload's own word.
struct Asked {
    ready: Ready,
    command: Option<Probe>,
}

/// A command that is run until it succeeds.
struct Probe {
    command: CommandSpec,
    runs: bool,
    succeeded: bool,
    next: Instant,
    pause: Duration,
}

impl Probe {
    fn new(command: CommandSpec) -> Probe {
        Probe {
            command,
            runs: false,
            succeeded: false,
            next: Instant::now(),
            pause: FIRST_PAUSE,
        }
    }
}
