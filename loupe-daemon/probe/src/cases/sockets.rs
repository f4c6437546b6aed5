//! Sockets: making, naming, connecting them, what goes through them.

use crate::attempt::{Arg, Try, new, raw, refuses, sys};
use crate::helpers::{AF_INET, DGRAM, LOOPBACK, NONBLOCK, STREAM, vector};
use crate::list::{Case, case};
use crate::tables::{nr, val};

const AF_INET6: usize = val!("family", "AF_INET6");
const TEXT: &[u8] = b"hello";

/// `struct msghdr` for one buffer.
fn message(vector: &[usize; 2]) -> [usize; 7] {
    [0, 0, core::ptr::from_ref(vector) as usize, 1, 0, 0, 0]
}

/// In time: an OS may take some for what goes through its network.
fn arrives(t: &Try<'_>, socket: usize) {
    let mut bytes = [0_u8; 16];
    let mut poll = [socket as u32, 1];
    t.quietly(nr!("poll"), &[(&mut poll).arg(), 1, 1000]);
    t.check(t.read(socket, &mut bytes) == TEXT.len() && bytes.starts_with(TEXT));
}

/// Some socket of this family and type.
fn makes(t: &Try<'_>, protocol: usize) -> usize {
    new!(t, "socket", t.value(0), t.value(1), protocol)
}

/// Bound to a free port of the loop-back interface, it sends to itself.
fn sends_to_itself(t: &Try<'_>) {
    let socket = makes(t, 0);
    let mut address = [AF_INET as u32, LOOPBACK, 0, 0];
    sys!(t, "bind", socket, &address, 16);
    let mut length = 16_u32;
    sys!(t, "getsockname", socket, &mut address, &mut length);
    sys!(t, "sendto", socket, TEXT, 5, 0, &address, 16);
    arrives(t, socket);
}

/// A socket that tells of its type.
fn has_type(t: &Try<'_>, socket: usize) {
    let (mut kind, mut length) = (77_u32, 4_u32);
    let (level, name) = (
        val!("sockopt level", "SOL_SOCKET"),
        val!("sockopt SOL_SOCKET", "SO_TYPE"),
    );
    sys!(t, "getsockopt", socket, level, name, &mut kind, &mut length);
    t.check(kind as usize == t.value(1));
}

fn of_type(t: &Try<'_>) {
    has_type(t, makes(t, 0));
}

fn raw_of_type(t: &Try<'_>) {
    t.needs_root();
    // ICMP, and what every packet socket sees.
    let protocol = if t.value(0) == AF_INET6 { 58 } else { 1 };
    has_type(t, makes(t, protocol));
}

fn pairs(t: &Try<'_>) {
    let mut ends = [0_i32; 2];
    sys!(t, "socketpair", t.value(0), t.value(1), 0, &mut ends);
    t.check(ends[1] > 0);
    t.write(ends[0] as usize, TEXT);
    arrives(t, ends[1] as usize);
}

