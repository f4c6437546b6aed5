//! From what the kernel counted to names: one 64-bit value stands for all that a row looks at.

use super::Operation;
use super::meaning::{Meaning, Part, Place, Row};
use crate::stats::Selector;
use crate::syscalls::{Arch, Syscall};

/// What one combination of arguments says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Absent where the syscall has flags only.
    pub operation: Option<Operation>,
    pub flags: Vec<Operation>,
}

impl Row {
    /// What the in-kernel programs need to know.
    pub fn selector(&self) -> Selector {
        let arguments = self.arguments();
        let (first, first_mask) = arguments[0];
        let (second, second_mask) = arguments.get(1).copied().unwrap_or_default();
        let (kind, offset) = match self.place {
            Place::Registers => (Selector::REGISTERS, 0),
            Place::Memory { offset } => (Selector::MEMORY, offset),
        };
        Selector {
            kind,
            first,
            second,
            offset,
            path: 0,
            pad: [0; 3],
            first_mask,
            second_mask,
        }
    }

    /// The argument of a part in a counted value.
    fn argument_in(&self, part: &Part, value: u64) -> u64 {
        let arguments = self.arguments();
        let is_second = arguments
            .get(1)
            .is_some_and(|(second, _)| *second == part.argument);
        match (is_second, arguments.len()) {
            (true, _) => value >> 32,
            (false, 2) => value & 0xffff_ffff,
            (false, _) => value,
        }
    }
}

/// Names what a counted value says; `None` for a syscall without a row.
pub fn decode(syscall: Syscall, value: u64) -> Option<Decoded> {
    let row = Row::of(syscall)?;
    let new = |is_flag: bool, name: String| Operation {
        syscall,
        is_flag,
        name: name.into(),
    };
    let mut decoded = Decoded::default();
    let mut halves: Vec<String> = Vec::new();
    for part in row.parts {
        let bits = row.argument_in(part, value) & part.mask;
        match part.meaning {
            Meaning::Selects => {
                let before = halves.last().map_or("", String::as_str);
                let name = part.name(before, bits);
                halves.push(name);
            }
            Meaning::Field => decoded.flags.push(new(true, part.name("", bits))),
            Meaning::Flags => {
                let names = part.flag_names(bits).into_iter();
                decoded.flags.extend(names.map(|name| new(true, name)));
            }
        }
    }
    decoded.operation = (!halves.is_empty()).then(|| new(false, halves.join("/")));
    Some(decoded)
}

/// The operation that a call with these arguments is of; `None` where it has none, or where what
/// selects it is in memory.
pub fn operation_of(syscall: Syscall, arguments: &[u64; 6]) -> Option<Operation> {
    let row = Row::of(syscall).filter(|row| row.place == Place::Registers)?;
    let looked_at = row.arguments();
    let bits =
        |(argument, mask): (u8, u64)| arguments.get(usize::from(argument)).map(|it| it & mask);
    let first = bits(*looked_at.first()?)?;
    let value = match looked_at.get(1) {
        Some(second) => (first & 0xffff_ffff) | (bits(*second)? << 32),
        None => first,
    };
    decode(syscall, value)?.operation
}

/// What the arguments of a call say by name: each with its number, from 0. Those in memory are not
/// known from its registers.
pub fn named_arguments(syscall: Syscall, arguments: &[u64; 6]) -> Vec<(usize, String)> {
    let Some(row) = Row::of(syscall).filter(|row| row.place == Place::Registers) else {
        return Vec::new();
    };
    let mut named: Vec<(usize, String)> = Vec::new();
    let mut before = String::new();
    for part in row.parts {
        let number = usize::from(part.argument);
        let bits = arguments.get(number).copied().unwrap_or(0) & part.mask;
        let name = match part.meaning {
            Meaning::Selects => {
                before = part.name(&before, bits);
                before.clone()
            }
            Meaning::Field => part.name("", bits),
            Meaning::Flags => part.flag_names(bits).join("|"),
        };
        match named.iter_mut().find(|(known, _)| *known == number) {
            _ if name.is_empty() => {}
            Some((_, names)) => *names = format!("{names}|{name}"),
            None => named.push((number, name)),
        }
    }
    named
}

impl Part {
    /// The flags that are set, those of several bits first (`O_SYNC` is not `O_DSYNC`).
    fn flag_names(&self, bits: u64) -> Vec<String> {
        let mut rest = bits;
        let mut names = Vec::new();
        let mut known: Vec<(u64, &str)> = self.sets(Arch::NATIVE, "").flatten().copied().collect();
        known.retain(|(value, _)| *value != 0 && value & !self.mask == 0);
        // Stable: of names of one value, the preferred stays first.
        known.sort_by_key(|(value, _)| std::cmp::Reverse(value.count_ones()));
        for (value, name) in known {
            if rest & value == value {
                rest &= !value;
                names.push(name.to_owned());
            }
        }
        let unnamed = (0..64).filter(|bit| rest & (1 << bit) != 0);
        names.extend(unnamed.map(|bit| format!("bit{bit}")));
        names
    }
}
