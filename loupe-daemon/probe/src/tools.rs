//! What the probe itself stands on: another process, its end, its waiting, a clock. Each is tried at
//! the start, and the first of several syscalls that really works is taken, so that one that is not
//! there, or only said to be, does not spoil the rest. Knows no cases.

use core::sync::atomic::Ordering;

use crate::attempt::Report;
use crate::machine::{self, ticks};
use crate::tables::{nr, val};

/// A try may take so long, in milliseconds; then it hangs.
pub const LIMIT_MS: u64 = 3_000;

/// How long the end of a process that ends at once is waited for.
const TRIAL_MS: u64 = 500;

/// Where there is no clock: ticks a millisecond of a processor of 3 GHz.
const TICKS_A_MS: u64 = 3_000_000;

/// A sleep of a millisecond that took fewer ticks was none.
const FEWEST_TICKS: u64 = 300_000;

/// Processes that one case leaves behind, at most.
const MOST_ORPHANS: usize = 16;

const SIGCHLD: usize = val!("signal", "SIGCHLD");
const SIGKILL: usize = val!("signal", "SIGKILL");

/// What `wait4` and `waitid` have to be told to come back at once, and of all processes.
const WNOHANG: usize = 1;
const WEXITED: usize = 4;
pub const WALL: usize = 0x4000_0000;
const P_PID: usize = 1;

/// Chosen at the start.
#[derive(Clone, Copy)]
pub struct Tools {
    /// There are other processes.
    pub isolated: bool,
    /// Memory is shared with them.
    pub shares: bool,
    fork: usize,
    wait: Option<usize>,
    sleep: usize,
    clock: Option<usize>,
    /// Tells who one is.
    pub id: usize,
    /// The probe's own file, by its path; 0: not known.
    pub program: usize,
    /// The directory in which the probe was started; negative: not known.
    pub origin: isize,
}

fn call(number: usize, arguments: &[usize]) -> isize {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    machine::syscall(number, all)
}

/// Memory that child processes share; `None`: there is none, and statuses have to do.
pub fn shared_memory() -> Option<&'static Report> {
    let length = size_of::<Report>().next_multiple_of(4096);
    let flags = val!("map type", "MAP_SHARED") | val!("map flags", "MAP_ANONYMOUS");
    let mut found = call(nr!("mmap"), &[0, length, 3, flags, usize::MAX, 0]);
    if found <= 0 {
        let id = call(nr!("shmget"), &[0, length, 0o1600]);
        found = if id >= 0 {
            call(nr!("shmat"), &[id as usize, 0, 0])
        } else {
            -1
        };
        // It lives as long as it is attached.
        call(nr!("shmctl"), &[id as usize, val!("ipc", "IPC_RMID"), 0]);
    }
    (found > 0).then(|| crate::handlers::report_at(found as usize))
}

impl Tools {
    pub fn find(shared: Option<&Report>, program: usize, origin: isize) -> Tools {
        let mut tools = Tools {
            isolated: false,
            shares: shared.is_some(),
            fork: nr!("fork"),
            wait: None,
            sleep: nr!("nanosleep"),
            clock: None,
            id: nr!("getpid"),
            program,
            origin,
        };
        let ids = [nr!("getpid"), nr!("gettid"), nr!("set_tid_address")];
        tools.id = *ids.iter().find(|id| call(**id, &[]) > 0).unwrap_or(&ids[0]);
        let sleeps = [
            nr!("nanosleep"),
            nr!("clock_nanosleep"),
            nr!("poll"),
            nr!("select"),
            nr!("ppoll"),
        ];
        for sleep in sleeps {
            tools.sleep = sleep;
            let before = ticks();
            tools.sleep_ms(1);
            if ticks() - before > FEWEST_TICKS {
                break;
            }
        }
        for clock in [nr!("clock_gettime"), nr!("gettimeofday")] {
            tools.clock = Some(clock);
            let before = tools.now_ms();
            tools.sleep_ms(3);
            if before > 0 && tools.now_ms() > before {
                break;
            }
            tools.clock = None;
        }
        tools.isolated = tools.find_fork(shared);
        call(
            nr!("prctl"),
            &[val!("prctl", "PR_SET_CHILD_SUBREAPER"), 1, 0, 0, 0],
        );
        tools
    }

    /// Who one is, by what tells that here.
    pub fn me(&self) -> isize {
        call(self.id, &[])
    }

