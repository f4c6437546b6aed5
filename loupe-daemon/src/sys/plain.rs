//! Structures of the C library as bytes.
#![expect(unsafe_code, reason = "structures of C as bytes")]

use std::mem::MaybeUninit;

/// A structure of integers, or of arrays and structures of them: all-zero is valid.
///
/// # Safety
/// It has nothing else in it.
pub unsafe trait Plain {}

macro_rules! plain {
    ($($structure:ty),* $(,)?) => {
        $(
            // SAFETY: by the C library's header it has integers only.
            unsafe impl Plain for $structure {}
        )*
    };
}

plain!(
    libc::rlimit64,
    libc::rusage,
    libc::stat,
    libc::statx,
    libc::sysinfo,
    libc::timespec,
    libc::timeval,
    libc::utsname,
);

/// The bytes of a structure whose fields `fill` sets; all others, and what lies between them, are
/// zero.
pub fn bytes<T: Plain>(fill: impl FnOnce(&mut T)) -> Vec<u8> {
    let mut place = MaybeUninit::<T>::zeroed();
    // SAFETY: `Plain` says that all-zero is valid.
    fill(unsafe { place.assume_init_mut() });
    let start = place.as_ptr().cast::<u8>();
    // SAFETY: all bytes were zeroed in their place; setting a field leaves those between fields
    // alone. The structure lives until the copy is made.
    unsafe { std::slice::from_raw_parts(start, size_of::<T>()) }.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_zero() {
        let bytes = bytes::<libc::timespec>(|time| time.tv_nsec = 1);
        assert_eq!(bytes.len(), size_of::<libc::timespec>());
        assert_eq!(bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>(), 1);
    }
}
