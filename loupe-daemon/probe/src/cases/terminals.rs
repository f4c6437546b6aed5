//! Terminals: a pair of one's own, and what `ioctl` does with it.

use crate::attempt::{Arg, Try, choose, new, raw, refuses, sys};
use crate::helpers::{HERE, NONBLOCK, RDWR, exit, exited};
use crate::list::{Case, case};
use crate::tables::{nr, val};

/// Not the controlling one.
const NOCTTY: usize = val!("open flags", "O_NOCTTY");
const GETS: usize = val!("ioctl", "TCGETS");
const LFLAG: usize = 3;
const ECHO: u32 = 8;

/// The path of the terminal of this number.
fn path_of(number: u32, path: &mut [u8; 16]) {
    path[..9].copy_from_slice(b"/dev/pts/");
    let mut place = 9;
    for unit in [10_000, 1000, 100, 10, 1] {
        if number >= unit || unit == 1 {
            path[place] = b'0' + (number / unit % 10) as u8;
            place += 1;
        }
    }
}

/// The master's end, and the terminal.
fn terminal(t: &Try<'_>) -> [usize; 2] {
    let master = t.open(b"/dev/ptmx\0", RDWR | NOCTTY | NONBLOCK);
    // Whether it is unlocked now the opening tells.
    let unlock = [master, val!("ioctl", "TIOCSPTLCK"), (&0_u32).arg()];
    let unlocked = t.quietly(nr!("ioctl"), &unlock);
    let mut number = u32::MAX;
    sys!(t, "ioctl", master, val!("ioctl", "TIOCGPTN"), &mut number);
    let mut path = [0_u8; 16];
    path_of(number, &mut path);
    let flags = RDWR | NOCTTY | NONBLOCK;
    let terminal = choose!(t, ["openat", "open"], {
        "open" => raw!(t, "open", &path, flags, 0),
        "openat" => raw!(t, "openat", HERE, &path, flags, 0),
    });
    if terminal <= 0 {
        t.failed(nr!("ioctl"), &unlock, unlocked.min(0).unsigned_abs());
    }
    [master, terminal as usize]
}

/// How the terminal is set: `struct termios`, and its larger sister.
fn settings(t: &Try<'_>, terminal: usize, how: usize) -> [u32; 16] {
    let mut found = [0_u32; 16];
    sys!(t, "ioctl", terminal, how, &mut found);
    found
}

fn tells_settings(t: &Try<'_>) {
    let [_master, terminal] = terminal(t);
    t.check(settings(t, terminal, t.value(0))[LFLAG] & ECHO != 0);
}

/// Without an echo.
fn sets(t: &Try<'_>, told_by: usize) {
    let [_master, terminal] = terminal(t);
    let mut wanted = settings(t, terminal, told_by);
    wanted[LFLAG] &= !ECHO;
    sys!(t, "ioctl", terminal, t.value(0), &wanted);
    t.check(settings(t, terminal, told_by)[LFLAG] & ECHO == 0);
}

fn sets_old(t: &Try<'_>) {
    sets(t, GETS);
}

fn sets_new(t: &Try<'_>) {
    sets(t, val!("ioctl", "TCGETS2"));
}

/// Nothing is told of it but that it is refused where there is no terminal.
fn takes(t: &Try<'_>, argument: usize) {
    let [_master, terminal] = terminal(t);
    sys!(t, "ioctl", terminal, t.value(0), argument);
    refuses!(t, "ioctl", t.file(b'a'), t.value(0), argument);
}

/// Asks of the master's end.
fn tells(t: &Try<'_>, of_master: bool) -> u32 {
    let [master, terminal] = terminal(t);
    let mut found = u32::MAX;
    sys!(
        t,
        "ioctl",
        if of_master { master } else { terminal },
        t.value(0),
        &mut found
    );
    t.check(found != u32::MAX);
    found
}

/// In a session of one's own, with the terminal as the controlling one.
fn in_session(t: &Try<'_>, work: impl FnOnce(usize) -> bool) {
    let child = t.in_child(|| {
        sys!(t, "setsid");
        let [_master, terminal] = terminal(t);
        sys!(t, "ioctl", terminal, val!("ioctl", "TIOCSCTTY"), 0);
        exit(usize::from(work(terminal)));
    });
    t.check(t.wait(child) == exited(1));
}

fn group(t: &Try<'_>, terminal: usize, how: usize) -> u32 {
    let mut found = 0_u32;
    sys!(t, "ioctl", terminal, how, &mut found);
    found
}