pub const CASES: &[Case] = &[
    case("socket:AF_INET/SOCK_STREAM", |t| {
        let socket = makes(t, 0);
        let address = [AF_INET as u32, LOOPBACK, 0, 0];
        sys!(t, "bind", socket, &address, 16);
        sys!(t, "listen", socket, 1);
        has_type(t, socket);
    }),
    case("socket:AF_INET/SOCK_DGRAM", sends_to_itself),
    case("socket:AF_INET6/SOCK_STREAM", of_type),
    case("socket:AF_INET6/SOCK_DGRAM", of_type),
    case("socket:AF_UNIX/SOCK_STREAM", of_type),
    case("socket:AF_UNIX/SOCK_DGRAM", of_type),
    case("socket:AF_UNIX/SOCK_SEQPACKET", of_type),
    case("socket:AF_NETLINK/SOCK_RAW", of_type),
    case("socket:AF_NETLINK/SOCK_DGRAM", of_type),
    case("socket:AF_VSOCK/SOCK_STREAM", of_type),
    case("socket:AF_INET/SOCK_RAW", raw_of_type),
    case("socket:AF_INET6/SOCK_RAW", raw_of_type),
    case("socket:AF_PACKET/SOCK_RAW", raw_of_type),
    case("socket:AF_PACKET/SOCK_DGRAM", raw_of_type),
    case("socketpair:AF_UNIX/SOCK_STREAM", pairs),
    case("socketpair:AF_UNIX/SOCK_DGRAM", pairs),
    case("socketpair:AF_UNIX/SOCK_SEQPACKET", pairs),
    case("bind", |t| {
        let socket = new!(t, "socket", AF_INET, STREAM, 0);
        let mut address = [AF_INET as u32, LOOPBACK, 0, 0];
        sys!(t, "bind", socket, &address, 16);
        refuses!(t, "bind", socket, &address, 16);
        let mut length = 16_u32;
        sys!(t, "getsockname", socket, &mut address, &mut length);
        t.check(address[0] >> 16 != 0 && address[1] == LOOPBACK);
    }),
    case("listen", |t| {
        let (listener, address) = t.listener();
        let level = val!("sockopt level", "SOL_SOCKET");
        let name = val!("sockopt SOL_SOCKET", "SO_ACCEPTCONN");
        let told = [listener, level, name];
        if t.is_doubted(nr!("getsockopt"), &told) {
            let client = new!(t, "socket", AF_INET, STREAM, 0);
            sys!(t, "connect", client, &address, 16);
        } else {
            let (mut found, mut length) = (77_u32, 4_u32);
            sys!(
                t,
                "getsockopt",
                listener,
                level,
                name,
                &mut found,
                &mut length
            );
            t.check(found == 1);
        }
    }),
    case("connect", |t| {
        let (_listener, address) = t.listener();
        let client = new!(t, "socket", AF_INET, STREAM, 0);
        sys!(t, "connect", client, &address, 16);
        let (mut peer, mut length) = ([0_u32; 4], 16_u32);
        sys!(t, "getpeername", client, &mut peer, &mut length);
        t.check(peer[0] == address[0]);
    }),
    case("accept", |t| {
        let (listener, address) = t.listener();
        let client = new!(t, "socket", AF_INET, STREAM, 0);
        sys!(t, "connect", client, &address, 16);
        let server = new!(t, "accept", listener, 0, 0);
        t.write(client, TEXT);
        arrives(t, server);
    }),
    case("accept4", |t| {
        let (listener, address) = t.listener();
        let client = new!(t, "socket", AF_INET, STREAM, 0);
        sys!(t, "connect", client, &address, 16);
        let server = new!(t, "accept4", listener, 0, 0, 0);
        t.write(client, TEXT);
        arrives(t, server);
    }),
    case("getsockname", |t| {
        let socket = new!(t, "socket", AF_INET, STREAM, 0);
        let mut address = [AF_INET as u32, LOOPBACK, 0, 0];
        sys!(t, "bind", socket, &address, 16);
        let mut length = 16_u32;
        sys!(t, "getsockname", socket, &mut address, &mut length);
        t.check(address[0] >> 16 != 0);
    }),
    case("getpeername", |t| {
        let [client, server] = t.connection();
        let (mut peer, mut own, mut length) = ([0_u32; 4], [0_u32; 4], 16_u32);
        sys!(t, "getpeername", client, &mut peer, &mut length);
        sys!(t, "getsockname", server, &mut own, &mut length);
        t.check(peer == own && peer[1] == LOOPBACK);
    }),
    case("sendto", |t| {
        let [one, other] = t.pair();
        t.check(sys!(t, "sendto", one, TEXT, 5, 0, 0, 0) == 5);
        arrives(t, other);
    }),
    case("recvfrom", |t| {
        let [one, other] = t.pair();
        t.write(one, TEXT);
        let mut bytes = [0_u8; 16];
        t.check(sys!(t, "recvfrom", other, &mut bytes, 16, 0, 0, 0) == 5);
        t.check(bytes.starts_with(TEXT));
    }),
    case("sendmsg", |t| {
        let [one, other] = t.pair();
        let mut text = *b"hello";
        let vector = vector(&mut text);
        t.check(sys!(t, "sendmsg", one, &message(&vector), 0) == 5);
        arrives(t, other);
    }),
    case("recvmsg", |t| {
        let [one, other] = t.pair();
        t.write(one, TEXT);
        let mut bytes = [0_u8; 16];
        let vector = vector(&mut bytes);
        t.check(sys!(t, "recvmsg", other, &mut message(&vector), 0) == 5);
        t.check(bytes.starts_with(TEXT));
    }),
    case("sendmmsg", |t| {
        let [one, other] = t.pair();
        let mut text = *b"hello";
        let vector = vector(&mut text);
        let mut messages = [0_usize; 8];
        messages[..7].copy_from_slice(&message(&vector));
        t.check(sys!(t, "sendmmsg", one, &mut messages, 1, 0) == 1);
        arrives(t, other);
    }),
    case("recvmmsg", |t| {
        let [one, other] = t.pair();
        t.write(one, TEXT);
        let mut bytes = [0_u8; 16];
        let vector = vector(&mut bytes);
        let mut messages = [0_usize; 8];
        messages[..7].copy_from_slice(&message(&vector));
        t.check(sys!(t, "recvmmsg", other, &mut messages, 1, 0, 0) == 1);
        t.check(bytes.starts_with(TEXT) && messages[7] == 5);
    }),
    case("shutdown", |t| {
        let [one, other] = t.pair();
        // Nothing more is written.
        sys!(t, "shutdown", one, 1);
        let mut bytes = [0_u8; 4];
        sys!(t, "fcntl", other, val!("fcntl", "F_SETFL"), NONBLOCK);
        t.check(raw!(t, "read", other, &mut bytes, 4) == 0);
        refuses!(t, "shutdown", 0x7777, 1);
    }),
];

