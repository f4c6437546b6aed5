//! What processes share by a number: memory, semaphores and queues of System V.

use crate::attempt::{Try, raw, refuses, sys};
use crate::helpers::{PAGE, exit};
use crate::list::{Case, case};
use crate::machine::{peek, poke};
use crate::tables::{nr, val};

const RMID: usize = val!("ipc", "IPC_RMID");
const STAT: usize = val!("ipc", "IPC_STAT");
/// A new one, for its owner.
const NEW: usize = 0o1600;
const TEXT: &[u8] = b"hello";

/// Numbers begin at 0, which a call that is only faked returns too: so a second one is made, and the
/// first taken away.
fn second(t: &Try<'_>, number: usize, arguments: &[usize], control: usize, at: usize) -> usize {
    let first = t.call(number, arguments);
    let second = t.call(number, arguments);
    let mut remove = [first, 0, 0, 0];
    remove[at] = RMID;
    t.raw(control, &remove);
    if first == second {
        t.failed(number, arguments, 0);
    }
    second
}

fn memory(t: &Try<'_>) -> usize {
    second(t, nr!("shmget"), &[0, PAGE, NEW], nr!("shmctl"), 1)
}

fn semaphores(t: &Try<'_>) -> usize {
    second(t, nr!("semget"), &[0, 2, NEW], nr!("semctl"), 2)
}

fn queue(t: &Try<'_>) -> usize {
    second(t, nr!("msgget"), &[0, NEW], nr!("msgctl"), 1)
}

/// It goes with the last process that has it.
fn drop_memory(t: &Try<'_>, id: usize) {
    raw!(t, "shmctl", id, RMID, 0);
}

fn drop_semaphores(t: &Try<'_>, id: usize) {
    raw!(t, "semctl", id, 0, RMID, 0);
}

fn drop_queue(t: &Try<'_>, id: usize) {
    raw!(t, "msgctl", id, RMID, 0);
}

fn attached(t: &Try<'_>) -> (usize, usize) {
    let id = memory(t);
    let at = t.raw(nr!("shmat"), &[id, 0, 0]);
    drop_memory(t, id);
    if at <= 0 {
        t.failed(nr!("shmat"), &[], at.unsigned_abs());
    }
    (id, at as usize)
}

/// A structure that the kernel fills in, of shared memory, semaphores or a queue.
fn fills(t: &Try<'_>, result: isize, found: &[u64; 32], arguments: &[usize]) {
    if result < 0 {
        t.failed(t.number(), arguments, result.unsigned_abs());
    }
    t.check(found[2] != 0x7777);
}

fn message() -> [u8; 24] {
    let mut message = [0_u8; 24];
    message[0] = 1;
    message[8..13].copy_from_slice(TEXT);
    message
}

fn memory_status(t: &Try<'_>) {
    let id = memory(t);
    let mut found = [0x7777_u64; 32];
    let result = raw!(t, "shmctl", id, t.value(0), &mut found);
    drop_memory(t, id);
    fills(t, result, &found, &[id, t.value(0)]);
}

fn semaphore_status(t: &Try<'_>) {
    let id = semaphores(t);
    let mut found = [0x7777_u64; 32];
    let result = raw!(t, "semctl", id, 0, t.value(0), &mut found);
    drop_semaphores(t, id);
    fills(t, result, &found, &[id, 0, t.value(0)]);
}

fn queue_status(t: &Try<'_>) {
    let id = queue(t);
    let mut found = [0x7777_u64; 32];
    let result = raw!(t, "msgctl", id, t.value(0), &mut found);
    drop_queue(t, id);
    fills(t, result, &found, &[id, t.value(0)]);
}

/// The value of the first semaphore.
fn value(t: &Try<'_>, id: usize) -> isize {
    let mut get = val!("semctl", "GETVAL");
    let mut values = [0x7777_u16; 2];
    let result = if t.is_doubted(nr!("semctl"), &[0, 0, get]) && t.value(0) != get {
        get = val!("semctl", "GETALL");
        match raw!(t, "semctl", id, 0, get, &mut values) {
            result if result < 0 => result,
            _ => values[0] as isize,
        }
    } else {
        raw!(t, "semctl", id, 0, get, 0)
    };
    if result < 0 {
        drop_semaphores(t, id);
        t.failed(nr!("semctl"), &[id, 0, get], result.unsigned_abs());
    }
    result
}

