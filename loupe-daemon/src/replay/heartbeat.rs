//! Tells when the host, or this engine, stood still: a thread on each CPU ticks, and a tick that
//! comes late leaves a gap. What fails by the clock meanwhile (a time limit, a standstill) may have
//! failed for that. Knows nothing of replays.
//!
//! The threads run before all others where they may (`SCHED_FIFO`), so that a host that is only
//! busy leaves no gap: for that, time limits count the time in which a replay was let run. What a
//! hypervisor says that it took away (`steal` of `/proc/stat`) counts as well.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::lock;
use crate::sys::files;

/// Between two ticks.
const TICK: Duration = Duration::from_millis(10);

/// A tick that comes so much late leaves a gap: half the time in which nothing moves when a replay
/// is said to hang, which is the least that a failure by time rests on.
const LATE: Duration = Duration::from_millis(50);
/// The same where the threads have to wait as others do.
const LATE_AMONG_OTHERS: Duration = Duration::from_millis(250);

/// Gaps that are kept of each CPU; a host with more of them within a replay is no host to measure
/// on.
const KEPT_GAPS: usize = 1024;

/// A replay whose host stood still for this part of it, and at least [`LATE`], may have failed by
/// time for that.
const VOID_PART: u32 = 20;

/// Units of `/proc/stat` in a second, on every kernel for x86-64.
const USER_HZ: u32 = 100;

/// Ticks on some CPUs, as long as it lives.
pub struct Heartbeat {
    cpus: Vec<Arc<Cpu>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

struct Cpu {
    number: usize,
    ticks: Mutex<Ticks>,
}

/// What the ticks of one CPU say.
#[derive(Debug)]
struct Ticks {
    last: Instant,
    late: Duration,
    gaps: VecDeque<Gap>,
}

/// A time without a tick in which there should have been some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    begin: Instant,
    end: Instant,
}

impl Ticks {
    fn new(now: Instant, late: Duration) -> Ticks {
        Ticks {
            last: now,
            late,
            gaps: VecDeque::new(),
        }
    }

    fn tick(&mut self, now: Instant) {
        if let Some(gap) = self.gap_until(now) {
            if self.gaps.len() == KEPT_GAPS {
                self.gaps.pop_front();
            }
            self.gaps.push_back(gap);
        }
        self.last = now;
    }

    /// From when the next tick was due.
    fn gap_until(&self, now: Instant) -> Option<Gap> {
        let begin = self.last + TICK;
        let is_late = now.saturating_duration_since(begin) > self.late;
        is_late.then_some(Gap { begin, end: now })
    }

    /// How much of a time was in gaps, one that lasts yet among them.
    fn stood_still(&self, from: Instant, to: Instant) -> Duration {
        let gaps = self.gaps.iter().copied().chain(self.gap_until(to));
        gaps.map(|gap| {
            gap.end
                .min(to)
                .saturating_duration_since(gap.begin.max(from))
        })
        .sum()
    }
}

impl Heartbeat {
    /// Where a thread cannot be had, its CPU is taken to stand still never.
    pub fn start(cpus: &[usize]) -> Heartbeat {
        let stop = Arc::new(AtomicBool::new(false));
        let new = |number: &usize| {
            Arc::new(Cpu {
                number: *number,
                ticks: Mutex::new(Ticks::new(Instant::now(), LATE_AMONG_OTHERS)),
            })
        };
        let mut heartbeat = Heartbeat {
            cpus: Vec::new(),
            threads: Vec::new(),
            stop,
        };
        for cpu in cpus.iter().map(new) {
            let (of_thread, stop) = (Arc::clone(&cpu), Arc::clone(&heartbeat.stop));
            let named = std::thread::Builder::new().name(format!("heartbeat-{}", cpu.number));
            match named.spawn(move || beat(&of_thread, &stop)) {
                Ok(thread) => {
                    heartbeat.threads.push(thread);
                    heartbeat.cpus.push(cpu);
                }
                Err(error) => tracing::warn!(%error, cpu = cpu.number, "no heartbeat"),
            }
        }
        heartbeat
    }

    /// A time that begins now on one CPU.
    pub fn watch(&self, cpu: Option<usize>) -> Watch<'_> {
        Watch {
            heartbeat: self,
            cpu,
            begin: Instant::now(),
            stolen: stolen(cpu),
        }
    }

    fn stood_still(&self, cpu: Option<usize>, from: Instant, to: Instant) -> Duration {
        let own = self.cpus.iter();
        let own = own.filter(|one| cpu.is_none_or(|cpu| cpu == one.number));
        let still = own.map(|cpu| lock(&cpu.ticks).stood_still(from, to));
        still.max().unwrap_or_default()
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::warn!("a heartbeat had panicked");
            }
        }
    }
}

/// A time that is watched from its begin on.
pub struct Watch<'a> {
    heartbeat: &'a Heartbeat,
    cpu: Option<usize>,
    begin: Instant,
    /// What the hypervisor had taken by then.
    stolen: Duration,
}

