//! When the programs are attached: windows of random length at random times, and how large a part of
//! all time they may take. Pure; the caller has the clock.
//!
//! The times between windows are exponentially distributed: whatever a service does periodically,
//! no moment of its period is looked at less often than another.

use std::time::Duration;

/// The part of the host's CPU time that observation may cost where nobody has said a duty.
pub const COST_GOAL: f64 = 0.01;
/// The least that is attached where the cost decides: else nothing would be learnt on a busy host.
const LEAST_MEASURED_DUTY: f64 = 0.005;
/// What a program costs a process beside its own run time: the way through the tracepoint, in
/// nanoseconds a call. Measured as the cost of a program that does nothing (`cargo xtask bench
/// tracer`).
const TRACEPOINT_NS: f64 = 75.0;
/// Windows are half to one and a half times this long.
const WINDOW: Duration = Duration::from_secs(2);
/// From here on switching on and off is not worth it.
const ALWAYS: f64 = 0.95;
/// After something new, windows stay open for so long.
const BOOST: Duration = Duration::from_secs(30);
const LEAST_BOOST: Duration = Duration::from_secs(5);
/// Time beyond the duty that is there for what is new: at the start, and what is gained each second.
const BOOST_START: Duration = Duration::from_secs(600);
const BOOST_GAIN: f64 = 0.05;
/// How much one measurement of the cost counts against those before.
const SMOOTHING: f64 = 0.3;

/// How the part of the time is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    /// So that the whole host loses at most [`COST_GOAL`].
    Measured,
    /// From 0 to 1.
    Fixed(f64),
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub attached: bool,
    /// Ask again then.
    pub until: Duration,
}

/// Decides about windows. All times are since the daemon's start.
#[derive(Debug)]
pub struct Duty {
    choice: Choice,
    random: fastrand::Rng,
    /// Cost of being attached all the time, as a part of the host's CPU time.
    full_cost: Option<f64>,
    boosted_until: Duration,
    boost_left: Duration,
    boost_counted: Duration,
    attached: bool,
    next: Duration,
}

impl Duty {
    pub fn new(choice: Choice, seed: u64) -> Duty {
        Duty {
            choice,
            random: fastrand::Rng::with_seed(seed),
            full_cost: None,
            boosted_until: Duration::ZERO,
            boost_left: BOOST_START,
            boost_counted: Duration::ZERO,
            attached: false,
            next: Duration::ZERO,
        }
    }

    pub fn choose(&mut self, choice: Choice) {
        self.choice = choice;
        self.next = Duration::ZERO;
    }

    pub fn is_measured(&self) -> bool {
        self.choice == Choice::Measured
    }

    /// The part of the time in which programs are to be attached. Without a measurement as yet: all
    /// of it.
    pub fn part(&self) -> f64 {
        match (self.choice, self.full_cost) {
            (Choice::Fixed(part), _) => part,
            (Choice::Measured, None) => 1.0,
            (Choice::Measured, Some(cost)) => {
                (COST_GOAL / cost.max(f64::MIN_POSITIVE)).clamp(LEAST_MEASURED_DUTY, 1.0)
            }
        }
    }

    /// Something was measured: the programs ran for so long in so many calls, while they were
    /// attached for `attached` on so many CPUs. Windows that are too short to say anything are
    /// ignored.
    pub fn measure(&mut self, run: Duration, runs: u64, attached: Duration, cpus: usize) {
        let available = attached.as_secs_f64() * cpus as f64;
        if attached < Duration::from_millis(100) {
            return;
        }
        let spent = run.as_secs_f64() + runs as f64 * TRACEPOINT_NS / 1e9;
        let cost = spent / available;
        self.full_cost = Some(match self.full_cost {
            None => cost,
            Some(before) => before + SMOOTHING * (cost - before),
        });
    }

    /// The measured part of the host's CPU time that the windows cost on average.
    pub fn cost(&self) -> Option<f64> {
        self.full_cost.map(|cost| cost * self.part())
    }

    /// Something new was seen: look on, as far as there is time left for that.
    pub fn boost(&mut self, now: Duration) {
        self.account_boost(now);
        let length = BOOST.min(self.boost_left);
        if length < LEAST_BOOST {
            return;
        }
        if now + length > self.boosted_until {
            self.boosted_until = now + length;
            self.next = Duration::ZERO;
        }
    }

