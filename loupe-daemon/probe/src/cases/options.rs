//! Options of sockets: each is asked for, and each that can be is set and asked for again.

use crate::attempt::{Try, new, raw, sys};
use crate::helpers::{AF_INET, AF_UNIX, DGRAM, STREAM};
use crate::list::{Case, case};
use crate::tables::{nr, val};

const SOCKET: usize = val!("sockopt level", "SOL_SOCKET");
const TCP: usize = val!("sockopt level", "SOL_TCP");
const UDP: usize = val!("sockopt level", "SOL_UDP");
const IPV6: usize = val!("sockopt level", "SOL_IPV6");
/// What no option has.
const UNTOUCHED: u32 = 0x7777_7777;

/// A socket of the kind that has the option's level.
fn socket(t: &Try<'_>) -> usize {
    match t.value(0) {
        TCP => new!(t, "socket", AF_INET, STREAM, 0),
        UDP => new!(t, "socket", AF_INET, DGRAM, 0),
        IPV6 => new!(t, "socket", val!("family", "AF_INET6"), DGRAM, 0),
        SOCKET => new!(t, "socket", AF_INET, STREAM, 0),
        _ => new!(t, "socket", AF_INET, DGRAM, 0),
    }
}

/// Asks, and knows from the memory that there was an answer.
fn get(t: &Try<'_>, socket: usize) -> [u32; 64] {
    let (mut found, mut length) = ([UNTOUCHED; 64], 256_u32);
    sys!(
        t,
        "getsockopt",
        socket,
        t.value(0),
        t.value(1),
        &mut found,
        &mut length
    );
    found
}

fn answers(t: &Try<'_>, socket: usize) {
    let (mut found, mut length) = ([UNTOUCHED; 64], 256_u32);
    sys!(
        t,
        "getsockopt",
        socket,
        t.value(0),
        t.value(1),
        &mut found,
        &mut length
    );
    t.check(length < 256 || found[63] != UNTOUCHED);
}

/// Where Linux insists on a length.
fn of_length(t: &Try<'_>, socket: usize, mut length: u32) {
    let mut found = [UNTOUCHED; 64];
    sys!(
        t,
        "getsockopt",
        socket,
        t.value(0),
        t.value(1),
        &mut found,
        &mut length
    );
    t.check(found[0] != UNTOUCHED);
}

fn set(t: &Try<'_>, socket: usize, value: u32) {
    sys!(t, "setsockopt", socket, t.value(0), t.value(1), &value, 4);
}

/// On, and then off, and each is seen.
fn switches(t: &Try<'_>) {
    switch(t, socket(t));
}

fn switch(t: &Try<'_>, socket: usize) {
    for value in [1, 0] {
        set(t, socket, value);
        t.check((get(t, socket)[0] != 0) == (value != 0));
    }
}

/// Takes a number.
fn keeps<const VALUE: u32>(t: &Try<'_>) {
    let socket = socket(t);
    set(t, socket, VALUE);
    t.check(get(t, socket)[0] == VALUE);
}

/// Takes a size, and makes more of it.
fn grows(t: &Try<'_>) {
    let socket = socket(t);
    let before = get(t, socket)[0];
    set(t, socket, 20_000);
    let after = get(t, socket)[0];
    t.check(after >= 20_000 && after != before);
}

/// Sets by one option what another one tells.
fn forces(t: &Try<'_>, told_by: usize) {
    t.needs_root();
    let socket = socket(t);
    set(t, socket, 20_000);
    let (mut found, mut length) = (UNTOUCHED, 4_u32);
    sys!(
        t,
        "getsockopt",
        socket,
        SOCKET,
        told_by,
        &mut found,
        &mut length
    );
    t.check(found == 40_000);
}

/// Takes two words.
fn keeps_two(t: &Try<'_>, words: [u64; 2]) {
    let socket = socket(t);
    sys!(t, "setsockopt", socket, t.value(0), t.value(1), &words, 16);
    let (mut found, mut length) = ([9_u64; 2], 16_u32);
    sys!(
        t,
        "getsockopt",
        socket,
        t.value(0),
        t.value(1),
        &mut found,
        &mut length
    );
    t.check(found[0] == words[0] && found[1].abs_diff(words[1]) < 20_000);
}

