//! Runs the cases, each in a process of its own, and finds out whose fault a failure is: what fails
//! with the help of something that fails itself is tried again without that help, if it can be.

use core::sync::atomic::Ordering;

use crate::attempt::{Bits, KINDS, Kind, Report, Try, WORDS, end, kind_of_status};
use crate::blame::{Outcome, Outcomes, blame, derive, settle};
use crate::handlers;
use crate::helpers::action;
use crate::list::{Feature, List};
use crate::machine;
use crate::tables::{nr, val};
use crate::tools::{LIMIT_MS, Tools};

/// How often features are tried again with other helpers.
const ROUNDS: usize = 6;

/// Looks before the probe sleeps between them.
const QUICK_LOOKS: u32 = 200;

/// A try in this process.
extern "C" fn inside(at: usize) {
    // SAFETY: `here` passes the address of what lives across the call.
    let attempt = unsafe { &*(at as *const Try<'_>) };
    if let Some(run) = attempt.features[attempt.subject].run {
        run(attempt);
        attempt.report.say(Kind::Works, 0, 0);
    }
}

/// Everything that is to be tried, tried.
pub fn all(
    list: &List,
    wanted: &dyn Fn(&Feature) -> bool,
    tools: &Tools,
    report: &'static Report,
    told: &dyn Fn(&Feature),
    outcomes: &mut Outcomes,
) {
    let features = list.features();
    let mut avoid = Bits([0; WORDS]);
    let mut doubt = Bits([0; WORDS]);
    for (index, feature) in features.iter().enumerate() {
        if feature.run.is_some() && wanted(feature) {
            told(feature);
            let outcome = one(features, index, tools, report, [&avoid, &doubt], 0);
            if outcome.is_absent(feature) {
                avoid.add(index);
            }
            outcomes.0[index] = outcome;
        }
    }
    for round in 0..ROUNDS {
        settle(features, outcomes);
        derive(features, outcomes);
        doubt = Bits([0; WORDS]);
        for (index, outcome) in outcomes.0[..features.len()].iter().enumerate() {
            if outcome.is_bad() && outcome.settled {
                avoid.add(index);
            }
            if outcome.is_bad() {
                doubt.add(index);
            }
        }
        let mut changed = false;
        for index in 0..features.len() {
            let before = outcomes.0[index];
            // A hang takes its time, and is no better the second time.
            let again = before.kind != Kind::Hangs || round == 0;
            if before.is_bad() && !before.settled && again && features[index].run.is_some() {
                told(&features[index]);
                let after = one(features, index, tools, report, [&avoid, &doubt], round + 1);
                changed |= after.kind != before.kind || after.used != before.used;
                outcomes.0[index] = after;
            }
        }
        if !changed {
            break;
        }
    }
    settle(features, outcomes);
    blame(features, outcomes);
    derive(features, outcomes);
}

/// Tries one feature.
fn one(
    features: &[Feature],
    subject: usize,
    tools: &Tools,
    report: &'static Report,
    [avoid, doubt]: [&Bits; 2],
    round: usize,
) -> Outcome {
    report.clear();
    let attempt = Try {
        features,
        subject,
        avoid,
        doubt,
        round,
        report,
        tools,
    };
    let mut outcome = Outcome::NONE;
    let end = match tools.isolated {
        true => apart(&attempt),
        false => here(&attempt),
    };
    let kind = KINDS[report.kind.load(Ordering::SeqCst) as usize % KINDS.len()];
    outcome.kind = kind;
    outcome.errno = report.errno.load(Ordering::SeqCst);
    outcome.other = report.other.load(Ordering::SeqCst) as usize;
    match (kind, end) {
        (_, End::Late) if kind != Kind::Works => outcome.kind = Kind::Hangs,
        (Kind::None, End::Status(status)) if !tools.shares && tools.isolated => {
            let code = match status & 0x7f {
                0 => (status >> 8) as usize & 0xff,
                _ => usize::MAX,
            };
            let (kind, errno) = kind_of_status(code);
            (outcome.kind, outcome.errno) = (kind, errno as u32);
            if kind == Kind::Skipped {
                outcome.reason = "the case says so; without shared memory not why";
            }
        }
        (Kind::None, _) => outcome.kind = Kind::Crashes,
        (Kind::Skipped, _) => outcome.reason = reason(report),
        _ => {}
    }
    outcome.claimed = report.claimed.load(Ordering::SeqCst) == 1;
    outcome.vouched = report.vouched.load(Ordering::SeqCst) == 1;
    outcome.caught = report.caught.load(Ordering::SeqCst) == 1;
    // The call came back: what crashed or hangs is what waits for its effect.
    let is_within = report.within.load(Ordering::SeqCst) > 0;
    if matches!(outcome.kind, Kind::Crashes | Kind::Hangs) && !is_within {
        outcome.kind = if outcome.claimed {
            Kind::Lies
        } else {
            outcome.kind
        };
    }
    for (to, from) in outcome.used.iter_mut().zip(&report.used) {
        *to = from.load(Ordering::SeqCst);
    }
    tidy(&attempt);
    outcome
}

fn reason(report: &Report) -> &'static str {
    let at = report.reason.load(Ordering::SeqCst) as *const u8;
    let length = report.reason_length.load(Ordering::SeqCst);
    // SAFETY: a case's process stored where a text of the program is; its memory is a copy of ours.
    let bytes = unsafe { core::slice::from_raw_parts(at, length) };
    core::str::from_utf8(bytes).unwrap_or("")
}

enum End {
    Status(u32),
    Late,
    /// It said so, and its end cannot be seen.
    Said,
}

/// In a child process, bounded.
fn apart(attempt: &Try<'_>) -> End {
    let tools = attempt.tools;
    let child = tools.fork();
    if child == 0 {
        machine::syscall(nr!("setpgid"), [0; 6]);
        let restorer = attempt.place_of(nr!("rt_sigreturn"));
        let is_tried = restorer == attempt.subject;
        handlers::not_restored_goes_to(attempt.report, restorer, is_tried);
        if let Some(run) = attempt.features[attempt.subject].run {
            run(attempt);
        }
        attempt.finish(Kind::Works, 0, 0);
    }
    let until = tools.now_ms() + LIMIT_MS;
    let mut looks = 0;
    let ended = loop {
        if let Some(status) = tools.ended(child) {
            break End::Status(status);
        }
        if !tools.waits() && attempt.report.kind.load(Ordering::SeqCst) != 0 {
            break End::Said;
        }
        if tools.now_ms() > until {
            tools.kill(child);
            // A process that nothing ends is left behind.
            let until = tools.now_ms() + LIMIT_MS / 10;
            while tools.now_ms() < until && tools.ended(child).is_none() {
                tools.sleep_ms(1);
            }
            break End::Late;
        }
        looks += 1;
        if looks > QUICK_LOOKS {
            tools.sleep_ms(1);
        } else {
            machine::syscall(nr!("sched_yield"), [0; 6]);
        }
    };
    // What the case has started goes with it, and is nobody's zombie.
    machine::syscall(
        nr!("kill"),
        [
            child.wrapping_neg() as usize,
            val!("signal", "SIGKILL"),
            0,
            0,
            0,
            0,
        ],
    );
    tools.reap();
    ended
}

/// In this process, where there is no other: a crash and a hang come back by signals, if there are
/// any.
fn here(attempt: &Try<'_>) -> End {
    let signals = [
        val!("signal", "SIGSEGV"),
        val!("signal", "SIGBUS"),
        val!("signal", "SIGILL"),
        val!("signal", "SIGFPE"),
        val!("signal", "SIGSYS"),
        val!("signal", "SIGALRM"),
    ];
    // Not blocked while it runs: it never returns.
    let give_up = action(handlers::give_up as *const () as usize, 0x4000_0000);
    for signal in signals {
        let at = core::ptr::from_ref(&give_up) as usize;
        machine::syscall(nr!("rt_sigaction"), [signal, at, 0, 8, 0, 0]);
    }
    let dot = c".".as_ptr() as usize;
    let directory = machine::syscall(nr!("open"), [dot, 0, 0, 0, 0, 0]);
    let alarm = |seconds: u64| machine::syscall(nr!("alarm"), [seconds as usize, 0, 0, 0, 0, 0]);
    alarm(LIMIT_MS / 1_000);
    handlers::crashes_go_to(attempt.report);
    let at = core::ptr::from_ref(attempt) as usize;
    machine::enter(inside, at, &handlers::KEPT);
    alarm(0);
    // A case may have gone elsewhere.
    if directory > 0 {
        machine::syscall(nr!("fchdir"), [directory as usize, 0, 0, 0, 0, 0]);
        machine::syscall(nr!("close"), [directory as usize, 0, 0, 0, 0, 0]);
    }
    End::Said
}

/// Takes away what a case may have left in the directory.
fn tidy(attempt: &Try<'_>) {
    // What is in a directory first.
    for letter in *b"ad" {
        let mut inner = [0_u8; 16];
        inner[..6].copy_from_slice(&attempt.name(letter)[..6]);
        inner[6] = b'/';
        inner[7..15].copy_from_slice(&attempt.name(b'b'));
        remove(core::ptr::from_ref(&inner) as usize);
    }
    for letter in *b"abcdef" {
        let path = attempt.name(letter);
        remove(core::ptr::from_ref(&path) as usize);
    }
}

/// Removes a file or a directory, by whatever does.
fn remove(at: usize) {
    let here = crate::helpers::HERE as usize;
    let absent = -2;
    if machine::syscall(nr!("unlinkat"), [here, at, 0, 0, 0, 0]) != absent {
        machine::syscall(nr!("unlink"), [at, 0, 0, 0, 0, 0]);
        machine::syscall(nr!("rmdir"), [at, 0, 0, 0, 0, 0]);
        machine::syscall(nr!("unlinkat"), [here, at, 0x200, 0, 0, 0]);
    }
}

/// Ends the probe.
pub fn finish(status: usize) -> ! {
    machine::syscall(nr!("exit_group"), [status, 0, 0, 0, 0, 0]);
    end(Kind::Crashes, 0)
}