pub const CASES: &[Case] = &[
    case("ioctl:TIOCGPTN", |t| {
        let master = t.open(b"/dev/ptmx\0", RDWR | NOCTTY);
        let mut number = u32::MAX;
        sys!(t, "ioctl", master, t.value(0), &mut number);
        t.check(number != u32::MAX);
    }),
    case("ioctl:TIOCSPTLCK", |t| {
        let master = t.open(b"/dev/ptmx\0", RDWR | NOCTTY);
        sys!(t, "ioctl", master, t.value(0), &0_u32);
        let mut locked = u32::MAX;
        let tells = val!("ioctl", "TIOCGPTLCK");
        if !t.is_doubted(nr!("ioctl"), &[master, tells]) {
            sys!(t, "ioctl", master, tells, &mut locked);
            t.check(locked == 0);
        } else {
            // A locked terminal cannot be opened.
            terminal(t);
            sys!(t, "ioctl", master, t.value(0), &1_u32);
            let (mut path, mut number) = ([0_u8; 16], u32::MAX);
            sys!(t, "ioctl", master, val!("ioctl", "TIOCGPTN"), &mut number);
            path_of(number, &mut path);
            t.check(raw!(t, "openat", HERE, &path, RDWR | NOCTTY | NONBLOCK, 0) < 0);
        }
    }),
    case("ioctl:TIOCGPTLCK", |t| {
        let master = t.open(b"/dev/ptmx\0", RDWR | NOCTTY);
        let mut locked = u32::MAX;
        sys!(t, "ioctl", master, t.value(0), &mut locked);
        t.check(locked == 1);
    }),
    case("ioctl:TIOCGPTPEER", |t| {
        let [master, _terminal] = terminal(t);
        let peer = new!(t, "ioctl", master, t.value(0), RDWR | NOCTTY);
        t.write(peer, b"x");
    }),
    case("ioctl:TCGETS", tells_settings),
    case("ioctl:TCGETS2", tells_settings),
    case("ioctl:TCSETS", sets_old),
    case("ioctl:TCSETSW", sets_old),
    case("ioctl:TCSETSF", sets_old),
    case("ioctl:TCSETS2", sets_new),
    case("ioctl:TCSETSW2", sets_new),
    case("ioctl:TCSETSF2", sets_new),
    case("ioctl:TCGETA", |t| {
        let [_master, terminal] = terminal(t);
        let mut found = [0_u16; 16];
        sys!(t, "ioctl", terminal, t.value(0), &mut found);
        t.check(u32::from(found[LFLAG]) & ECHO != 0);
    }),
    case("ioctl:TCSETA", sets_oldest),
    case("ioctl:TCSETAW", sets_oldest),
    case("ioctl:TCSETAF", sets_oldest),
    case("ioctl:TCSBRK", |t| takes(t, 1)),
    case("ioctl:TCSBRKP", |t| takes(t, 0)),
    case("ioctl:TCXONC", |t| takes(t, 1)),
    case("ioctl:TCFLSH", |t| {
        let [master, terminal] = terminal(t);
        t.write(master, b"lost\n");
        sys!(t, "ioctl", terminal, t.value(0), 0);
        let mut bytes = [0_u8; 8];
        t.check(raw!(t, "read", terminal, &mut bytes, 8) < 0);
    }),
    case("ioctl:TIOCGWINSZ", |t| {
        let [_master, terminal] = terminal(t);
        let mut found = [0x7777_u16; 4];
        sys!(t, "ioctl", terminal, t.value(0), &mut found);
        t.check(found[0] != 0x7777);
    }),
    case("ioctl:TIOCSWINSZ", |t| {
        let [_master, terminal] = terminal(t);
        let (wanted, mut found) = ([25_u16, 81, 0, 0], [0_u16; 4]);
        sys!(t, "ioctl", terminal, t.value(0), &wanted);
        sys!(
            t,
            "ioctl",
            terminal,
            val!("ioctl", "TIOCGWINSZ"),
            &mut found
        );
        t.check(found == wanted);
    }),
    case("ioctl:TIOCEXCL", |t| {
        let [_master, terminal] = terminal(t);
        sys!(t, "ioctl", terminal, t.value(0));
        let mut found = 0_u32;
        sys!(t, "ioctl", terminal, val!("ioctl", "TIOCGEXCL"), &mut found);
        t.check(found == 1);
    }),
    case("ioctl:TIOCNXCL", |t| {
        let [_master, terminal] = terminal(t);
        sys!(t, "ioctl", terminal, val!("ioctl", "TIOCEXCL"));
        sys!(t, "ioctl", terminal, t.value(0));
        let mut found = 9_u32;
        sys!(t, "ioctl", terminal, val!("ioctl", "TIOCGEXCL"), &mut found);
        t.check(found == 0);
    }),
    case("ioctl:TIOCGEXCL", |t| {
        t.check(tells(t, false) == 0);
    }),
    case("ioctl:TIOCPKT", |t| {
        let [master, _terminal] = terminal(t);
        sys!(t, "ioctl", master, t.value(0), &1_u32);
        let mut found = 0_u32;
        sys!(t, "ioctl", master, val!("ioctl", "TIOCGPKT"), &mut found);
        t.check(found == 1);
    }),
    case("ioctl:TIOCGPKT", |t| {
        t.check(tells(t, true) == 0);
    }),
    case("ioctl:TIOCGETD", |t| {
        t.check(tells(t, false) == 0);
    }),
    case("ioctl:TIOCSETD", |t| {
        let [_master, terminal] = terminal(t);
        sys!(t, "ioctl", terminal, t.value(0), &0_u32);
        refuses!(t, "ioctl", terminal, t.value(0), &999_u32);
    }),
    case("ioctl:TIOCGDEV", |t| {
        t.check(tells(t, false) != 0);
    }),
    case("ioctl:TIOCGSOFTCAR", |t| {
        t.check(tells(t, false) < 2);
    }),
    case("ioctl:TIOCSCTTY", |t| {
        in_session(t, |terminal| {
            group(t, terminal, val!("ioctl", "TIOCGPGRP")) != 0
        });
    }),
    case("ioctl:TIOCGPGRP", |t| {
        in_session(t, |terminal| group(t, terminal, t.value(0)) != 0);
    }),
    case("ioctl:TIOCGSID", |t| {
        in_session(t, |terminal| group(t, terminal, t.value(0)) != 0);
    }),
    case("ioctl:TIOCSPGRP", |t| {
        in_session(t, |terminal| {
            let own = raw!(t, "getpgrp") as u32;
            sys!(t, "ioctl", terminal, t.value(0), &own);
            raw!(t, "ioctl", terminal, t.value(0), &0x7fff_fff0_u32) < 0
        });
    }),
    case("ioctl:TIOCNOTTY", |t| {
        in_session(t, |terminal| {
            t.handle(val!("signal", "SIGHUP"));
            t.handle(val!("signal", "SIGCONT"));
            sys!(t, "ioctl", terminal, t.value(0));
            raw!(t, "open", c"/dev/tty", RDWR, 0) < 0
        });
    }),
    case("ioctl:TIOCSTI", |t| {
        t.needs_root();
        let [_master, terminal] = terminal(t);
        for byte in b"x\n" {
            sys!(t, "ioctl", terminal, t.value(0), byte);
        }
        let mut bytes = [0_u8; 8];
        t.check(t.read(terminal, &mut bytes) == 2 && bytes[0] == b'x');
    }),
    case("ioctl:TIOCSIG", |t| {
        let [master, _terminal] = terminal(t);
        sys!(t, "ioctl", master, t.value(0), val!("signal", "SIGINT"));
        refuses!(t, "ioctl", master, t.value(0), 999);
    }),
    case("ioctl:TIOCVHANGUP", |t| {
        t.needs_root();
        let [_master, terminal] = terminal(t);
        sys!(t, "ioctl", terminal, t.value(0));
        let mut bytes = [0_u8; 8];
        // Its end.
        t.check(raw!(t, "read", terminal, &mut bytes, 8) == 0);
    }),
    case("ioctl:TIOCGLCKTRMIOS", |t| {
        let [_master, terminal] = terminal(t);
        let mut found = [0x7777_u32; 16];
        sys!(t, "ioctl", terminal, t.value(0), &mut found);
        t.check(found[0] == 0);
    }),
    case("ioctl:TIOCSLCKTRMIOS", |t| {
        t.needs_root();
        let [_master, terminal] = terminal(t);
        let (mut wanted, mut found) = ([0_u32; 16], [0_u32; 16]);
        wanted[LFLAG] = ECHO;
        sys!(t, "ioctl", terminal, t.value(0), &wanted);
        sys!(
            t,
            "ioctl",
            terminal,
            val!("ioctl", "TIOCGLCKTRMIOS"),
            &mut found
        );
        t.check(found[LFLAG] == ECHO);
    }),
];

fn sets_oldest(t: &Try<'_>) {
    let [_master, terminal] = terminal(t);
    let (get, mut wanted) = (val!("ioctl", "TCGETA"), [0_u16; 16]);
    sys!(t, "ioctl", terminal, get, &mut wanted);
    wanted[LFLAG] &= !(ECHO as u16);
    sys!(t, "ioctl", terminal, t.value(0), &wanted);
    let mut found = [0_u16; 16];
    sys!(t, "ioctl", terminal, get, &mut found);
    t.check(found[LFLAG] == wanted[LFLAG]);
}