/// Joins a group of the loop-back interface.
fn joins(t: &Try<'_>) {
    let socket = new!(t, "socket", AF_INET, DGRAM, 0);
    let group = [0x0101_01e0_u32, 0x0100_007f];
    let join = val!("sockopt SOL_IP", "IP_ADD_MEMBERSHIP");
    let leave = val!("sockopt SOL_IP", "IP_DROP_MEMBERSHIP");
    sys!(t, "setsockopt", socket, 0, join, &group, 8);
    // Not twice; and not left twice.
    t.check(raw!(t, "setsockopt", socket, 0, join, &group, 8) < 0);
    sys!(t, "setsockopt", socket, 0, leave, &group, 8);
    t.check(raw!(t, "setsockopt", socket, 0, leave, &group, 8) < 0);
}

/// Of two connected sockets of one host.
fn of_pair(t: &Try<'_>) {
    let mut ends = [0_i32; 2];
    sys!(t, "socketpair", AF_UNIX, STREAM, 0, &mut ends);
    answers(t, ends[0] as usize);
}

fn of_connection(t: &Try<'_>) {
    let [client, _server] = t.connection();
    answers(t, client);
}

pub const CASES: &[Case] = &[
    case("getsockopt:SOL_SOCKET/SO_PEERCRED", of_pair),
    case("getsockopt:SOL_SOCKET/SO_PEERPIDFD", of_pair),
    case("getsockopt:SOL_SOCKET/SO_PASSCRED", of_pair),
    case("getsockopt:SOL_SOCKET/SO_PASSSEC", of_pair),
    case("getsockopt:SOL_SOCKET/SO_PASSPIDFD", of_pair),
    case("getsockopt:SOL_SOCKET/SO_PASSRIGHTS", of_pair),
    case("getsockopt:SOL_SOCKET/SO_PEERGROUPS", of_pair),
    case("getsockopt:SOL_SOCKET/SO_PEERNAME", |t| {
        of_length(t, t.connection()[0], 16);
    }),
    case("getsockopt:SOL_SOCKET/SO_NETNS_COOKIE", |t| {
        of_length(t, socket(t), 8)
    }),
    case("getsockopt:SOL_IP/IP_MTU", |t| answers(t, t.datagrams().0)),
    case("getsockopt:SOL_SOCKET/*", |t| answers(t, socket(t))),
    case("getsockopt:SOL_IP/*", |t| answers(t, socket(t))),
    case("getsockopt:SOL_IPV6/*", |t| answers(t, socket(t))),
    case("getsockopt:SOL_TCP/TCP_CC_INFO", of_connection),
    case("getsockopt:SOL_TCP/*", |t| answers(t, socket(t))),
    case("getsockopt:SOL_UDP/*", |t| answers(t, socket(t))),
    case("setsockopt:SOL_SOCKET/SO_DEBUG", switches),
    case("setsockopt:SOL_SOCKET/SO_REUSEADDR", switches),
    case("setsockopt:SOL_SOCKET/SO_REUSEPORT", switches),
    case("setsockopt:SOL_SOCKET/SO_DONTROUTE", switches),
    case("setsockopt:SOL_SOCKET/SO_BROADCAST", switches),
    case("setsockopt:SOL_SOCKET/SO_KEEPALIVE", switches),
    case("setsockopt:SOL_SOCKET/SO_OOBINLINE", switches),
    case("setsockopt:SOL_SOCKET/SO_NO_CHECK", switches),
    case("setsockopt:SOL_SOCKET/SO_TIMESTAMP", switches),
    case("setsockopt:SOL_SOCKET/SO_TIMESTAMP_OLD", switches),
    case("setsockopt:SOL_SOCKET/SO_TIMESTAMPNS_OLD", switches),
    case("setsockopt:SOL_SOCKET/SO_TIMESTAMP_NEW", switches),
    case("setsockopt:SOL_SOCKET/SO_TIMESTAMPNS_NEW", switches),
    case("setsockopt:SOL_SOCKET/SO_RXQ_OVFL", switches),
    case("setsockopt:SOL_SOCKET/SO_WIFI_STATUS", switches),
    case("setsockopt:SOL_SOCKET/SO_SELECT_ERR_QUEUE", switches),
    case("setsockopt:SOL_SOCKET/SO_ZEROCOPY", switches),
    case("setsockopt:SOL_SOCKET/SO_RCVMARK", switches),
    case("setsockopt:SOL_SOCKET/SO_PREFER_BUSY_POLL", switches),
    case("setsockopt:SOL_SOCKET/SO_LOCK_FILTER", |t| {
        let socket = socket(t);
        set(t, socket, 1);
        t.check(get(t, socket)[0] == 1);
    }),
    case("setsockopt:SOL_SOCKET/SO_PASSCRED", |t| {
        switch(t, t.pair()[0])
    }),
    case("setsockopt:SOL_SOCKET/SO_PASSPIDFD", |t| {
        switch(t, t.pair()[0])
    }),
    case("setsockopt:SOL_SOCKET/SO_PEEK_OFF", |t| {
        let [one, _other] = t.pair();
        set(t, one, 3);
        t.check(get(t, one)[0] == 3);
    }),
    case("setsockopt:SOL_SOCKET/SO_PRIORITY", keeps::<4>),
    case("setsockopt:SOL_SOCKET/SO_RCVLOWAT", keeps::<10>),
    case("setsockopt:SOL_SOCKET/SO_MARK", |t| {
        t.needs_root();
        keeps::<5>(t);
    }),
    case("setsockopt:SOL_SOCKET/SO_INCOMING_CPU", keeps::<0>),
    case("setsockopt:SOL_SOCKET/SO_BUSY_POLL", keeps::<20>),
    case("setsockopt:SOL_SOCKET/SO_BUF_LOCK", keeps::<1>),
    case("setsockopt:SOL_SOCKET/SO_MAX_PACING_RATE", keeps::<100_000>),
    case("setsockopt:SOL_SOCKET/SO_SNDBUF", grows),
    case("setsockopt:SOL_SOCKET/SO_RCVBUF", grows),
    case("setsockopt:SOL_SOCKET/SO_SNDBUFFORCE", |t| {
        forces(t, val!("sockopt SOL_SOCKET", "SO_SNDBUF"));
    }),
    case("setsockopt:SOL_SOCKET/SO_RCVBUFFORCE", |t| {
        forces(t, val!("sockopt SOL_SOCKET", "SO_RCVBUF"));
    }),
    case("setsockopt:SOL_SOCKET/SO_LINGER", |t| {
        let (socket, linger) = (socket(t), [1_u32, 9]);
        sys!(t, "setsockopt", socket, SOCKET, t.value(1), &linger, 8);
        t.check(get(t, socket)[..2] == linger);
    }),
    case("setsockopt:SOL_SOCKET/SO_RCVTIMEO_OLD", |t| {
        keeps_two(t, [3, 0])
    }),
    case("setsockopt:SOL_SOCKET/SO_SNDTIMEO_OLD", |t| {
        keeps_two(t, [3, 0])
    }),
    case("setsockopt:SOL_SOCKET/SO_RCVTIMEO_NEW", |t| {
        keeps_two(t, [3, 0])
    }),
    case("setsockopt:SOL_SOCKET/SO_SNDTIMEO_NEW", |t| {
        keeps_two(t, [3, 0])
    }),
    case("setsockopt:SOL_SOCKET/SO_BINDTODEVICE", |t| {
        t.needs_root();
        let socket = socket(t);
        sys!(t, "setsockopt", socket, SOCKET, t.value(1), c"lo", 3);
        t.check(get(t, socket)[0] & 0xff_ffff == u32::from_le_bytes(*b"lo\0\0"));
    }),
    case("setsockopt:SOL_SOCKET/SO_BINDTOIFINDEX", keeps::<1>),
    case("setsockopt:SOL_SOCKET/SO_ATTACH_FILTER", |t| {
        let one = t.datagrams().0;
        // Nothing passes: return 0.
        let program = [6_u64];
        let filter = [1_usize, core::ptr::from_ref(&program) as usize];
        sys!(t, "setsockopt", one, SOCKET, t.value(1), &filter, 16);
        t.write(one, b"lost");
        let mut bytes = [0_u8; 8];
        let dont_wait = 0x40;
        t.check(raw!(t, "recvfrom", one, &mut bytes, 8, dont_wait, 0, 0) < 0);
    }),
    case("setsockopt:SOL_SOCKET/SO_DETACH_FILTER", |t| {
        let socket = t.datagrams().0;
        let program = [6_u64];
        let filter = [1_usize, core::ptr::from_ref(&program) as usize];
        let attach = val!("sockopt SOL_SOCKET", "SO_ATTACH_FILTER");
        sys!(t, "setsockopt", socket, SOCKET, attach, &filter, 16);
        let mut bytes = [0_u8; 8];
        t.write(socket, b"lost");
        if raw!(t, "recvfrom", socket, &mut bytes, 8, 0x40, 0, 0) >= 0 {
            t.failed(nr!("setsockopt"), &[socket, SOCKET, attach], 0);
        }
        set(t, socket, 0);
        t.write(socket, b"kept");
        t.check(raw!(t, "recvfrom", socket, &mut bytes, 8, 0x40, 0, 0) == 4);
    }),
    case("setsockopt:SOL_IP/IP_ADD_MEMBERSHIP", joins),
    case("setsockopt:SOL_IP/IP_DROP_MEMBERSHIP", joins),
    case("setsockopt:SOL_IP/IP_TOS", keeps::<16>),
    case("setsockopt:SOL_IP/IP_TTL", keeps::<33>),
    case("setsockopt:SOL_IP/IP_MTU_DISCOVER", keeps::<2>),
    case("setsockopt:SOL_IP/IP_MINTTL", keeps::<3>),
    case("setsockopt:SOL_IP/IP_MULTICAST_TTL", keeps::<5>),
    case("setsockopt:SOL_IP/IP_MULTICAST_LOOP", switches),
    case("setsockopt:SOL_IP/IP_MULTICAST_ALL", switches),
    case("setsockopt:SOL_IP/IP_PKTINFO", switches),
    case("setsockopt:SOL_IP/IP_RECVERR", switches),
    case("setsockopt:SOL_IP/IP_RECVTTL", switches),
    case("setsockopt:SOL_IP/IP_RECVTOS", switches),
    case("setsockopt:SOL_IP/IP_RECVOPTS", switches),
    case("setsockopt:SOL_IP/IP_RETOPTS", switches),
    case("setsockopt:SOL_IP/IP_FREEBIND", switches),
    case("setsockopt:SOL_IP/IP_TRANSPARENT", |t| {
        t.needs_root();
        switches(t);
    }),
    case("setsockopt:SOL_IP/IP_RECVORIGDSTADDR", switches),
    case("setsockopt:SOL_IP/IP_ORIGDSTADDR", switches),
    case("setsockopt:SOL_IP/IP_CHECKSUM", switches),
    case("setsockopt:SOL_IP/IP_BIND_ADDRESS_NO_PORT", switches),
    case("setsockopt:SOL_IP/IP_RECVFRAGSIZE", switches),
    case("setsockopt:SOL_IP/IP_RECVERR_RFC4884", switches),
    case("setsockopt:SOL_IPV6/IPV6_V6ONLY", switches),
    case("setsockopt:SOL_IPV6/IPV6_RECVPKTINFO", switches),
    case("setsockopt:SOL_IPV6/IPV6_RECVHOPLIMIT", switches),
    case("setsockopt:SOL_IPV6/IPV6_RECVTCLASS", switches),
    case("setsockopt:SOL_IPV6/IPV6_RECVERR", switches),
    case("setsockopt:SOL_IPV6/IPV6_RECVRTHDR", switches),
    case("setsockopt:SOL_IPV6/IPV6_RECVHOPOPTS", switches),
    case("setsockopt:SOL_IPV6/IPV6_RECVDSTOPTS", switches),
    case("setsockopt:SOL_IPV6/IPV6_RECVPATHMTU", switches),
    case("setsockopt:SOL_IPV6/IPV6_MULTICAST_LOOP", switches),
    case("setsockopt:SOL_IPV6/IPV6_MULTICAST_ALL", switches),
    case("setsockopt:SOL_IPV6/IPV6_DONTFRAG", switches),
    case("setsockopt:SOL_IPV6/IPV6_AUTOFLOWLABEL", switches),
    case("setsockopt:SOL_IPV6/IPV6_FREEBIND", switches),
    case("setsockopt:SOL_IPV6/IPV6_UNICAST_HOPS", keeps::<33>),
    case("setsockopt:SOL_IPV6/IPV6_MULTICAST_HOPS", keeps::<7>),
    case("setsockopt:SOL_IPV6/IPV6_MTU_DISCOVER", keeps::<2>),
    case("setsockopt:SOL_IPV6/IPV6_TCLASS", keeps::<16>),
    case("setsockopt:SOL_IPV6/IPV6_MINHOPCOUNT", keeps::<3>),
    case("setsockopt:SOL_TCP/TCP_NODELAY", switches),
    case("setsockopt:SOL_TCP/TCP_CORK", switches),
    case("setsockopt:SOL_TCP/TCP_THIN_LINEAR_TIMEOUTS", switches),
    case("setsockopt:SOL_TCP/TCP_FASTOPEN_CONNECT", switches),
    case("setsockopt:SOL_TCP/TCP_FASTOPEN_NO_COOKIE", switches),
    case("setsockopt:SOL_TCP/TCP_INQ", switches),
    case("setsockopt:SOL_TCP/TCP_SAVE_SYN", switches),
    case("setsockopt:SOL_TCP/TCP_QUICKACK", |t| {
        let socket = t.connection()[0];
        set(t, socket, 0);
        t.check(get(t, socket)[0] == 0);
    }),
    case("setsockopt:SOL_TCP/TCP_MAXSEG", keeps::<700>),
    case("setsockopt:SOL_TCP/TCP_KEEPIDLE", keeps::<77>),
    case("setsockopt:SOL_TCP/TCP_KEEPINTVL", keeps::<17>),
    case("setsockopt:SOL_TCP/TCP_KEEPCNT", keeps::<7>),
    case("setsockopt:SOL_TCP/TCP_SYNCNT", keeps::<3>),
    case("setsockopt:SOL_TCP/TCP_LINGER2", keeps::<5>),
    case("setsockopt:SOL_TCP/TCP_DEFER_ACCEPT", keeps::<1>),
    case("setsockopt:SOL_TCP/TCP_WINDOW_CLAMP", keeps::<30_000>),
    case("setsockopt:SOL_TCP/TCP_USER_TIMEOUT", keeps::<9_000>),
    case("setsockopt:SOL_TCP/TCP_NOTSENT_LOWAT", keeps::<9_000>),
    case("setsockopt:SOL_TCP/TCP_RTO_MAX_MS", keeps::<20_000>),
    case("setsockopt:SOL_TCP/TCP_CONGESTION", |t| {
        let socket = socket(t);
        sys!(t, "setsockopt", socket, TCP, t.value(1), c"reno", 4);
        t.check(get(t, socket)[0] == u32::from_le_bytes(*b"reno"));
        t.check(raw!(t, "setsockopt", socket, TCP, t.value(1), c"none", 4) < 0);
    }),
    case("setsockopt:SOL_UDP/UDP_CORK", switches),
    case("setsockopt:SOL_UDP/UDP_NO_CHECK6_TX", switches),
    case("setsockopt:SOL_UDP/UDP_NO_CHECK6_RX", switches),
    case("setsockopt:SOL_UDP/UDP_SEGMENT", keeps::<500>),
];
