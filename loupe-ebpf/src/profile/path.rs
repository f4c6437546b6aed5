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

/// In place of a length: the path does not fit.
pub const TOO_LONG: u32 = u32::MAX;

/// A number that the verifier knows nothing of, because it lies in a map. Ways through a program that
/// differ in such numbers only are one way from there on; verifiers before Linux 6.5 follow every
/// other one to its end, and refuse the program for that.
#[repr(transparent)]
pub struct Forgotten<T>(T);

impl<T: Copy> Forgotten<T> {
    #[inline(always)]
    pub fn get(&self) -> T {
        // SAFETY: a reference is valid to be read. Volatile, so that it is not kept in a register.
        unsafe { (&raw const self.0).read_volatile() }
    }

    #[inline(always)]
    pub fn set(&mut self, value: T) {
        // SAFETY: a reference is valid to be written.
        unsafe { (&raw mut self.0).write_volatile(value) };
    }
}

/// Room for one path at a time, and for what is known of it.
#[repr(C)]
pub struct Scratch {
    /// From the last component to the first.
    dentries: [u64; DEEPEST],
    pub text: [u8; TEXT_BYTES],
    pub key: FileKey,
    /// The key that was counted last.
    pub before: FileKey,
    /// The path that was passed, and how far it is read.
    pub name: Forgotten<u64>,
    /// What the call opened; less than 0: nothing.
    pub descriptor: Forgotten<i64>,
    /// The `struct file` of that.
    pub file: Forgotten<u64>,
    /// A number in a path, and how many digits it has.
    pub number: Forgotten<u32>,
    pub digits: Forgotten<u32>,
    /// [`TOO_LONG`] once the path does not fit.
    pub length: Forgotten<u32>,
    /// Components of the path.
    pub count: Forgotten<u32>,
    pub slot: Forgotten<u32>,
    /// 0: the call was a success.
    pub errno: Forgotten<u32>,
    /// Where the name leads.
    pub top: Forgotten<u32>,
    /// What the file is.
    pub kind: Forgotten<u32>,
    /// Several meanings, one after the other.
    pub flag: Forgotten<u32>,
    /// The path before this one was counted.
    pub counted: Forgotten<u32>,
}

/// A path that is being put together.
pub struct Path<'a> {
    pub scratch: &'a mut Scratch,
}

impl<'a> Path<'a> {
    /// An empty one.
    #[inline(always)]
    pub fn new(scratch: &'a mut Scratch) -> Path<'a> {
        scratch.length.set(0);
        Path { scratch }
    }

    /// The one that is there.
    #[inline(always)]
    pub fn of(scratch: &'a mut Scratch) -> Path<'a> {
        Path { scratch }
    }

    #[inline(always)]
    fn grow(&mut self, bytes: u32) {
        let length = self.scratch.length.get();
        self.scratch.length.set(length.wrapping_add(bytes));
    }

    /// Where the next component goes, if it is not too far.
    #[inline(always)]
    fn end(&mut self) -> Option<usize> {
        if self.scratch.length.get() > LAST_START {
            self.scratch.length.set(TOO_LONG);
            return None;
        }
        // The mask is the bound that the verifier sees.
        Some((self.scratch.length.get() & LAST_START) as usize)
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
        self.grow(N as u32);
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
            self.scratch.length.set(TOO_LONG);
        } else {
            self.grow(copied as u32 - 1);
        }
    }

    /// Collects the components from a dentry up to a root, and counts them.
    #[inline(always)]
    pub fn ascend(&mut self, dentry: u64, root: u64) {
        let mut dentry = dentry;
        let mut depth = 0;
        while depth < DEEPEST {
            if dentry == root {
                self.scratch.count.set(depth as u32);
                return;
            }
            self.scratch.dentries[depth & (DEEPEST - 1)] = dentry;
            let parent = read_u64(dentry, offset!(dentry_parent));
            if parent == dentry || parent == 0 {
                break;
            }
            dentry = parent;
            depth += 1;
        }
        self.scratch.length.set(TOO_LONG);
        self.scratch.count.set(0);
    }

    /// The component at this place from the first one on.
    #[inline(always)]
    pub fn component(&self, place: u32) -> u64 {
        let last = self.scratch.count.get().wrapping_sub(1);
        let index = last.wrapping_sub(place) as usize;
        self.scratch.dentries[index & (DEEPEST - 1)]
    }

    /// Appends all components.
    #[inline(always)]
    pub fn put_components(&mut self) {
        let mut place = 0;
        while place < DEEPEST as u32 && place < self.scratch.count.get() {
            let dentry = self.component(place);
            self.put(b"/");
            self.put_name(read_u64(dentry, offset!(dentry_name)));
            place += 1;
        }
    }
}