/// What is asked of the host's network: `struct ifreq` for the loop-back interface.
fn interface(t: &Try<'_>) -> [u32; 10] {
    let socket = new!(t, "socket", AF_INET, DGRAM, 0);
    let mut request = [0_u32; 10];
    request[0] = u32::from_le_bytes(*b"lo\0\0");
    request[4..].fill(0x7777_7777);
    sys!(t, "ioctl", socket, t.value(0), &mut request);
    request
}

fn answers(t: &Try<'_>) {
    t.check(interface(t)[4] != 0x7777_7777);
}

/// What `ioctl` says of sockets and interfaces.
pub const CONTROLS: &[Case] = &[
    case("ioctl:SIOCGIFINDEX", answers),
    case("ioctl:SIOCGIFFLAGS", answers),
    case("ioctl:SIOCGIFMTU", answers),
    case("ioctl:SIOCGIFADDR", answers),
    case("ioctl:SIOCGIFNETMASK", answers),
    case("ioctl:SIOCGIFBRDADDR", answers),
    case("ioctl:SIOCGIFDSTADDR", answers),
    case("ioctl:SIOCGIFMETRIC", answers),
    case("ioctl:SIOCGIFHWADDR", answers),
    case("ioctl:SIOCGIFTXQLEN", answers),
    case("ioctl:SIOCGIFMAP", answers),
    case("ioctl:SIOCGIFNAME", |t| {
        let socket = new!(t, "socket", AF_INET, DGRAM, 0);
        // The first interface is the loop-back one.
        let mut request = [0_u32; 10];
        request[4] = 1;
        sys!(t, "ioctl", socket, t.value(0), &mut request);
        t.check(request[0] != 0);
    }),
    case("ioctl:SIOCGIFCONF", |t| {
        let socket = new!(t, "socket", AF_INET, DGRAM, 0);
        let mut bytes = [0_u8; 400];
        let mut request = vector(&mut bytes);
        request.swap(0, 1);
        sys!(t, "ioctl", socket, t.value(0), &mut request);
        t.check(bytes[0] != 0);
    }),
    case("ioctl:SIOCATMARK", |t| {
        let [client, _server] = t.connection();
        let mut found = 0x7777_u32;
        sys!(t, "ioctl", client, t.value(0), &mut found);
        t.check(found < 2);
    }),
    case("ioctl:TIOCOUTQ", |t| {
        let [client, _server] = t.connection();
        let mut found = 0x7777_u32;
        sys!(t, "ioctl", client, t.value(0), &mut found);
        t.check(found == 0);
    }),
    case("ioctl:SIOCSPGRP", |t| {
        let ([one, _other], me) = (t.pair(), t.me() as u32);
        sys!(t, "ioctl", one, t.value(0), &me);
        t.check(sys!(t, "fcntl", one, val!("fcntl", "F_GETOWN")) == me as usize);
    }),
    case("ioctl:SIOCGPGRP", owner),
    case("ioctl:FIOSETOWN", |t| {
        let ([one, _other], me) = (t.pair(), t.me() as u32);
        sys!(t, "ioctl", one, t.value(0), &me);
        t.check(sys!(t, "fcntl", one, val!("fcntl", "F_GETOWN")) == me as usize);
    }),
    case("ioctl:FIOGETOWN", owner),
];

fn owner(t: &Try<'_>) {
    let [one, _other] = t.pair();
    let mut found = 0x7777_7777_u32;
    sys!(t, "ioctl", one, t.value(0), &mut found);
    t.check(found == 0);
}
