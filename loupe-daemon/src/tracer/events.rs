//! The ring buffer's consumer: one thread that hands records to the traces they belong to.
//!
//! Turns bytes to events and keeps what a trace needs at its end (order of first use, process
//! counts). A live trace can be watched through its [`EventQueue`].

mod decode;

use std::collections::{HashMap, HashSet, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aya::maps::{MapData, RingBuf};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

pub use decode::Event;

use super::TracerError;
use super::kernel_log::KernelLog;
use crate::lock;

/// Streamed calls that may wait for a slow reader; further ones are dropped and counted.
const MAX_QUEUED_CALLS: usize = 1 << 20;
/// Between two looks at the ring buffer while calls are streamed: their records wake nobody.
const STREAM_POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What a trace remembers of its events.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Numbers of native syscalls by first return.
    pub first: Vec<u32>,
    known: HashSet<u32>,
    pub forks: u64,
    pub execs: u64,
    pub exits: u64,
    pub own_filter: bool,
    /// The first signal from outside the run, in words.
    pub disturbed: Option<String>,
    /// Events that found the queue of a slow reader full.
    pub dropped: u64,
}

/// The events of one trace, to wait for.
pub struct EventQueue {
    state: Mutex<QueueState>,
    /// Readable while events wait.
    ready: EventFd,
}

#[derive(Default)]
struct QueueState {
    seen: Seen,
    waiting: VecDeque<Event>,
}

impl EventQueue {
    fn new() -> std::io::Result<EventQueue> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(EventQueue {
            state: Mutex::default(),
            ready: EventFd::from_flags(flags)?,
        })
    }

    /// Takes all events that wait.
    pub fn take(&self) -> Vec<Event> {
        // Nothing to read means that nothing waits, which the queue says better.
        let _ = self.ready.read();
        lock(&self.state).waiting.drain(..).collect()
    }

    pub fn seen(&self) -> Seen {
        lock(&self.state).seen.clone()
    }

    /// Different native syscalls so far.
    pub fn kinds(&self) -> usize {
        lock(&self.state).seen.first.len()
    }

    fn push(&self, event: Event) {
        let mut state = lock(&self.state);
        let wanted = state.seen.note(&event);
        if !wanted {
            return;
        }
        if state.waiting.len() >= MAX_QUEUED_CALLS {
            state.seen.dropped += 1;
            return;
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.push_back(event);
        if was_empty && let Err(error) = self.ready.write(1) {
            tracing::warn!("cannot wake a trace's reader: {error}");
        }
    }
}

impl AsFd for EventQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

impl Seen {
    /// Whether somebody who watches the trace wants the event too.
    fn note(&mut self, event: &Event) -> bool {
        match event {
            Event::FirstSeen { abi, number } => {
                if *abi == loupe_common::stats::ABI_NATIVE && self.known.insert(*number) {
                    self.first.push(*number);
                }
                false
            }
            Event::Fork => {
                self.forks += 1;
                false
            }
            Event::Exec => {
                self.execs += 1;
                false
            }
            Event::Exit { .. } => {
                self.exits += 1;
                false
            }
            Event::OwnFilter => {
                self.own_filter = true;
                false
            }
            Event::OutsideSignal(signal) => {
                self.disturbed.get_or_insert_with(|| signal.to_string());
                false
            }
            Event::Listen { .. } | Event::Call(_) => true,
        }
    }
}

/// Who gets the events of a slot.
struct Registered {
    cgroup_id: u64,
    stream: bool,
    queue: Arc<EventQueue>,
}

type Slots = Mutex<HashMap<u32, Registered>>;

struct Inner {
    ring: Mutex<RingBuf<MapData>>,
    slots: Slots,
    /// Wakes the thread: a stream began, or the end has come.
    control: EventFd,
    stop: std::sync::atomic::AtomicBool,
}

/// The consumer and its thread.
pub struct Consumer {
    inner: Arc<Inner>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Consumer {
    pub fn start(ring: RingBuf<MapData>, log: KernelLog) -> Result<Consumer, TracerError> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let control =
            EventFd::from_flags(flags).map_err(|errno| TracerError::Thread(errno.into()))?;
        let inner = Arc::new(Inner {
            ring: Mutex::new(ring),
            slots: Mutex::default(),
            control,
            stop: false.into(),
        });
        let thread = std::thread::Builder::new()
            .name("ring-buffer".to_owned())
            .spawn({
                let inner = Arc::clone(&inner);
                move || inner.run(log)
            })
            .map_err(TracerError::Thread)?;
        Ok(Consumer {
            inner,
            thread: Some(thread),
        })
    }

    /// Events of this slot and cgroup go to the returned queue from now on.
    pub fn register(
        &self,
        slot: u32,
        cgroup_id: u64,
        stream: bool,
    ) -> Result<Arc<EventQueue>, TracerError> {
        let queue = Arc::new(EventQueue::new().map_err(TracerError::Thread)?);
        let registered = Registered {
            cgroup_id,
            stream,
            queue: Arc::clone(&queue),
        };
        lock(&self.inner.slots).insert(slot, registered);
        if stream {
            self.inner.wake();
        }
        Ok(queue)
    }

    pub fn unregister(&self, slot: u32) {
        lock(&self.inner.slots).remove(&slot);
    }

    /// Hands out everything that is in the ring buffer now.
    pub fn drain(&self) {
        self.inner.drain();
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.inner
            .stop
            .store(true, std::sync::atomic::Ordering::Release);
        self.inner.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the thread that reads the ring buffer had panicked");
        }
    }
}

impl Inner {
    fn wake(&self) {
        if let Err(error) = self.control.write(1) {
            tracing::warn!("cannot wake the ring buffer's thread: {error}");
        }
    }

    fn run(&self, mut log: KernelLog) {
        // A descriptor of its own, so that the lock is not held while this thread waits.
        let ring = match lock(&self.ring).as_fd().try_clone_to_owned() {
            Ok(ring) => ring,
            Err(error) => {
                tracing::error!("cannot wait for the ring buffer: {error}");
                return;
            }
        };
        while !self.stop.load(std::sync::atomic::Ordering::Acquire) {
            let streaming = lock(&self.slots)
                .values()
                .any(|registered| registered.stream);
            let timeout = if streaming {
                PollTimeout::try_from(STREAM_POLL_INTERVAL).unwrap_or(PollTimeout::ZERO)
            } else {
                PollTimeout::NONE
            };
            let mut descriptors = [
                PollFd::new(ring.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
                PollFd::new(log.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut descriptors, timeout) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => {
                    tracing::error!("cannot wait for the ring buffer: {error}");
                    return;
                }
            }
            // Level-triggered: reading resets it; empty is fine.
            let _ = self.control.read();
            self.drain();
            log.flush();
        }
    }

    fn drain(&self) {
        let mut ring = lock(&self.ring);
        while let Some(record) = ring.next() {
            let Some((slot, cgroup_id, event)) = decode::decode(&record) else {
                tracing::warn!(
                    "a ring buffer record of {} bytes makes no sense",
                    record.len()
                );
                continue;
            };
            let queue = lock(&self.slots)
                .get(&slot)
                .filter(|registered| registered.cgroup_id == cgroup_id)
                .map(|registered| Arc::clone(&registered.queue));
            if let Some(queue) = queue {
                queue.push(event);
            }
        }
    }
}
