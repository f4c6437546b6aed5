//! Rings that programs and the kernel share (`io_uring`), and tables of the kernel's (`bpf`).

use crate::attempt::{Arg, Try, new, raw, refuses, sys};
use crate::helpers::PAGE;
use crate::list::{Case, case};
use crate::machine::{peek, peek_word, poke_word};
use crate::tables::val;

/// A ring of four entries, and what the kernel says of it.
fn uring(t: &Try<'_>) -> (usize, [u32; 30]) {
    let mut parameters = [0_u32; 30];
    let ring = new!(t, "io_uring_setup", 4, &mut parameters);
    (ring, parameters)
}

/// An array with one entry of eight bytes: `union bpf_attr`.
fn bpf_map(t: &Try<'_>) -> usize {
    t.needs_root();
    let attributes = [2_u32, 4, 8, 1];
    new!(t, "bpf", val!("bpf", "BPF_MAP_CREATE"), &attributes, 16)
}

fn element(map: usize, key: &u32, value: &u64) -> [u64; 4] {
    [map as u64, key.arg() as u64, value.arg() as u64, 0]
}

pub const CASES: &[Case] = &[
    case("io_uring_setup", |t| {
        let (_, parameters) = uring(t);
        t.check(parameters[0] == 4 && parameters[1] >= 4);
    }),
    case("io_uring_enter", |t| {
        let (ring, parameters) = uring(t);
        let shared = val!("map type", "MAP_SHARED");
        let queue = new!(t, "mmap", 0, PAGE, 3, shared, ring, 0);
        new!(t, "mmap", 0, PAGE, 3, shared, ring, 0x1000_0000);
        // One entry that does nothing: the tail of the queue goes on by one.
        let tail = queue + parameters[11] as usize;
        poke_word(tail, peek_word(tail) + 1);
        t.check(sys!(t, "io_uring_enter", ring, 1, 0, 0, 0, 0) == 1);
        let completed = queue + parameters[21] as usize;
        t.check(peek(completed) == 1);
    }),
    case("io_uring_register:IORING_REGISTER_PROBE", |t| {
        let mut found = [0_u8; 272];
        sys!(
            t,
            "io_uring_register",
            uring(t).0,
            t.value(0),
            &mut found,
            32
        );
        t.check(found[0] > 0);
    }),
    case("io_uring_register:IORING_REGISTER_BUFFERS", |t| {
        registered(
            t,
            val!("io_uring_register", "IORING_UNREGISTER_BUFFERS"),
            true,
        );
    }),
    case("io_uring_register:IORING_UNREGISTER_BUFFERS", |t| {
        registered(
            t,
            val!("io_uring_register", "IORING_UNREGISTER_BUFFERS"),
            true,
        );
    }),
    case("io_uring_register:IORING_REGISTER_FILES", |t| {
        registered(
            t,
            val!("io_uring_register", "IORING_UNREGISTER_FILES"),
            false,
        );
    }),
    case("io_uring_register:IORING_UNREGISTER_FILES", |t| {
        registered(
            t,
            val!("io_uring_register", "IORING_UNREGISTER_FILES"),
            false,
        );
    }),
    case("io_uring_register:IORING_REGISTER_EVENTFD", with_event),
    case("io_uring_register:IORING_UNREGISTER_EVENTFD", with_event),
    case("io_uring_register:IORING_REGISTER_PERSONALITY", |t| {
        new!(t, "io_uring_register", uring(t).0, t.value(0), 0, 0);
    }),
    case("io_uring_register:IORING_UNREGISTER_PERSONALITY", |t| {
        let ring = uring(t).0;
        let add = val!("io_uring_register", "IORING_REGISTER_PERSONALITY");
        let id = new!(t, "io_uring_register", ring, add, 0, 0);
        sys!(t, "io_uring_register", ring, t.value(0), 0, id);
        refuses!(t, "io_uring_register", ring, t.value(0), 0, id);
    }),
    case("bpf:BPF_MAP_CREATE", |t| {
        bpf_map(t);
    }),
    case("bpf:BPF_MAP_UPDATE_ELEM", |t| {
        updated(t, val!("bpf", "BPF_MAP_LOOKUP_ELEM"))
    }),
    case("bpf:BPF_MAP_LOOKUP_ELEM", |t| {
        updated(t, val!("bpf", "BPF_MAP_LOOKUP_ELEM"))
    }),
    case("bpf:BPF_MAP_GET_NEXT_KEY", |t| {
        let (map, next) = (bpf_map(t), 0x7777_u64);
        // The first: without one before it.
        let mut attributes = element(map, &0, &next);
        attributes[1] = 0;
        sys!(t, "bpf", t.value(0), &attributes, 32);
        t.check(peek_word((&next).arg()) as u32 == 0);
    }),
    case("bpf:BPF_OBJ_GET_INFO_BY_FD", |t| {
        let (map, mut info) = (bpf_map(t), [0_u32; 16]);
        let attributes = [map as u64 | 64 << 32, (&mut info).arg() as u64];
        sys!(t, "bpf", t.value(0), &attributes, 16);
        t.check(info[0] == 2);
    }),
    case("bpf:BPF_MAP_FREEZE", |t| {
        let map = bpf_map(t);
        sys!(t, "bpf", t.value(0), &[map as u64], 4);
        refuses!(t, "bpf", t.value(0), &[map as u64], 4);
    }),
];
/// Buffers or files are registered once, and taken back once.
fn registered(t: &Try<'_>, back: usize, buffers: bool) {
    let ring = uring(t).0;
    let page = t.map(PAGE);
    let vector = [page, PAGE];
    let file = [t.file(b'a') as u32];
    let (what, how) = match buffers {
        true => (
            vector.arg_of(),
            val!("io_uring_register", "IORING_REGISTER_BUFFERS"),
        ),
        false => (
            file.arg_of(),
            val!("io_uring_register", "IORING_REGISTER_FILES"),
        ),
    };
    sys!(t, "io_uring_register", ring, how, what, 1);
    t.check(raw!(t, "io_uring_register", ring, how, what, 1) < 0);
    sys!(t, "io_uring_register", ring, back, 0, 0);
    t.check(raw!(t, "io_uring_register", ring, back, 0, 0) < 0);
}

