//! Capabilities of the calling thread. Changes no other thread.
#![expect(unsafe_code, reason = "calls that have no wrapper")]

use nix::errno::Errno;

/// Two words for 64 capabilities (`_LINUX_CAPABILITY_VERSION_3`).
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    /// 0: the calling thread.
    thread: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Words {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets([Words; 2]);

impl Sets {
    /// None in effect, all of them there to be taken back.
    pub fn without_effect(self) -> Sets {
        Sets(self.0.map(|words| Words {
            effective: 0,
            ..words
        }))
    }
}

pub fn get() -> nix::Result<Sets> {
    let mut sets = Sets::default();
    let mut header = header();
    // SAFETY: the kernel reads one header and writes the two words of its version, all of
    // which outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.0.as_mut_ptr()) };
    Errno::result(result).map(|_| sets)
}

pub fn set(sets: Sets) -> nix::Result<()> {
    let mut header = header();
    // SAFETY: as above; only read.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.0.as_ptr()) };
    Errno::result(result).map(drop)
}

fn header() -> Header {
    Header {
        version: VERSION,
        thread: 0,
    }
}