    fn account_boost(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.boost_counted);
        let boosted = self
            .boosted_until
            .min(now)
            .saturating_sub(self.boost_counted);
        self.boost_counted = self.boost_counted.max(now);
        let gained = passed.mul_f64(BOOST_GAIN);
        self.boost_left = (self.boost_left + gained)
            .min(BOOST_START)
            .saturating_sub(boosted);
    }

    /// What to do now.
    pub fn step(&mut self, now: Duration) -> Step {
        self.account_boost(now);
        if now < self.boosted_until {
            self.attached = true;
            self.next = self.boosted_until;
            return self.current();
        }
        if now < self.next {
            return self.current();
        }
        let part = self.part();
        if part >= ALWAYS {
            self.attached = true;
            self.next = now + WINDOW;
            return self.current();
        }
        if part <= 0.0 {
            self.attached = false;
            self.next = now + WINDOW;
            return self.current();
        }
        self.attached = !self.attached;
        let length = match self.attached {
            true => WINDOW.mul_f64(0.5 + self.random.f64()),
            false => {
                let mean = WINDOW.as_secs_f64() * (1.0 - part) / part;
                // Never 0: `1 - [0, 1)`.
                Duration::from_secs_f64(-mean * (1.0 - self.random.f64()).ln())
            }
        };
        self.next = now + length;
        self.current()
    }

    fn current(&self) -> Step {
        Step {
            attached: self.attached,
            until: self.next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of the time that was attached, over many windows.
    fn attached_part(duty: &mut Duty, from: Duration, length: Duration) -> f64 {
        let mut now = from;
        let mut attached = Duration::ZERO;
        while now < from + length {
            let step = duty.step(now);
            assert!(step.until > now, "time goes on");
            if step.attached {
                attached += step.until - now;
            }
            now = step.until;
        }
        attached.as_secs_f64() / (now - from).as_secs_f64()
    }

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn windows_take_the_part_of_the_time_that_was_chosen() {
        for part in [0.01, 0.05, 0.3, 0.8] {
            let mut duty = Duty::new(Choice::Fixed(part), 7);
            let found = attached_part(&mut duty, Duration::ZERO, 20 * DAY);
            assert!((found / part - 1.0).abs() < 0.1, "{part}: {found}");
        }
        let mut always = Duty::new(Choice::Fixed(1.0), 7);
        assert_eq!(attached_part(&mut always, Duration::ZERO, DAY), 1.0);
        let mut never = Duty::new(Choice::Fixed(0.0), 7);
        assert_eq!(attached_part(&mut never, Duration::ZERO, DAY), 0.0);
    }

    #[test]
    fn the_measured_cost_decides_how_much_is_attached() {
        let mut duty = Duty::new(Choice::Measured, 7);
        assert_eq!((duty.part(), duty.cost()), (1.0, None));
        // A second on two CPUs: 100,000 calls of 125 + 75 ns are a hundredth of it.
        let second = Duration::from_secs(1);
        duty.measure(Duration::from_micros(12_500), 100_000, second, 2);
        assert!((duty.part() - 1.0).abs() < 1e-6, "{}", duty.part());
        for _ in 0..50 {
            duty.measure(Duration::from_micros(125_000), 1_000_000, second, 2);
        }
        assert!((duty.part() - 0.1).abs() < 0.001, "{}", duty.part());
        assert!((duty.cost().expect("measured") - COST_GOAL).abs() < 1e-4);
        // Too short to say anything.
        let before = duty.part();
        duty.measure(second, 1, Duration::from_millis(1), 2);
        assert_eq!(duty.part(), before);
    }

    #[test]
    fn what_is_new_is_looked_at_longer_but_not_for_ever() {
        let mut duty = Duty::new(Choice::Fixed(0.01), 7);
        let second = Duration::from_secs(1);
        duty.boost(second);
        let step = duty.step(second);
        assert!(step.attached && step.until == second + BOOST);
        // Something new each second, for a day: the time for that runs out.
        let (mut now, mut told, mut attached) = (second, second, Duration::ZERO);
        while now < DAY {
            if now >= told {
                duty.boost(now);
                told += second;
            }
            let step = duty.step(now);
            let next = step.until.min(told);
            if step.attached {
                attached += next - now;
            }
            now = next;
        }
        let part = attached.as_secs_f64() / DAY.as_secs_f64();
        assert!((0.04..0.10).contains(&part), "{part}");
    }
}
