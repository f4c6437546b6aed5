//! The memory of a thread whose call waits for its answer. The caller checks, after reading, that
//! it still waits: else what was read may be another's.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// The longest path that the kernel takes (`PATH_MAX`), its NUL included.
const PATH_LIMIT: usize = 4096;
/// Most paths are shorter than this.
const FIRST_PIECE: usize = 256;

pub struct Memory(pub Pid);

impl Memory {
    /// Reads all of the buffer, or fails as the kernel's own reading would.
    pub fn read(&self, address: u64, buffer: &mut [u8]) -> nix::Result<()> {
        let wanted = buffer.len();
        match self.read_some(address, buffer)? {
            length if length == wanted => Ok(()),
            _ => Err(Errno::EFAULT),
        }
    }

    fn read_some(&self, address: u64, buffer: &mut [u8]) -> nix::Result<usize> {
        let remote = [RemoteIoVec {
            base: address as usize,
            len: buffer.len(),
        }];
        process_vm_readv(self.0, &mut [IoSliceMut::new(buffer)], &remote)
    }

    /// Writes into the memory of a thread that, by `still_waits`, is the same when its memory
    /// has been opened: from then on no other's can be meant.
    pub fn write(
        &self,
        proc: &OwnedFd,
        still_waits: impl FnOnce() -> bool,
        address: u64,
        bytes: &[u8],
    ) -> nix::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let memory = openat(
            proc,
            format!("{}/mem", self.0).as_str(),
            flags,
            Mode::empty(),
        )?;
        if !still_waits() {
            return Err(Errno::ESRCH);
        }
        match File::from(memory).write_all_at(bytes, address) {
            Ok(()) => Ok(()),
            // Whatever `/proc` calls it.
            Err(_) => Err(Errno::EFAULT),
        }
    }

    pub fn word(&self, address: u64) -> nix::Result<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// A path up to its NUL. Never reads over the end of a page that the NUL is in or before:
    /// the next one may not be there.
    pub fn path(&self, address: u64) -> nix::Result<Vec<u8>> {
        const PAGE: u64 = 4096;
        let mut path = Vec::new();
        while path.len() < PATH_LIMIT {
            let at = address.wrapping_add(path.len() as u64);
            let in_page = (PAGE - at % PAGE) as usize;
            let piece = in_page.min(match path.is_empty() {
                true => FIRST_PIECE,
                false => PATH_LIMIT - path.len(),
            });
            let before = path.len();
            path.resize(before + piece, 0);
            let read = self.read_some(at, &mut path[before..])?;
            path.truncate(before + read);
            if let Some(end) = path[before..].iter().position(|byte| *byte == 0) {
                path.truncate(before + end);
                return Ok(path);
            }
            if read < piece {
                return Err(Errno::EFAULT);
            }
        }
        Err(Errno::ENAMETOOLONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Memory {
        Memory(Pid::this())
    }

    fn proc() -> OwnedFd {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        nix::fcntl::open("/proc", flags, Mode::empty()).expect("/proc")
    }

    #[test]
    fn paths_of_every_length_are_read_up_to_their_nul() {
        for length in [0, 1, 255, 256, 257, 4095] {
            let text = vec![b'x'; length];
            let path = std::ffi::CString::new(text.clone()).expect("no NUL");
            assert_eq!(own().path(path.as_ptr() as u64), Ok(text));
        }
        let long = std::ffi::CString::new(vec![b'x'; 5000]).expect("no NUL");
        let read = own().path(long.as_ptr() as u64);
        assert_eq!(read, Err(Errno::ENAMETOOLONG));
    }

    #[test]
    fn what_is_not_there_is_a_fault() {
        assert_eq!(own().path(8), Err(Errno::EFAULT));
        assert_eq!(own().write(&proc(), || true, 8, b"x"), Err(Errno::EFAULT));
    }

    #[test]
    fn what_was_written_is_read() {
        let mut buffer = [0u8; 8];
        let address = buffer.as_mut_ptr() as u64;
        let seven = 7u64.to_ne_bytes();
        let written = own().write(&proc(), || true, address, &seven);
        assert_eq!((written, own().word(address)), (Ok(()), Ok(7)));
        let written = own().write(&proc(), || false, address, &[0; 8]);
        assert_eq!((written, own().word(address)), (Err(Errno::ESRCH), Ok(7)));
    }
}
