//! Descriptors that systemd keeps while louped is restarted, however it ended, and closes when it is
//! stopped (`FileDescriptorStoreMax=` of the unit).

use std::env;
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, socket,
};

use crate::profile::{Keeper, Left, Pinning};
use crate::sys::descriptors;

/// Under which name it is kept; sockets have the name of their unit.
fn name_of(what: Left) -> &'static str {
    match what {
        Left::Pins => "loupe-profile",
        Left::Unrecorded => "loupe-unrecorded",
    }
}

/// Which of what an earlier louped has left has this name.
pub fn left_as(name: &str) -> Option<Left> {
    [Left::Pins, Left::Unrecorded]
        .into_iter()
        .find(|what| name_of(*what) == name)
}

/// Keeps what a profile leaves for the next louped.
struct Systemd {
    /// Where it is told.
    address: OsString,
}

/// Who keeps descriptors for this process, and what it has kept. To be called once, before anything
/// else opens files.
pub fn pinning() -> io::Result<Pinning> {
    let (mut pins, mut unrecorded) = (None, None);
    for (number, name) in sd_notify::listen_fds_with_names()? {
        let Some(what) = left_as(&name) else {
            continue;
        };
        // By the protocol of sd_listen_fds it was opened for this process to own. There is one of
        // each; of several the last was kept last.
        let descriptor = Some(descriptors::inherited(number)?);
        match what {
            Left::Pins => pins = descriptor,
            Left::Unrecorded => unrecorded = descriptor,
        }
    }
    let address = env::var_os("NOTIFY_SOCKET");
    let keeper = address.map(|address| Box::new(Systemd { address }) as Box<dyn Keeper>);
    Ok(Pinning::new(keeper, pins, unrecorded))
}

impl Systemd {
    fn tell(&self, message: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let name = self.address.as_bytes();
        let address = match name.strip_prefix(b"@") {
            Some(name) => UnixAddr::new_abstract(name)?,
            None => UnixAddr::new(name)?,
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket: OwnedFd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        let numbers: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let control = if numbers.is_empty() { &[][..] } else { &rights };
        let parts = [IoSlice::new(message.as_bytes())];
        sendmsg(
            socket.as_raw_fd(),
            &parts,
            control,
            MsgFlags::MSG_NOSIGNAL,
            Some(&address),
        )?;
        Ok(())
    }
}

impl Keeper for Systemd {
    fn keep(&self, what: Left, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        // Without a look at whether it is readable: that would be an end to it.
        let message = format!("FDSTORE=1\nFDNAME={}\nFDPOLL=0\n", name_of(what));
        self.tell(&message, &[descriptor])
    }

    fn release(&self, what: Left) -> io::Result<()> {
        self.tell(&format!("FDSTOREREMOVE=1\nFDNAME={}\n", name_of(what)), &[])
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::sys::scm;

    #[test]
    fn what_is_to_be_kept_goes_to_the_manager_with_its_name_and_can_be_given_up() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("bound");
        let systemd = Systemd {
            address: path.into(),
        };
        let file = File::open(directory.path()).expect("it is there");
        systemd.keep(Left::Pins, file.as_fd()).expect("told");
        let mut buffer = [0; 256];
        let received = scm::receive(manager.as_fd(), &mut buffer).expect("a message");
        let text = String::from_utf8_lossy(&buffer[..received.bytes]);
        assert_eq!(text, "FDSTORE=1\nFDNAME=loupe-profile\nFDPOLL=0\n");
        assert_eq!(received.descriptors.len(), 1);
        systemd.release(Left::Unrecorded).expect("told");
        let received = scm::receive(manager.as_fd(), &mut buffer).expect("a message");
        let text = String::from_utf8_lossy(&buffer[..received.bytes]);
        assert_eq!(text, "FDSTOREREMOVE=1\nFDNAME=loupe-unrecorded\n");
        assert!(received.descriptors.is_empty());
    }
}
