//! A time that passes only when nothing else can happen, so that hours of waiting take no time and no
//! load of the machine can change what a test sees.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::lock;
use crate::spread::Clock;

/// Whoever waits longer waits for ever.
const LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Clone, Default)]
pub struct Time(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    now: Duration,
    next: u64,
    timers: BTreeMap<(Duration, u64), Waker>,
}

impl Clock for Time {
    fn now(&self) -> Duration {
        lock(&self.0).now
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send {
        let mut state = lock(&self.0);
        state.next += 1;
        Sleep {
            time: self.clone(),
            key: (state.now + time, state.next),
        }
    }
}

struct Sleep {
    time: Time,
    key: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.time.0);
        if state.now >= self.key.0 {
            return Poll::Ready(());
        }
        state.timers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        lock(&self.time.0).timers.remove(&self.key);
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Time {
    /// Goes on to the next moment for which somebody waits.
    fn pass(&self) {
        let mut state = lock(&self.0);
        let Some(((until, _), waker)) = state.timers.pop_first() else {
            panic!("nothing will ever happen");
        };
        state.now = state.now.max(until);
        assert!(state.now < LIMIT, "somebody waits for ever");
        drop(state);
        waker.wake();
    }

    /// Runs a future to its end.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            while flag.0.swap(false, Ordering::AcqRel) {
                if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
                    return done;
                }
            }
            self.pass();
        }
    }
}
