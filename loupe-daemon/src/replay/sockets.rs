//! Sockets that wait for somebody: those that listen, and datagram sockets with an address. Read
//! from `/proc`, in the network of one process; whose they are, from the descriptors.

use std::collections::BTreeSet;
use std::fs;

/// Of `/proc/PID/net/tcp`, `…/udp` and `…/unix` (`include/net/tcp_states.h`, `net/unix/af_unix.c`).
const LISTENS: &str = "0A";
const NOT_CONNECTED: &str = "07";
const ACCEPTS: u32 = 0x1_0000;
const DATAGRAM: &str = "0002";

/// A socket that waits for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiting {
    pub inode: u64,
    /// Of TCP and UDP.
    pub port: Option<u16>,
}

/// All of the network namespace of a process. A table that is not there has none.
pub fn waiting(pid: i32) -> Vec<Waiting> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}"));
    // For a table, the kernel walks the sockets of the whole host, for 1 ms and more; their numbers it
    // has at hand.
    let counts = ["sockstat", "sockstat6"].map(|name| read(name).unwrap_or_default());
    let [counts, counts6] = &counts;
    let internet = [
        ("tcp", in_use(counts, "TCP:"), LISTENS),
        ("tcp6", in_use(counts6, "TCP6:"), LISTENS),
        ("udp", in_use(counts, "UDP:"), NOT_CONNECTED),
        ("udp6", in_use(counts6, "UDP6:"), NOT_CONNECTED),
    ];
    let mut all = Vec::new();
    for (name, _, state) in internet
        .into_iter()
        .filter(|(_, count, _)| *count != Some(0))
    {
        let table = read(name).unwrap_or_default();
        all.extend(table.lines().filter_map(|line| of_internet(line, state)));
    }
    let table = read("unix").unwrap_or_default();
    all.extend(table.lines().filter_map(of_unix));
    all
}

/// The sockets of a protocol, by `/proc/PID/net/sockstat` or `…/sockstat6`.
fn in_use(counts: &str, protocol: &str) -> Option<u64> {
    let mut lines = counts.lines();
    let mut words = lines
        .find_map(|line| line.strip_prefix(protocol))?
        .split_whitespace();
    words.find(|word| *word == "inuse")?;
    words.next()?.parse().ok()
}

fn of_internet(line: &str, state: &str) -> Option<Waiting> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, port) = fields.get(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let inode = fields.get(9)?.parse().ok()?;
    (*fields.get(3)? == state && port != 0).then_some(Waiting {
        inode,
        port: Some(port),
    })
}

fn of_unix(line: &str) -> Option<Waiting> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let flags = u32::from_str_radix(fields.get(3)?, 16).ok()?;
    let has_name = fields.len() > 7;
    let waits = flags & ACCEPTS != 0 || (*fields.get(4)? == DATAGRAM && has_name);
    let inode = fields.get(6)?.parse().ok()?;
    waits.then_some(Waiting { inode, port: None })
}

/// The inodes of those that these processes hold.
pub fn held(pids: &[i32]) -> BTreeSet<u64> {
    let Some(first) = pids.first() else {
        return BTreeSet::new();
    };
    let waiting: BTreeSet<u64> = waiting(*first).iter().map(|socket| socket.inode).collect();
    if waiting.is_empty() {
        return waiting;
    }
    let mut held = BTreeSet::new();
    for pid in pids {
        // Gone since the list was read: holds nothing.
        let files = fs::read_dir(format!("/proc/{pid}/fd"));
        for file in files.into_iter().flatten().flatten() {
            let Ok(link) = fs::read_link(file.path()) else {
                continue;
            };
            let inode = link.to_string_lossy();
            let inode = inode.strip_prefix("socket:[");
            let inode = inode.and_then(|inode| inode.strip_suffix(']')?.parse().ok());
            held.extend(inode.filter(|inode| waiting.contains(inode)));
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    use super::*;

    #[test]
    fn what_waits_is_told_from_what_is_connected_or_has_no_name() {
        let own = std::process::id() as i32;
        let ports = || -> Vec<u16> {
            let waiting = waiting(own).into_iter();
            waiting.filter_map(|socket| socket.port).collect()
        };
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = tcp.local_addr().expect("an address");
        let stream = TcpStream::connect(address).expect("a listener");
        let port = |address: std::io::Result<std::net::SocketAddr>| address.expect("one").port();
        assert!(ports().contains(&address.port()));
        assert!(ports().contains(&port(udp.local_addr())));
        assert!(!ports().contains(&port(stream.local_addr())));
        udp.connect(address).expect("a peer");
        assert!(!ports().contains(&port(udp.local_addr())));
    }

    #[test]
    fn the_kernels_numbers_of_sockets_are_read() {
        let counts =
            "sockets: used 3\nTCP: inuse 1 orphan 0 tw 2 alloc 5 mem 0\nUDP: inuse 0 mem 0\n";
        assert_eq!(in_use(counts, "TCP:"), Some(1));
        assert_eq!(in_use(counts, "UDP:"), Some(0));
        assert_eq!(in_use(counts, "TCP6:"), None);
        assert_eq!(in_use("TCP6: inuse 7\n", "TCP6:"), Some(7));
    }

    #[test]
    fn what_a_process_holds_is_known_by_its_descriptors() {
        let own = [std::process::id() as i32];
        let directory = tempfile::tempdir().expect("a directory");
        let before = held(&own);
        let listener = UnixListener::bind(directory.path().join("l")).expect("a name");
        let datagram = UnixDatagram::bind(directory.path().join("d")).expect("a name");
        let pair = UnixStream::pair().expect("a pair");
        // Other tests open and close theirs beside this one.
        assert!(held(&own).difference(&before).count() >= 2);
        let names = fs::read_to_string("/proc/self/net/unix").expect("a table");
        let path = directory.path().to_string_lossy().into_owned();
        let ours = names.lines().filter(|line| line.contains(&path));
        let ours: Vec<u64> = ours
            .filter_map(of_unix)
            .map(|socket| socket.inode)
            .collect();
        assert_eq!(ours.len(), 2);
        assert!(ours.iter().all(|inode| held(&own).contains(inode)));
        drop((listener, datagram, pair));
        assert!(!ours.iter().any(|inode| held(&own).contains(inode)));
    }
}