/// Runs something with semaphores of 5 and 0, which are taken away however it ends.
fn with_semaphores(
    t: &Try<'_>,
    work: impl FnOnce(usize) -> isize,
    good: impl FnOnce(isize) -> bool,
) {
    let id = semaphores(t);
    let set = raw!(t, "semctl", id, 0, val!("semctl", "SETVAL"), 5);
    let result = if set < 0 { set } else { work(id) };
    drop_semaphores(t, id);
    if set < 0 {
        t.failed(
            nr!("semctl"),
            &[id, 0, val!("semctl", "SETVAL")],
            set.unsigned_abs(),
        );
    }
    if result < 0 {
        let operation = if t.number() == nr!("semctl") {
            t.value(0)
        } else {
            0
        };
        t.failed(t.number(), &[id, 0, operation], result.unsigned_abs());
    }
    t.check(good(result));
}

fn take_three(t: &Try<'_>, timed: bool) {
    // The first, minus 3, without waiting: `struct sembuf`.
    let operation = [0_i16, -3, 0o4000];
    with_semaphores(
        t,
        |id| {
            let result = match timed {
                true => raw!(t, "semtimedop", id, &operation, 1, &[1_u64, 0]),
                false => raw!(t, "semop", id, &operation, 1),
            };
            if result < 0 { result } else { value(t, id) }
        },
        |left| left == 2,
    );
}

