//! A tiny TCP echo server (one line in, the same line out, then close), with many ways of
//! being started, of serving, and of failing. The first argument is the port on loopback.

use std::ffi::{c_int, c_void};

use crate::calls::{
    address, address_mut, call, close, exit_now, hang_in_pause, say_error, segfault, zeroed,
};
use crate::threads::start;
use crate::trees::fork;
use crate::{Arguments, Behaviour, Ended};

pub const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("serve", serve),
    ("serve-falling-back", serve_falling_back),
    ("serve-polling", serve_polling),
    ("serve-as-daemon", serve_as_daemon),
    ("serve-with-workers", serve_with_workers),
    ("serve-with-threads", serve_with_threads),
    ("serve-crashing", serve_crashing),
    ("serve-hanging", serve_hanging),
    ("serve-choosy", serve_choosy),
    ("serve-stubborn", serve_stubborn),
    ("serve-call-at-stop", serve_call_at_stop),
    ("serve-nobody", serve_nobody),
];

type Connection = usize;

/// Loopback, IPv4.
pub fn socket_address(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: 0x7f00_0001u32.to_be(),
        },
        sin_zero: [0; 8],
    }
}

/// A listening socket. That an address can be used again at once is only a comfort, so the
/// result of `setsockopt` is not looked at.
pub fn listen(arguments: &Arguments) -> Result<usize, &'static str> {
    let port = u16::try_from(arguments.number(0, 0)).map_err(|_| "not a port")?;
    let (family, kind) = (libc::AF_INET as usize, libc::SOCK_STREAM as usize);
    let socket = call(libc::SYS_socket, &[family, kind, 0]).map_err(|_| "no socket")?;
    let on: c_int = 1;
    let (level, option) = (libc::SOL_SOCKET as usize, libc::SO_REUSEADDR as usize);
    let _ = call(
        libc::SYS_setsockopt,
        &[socket, level, option, address(&on), 4],
    );
    let name = socket_address(port);
    let size = size_of_val(&name);
    call(libc::SYS_bind, &[socket, address(&name), size]).map_err(|_| "cannot bind")?;
    call(libc::SYS_listen, &[socket, 64]).map_err(|_| "cannot listen")?;
    Ok(socket)
}

pub fn accept(listener: usize) -> Result<Connection, &'static str> {
    call(
        libc::SYS_accept4,
        &[listener, 0, 0, libc::SOCK_CLOEXEC as usize],
    )
    .map_err(|_| "cannot accept")
}

/// Echoes one line. The error is for the server's life, not for this connection's.
pub fn answer(connection: Connection) -> Result<(), &'static str> {
    let mut line = [0u8; 512];
    let mut filled = 0;
    while !line[..filled].contains(&b'\n') && filled < line.len() {
        let room = &mut line[filled..];
        let size = room.len();
        let received = call(
            libc::SYS_recvfrom,
            &[connection, address_mut(room), size, 0, 0, 0],
        );
        match received {
            Ok(0) => break,
            Ok(size) => filled += size,
            Err(_) => return Err("cannot receive"),
        }
    }
    let sent = call(
        libc::SYS_sendto,
        &[
            connection,
            address(&line),
            filled,
            libc::MSG_NOSIGNAL as usize,
            0,
            0,
        ],
    );
    sent.map(|_| ()).map_err(|_| "cannot send")
}

/// Echoes one line and closes.
fn echo(connection: Connection) -> Result<(), &'static str> {
    let answered = answer(connection);
    close(connection);
    answered
}

/// One connection after the other, for ever.
fn serve_all(
    listener: usize,
    before_echo: impl Fn() -> Result<(), &'static str>,
) -> Result<Ended, &'static str> {
    loop {
        let connection = accept(listener)?;
        match before_echo() {
            Ok(()) => echo(connection)?,
            Err(reason) => {
                say_error(reason);
                close(connection);
            }
        }
    }
}

fn serve(arguments: &Arguments) -> Result<Ended, &'static str> {
    serve_all(listen(arguments)?, || Ok(()))
}

/// `accept4`, else `accept`.
fn serve_falling_back(arguments: &Arguments) -> Result<Ended, &'static str> {
    let listener = listen(arguments)?;
    loop {
        let connection = accept(listener).or_else(|_| {
            call(libc::SYS_accept, &[listener, 0, 0]).map_err(|_| "cannot accept either way")
        })?;
        echo(connection)?;
    }
}

/// Waits by epoll, else by poll.
fn serve_polling(arguments: &Arguments) -> Result<Ended, &'static str> {
    let listener = listen(arguments)?;
    let epoll = call(libc::SYS_epoll_create1, &[0]).ok();
    let mut event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: 0,
    };
    if let Some(epoll) = epoll {
        let add = libc::EPOLL_CTL_ADD as usize;
        call(
            libc::SYS_epoll_ctl,
            &[epoll, add, listener, address(&event)],
        )
        .map_err(|_| "cannot add to the epoll")?;
    }
    loop {
        let ready = match epoll {
            Some(epoll) => call(
                libc::SYS_epoll_wait,
                &[epoll, address_mut(&mut event), 1, usize::MAX],
            ),
            None => {
                let mut wanted = libc::pollfd {
                    fd: listener as c_int,
                    events: libc::POLLIN,
                    revents: 0,
                };
                call(libc::SYS_poll, &[address_mut(&mut wanted), 1, usize::MAX])
            }
        };
        // Without a timeout, "nothing is ready" cannot be.
        if ready != Ok(1) {
            return Err("cannot wait");
        }
        echo(accept(listener)?)?;
    }
}

