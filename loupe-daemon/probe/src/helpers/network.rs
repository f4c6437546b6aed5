//! Sockets that cases need beside what they try.

use super::{AF_INET, AF_UNIX, DGRAM, LOOPBACK, STREAM};
use crate::attempt::{Try, choose, new, sys};
use crate::tables::nr;

impl Try<'_> {
    /// Two connected sockets.
    pub fn pair(&self) -> [usize; 2] {
        let mut ends = [0_i32; 2];
        sys!(self, "socketpair", AF_UNIX, STREAM, 0, &mut ends);
        if ends[1] == 0 {
            self.failed(nr!("socketpair"), &[AF_UNIX, STREAM], 0);
        }
        ends.map(|end| end as usize)
    }

    /// A socket of TCP that listens on the loop-back interface, and its address.
    pub fn listener(&self) -> (usize, [u32; 4]) {
        let socket = new!(self, "socket", AF_INET, STREAM, 0);
        let mut address = [AF_INET as u32, LOOPBACK, 0, 0];
        sys!(self, "bind", socket, &address, 16);
        sys!(self, "listen", socket, 4);
        let mut length = 16_u32;
        sys!(self, "getsockname", socket, &mut address, &mut length);
        (socket, address)
    }

    /// A connection over TCP: who connected, who accepted.
    pub fn connection(&self) -> [usize; 2] {
        let (listener, address) = self.listener();
        let client = new!(self, "socket", AF_INET, STREAM, 0);
        sys!(self, "connect", client, &address, 16);
        let server = choose!(self, ["accept4", "accept"], {
            "accept" => new!(self, "accept", listener, 0, 0),
            "accept4" => new!(self, "accept4", listener, 0, 0, 0),
        });
        [client, server]
    }

    /// A socket for datagrams on the loop-back interface, connected to itself.
    pub fn datagrams(&self) -> (usize, [u32; 4]) {
        let socket = new!(self, "socket", AF_INET, DGRAM, 0);
        let mut address = [AF_INET as u32, LOOPBACK, 0, 0];
        sys!(self, "bind", socket, &address, 16);
        let mut length = 16_u32;
        sys!(self, "getsockname", socket, &mut address, &mut length);
        sys!(self, "connect", socket, &address, 16);
        (socket, address)
    }
}