    pub fn sleep_ms(&self, ms: usize) {
        let mut time = [0, ms * 1_000_000];
        let time = core::ptr::from_mut(&mut time) as usize;
        match self.sleep {
            number if number == nr!("nanosleep") => call(number, &[time, 0]),
            number if number == nr!("clock_nanosleep") => call(number, &[1, 0, time, 0]),
            number if number == nr!("poll") => call(number, &[0, 0, ms]),
            number if number == nr!("ppoll") => call(number, &[0, 0, time, 0]),
            number => {
                let mut time = [0, ms * 1_000];
                call(
                    number,
                    &[0, 0, 0, 0, core::ptr::from_mut(&mut time) as usize],
                )
            }
        };
    }

    /// By some clock that goes on.
    pub fn now_ms(&self) -> u64 {
        let mut time = [0_u64; 2];
        let at = core::ptr::from_mut(&mut time) as usize;
        match self.clock {
            Some(number) if number == nr!("clock_gettime") => {
                call(number, &[val!("clock", "CLOCK_MONOTONIC"), at]);
                time[0] * 1_000 + time[1] / 1_000_000
            }
            Some(number) => {
                call(number, &[at, 0]);
                time[0] * 1_000 + time[1] / 1_000
            }
            None => ticks() / TICKS_A_MS,
        }
    }

    /// Tries ways to a second process, and then ways to wait for its end.
    fn find_fork(&mut self, shared: Option<&Report>) -> bool {
        let me = self.me();
        for fork in [nr!("clone"), nr!("fork"), nr!("clone3")] {
            self.fork = fork;
            for wait in [Some(nr!("wait4")), Some(nr!("waitid")), None] {
                if wait.is_none() && shared.is_none() {
                    continue;
                }
                self.wait = wait;
                if let Some(report) = shared {
                    report.clear();
                }
                let child = self.fork();
                if child == 0 {
                    // A call that is only faked leaves one alone with oneself.
                    if self.me() == me {
                        break;
                    }
                    if let Some(report) = shared {
                        report.words[0].store(1, Ordering::SeqCst);
                    }
                    crate::attempt::end(crate::attempt::Kind::Works, 0);
                }
                if child < 0 {
                    break;
                }
                let until = self.now_ms() + TRIAL_MS;
                while self.now_ms() < until {
                    let seen = match wait {
                        Some(_) => self.ended(child).is_some(),
                        None => {
                            shared.is_some_and(|report| report.words[0].load(Ordering::SeqCst) == 1)
                        }
                    };
                    if seen {
                        return true;
                    }
                    self.sleep_ms(1);
                }
            }
        }
        false
    }

    /// 0 in the child.
    pub fn fork(&self) -> isize {
        match self.fork {
            number if number == nr!("clone") => call(number, &[SIGCHLD, 0, 0, 0, 0]),
            number if number == nr!("clone3") => {
                let mut arguments = [0_u64; 8];
                arguments[4] = SIGCHLD as u64;
                call(number, &[core::ptr::from_mut(&mut arguments) as usize, 64])
            }
            number => call(number, &[]),
        }
    }

    /// Whether a child has ended, and how: as `wait4` has it.
    pub fn ended(&self, child: isize) -> Option<u32> {
        match self.wait {
            Some(number) if number == nr!("wait4") => {
                let mut status = 0_u32;
                let at = core::ptr::from_mut(&mut status) as usize;
                let found = call(number, &[child as usize, at, WNOHANG | WALL, 0]);
                (found == child).then_some(status)
            }
            Some(number) => {
                let mut info = [0_u32; 32];
                let at = core::ptr::from_mut(&mut info) as usize;
                let how = WEXITED | WNOHANG | WALL;
                call(number, &[P_PID, child as usize, at, how, 0]);
                // `si_code` tells an exit (1) from a signal, `si_status` which.
                (info[4] == child as u32).then(|| match info[2] {
                    1 => info[6] << 8,
                    _ => info[6],
                })
            }
            None => None,
        }
    }

    /// Lets go of processes whose parents have ended: they are this one's children then.
    pub fn reap(&self) {
        let any = usize::MAX;
        for _ in 0..MOST_ORPHANS {
            if call(nr!("wait4"), &[any, 0, WNOHANG | WALL, 0]) <= 0 {
                break;
            }
        }
    }

    /// Whether the ends of children can be seen.
    pub fn waits(&self) -> bool {
        self.wait.is_some()
    }

    /// Ends a child, by whatever works.
    pub fn kill(&self, child: isize) {
        let child = child as usize;
        call(nr!("kill"), &[child, SIGKILL]);
        call(nr!("tgkill"), &[child, child, SIGKILL]);
        call(nr!("tkill"), &[child, SIGKILL]);
    }
}