fn with_event(t: &Try<'_>) {
    let (ring, event) = (uring(t).0, [new!(t, "eventfd2", 0, 0) as u32]);
    let add = val!("io_uring_register", "IORING_REGISTER_EVENTFD");
    let back = val!("io_uring_register", "IORING_UNREGISTER_EVENTFD");
    sys!(t, "io_uring_register", ring, add, &event, 1);
    t.check(raw!(t, "io_uring_register", ring, add, &event, 1) < 0);
    sys!(t, "io_uring_register", ring, back, 0, 0);
    t.check(raw!(t, "io_uring_register", ring, back, 0, 0) < 0);
}

fn updated(t: &Try<'_>, look: usize) {
    let (map, key, value, mut found) = (bpf_map(t), 0_u32, 0x1234_u64, 0_u64);
    let update = val!("bpf", "BPF_MAP_UPDATE_ELEM");
    // There is no such place in the array.
    refuses!(t, "bpf", t.value(0), &element(map, &5, &value), 32);
    sys!(t, "bpf", update, &element(map, &key, &value), 32);
    let place = (&mut found).arg();
    let mut attributes = element(map, &key, &value);
    attributes[2] = place as u64;
    sys!(t, "bpf", look, &attributes, 32);
    t.check(peek_word(place) == 0x1234);
}

/// The address of what is told to the kernel.
trait ArgOf {
    fn arg_of(&self) -> usize;
}

impl<T> ArgOf for T {
    fn arg_of(&self) -> usize {
        self.arg()
    }
}
