//! The other side of the victims' echo servers, and the test that goes with the batch victims.
//!
//! A program of its own, so that what is injected into the victim cannot meet its test.
//! `probe echo PORT`, `probe echo-datagrams PORT` or `probe works FILE`; and `probe no-bpf-objects`,
//! for a machine that has none of its own. It has no time limit: ending a test that hangs is
//! the business of the one who started it.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["echo", port] => echo(port),
        ["echo-datagrams", port] => echo_datagrams(port),
        ["works", file] => works(file),
        ["no-bpf-objects"] => no_bpf_objects(),
        _ => Err(io::Error::other(
            "usage: probe echo PORT | echo-datagrams PORT | works FILE | no-bpf-objects",
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Every one of a few connections must get back what it sent.
fn echo(port: &str) -> io::Result<()> {
    let port: u16 = port.parse().map_err(io::Error::other)?;
    for round in 0..3 {
        let sent = format!("echo number {round}\n");
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.write_all(sent.as_bytes())?;
        let mut received = String::new();
        connection.read_to_string(&mut received)?;
        if received != sent {
            return Err(io::Error::other(format!("sent {sent:?}, got {received:?}")));
        }
    }
    Ok(())
}

/// The same with datagrams, of which each must come back at once.
fn echo_datagrams(port: &str) -> io::Result<()> {
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.connect(("127.0.0.1", port))?;
    let mut bytes = [0; 64];
    for round in 0..3 {
        let sent = format!("echo number {round}");
        socket.send(sent.as_bytes())?;
        let length = socket.recv(&mut bytes)?;
        if &bytes[..length] != sent.as_bytes() {
            return Err(io::Error::other(format!(
                "sent {sent:?}, got {length} bytes"
            )));
        }
    }
    Ok(())
}

fn works(file: &str) -> io::Result<()> {
    match std::fs::read(file)?.as_slice() {
        b"ok\n" => Ok(()),
        other => Err(io::Error::other(format!("{file} holds {other:?}"))),
    }
}

fn no_bpf_objects() -> io::Result<()> {
    match loupe_tests::leftovers::bpf_objects() {
        none if none.is_empty() => Ok(()),
        some => Err(io::Error::other(format!("there are {}", some.join(", ")))),
    }
}
