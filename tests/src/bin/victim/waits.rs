//! Servers of which it is hard to tell when they are ready, and jobs of which it is hard to tell
//! when they are over.

use std::ffi::c_int;

use crate::calls::{address, address_mut, call, close, say, zeroed};
use crate::servers::{accept, answer, listen, socket_address};
use crate::starts::{argument_vector, execute};
use crate::trees::fork;
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("serve-datagrams", serve_datagrams),
    ("serve-second", serve_second),
    ("serve-late", serve_late),
    ("serve-after-sleep", serve_after_sleep),
    ("serve-inherited", serve_inherited),
    ("starts-on-demand", starts_on_demand),
    ("leaves-server", leaves_server),
    ("leaves-sleeper", leaves_sleeper),
];

/// All of these wake up so often, whether there is something to do or not.
const TICK_MS: usize = 50;
/// Where a program finds the socket that it was started for.
const INHERITED: usize = 3;

/// Whether there is something to read.
fn poll(file: usize, timeout_ms: usize) -> bool {
    let mut wanted = libc::pollfd {
        fd: file as c_int,
        events: libc::POLLIN,
        revents: 0,
    };
    call(libc::SYS_poll, &[address_mut(&mut wanted), 1, timeout_ms]) == Ok(1)
}

fn sleep(milliseconds: i64) {
    let time = libc::timespec {
        tv_sec: milliseconds / 1000,
        tv_nsec: milliseconds % 1000 * 1_000_000,
    };
    let _ = call(libc::SYS_nanosleep, &[address(&time), 0]);
}

/// One connection after the other, with a tick between.
fn serve_ticking(listener: usize) -> Result<Ended, &'static str> {
    loop {
        if poll(listener, TICK_MS) {
            let connection = accept(listener)?;
            let _ = answer(connection);
            close(connection);
        }
    }
}

/// Sends every datagram back.
fn serve_datagrams(arguments: &Arguments) -> Result<Ended, &'static str> {
    let port = u16::try_from(arguments.number(0, 0)).map_err(|_| "not a port")?;
    let (family, kind) = (libc::AF_INET as usize, libc::SOCK_DGRAM as usize);
    let socket = call(libc::SYS_socket, &[family, kind, 0]).map_err(|_| "no socket")?;
    let name = socket_address(port);
    let bind = [socket, address(&name), size_of_val(&name)];
    call(libc::SYS_bind, &bind).map_err(|_| "cannot bind")?;
    loop {
        if !poll(socket, TICK_MS) {
            continue;
        }
        let mut bytes = [0u8; 512];
        let mut peer: libc::sockaddr_in = zeroed();
        let mut length = size_of_val(&peer) as libc::socklen_t;
        let (from, size) = (address_mut(&mut peer), address_mut(&mut length));
        let room = bytes.len();
        let receive = [socket, address_mut(&mut bytes), room, 0, from, size];
        let received = call(libc::SYS_recvfrom, &receive).map_err(|_| "cannot receive")?;
        let send = [socket, address(&bytes), received, 0, from, length as usize];
        call(libc::SYS_sendto, &send).map_err(|_| "cannot send")?;
    }
}

/// `serve-second PORT OTHER`: listens to another port first, and serves at it for some ticks.
fn serve_second(arguments: &Arguments) -> Result<Ended, &'static str> {
    let other = Arguments {
        words: vec![arguments.word(1)],
    };
    let other = listen(&other)?;
    for _ in 0..4 {
        if poll(other, TICK_MS) {
            close(accept(other)?);
        }
    }
    serve_ticking(listen(arguments)?)
}

/// Listens at once, turns everybody away for some ticks, and says when it does so no more.
fn serve_late(arguments: &Arguments) -> Result<Ended, &'static str> {
    let listener = listen(arguments)?;
    for _ in 0..8 {
        sleep(TICK_MS as i64);
        while poll(listener, 0) {
            close(accept(listener)?);
        }
    }
    say("starting\nserving\n");
    serve_ticking(listener)
}

/// Takes long to start where it cannot tell the time that it has used.
fn serve_after_sleep(arguments: &Arguments) -> Result<Ended, &'static str> {
    let mut times: libc::tms = zeroed();
    let result = call(libc::SYS_times, &[address_mut(&mut times)]);
    if matches!(result, Err(_) | Ok(0)) {
        sleep(700);
    }
    serve_ticking(listen(arguments)?)
}

/// Serves at a socket that it was given, which listens already.
fn serve_inherited(_: &Arguments) -> Result<Ended, &'static str> {
    serve_ticking(INHERITED)
}

/// `starts-on-demand PORT PROGRAM …`: gives the socket to the program when somebody connects.
fn starts_on_demand(arguments: &Arguments) -> Result<Ended, &'static str> {
    let listener = listen(arguments)?;
    poll(listener, usize::MAX);
    if listener != INHERITED {
        call(libc::SYS_dup2, &[listener, INHERITED]).map_err(|_| "cannot pass the socket")?;
    }
    let words = argument_vector(arguments, 1);
    let cwd = libc::AT_FDCWD as isize as usize;
    Err(execute(cwd, arguments.word(1), &words, 0))
}

/// `leaves-server RESULT PORT`: works, and leaves a process that serves.
fn leaves_server(arguments: &Arguments) -> Result<Ended, &'static str> {
    let port = Arguments {
        words: vec![arguments.word(1)],
    };
    leave(|| serve_ticking(listen(&port)?))
}

/// Works, and leaves a process that waits for a signal.
fn leaves_sleeper(_: &Arguments) -> Result<Ended, &'static str> {
    leave(|| {
        loop {
            let _ = call(libc::SYS_pause, &[]);
        }
    })
}

fn leave(left: impl Fn() -> Result<Ended, &'static str>) -> Result<Ended, &'static str> {
    if fork()? == 0 {
        let _ = call(libc::SYS_setsid, &[]);
        return left();
    }
    Ok(Ended::Works)
}
