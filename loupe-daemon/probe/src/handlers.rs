//! What is written to behind the compiler's back: handlers of signals, and memory that processes
//! share. Thin; decides nothing.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};

use crate::attempt::{Kind, Report};
use crate::blame::{Outcome, Outcomes};
use crate::list::{Feature, List, MOST};
use crate::machine;

/// How often each signal came.
pub static SEEN: [AtomicU32; 65] = [const { AtomicU32::new(0) }; 65];
/// What the last one told: who sent it how, and the value that went with it.
pub static CODE: AtomicI32 = AtomicI32::new(0);
pub static VALUE: AtomicUsize = AtomicUsize::new(0);
/// Where the handler's stack was.
pub static STACK: AtomicUsize = AtomicUsize::new(0);

/// Notes a signal.
pub extern "C" fn note(signal: i32, info: *const i32, _: usize) {
    if !info.is_null() {
        // SAFETY: the kernel hands a handler that asked for it 128 bytes of what it knows.
        CODE.store(unsafe { info.add(2).read() }, Ordering::SeqCst);
        // SAFETY: as above; the value is at byte 24.
        VALUE.store(
            unsafe { info.add(6).cast::<usize>().read() },
            Ordering::SeqCst,
        );
    }
    let here = 0_u8;
    STACK.store(core::ptr::from_ref(&here) as usize, Ordering::SeqCst);
    if let Some(seen) = SEEN.get(signal as usize) {
        seen.fetch_add(1, Ordering::SeqCst);
    }
}

/// The report that a handler of a crash fills, where there are no other processes; and where it
/// goes on.
static REPORT: AtomicUsize = AtomicUsize::new(0);
pub static KEPT: AtomicUsize = AtomicUsize::new(0);

pub fn crashes_go_to(report: &Report) {
    REPORT.store(core::ptr::from_ref(report) as usize, Ordering::SeqCst);
}

/// Ends a try that crashes or takes too long.
pub extern "C" fn give_up(signal: i32, _: *const i32, _: usize) {
    let kind = match signal {
        14 => Kind::Hangs,
        _ => Kind::Crashes,
    };
    report_at(REPORT.load(Ordering::SeqCst)).say(kind, 0, 0);
    machine::leave(KEPT.load(Ordering::SeqCst))
}

/// A report in memory that the kernel has just given, or that [`crashes_go_to`] was told of.
pub fn report_at(address: usize) -> &'static Report {
    // SAFETY: the address is that of a page of zeros, which is a report, or of a report; nobody takes
    // it away, and everything in it is atomic.
    unsafe { &*(address as *const Report) }
}

/// Where a failure of `rt_sigreturn` is told, and what it is: its place in the list, and whether it
/// is what is tried.
static NOT_RESTORED: AtomicUsize = AtomicUsize::new(0);
static RESTORER: AtomicUsize = AtomicUsize::new(0);
static TRIES_RESTORER: AtomicBool = AtomicBool::new(false);

pub fn not_restored_goes_to(report: &Report, restorer: usize, is_tried: bool) {
    NOT_RESTORED.store(core::ptr::from_ref(report) as usize, Ordering::SeqCst);
    RESTORER.store(restorer, Ordering::SeqCst);
    TRIES_RESTORER.store(is_tried, Ordering::SeqCst);
}

#[unsafe(no_mangle)]
extern "C" fn loupe_probe_not_restored(result: isize) -> ! {
    let report = NOT_RESTORED.load(Ordering::SeqCst);
    if report != 0 {
        let report = report_at(report);
        let errno = result.unsigned_abs();
        match (TRIES_RESTORER.load(Ordering::SeqCst), result) {
            (false, _) => report.say(Kind::Blocked, RESTORER.load(Ordering::SeqCst), errno),
            (true, ..0) => report.say(Kind::Errno, 0, errno),
            (true, _) => {
                // It came back, whoever had called it.
                report.caught.store(1, Ordering::SeqCst);
                report.say(Kind::Lies, 0, 0);
            }
        }
    }
    crate::attempt::end(Kind::Crashes, 0)
}

/// The list and the results, which are too large for a small stack. Zeros until [`tables`] fills
/// them, so that they take no room in the program's file.
struct Tables(UnsafeCell<MaybeUninit<(List, Outcomes)>>);

// SAFETY: only one thread asks for them, once: `main`.
unsafe impl Sync for Tables {}

static TABLES: Tables = Tables(UnsafeCell::new(MaybeUninit::uninit()));

/// A report for an OS without shared memory.
pub static OWN_REPORT: Report = Report::new();

/// The list and the results, empty, for their only user.
pub fn tables() -> (&'static mut List, &'static mut Outcomes) {
    let both = TABLES.0.get().cast::<(List, Outcomes)>();
    for index in 0..MOST {
        // SAFETY: the place is within the tables; nobody else has a reference to them yet.
        unsafe { (&raw mut (*both).0.all[index]).write(Feature::NONE) };
        // SAFETY: as above.
        unsafe { (&raw mut (*both).1.0[index]).write(Outcome::NONE) };
    }
    // SAFETY: as above.
    unsafe { (&raw mut (*both).0.count).write(0) };
    // SAFETY: every part is written by now, and `main` calls this once.
    let (list, outcomes) = unsafe { &mut *both };
    (list, outcomes)
}
