//! Puts paths together, in room that is each CPU's own: from dentries, and from what a process has
//! passed. Decides nothing.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user_str};
use loupe_common::profile_abi::{FILE_PATH_BYTES, FileKey};

use crate::kernel::{offset, read_u64};

/// Components of the deepest path; a power of two.
const DEEPEST: usize = 16;
/// Bytes of the longest component, with the NUL behind it.
const NAME_BYTES: u32 = 128;
/// Where a component may begin at most.
const LAST_START: u32 = 255;
const TEXT_BYTES: usize = LAST_START as usize + 1 + 256;

/// Room for one path at a time.
#[repr(C)]
pub struct Scratch {
    /// From the last component to the first.
    dentries: [u64; DEEPEST],
    pub text: [u8; TEXT_BYTES],
    pub key: FileKey,
    /// The key that was counted last.
    pub before: FileKey,
}

/// A path that is being put together. Its length is [`Path::TOO_LONG`] once it does not fit.
pub struct Path<'a> {
    pub scratch: &'a mut Scratch,
    pub length: u32,
}

impl<'a> Path<'a> {
    pub const TOO_LONG: u32 = u32::MAX;

    #[inline(always)]
    pub fn new(scratch: &'a mut Scratch) -> Path<'a> {
        Path { scratch, length: 0 }
    }

    /// Where the next component goes, if it is not too far.
    #[inline(always)]
    fn end(&mut self) -> Option<usize> {
        if self.length > LAST_START {
            self.length = Self::TOO_LONG;
            return None;
        }
        // Read once more, so that the verifier sees the bound on the very value that is used.
        // SAFETY: a reference is valid to be read.
        let length = unsafe { core::ptr::read_volatile(&raw const self.length) };
        Some((length & LAST_START) as usize)
    }

    /// Appends some letters.
    #[inline(always)]
    pub fn put<const N: usize>(&mut self, letters: &[u8; N]) {
        let Some(at) = self.end() else {
            return;
        };
        let mut index = 0;
        while index < N {
            // SAFETY: `at` is at most 255 and `N` far below 256.
            unsafe { *self.scratch.text.as_mut_ptr().add(at + index) = letters[index] };
            index += 1;
        }
        self.length += N as u32;
    }

    /// Appends a name of the kernel's.
    #[inline(always)]
    pub fn put_name(&mut self, name: u64) {
        let Some(at) = self.end() else {
            return;
        };
        // SAFETY: `at` is at most 255, and what follows it has room for the name; the helper checks
        // the other address and copies, or fails.
        let copied = unsafe {
            let to = self.scratch.text.as_mut_ptr().add(at);
            bpf_probe_read_kernel_str(to.cast(), NAME_BYTES, name as *const _)
        };
        self.add(copied, NAME_BYTES);
    }

    /// Appends the text at an address of the current process.
    #[inline(always)]
    pub fn put_user(&mut self, text: u64) {
        const BYTES: u32 = FILE_PATH_BYTES as u32 + 1;
        let Some(at) = self.end() else {
            return;
        };
        // SAFETY: as above.
        let copied = unsafe {
            let to = self.scratch.text.as_mut_ptr().add(at);
            bpf_probe_read_user_str(to.cast(), BYTES, text as *const _)
        };
        self.add(copied, BYTES);
    }

    /// What was copied has its NUL with it; if it filled all its room, something is missing.
    #[inline(always)]
    fn add(&mut self, copied: i64, room: u32) {
        if copied < 1 || copied >= i64::from(room) {
            self.length = Self::TOO_LONG;
        } else {
            self.length += copied as u32 - 1;
        }
    }

    /// Collects the components from a dentry up to a root; how many there are.
    #[inline(always)]
    pub fn ascend(&mut self, dentry: u64, root: u64) -> u32 {
        let mut dentry = dentry;
        let mut depth = 0;
        while depth < DEEPEST {
            if dentry == root {
                return depth as u32;
            }
            self.scratch.dentries[depth & (DEEPEST - 1)] = dentry;
            let parent = read_u64(dentry, offset!(dentry_parent));
            if parent == dentry || parent == 0 {
                break;
            }
            dentry = parent;
            depth += 1;
        }
        self.length = Self::TOO_LONG;
        0
    }

    /// The component at this place from the first one on, of so many.
    #[inline(always)]
    pub fn component(&self, place: u32, of: u32) -> u64 {
        let index = of.wrapping_sub(1).wrapping_sub(place) as usize;
        self.scratch.dentries[index & (DEEPEST - 1)]
    }

    /// Appends all components.
    #[inline(always)]
    pub fn put_components(&mut self, count: u32) {
        let mut place = 0;
        while place < DEEPEST as u32 && place < count {
            let dentry = self.component(place, count);
            self.put(b"/");
            self.put_name(read_u64(dentry, offset!(dentry_name)));
            place += 1;
        }
    }
}