impl Watch<'_> {
    pub fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// For how long the CPU, or the engine, stood still since then.
    pub fn gaps(&self) -> Duration {
        self.heartbeat
            .stood_still(self.cpu, self.begin, Instant::now())
    }

    /// For how long the host stood still since then, if that was long enough to matter.
    pub fn stood_still(&self) -> Option<Duration> {
        let now = Instant::now();
        let gaps = self.heartbeat.stood_still(self.cpu, self.begin, now);
        // What was stolen in a gap is told twice: the larger of both is the truth, or less.
        let stolen = stolen(self.cpu).saturating_sub(self.stolen);
        let still = gaps.max(stolen);
        matters(still, now - self.begin).then_some(still)
    }
}

/// Whether a failure by time proves nothing in which the host stood still for so long.
fn matters(still: Duration, all: Duration) -> bool {
    still >= LATE.max(all / VOID_PART)
}

fn beat(cpu: &Cpu, stop: &AtomicBool) {
    let late = match hurry(cpu.number) {
        Ok(()) => LATE,
        Err(error) => {
            tracing::debug!(%error, cpu = cpu.number, "the heartbeat runs as others do");
            LATE_AMONG_OTHERS
        }
    };
    *lock(&cpu.ticks) = Ticks::new(Instant::now(), late);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(TICK);
        lock(&cpu.ticks).tick(Instant::now());
    }
}

/// Higher than that of who answers notified calls.
const PRIORITY: i32 = 2;

/// Puts this thread on a CPU, before all others there.
fn hurry(cpu: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)?;
    crate::sys::process::go_before_all(PRIORITY)
}

/// What a hypervisor has taken of a CPU (of all together for `None`) since the start of the host.
fn stolen(cpu: Option<usize>) -> Duration {
    // A host that does not tell has no hypervisor that does.
    let stat = files::read("/proc/stat").unwrap_or_default();
    Duration::from_secs(steal(&stat, cpu).unwrap_or_default()) / USER_HZ
}

/// The eighth number of a CPU's line (`man 5 proc_stat`).
fn steal(stat: &str, cpu: Option<usize>) -> Option<u64> {
    let name = cpu.map_or_else(|| "cpu".to_owned(), |cpu| format!("cpu{cpu}"));
    let own = |line: &&str| line.split_whitespace().next() == Some(&name);
    let line = stat.lines().find(own)?;
    line.split_whitespace().nth(8)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Ticks at these times, in milliseconds.
    fn ticks(begin: Instant, times: &[u64]) -> Ticks {
        let mut ticks = Ticks::new(begin, LATE);
        for time in times {
            ticks.tick(begin + MS(*time));
        }
        ticks
    }

    #[test]
    fn only_a_tick_that_comes_far_too_late_leaves_a_gap() {
        let begin = Instant::now();
        let still = |times: &[u64], from, to| {
            ticks(begin, times).stood_still(begin + MS(from), begin + MS(to))
        };
        assert_eq!(still(&[10, 21, 45, 100], 0, 110), MS(0));
        assert_eq!(still(&[10, 220, 230], 0, 240), MS(200));
        assert_eq!(still(&[10, 220, 230, 400], 0, 410), MS(200 + 160));
    }

    #[test]
    fn a_gap_counts_as_far_as_it_is_in_the_time_that_is_asked_about() {
        let begin = Instant::now();
        let ticks = ticks(begin, &[10, 220, 230]);
        let still = |from, to| ticks.stood_still(begin + MS(from), begin + MS(to));
        assert_eq!(still(100, 235), MS(120));
        assert_eq!(still(0, 120), MS(100));
        assert_eq!(still(225, 235), MS(0));
        assert_eq!(still(225, 400), MS(160), "one that lasts yet");
    }

    #[test]
    fn only_so_many_gaps_are_kept() {
        let begin = Instant::now();
        let times: Vec<u64> = (1..=2 * KEPT_GAPS as u64).map(|gap| gap * 200).collect();
        assert_eq!(ticks(begin, &times).gaps.len(), KEPT_GAPS);
    }

    #[test]
    fn a_short_gap_in_a_long_time_does_not_matter() {
        assert!(matters(MS(60), MS(200)));
        assert!(!matters(MS(40), MS(200)));
        assert!(!matters(MS(60), MS(5000)));
        assert!(matters(MS(400), MS(5000)));
    }

    #[test]
    fn steal_is_found_by_the_name_of_the_cpu() {
        let stat = "cpu  1 2 3 4 5 6 7 30 9 10\ncpu1 1 2 3 4 5 6 7 8 9 10\n\
                    cpu10 1 2 3 4 5 6 7 22 0 0\nintr 7\n";
        assert_eq!(steal(stat, None), Some(30));
        assert_eq!(steal(stat, Some(1)), Some(8));
        assert_eq!(steal(stat, Some(10)), Some(22));
        assert_eq!(steal(stat, Some(2)), None);
        assert_eq!(steal("", None), None);
    }

    #[test]
    fn a_heartbeat_ticks_and_ends() {
        let heartbeat = Heartbeat::start(&[0]);
        let ticked = |cpu: &Arc<Cpu>| lock(&cpu.ticks).last;
        let first = ticked(&heartbeat.cpus[0]);
        while ticked(&heartbeat.cpus[0]) == first {
            std::thread::sleep(TICK);
        }
        let thread = Arc::downgrade(&heartbeat.cpus[0]);
        drop(heartbeat);
        assert!(thread.upgrade().is_none());
    }
}