/// Forks twice and leaves its session; the first process ends at once.
fn serve_as_daemon(arguments: &Arguments) -> Result<Ended, &'static str> {
    if fork()? != 0 {
        return Ok(Ended::Quietly);
    }
    let _ = call(libc::SYS_setsid, &[]);
    if fork()? != 0 {
        exit_now(0);
    }
    let _ = call(libc::SYS_chdir, &[c"/".as_ptr() as usize]);
    let _ = call(libc::SYS_umask, &[0]);
    serve(arguments)
}

/// The first process listens and waits; its children serve, and need their groups' ids.
fn serve_with_workers(arguments: &Arguments) -> Result<Ended, &'static str> {
    let listener = listen(arguments)?;
    for _ in 0..2 {
        if fork()? == 0 {
            let mut usage: libc::rusage = zeroed();
            let own = libc::RUSAGE_SELF as usize;
            let result = call(libc::SYS_getrusage, &[own, address_mut(&mut usage)]);
            if result.is_err() || usage.ru_maxrss == 0 {
                exit_now(1);
            }
            return serve_all(listener, || Ok(()));
        }
    }
    // Without a worker there is nothing to wait for.
    let mut status: c_int = 0;
    while call(
        libc::SYS_wait4,
        &[usize::MAX, address_mut(&mut status), 0, 0],
    )
    .is_ok()
    {}
    Err("all workers have ended")
}

extern "C" fn echo_in_thread(connection: *mut c_void) -> *mut c_void {
    let own = libc::PRIO_PROCESS as usize;
    if matches!(call(libc::SYS_getpriority, &[own, 0]), Ok(1..=40)) {
        let _ = echo(connection as usize);
    } else {
        close(connection as usize);
    }
    std::ptr::null_mut()
}

/// A thread for every connection, which needs its priority.
fn serve_with_threads(arguments: &Arguments) -> Result<Ended, &'static str> {
    let listener = listen(arguments)?;
    loop {
        start(echo_in_thread, accept(listener)? as *mut c_void)?;
    }
}

fn serve_crashing(arguments: &Arguments) -> Result<Ended, &'static str> {
    serve_all(listen(arguments)?, || {
        let mut name: libc::utsname = zeroed();
        match call(libc::SYS_uname, &[address_mut(&mut name)]) {
            Ok(_) if name.sysname[0] != 0 => Ok(()),
            _ => segfault(),
        }
    })
}

/// The client gets no answer, and no end either.
fn serve_hanging(arguments: &Arguments) -> Result<Ended, &'static str> {
    serve_all(listen(arguments)?, || {
        let mut info: libc::sysinfo = zeroed();
        match call(libc::SYS_sysinfo, &[address_mut(&mut info)]) {
            Ok(_) => Ok(()),
            Err(_) => hang_in_pause(),
        }
    })
}

/// Serves on, but not the one request whose call failed, unless it failed with ENOSYS.
fn serve_choosy(arguments: &Arguments) -> Result<Ended, &'static str> {
    serve_all(listen(arguments)?, || {
        match call(libc::SYS_getpriority, &[libc::PRIO_PROCESS as usize, 0]) {
            Ok(1..=40) | Err(libc::ENOSYS) => Ok(()),
            _ => Err("no priority, no echo\n"),
        }
    })
}

/// `serve-stubborn PORT CHILDREN`: ignores SIGTERM, as do very many children in a session each.
fn serve_stubborn(arguments: &Arguments) -> Result<Ended, &'static str> {
    // SAFETY: to ignore a signal needs no handler.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    let _ = call(libc::SYS_personality, &[0xffff_ffff]);
    for _ in 0..arguments.number(1, 1000) {
        if fork()? == 0 {
            let _ = call(libc::SYS_setsid, &[]);
            loop {
                let _ = call(libc::SYS_pause, &[]);
            }
        }
    }
    serve(arguments)
}

extern "C" fn call_and_end(_: c_int) {
    let mut ids = [0u32; 3];
    let [real, effective, saved] = &mut ids;
    let _ = call(
        libc::SYS_getresuid,
        &[
            address_mut(real),
            address_mut(effective),
            address_mut(saved),
        ],
    );
    exit_now(0)
}

/// Makes one call only when it is told to stop.
fn serve_call_at_stop(arguments: &Arguments) -> Result<Ended, &'static str> {
    let handler = call_and_end as extern "C" fn(c_int);
    // SAFETY: the handler only makes syscalls.
    unsafe { libc::signal(libc::SIGTERM, handler as usize) };
    serve(arguments)
}

/// Is there, and never listens.
fn serve_nobody(_: &Arguments) -> Result<Ended, &'static str> {
    hang_in_pause()
}
