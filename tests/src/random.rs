//! What a test draws: another run draws other things, and a failing one says how to draw the same again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// See the module.
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// Begins anywhere, or where `LOUPE_TEST_SEED` says, and prints where.
    ///
    /// # Panics
    /// If the clock is before 1970.
    pub fn of_now() -> Random {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Random::of_seed(now.expect("a clock").as_nanos() as u64 | 1)
    }

    /// The same each time, or what `LOUPE_TEST_SEED` says, and prints which.
    pub fn of_seed(usual: u64) -> Random {
        let named = std::env::var("LOUPE_TEST_SEED").ok();
        let seed = named.and_then(|seed| seed.parse().ok()).unwrap_or(usual);
        println!("LOUPE_TEST_SEED={seed}");
        Random { seed, state: seed }
    }

    /// Where it began.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Marsaglia's xorshift (Journal of Statistical Software 8, 2003).
    pub fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % bound as u64) as usize
    }

    pub fn milliseconds_below(&mut self, bound: usize) -> Duration {
        Duration::from_millis(self.below(bound) as u64)
    }

    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, self.below(at + 1));
        }
    }
}
