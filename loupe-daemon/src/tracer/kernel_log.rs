//! What the in-kernel programs log, passed on to this process's log. For those who debug Loupe
//! (`-vv`); nothing is measured by it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::Ebpf;
use aya_log::{EbpfLogger, Level};

use super::TracerError;

/// The level that the programs are loaded with: silent, unless somebody listens.
pub fn level() -> u8 {
    if tracing::enabled!(tracing::Level::DEBUG) {
        Level::Debug as u8
    } else {
        0
    }
}

/// The programs' log records.
pub struct KernelLog {
    flush: Box<dyn FnMut() + Send>,
    ready: OwnedFd,
}

impl KernelLog {
    pub fn take(ebpf: &mut Ebpf) -> Result<KernelLog, TracerError> {
        let mut logger = EbpfLogger::init(ebpf).map_err(TracerError::Log)?;
        let ready = logger
            .as_fd()
            .try_clone_to_owned()
            .map_err(TracerError::Thread)?;
        Ok(KernelLog {
            flush: Box::new(move || logger.flush()),
            ready,
        })
    }

    /// Passes on the records that wait.
    pub fn flush(&mut self) {
        (self.flush)();
    }
}

impl AsFd for KernelLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}
