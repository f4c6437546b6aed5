//! The thread that drains the ring buffer of a profile into a channel.

use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aya::maps::{MapData, RingBuf};
use loupe_common::profile_abi::{
    EVENT_CGROUP_MADE, WATCH_CHILDREN_ARE_OWNERS, WATCH_COUNT, WatchedCgroup,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use tokio::sync::mpsc;

use super::executable::ExecutableId;
use super::records::{self, Told, text};
use super::{ProfilerEvent, SlotOpened, Watch, counts};
use crate::lock;
use crate::tracer::TracerError;

/// Events that may wait for a slow reader; further ones are dropped and counted.
const MAX_WAITING: usize = 1 << 16;

/// Numbers marks, over all profiles of this process.
static MARKS: AtomicU64 = AtomicU64::new(0);

struct Inner {
    ring: Mutex<RingBuf<MapData>>,
    sender: mpsc::Sender<ProfilerEvent>,
    /// Events that found the channel full.
    dropped: AtomicU64,
    /// Wakes the thread at the end.
    control: EventFd,
    stop: AtomicBool,
}

/// The consumer and its thread.
pub struct Consumer {
    inner: Arc<Inner>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Consumer {
    /// With a thread, or else [`Consumer::take`] is how to get the events.
    pub fn start(
        ring: RingBuf<MapData>,
        has_thread: bool,
    ) -> Result<(Consumer, mpsc::Receiver<ProfilerEvent>), TracerError> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let control =
            EventFd::from_flags(flags).map_err(|errno| TracerError::Thread(errno.into()))?;
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let inner = Arc::new(Inner {
            ring: Mutex::new(ring),
            sender,
            dropped: AtomicU64::new(0),
            control,
            stop: AtomicBool::new(false),
        });
        let run = Arc::clone(&inner);
        let thread = has_thread.then(|| {
            std::thread::Builder::new()
                .name("profile-events".to_owned())
                .spawn(move || run.run())
        });
        let consumer = Consumer {
            inner,
            thread: thread.transpose().map_err(TracerError::Thread)?,
        };
        Ok((consumer, receiver))
    }

    /// Hands out everything that is in the ring buffer now.
    pub fn drain(&self) {
        self.inner.drain();
    }

    /// The same, with a mark behind it; `None`: there is no room for one now.
    pub fn mark(&self) -> Option<u64> {
        self.inner.drain();
        let mark = MARKS.fetch_add(1, Ordering::Relaxed) + 1;
        let sent = self.inner.sender.try_send(ProfilerEvent::Mark(mark));
        sent.ok().map(|()| mark)
    }

    /// Takes so many events out of the ring buffer at most. All others stay there.
    pub fn take(&self, most: usize) -> Vec<ProfilerEvent> {
        let mut ring = lock(&self.inner.ring);
        let mut events = Vec::new();
        while events.len() < most
            && let Some(record) = ring.next()
        {
            events.extend(read(&record));
        }
        events
    }

    /// Waits until there are events; `false`: there will be none any more.
    pub fn wait(&self) -> bool {
        self.inner.wait()
    }

    /// Ends all waiting.
    pub fn stop(&self) {
        self.inner.stop.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Err(error) = self.inner.control.write(1) {
            tracing::warn!("cannot wake the thread that reads a profile's events: {error}");
        }
    }

    /// Events that nobody took in time.
    pub fn dropped(&self) -> u64 {
        self.inner.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the thread that reads a profile's events had panicked");
        }
    }
}

impl Inner {
    fn run(&self) {
        while self.wait() {
            self.drain();
        }
    }

    /// See [`Consumer::wait`].
    fn wait(&self) -> bool {
        // A descriptor of its own, so that the lock is not held while this thread waits.
        let ring = match lock(&self.ring).as_fd().try_clone_to_owned() {
            Ok(ring) => ring,
            Err(error) => {
                tracing::error!("cannot wait for a profile's events: {error}");
                return false;
            }
        };
        let mut descriptors = [
            PollFd::new(ring.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut descriptors, PollTimeout::NONE) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => !self.stop.load(Ordering::Acquire),
            Err(error) => {
                tracing::error!("cannot wait for a profile's events: {error}");
                false
            }
        }
    }

    fn drain(&self) {
        let mut ring = lock(&self.ring);
        while let Some(record) = ring.next() {
            let Some(event) = read(&record) else {
                continue;
            };
            // Whoever dropped the receiver wants none.
            if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(event) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn read(record: &[u8]) -> Option<ProfilerEvent> {
    let told = records::event(record);
    if told.is_none() {
        let bytes = record.len();
        tracing::warn!("an event of a profile, of {bytes} bytes, makes no sense");
    }
    told.as_ref().map(event)
}

fn event(told: &Told) -> ProfilerEvent {
    match told {
        Told::Cgroup(made) if made.kind == EVENT_CGROUP_MADE => ProfilerEvent::CgroupMade {
            id: made.id,
            parent: made.parent,
            owner: (made.flags & WATCH_COUNT != 0).then_some(made.owner),
            watch: watch_of(made.flags),
            name: text(&made.name),
        },
        Told::Cgroup(gone) => ProfilerEvent::CgroupGone { id: gone.id },
        Told::Slot(opened) => ProfilerEvent::SlotOpened(SlotOpened {
            slot: opened.slot,
            owner: opened.key.owner,
            cgroup: opened.cgroup,
            executable: ExecutableId::from_key(opened.key.executable),
            pid: opened.pid,
            uid: opened.uid,
            path: text(&opened.path),
            comm: text(&opened.comm),
            at_ns: opened.time_ns,
        }),
        Told::FirstCall(call) => ProfilerEvent::FirstSeen {
            slot: call.slot,
            feature: counts::feature(call.number),
            at_ns: call.time_ns,
        },
    }
}

/// How a cgroup with these flags is watched.
pub fn watch_of(flags: u32) -> Option<Watch> {
    if flags & WATCH_CHILDREN_ARE_OWNERS != 0 {
        Some(Watch::ChildrenAreOwners)
    } else {
        (flags & WATCH_COUNT != 0).then_some(Watch::Count)
    }
}

impl Watch {
    pub(super) fn record(self, owner: u64) -> WatchedCgroup {
        WatchedCgroup {
            owner,
            flags: match self {
                Watch::Count => WATCH_COUNT,
                Watch::ChildrenAreOwners => WATCH_CHILDREN_ARE_OWNERS,
            },
            pad: 0,
        }
    }
}
