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
    pub fn start(
        ring: RingBuf<MapData>,
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
        let thread = std::thread::Builder::new()
            .name("profile-events".to_owned())
            .spawn({
                let inner = Arc::clone(&inner);
                move || inner.run()
            })
            .map_err(TracerError::Thread)?;
        let consumer = Consumer {
            inner,
            thread: Some(thread),
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

    /// Events that nobody took in time.
    pub fn dropped(&self) -> u64 {
        self.inner.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.inner.stop.store(true, Ordering::Release);
        if let Err(error) = self.inner.control.write(1) {
            tracing::warn!("cannot wake the thread that reads a profile's events: {error}");
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the thread that reads a profile's events had panicked");
        }
    }
}

impl Inner {
    fn run(&self) {
        // A descriptor of its own, so that the lock is not held while this thread waits.
        let ring = match lock(&self.ring).as_fd().try_clone_to_owned() {
            Ok(ring) => ring,
            Err(error) => {
                tracing::error!("cannot wait for a profile's events: {error}");
                return;
            }
        };
        while !self.stop.load(Ordering::Acquire) {
            let mut descriptors = [
                PollFd::new(ring.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.control.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut descriptors, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => self.drain(),
                Err(error) => {
                    tracing::error!("cannot wait for a profile's events: {error}");
                    return;
                }
            }
        }
    }

    fn drain(&self) {
        let mut ring = lock(&self.ring);
        while let Some(record) = ring.next() {
            let Some(told) = records::event(&record) else {
                let bytes = record.len();
                tracing::warn!("an event of a profile, of {bytes} bytes, makes no sense");
                continue;
            };
            // Whoever dropped the receiver wants none.
            if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(event(&told)) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
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
fn watch_of(flags: u32) -> Option<Watch> {
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
