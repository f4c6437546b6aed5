//! What the in-kernel programs look at in each syscall: what selects its operation, and where it has
//! a path.

use loupe_common::profile_abi::CallShape;
use loupe_common::stats::MAX_SYSCALL;
use loupe_common::syscalls::Syscall;

use crate::tracer::operations;

/// Syscalls with a path, the argument that it is (from 1), and whether they open it: those whose
/// files analyses know, too. Positions: the manual page of each, section 2.
const PATHS: [(&str, u8, bool); 13] = [
    ("access", 1, false),
    ("creat", 1, true),
    ("faccessat", 2, false),
    ("faccessat2", 2, false),
    ("lstat", 1, false),
    ("newfstatat", 2, false),
    ("open", 1, true),
    ("openat", 2, true),
    ("openat2", 2, true),
    ("readlink", 1, false),
    ("readlinkat", 2, false),
    ("stat", 1, false),
    ("statx", 2, false),
];

/// By native syscall number, below [`MAX_SYSCALL`].
pub fn shapes() -> Vec<CallShape> {
    let mut shapes = vec![CallShape::default(); MAX_SYSCALL];
    for (number, selector) in operations::selectors() {
        shapes[number as usize].selector = selector;
    }
    for (name, path, opens) in PATHS {
        let number = Syscall::from_name(name).and_then(Syscall::number);
        // Other architectures lack some.
        if let Some(shape) = number.and_then(|number| shapes.get_mut(number as usize)) {
            shape.path = path;
            shape.opens = opens.into();
        }
    }
    shapes
}

#[cfg(test)]
mod tests {
    use loupe_common::stats::Selector;

    use super::*;

    #[test]
    fn every_syscall_with_a_path_has_its_place() {
        let shapes = shapes();
        let placed = shapes.iter().filter(|shape| shape.path != 0).count();
        let known = PATHS.iter().filter(|(name, ..)| {
            Syscall::from_name(name).is_some_and(|syscall| syscall.number().is_some())
        });
        assert_eq!(placed, known.count());
        let number = Syscall::from_name("openat").and_then(Syscall::number);
        let openat = shapes[number.expect("native") as usize];
        assert_eq!((openat.path, openat.opens), (2, 1));
        assert_eq!(openat.selector.kind, Selector::REGISTERS);
    }
}
