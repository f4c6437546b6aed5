//! What is seen of a replay at one moment. Looks at the kernel, and decides nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::cgroup;
use crate::replay::heartbeat;
use crate::replay::progress::Tasks;
use crate::replay::runner::ReplayFailure;
use crate::run::Run;
use crate::sys::files;

/// One look. Times are counted from the begin of the phase or, where the kernel counts them, of the
/// replay: only differences between two looks matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When, on the clock.
    #[serde(with = "micros")]
    pub at: Duration,
    /// Time in which the replay wanted to run and was not let (pressure of the CPU).
    #[serde(with = "micros")]
    pub stalled: Duration,
    /// Time in which its CPU, or the engine, stood still.
    #[serde(with = "micros")]
    pub stood_still: Duration,
    /// Time in which the engine's own thread for this replay, which reads what it prints, ran or
    /// wanted to. Who waits for it seems to sleep.
    #[serde(with = "micros", default)]
    pub engine_busy: Duration,
    /// Time in which each task of the application wanted to run and was not let, by thread id, in ns.
    /// Pressure says it of all together, but the kernel brings that up to date every two seconds only.
    #[serde(default)]
    pub waits_ns: BTreeMap<i32, u64>,
    /// The same of the test and of the sandbox around it.
    #[serde(default)]
    pub others_waits_ns: BTreeMap<i32, u64>,
    /// CPU time of all of the replay.
    #[serde(with = "micros")]
    pub cpu: Duration,
    /// CPU time of the test and of the sandbox around it.
    #[serde(with = "micros")]
    pub others_cpu: Duration,
    /// Finished calls of the target, by syscall number; what was not called is not there.
    pub calls: BTreeMap<u32, u64>,
    /// Bytes that the application has printed.
    #[serde(default)]
    pub printed: u64,
    /// Where the tasks of the application stand.
    pub application: Tasks,
    /// Where those of the test and the sandbox do.
    pub others: Tasks,
}

impl Sample {
    pub fn take(
        begin: Instant,
        run: &Run,
        printed: u64,
        host: &heartbeat::Watch<'_>,
    ) -> Result<Sample, ReplayFailure> {
        let cgroup = run.cgroup();
        let tasks = |directory: PathBuf| cgroup::members(&directory, "cgroup.threads");
        let (target, launcher) = (tasks(cgroup.target())?, tasks(cgroup.launcher())?);
        let (application, others) = (Tasks::among(&target), Tasks::among(&launcher));
        let at = begin.elapsed();
        let counts = (0..).zip(run.trace().counts_so_far()?);
        Ok(Sample {
            at,
            // A kernel that does not account for it leaves all time as it is.
            stalled: cgroup.stalled().unwrap_or_default(),
            stood_still: host.gaps(),
            engine_busy: own_busy().unwrap_or_default(),
            waits_ns: waits_ns(&target),
            others_waits_ns: waits_ns(&launcher),
            cpu: Duration::from_micros(cgroup.cpu_us()?),
            others_cpu: Duration::from_micros(cgroup.launcher_cpu_us()?),
            printed,
            calls: counts.filter(|(_, calls)| *calls > 0).collect(),
            application,
            others,
        })
    }

    /// The time from an earlier look that was the replay's: without that in which the host had no
    /// CPU for it, or stood still. Who is not let run only seems to sleep.
    pub fn since(&self, earlier: &Sample) -> Duration {
        let stalled = self.stalled.saturating_sub(earlier.stalled);
        let waited = longest_wait(&earlier.waits_ns, &self.waits_ns);
        self.without(
            earlier,
            stalled.max(waited).max(self.others_waited(earlier)),
            self.engine_was_busy(earlier),
        )
    }

    /// The time from an earlier look that was the test's. An application that keeps a CPU busy with
    /// more than one thread always has one that waits for it; that is none of the test's waiting.
    pub fn since_for_test(&self, earlier: &Sample) -> Duration {
        self.without(
            earlier,
            self.others_waited(earlier),
            self.engine_was_busy(earlier),
        )
    }