pub const CASES: &[Case] = &[
    case("shmget", |t| {
        let id = memory(t);
        drop_memory(t, id);
    }),
    case("shmat", |t| {
        let (_, at) = attached(t);
        poke(at, 5);
        t.check(peek(at) == 5);
    }),
    case("shmdt", |t| {
        let (_, at) = attached(t);
        sys!(t, "shmdt", at);
        refuses!(t, "shmdt", at);
    }),
    case("shmctl:IPC_STAT", memory_status),
    case("shmctl:IPC_INFO", memory_status),
    case("shmctl:SHM_INFO", memory_status),
    case("shmctl:IPC_RMID", |t| {
        let id = memory(t);
        sys!(t, "shmctl", id, RMID, 0);
        refuses!(t, "shmctl", id, RMID, 0);
    }),
    case("shmctl:IPC_SET", |t| {
        let id = memory(t);
        let mut found = [0_u64; 32];
        sys!(t, "shmctl", id, STAT, &mut found);
        // Its mode, behind a key and four numbers.
        let word = found[2];
        found[2] = word & !0x1ff_0000_0000 | 0o440;
        let bytes = found.as_mut_ptr() as usize;
        poke(bytes + 20, 0o40);
        poke(bytes + 21, 0o1);
        sys!(t, "shmctl", id, t.value(0), &found);
        let mut again = [0_u64; 32];
        sys!(t, "shmctl", id, STAT, &mut again);
        drop_memory(t, id);
        t.check(again != [0; 32] && peek(again.as_ptr() as usize + 20) == 0o40);
    }),
    case("shmctl:SHM_LOCK", |t| {
        t.needs_root();
        let id = memory(t);
        let result = raw!(t, "shmctl", id, t.value(0), 0);
        let mut found = [0_u64; 32];
        raw!(t, "shmctl", id, STAT, &mut found);
        drop_memory(t, id);
        if result < 0 {
            t.failed(nr!("shmctl"), &[id, t.value(0)], result.unsigned_abs());
        }
        // A bit of its mode.
        t.check(peek(found.as_ptr() as usize + 21) & 0o4 != 0);
    }),
    case("shmctl:SHM_UNLOCK", |t| {
        t.needs_root();
        let id = memory(t);
        let lock = val!("shmctl", "SHM_LOCK");
        raw!(t, "shmctl", id, lock, 0);
        let (mut before, mut found) = ([0_u64; 32], [0_u64; 32]);
        raw!(t, "shmctl", id, STAT, &mut before);
        let result = raw!(t, "shmctl", id, t.value(0), 0);
        raw!(t, "shmctl", id, STAT, &mut found);
        drop_memory(t, id);
        if result >= 0 && peek(before.as_ptr() as usize + 21) & 0o4 == 0 {
            t.failed(nr!("shmctl"), &[id, lock], 0);
        }
        if result < 0 {
            t.failed(nr!("shmctl"), &[id, t.value(0)], result.unsigned_abs());
        }
        t.check(peek(found.as_ptr() as usize + 21) & 0o4 == 0);
    }),
    case("semget", |t| {
        let id = semaphores(t);
        drop_semaphores(t, id);
    }),
    case("semop", |t| take_three(t, false)),
    case("semtimedop", |t| take_three(t, true)),
    case("semctl:SETVAL", |t| {
        with_semaphores(t, |id| value(t, id), |value| value == 5);
    }),
    case("semctl:GETVAL", |t| {
        with_semaphores(t, |id| value(t, id), |value| value == 5);
    }),
    case("semctl:SETALL", |t| {
        let values = [7_u16, 8];
        with_semaphores(
            t,
            |id| {
                let result = raw!(t, "semctl", id, 0, t.value(0), &values);
                if result < 0 { result } else { value(t, id) }
            },
            |value| value == 7,
        );
    }),
    case("semctl:GETALL", |t| {
        let mut values = [77_u16; 2];
        with_semaphores(
            t,
            |id| {
                let result = raw!(t, "semctl", id, 0, t.value(0), &mut values);
                if result < 0 {
                    result
                } else {
                    values[0] as isize
                }
            },
            |value| value == 5,
        );
    }),
    case("semctl:GETPID", |t| {
        with_semaphores(
            t,
            |id| raw!(t, "semctl", id, 0, t.value(0), 0),
            |process| process > 0,
        );
    }),
    case("semctl:GETNCNT", nobody_waits),
    case("semctl:GETZCNT", nobody_waits),
    case("semctl:IPC_STAT", semaphore_status),
    case("semctl:IPC_INFO", semaphore_status),
    case("semctl:SEM_INFO", semaphore_status),
    case("semctl:IPC_RMID", |t| {
        let id = semaphores(t);
        sys!(t, "semctl", id, 0, RMID, 0);
        refuses!(t, "semctl", id, 0, RMID, 0);
    }),
    case("msgget", |t| {
        let id = queue(t);
        drop_queue(t, id);
    }),
    case("msgsnd", |t| {
        let id = queue(t);
        let result = raw!(t, "msgsnd", id, &message(), 5, 0o4000);
        // A message has a type.
        let taken = raw!(t, "msgsnd", id, &[0_u8; 24], 5, 0o4000) >= 0;
        if taken {
            drop_queue(t, id);
            t.check(false);
        }
        let mut found = [0_u8; 24];
        let received = raw!(t, "msgrcv", id, &mut found, 16, 0, 0o4000);
        drop_queue(t, id);
        if result < 0 {
            t.failed(nr!("msgsnd"), &[], result.unsigned_abs());
        }
        t.check(received == 5 && &found[8..13] == TEXT);
    }),
    case("msgrcv", |t| {
        let id = queue(t);
        raw!(t, "msgsnd", id, &message(), 5, 0o4000);
        let mut found = [0_u8; 24];
        let received = raw!(t, "msgrcv", id, &mut found, 16, 0, 0o4000);
        drop_queue(t, id);
        if received < 0 {
            t.failed(nr!("msgrcv"), &[], received.unsigned_abs());
        }
        t.check(received == 5 && &found[8..13] == TEXT);
    }),
    case("msgctl:IPC_STAT", queue_status),
    case("msgctl:IPC_INFO", queue_status),
    case("msgctl:MSG_INFO", queue_status),
    case("msgctl:IPC_RMID", |t| {
        let id = queue(t);
        sys!(t, "msgctl", id, RMID, 0);
        t.check(raw!(t, "msgsnd", id, &message(), 5, 0o4000) < 0);
    }),
];

fn nobody_waits(t: &Try<'_>) {
    let id = semaphores(t);
    let waiting = t.in_child(|| {
        // For more than there is, or for none while there is some: for a second.
        let kind = if t.value(0) == val!("semctl", "GETZCNT") {
            0_i16
        } else {
            -9
        };
        raw!(t, "semctl", id, 0, val!("semctl", "SETVAL"), 5);
        raw!(t, "semtimedop", id, &[0_i16, kind, 0], 1, &[1_u64, 0]);
        exit(0);
    });
    let mut result = 0;
    let seen = t.soon(|| {
        let found = raw!(t, "semctl", id, 0, t.value(0), 0);
        found != 0
    });
    if !seen {
        result = raw!(t, "semctl", id, 0, t.value(0), 0);
    } else {
        let found = raw!(t, "semctl", id, 0, t.value(0), 0);
        if found < 0 {
            result = found;
        }
    }
    drop_semaphores(t, id);
    t.kill(waiting, crate::helpers::SIGKILL);
    if result < 0 {
        t.failed(nr!("semctl"), &[id, 0, t.value(0)], result.unsigned_abs());
    }
    t.check(seen);
}
