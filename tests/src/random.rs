//! What a test draws: another run draws other things, and a failing one says how to draw the same again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// See the module.
pub struct Random(u64);

impl Random {
    /// Begins where `LOUPE_TEST_SEED` says, else anywhere, and prints where.
    ///
    /// # Panics
    /// If the clock is before 1970.
    pub fn of_now() -> Random {
        let named = std::env::var("LOUPE_TEST_SEED").ok();
        let named = named.and_then(|seed| seed.parse().ok());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = named.unwrap_or_else(|| now().expect("a clock").as_nanos() as u64 | 1);
        println!("LOUPE_TEST_SEED={seed}");
        Random(seed)
    }

    /// Marsaglia's xorshift (Journal of Statistical Software 8, 2003).
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
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
