//! The memory of a thread whose call waits for its answer. The caller checks, after reading, that
//! it still waits: else what was read may be another's.

use std::io::{IoSlice, IoSliceMut};

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
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

    pub fn write(&self, address: u64, bytes: &[u8]) -> nix::Result<()> {
        let remote = [RemoteIoVec {
            base: address as usize,
            len: bytes.len(),
        }];
        match process_vm_writev(self.0, &[IoSlice::new(bytes)], &remote)? {
            length if length == bytes.len() => Ok(()),
            _ => Err(Errno::EFAULT),
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
        assert_eq!(own().write(8, b"x"), Err(Errno::EFAULT));
    }

    #[test]
    fn what_was_written_is_read() {
        let mut buffer = [0u8; 8];
        let address = buffer.as_mut_ptr() as u64;
        own().write(address, &7u64.to_ne_bytes()).expect("written");
        assert_eq!(own().word(address), Ok(7));
    }
}