    /// The same of a test that can have printed next to nothing: it does not wait for the engine.
    pub fn since_for_silent_test(&self, earlier: &Sample) -> Duration {
        self.without(earlier, self.others_waited(earlier), Duration::ZERO)
    }

    fn engine_was_busy(&self, earlier: &Sample) -> Duration {
        self.engine_busy.saturating_sub(earlier.engine_busy)
    }

    /// The time from an earlier look, without that in which there was no CPU for it (`stalled`), in
    /// which the engine had its turn (`engine_busy`), or in which the host stood still. A standstill is in
    /// both of the others, and counts once.
    fn without(&self, earlier: &Sample, stalled: Duration, engine_busy: Duration) -> Duration {
        let all = self.at.saturating_sub(earlier.at);
        let stood_still = self.stood_still.saturating_sub(earlier.stood_still);
        all.saturating_sub((stalled + engine_busy).max(stood_still))
    }

    fn others_waited(&self, earlier: &Sample) -> Duration {
        longest_wait(&earlier.others_waits_ns, &self.others_waits_ns)
    }

    /// CPU time of all of the replay from an earlier look.
    pub fn cpu_since(&self, earlier: &Sample) -> Duration {
        self.cpu.saturating_sub(earlier.cpu)
    }

    /// For how much time from an earlier look its tasks ran or wanted to, all added up: where they take
    /// turns, and wait for a CPU each time, none waits for long.
    pub fn wanted_since(&self, earlier: &Sample) -> Duration {
        let own = waits(&earlier.waits_ns, &self.waits_ns);
        let others = waits(&earlier.others_waits_ns, &self.others_waits_ns);
        self.cpu_since(earlier) + Duration::from_nanos(own.chain(others).sum())
    }

    /// Every task of the application waits, without a timeout, for another one. It may be gone.
    pub fn application_is_stuck(&self) -> bool {
        self.application.total == 0 || self.application.none_can_go_on()
    }

    /// All of the replay is stuck. The test's side never is gone: the keeper is there.
    pub fn all_is_stuck(&self) -> bool {
        self.application_is_stuck() && self.others.none_can_go_on()
    }
}

/// How long the one of these tasks that had to wait longest did so between two looks.
fn longest_wait(earlier: &BTreeMap<i32, u64>, now: &BTreeMap<i32, u64>) -> Duration {
    Duration::from_nanos(waits(earlier, now).max().unwrap_or_default())
}

/// How long each of these tasks had to wait between two looks, in ns. Of one that was not there at the
/// first, nobody knows when it waited.
fn waits(earlier: &BTreeMap<i32, u64>, now: &BTreeMap<i32, u64>) -> impl Iterator<Item = u64> {
    let waits = now.iter();
    waits.filter_map(|(task, now)| Some(now.saturating_sub(*earlier.get(task)?)))
}

/// How long each of these tasks wanted to run and was not let. One that is gone, or of which the
/// kernel does not tell, is not there.
fn waits_ns(tasks: &[i32]) -> BTreeMap<i32, u64> {
    let waited = |task: &i32| Some((*task, waited_ns(&task.to_string())?));
    tasks.iter().filter_map(waited).collect()
}

/// How long a task was kept from running since it began, in ns.
fn waited_ns(task: &str) -> Option<u64> {
    schedstat_ns(task).map(|[_, waited]| waited)
}

/// How long the calling thread ran, or wanted to.
fn own_busy() -> Option<Duration> {
    schedstat_ns("thread-self").map(|[ran, waited]| Duration::from_nanos(ran + waited))
}

/// How long a task ran and how long it waited for a CPU since it began, in ns: the first numbers of
/// its schedstat (`Documentation/scheduler/sched-stats.rst`).
fn schedstat_ns(task: &str) -> Option<[u64; 2]> {
    let text = files::read(format!("/proc/{task}/schedstat")).ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    Some([numbers.next()?.ok()?, numbers.next()?.ok()?])
}

