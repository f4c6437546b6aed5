//! Queues of messages that have names: POSIX's.

use crate::attempt::{Try, new, raw, refuses, sys};
use crate::helpers::RDWR;
use crate::list::{Case, case};
use crate::tables::{nr, val};

const TEXT: &[u8] = b"hello";

/// C libraries take a name with a slash and hand on what is behind it.
const MQ_NAME: &core::ffi::CStr = c"/loupe-probe";

fn mq_name() -> usize {
    MQ_NAME.as_ptr() as usize + 1
}

/// A queue of four messages of sixteen bytes, without waiting; its name is gone already.
fn posix_queue(t: &Try<'_>) -> usize {
    let attributes = [0_u64, 4, 16, 0, 0, 0, 0, 0];
    let queue = t.raw(
        nr!("mq_open"),
        &[
            mq_name(),
            RDWR | 0x40 | 0x800,
            0o600,
            core::ptr::from_ref(&attributes) as usize,
        ],
    );
    raw!(t, "mq_unlink", mq_name());
    if queue <= 0 {
        t.failed(nr!("mq_open"), &[], queue.unsigned_abs());
    }
    queue as usize
}

pub const CASES: &[Case] = &[
    case("mq_open", |t| {
        posix_queue(t);
    }),
    case("mq_unlink", |t| {
        posix_queue(t);
        refuses!(t, "mq_unlink", mq_name());
        let queue = new!(t, "mq_open", mq_name(), RDWR | 0x40, 0o600, 0);
        sys!(t, "mq_unlink", mq_name());
        t.check(queue > 0);
    }),
    case("mq_timedsend", |t| {
        let queue = posix_queue(t);
        sys!(t, "mq_timedsend", queue, TEXT, 5, 1, 0);
        let mut attributes = [0_u64; 8];
        sys!(t, "mq_getsetattr", queue, 0, &mut attributes);
        t.check(attributes[3] == 1);
    }),
    case("mq_timedreceive", |t| {
        let queue = posix_queue(t);
        sys!(t, "mq_timedsend", queue, TEXT, 5, 1, 0);
        let mut found = [0_u8; 16];
        t.check(sys!(t, "mq_timedreceive", queue, &mut found, 16, 0, 0) == 5);
        t.check(found.starts_with(TEXT));
    }),
    case("mq_getsetattr", |t| {
        let mut attributes = [0_u64; 8];
        sys!(t, "mq_getsetattr", posix_queue(t), 0, &mut attributes);
        t.check(attributes[1] == 4 && attributes[2] == 16);
    }),
    case("mq_notify", |t| {
        let queue = posix_queue(t);
        let signal = val!("signal", "SIGUSR1");
        t.handle(signal);
        let mut event = [0_u64; 8];
        event[1] = signal as u64;
        sys!(t, "mq_notify", queue, &event);
        sys!(t, "mq_timedsend", queue, TEXT, 5, 1, 0);
        t.check(t.soon(|| crate::helpers::seen(signal) == 1));
    }),
];