/// Times in recorded samples are whole microseconds.
mod micros {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_micros(u64::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use nix::unistd::Pid;

    use super::*;

    #[test]
    fn time_that_the_host_did_not_give_is_not_the_replays() {
        let ms = Duration::from_millis;
        let sample = |at, stalled, stood_still| Sample {
            at: ms(at),
            stalled: ms(stalled),
            stood_still: ms(stood_still),
            ..Sample::default()
        };
        let first = sample(100, 10, 0);
        assert_eq!(sample(200, 10, 0).since(&first), ms(100));
        assert_eq!(sample(200, 40, 0).since(&first), ms(70));
        assert_eq!(sample(200, 40, 90).since(&first), ms(10));
        assert_eq!(sample(200, 910, 0).since(&first), ms(0));
        let by_engine = Sample {
            engine_busy: ms(50),
            ..sample(200, 40, 60)
        };
        assert_eq!(by_engine.since(&first), ms(20));
        let with_tasks = |waits_ms: &[(i32, u64)]| Sample {
            waits_ns: waits_ms
                .iter()
                .map(|(task, ms)| (*task, ms * 1_000_000))
                .collect(),
            ..sample(200, 0, 0)
        };
        let first = Sample {
            at: ms(100),
            ..with_tasks(&[(1, 5), (2, 7)])
        };
        // The third began after the first look: nobody knows of which time its waiting is.
        assert_eq!(
            with_tasks(&[(1, 35), (2, 8), (3, 80)]).since(&first),
            ms(70)
        );
    }

    #[test]
    fn tasks_that_wait_for_a_cpu_in_turn_want_one_all_the_time() {
        let ms = Duration::from_millis;
        let sample = |at, own: [u64; 2], other: u64, cpu| Sample {
            at: ms(at),
            waits_ns: [(1, own[0] * 1_000_000), (2, own[1] * 1_000_000)].into(),
            others_waits_ns: [(9, other * 1_000_000)].into(),
            cpu: ms(cpu),
            ..Sample::default()
        };
        let (first, now) = (sample(100, [5, 5], 1, 10), sample(160, [25, 20], 21, 12));
        assert_eq!(now.wanted_since(&first), ms(20 + 15 + 20 + 2));
        assert_eq!(now.since(&first), ms(40));
    }

    #[test]
    fn a_thread_that_others_keep_from_running_knows_it() {
        let one_cpu = || {
            let mut cpus = CpuSet::new();
            let allowed = sched_getaffinity(Pid::from_raw(0)).expect("an affinity");
            let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
            cpus.set(first.expect("a CPU")).expect("set");
            sched_setaffinity(Pid::from_raw(0), &cpus).expect("pinned");
        };
        let spin = move |until: Instant| {
            one_cpu();
            while Instant::now() < until {}
            waited_ns("thread-self")
        };
        // A CPU for two, for a while.
        let until = Instant::now() + Duration::from_millis(200);
        let both = [(); 2].map(|()| std::thread::spawn(move || spin(until)));
        let waited = both.map(|thread| thread.join().expect("it ends").unwrap_or_default());
        assert!(waited.iter().sum::<u64>() > 20_000_000, "{waited:?} ns");
    }

    #[test]
    fn an_application_that_is_gone_is_stuck_and_one_that_may_wake_is_not() {
        let tasks = |total, without_timeout| Tasks {
            total,
            without_timeout,
            ..Tasks::default()
        };
        let stuck = |application, others| {
            let sample = Sample {
                application,
                others,
                ..Sample::default()
            };
            (sample.application_is_stuck(), sample.all_is_stuck())
        };
        assert_eq!(stuck(tasks(0, 0), tasks(1, 1)), (true, true));
        assert_eq!(stuck(tasks(2, 2), tasks(3, 3)), (true, true));
        assert_eq!(stuck(tasks(2, 1), tasks(3, 3)), (false, false));
        assert_eq!(stuck(tasks(2, 2), tasks(3, 2)), (true, false));
    }
}
