//! From text to an operation or flag, as a user writes it or a database holds it.

use super::meaning::{Meaning, Row};
use super::{Operation, UNNAMED};
use crate::syscalls::{Arch, Syscall, UnknownSyscall, edit_distance};

/// Not the name of an operation or flag.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnknownOperation {
    #[error(transparent)]
    Syscall(#[from] UnknownSyscall),
    #[error("{0} is not a vectored syscall: it has no operations and no flags that Loupe knows")]
    NotVectored(Syscall),
    #[error("{syscall} has no operation or flag `{name}`{}", hint(.near))]
    Name {
        syscall: Syscall,
        name: String,
        near: Vec<String>,
    },
    #[error("an operation of {syscall} has {parts} parts, as in `{syscall}:{example}`")]
    Parts {
        syscall: Syscall,
        parts: usize,
        example: String,
    },
}

fn hint(near: &[String]) -> String {
    match near {
        [] => " (an unnamed value is written in hexadecimal, as 0x5413)".to_owned(),
        near => format!(" (did you mean {}?)", near.join(", ")),
    }
}

impl std::str::FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(text: &str) -> Result<Operation, UnknownOperation> {
        let (syscall, name) = text.split_once(':').unwrap_or((text, ""));
        let syscall: Syscall = syscall.parse()?;
        let row = Row::of(syscall).ok_or(UnknownOperation::NotVectored(syscall))?;
        if name == UNNAMED
            && let Some(unnamed) = Operation::unnamed(syscall)
        {
            return Ok(unnamed);
        }
        let found = row.flag(name).map(|name| (true, name)).or_else(|| {
            let name = row.operation(name)?;
            Some((false, name))
        });
        match found {
            Some((is_flag, name)) => Ok(Operation {
                syscall,
                is_flag,
                name: name.into(),
            }),
            None => Err(row.unknown(syscall, name)),
        }
    }
}

/// The native architecture's names come first: they are the canonical ones.
const ARCHITECTURES: [Arch; 2] = match Arch::NATIVE {
    Arch::X86_64 => [Arch::X86_64, Arch::Aarch64],
    Arch::Aarch64 => [Arch::Aarch64, Arch::X86_64],
};

impl Row {
    /// The canonical name of a flag.
    fn flag(&self, name: &str) -> Option<String> {
        [false, true].into_iter().find_map(|named_bits| {
            self.parts.iter().find_map(|part| {
                let of_arch = |arch| Some((arch, part.flag_value(arch, name, named_bits)?));
                let (arch, (_, value)) = ARCHITECTURES.into_iter().find_map(of_arch)?;
                let canonical = part.name("", value);
                // Of another architecture, or a bit without a name: as it is.
                let is_named = arch == Arch::NATIVE && !canonical.starts_with("0x");
                let is_value = part.meaning == Meaning::Field && arch == Arch::NATIVE;
                Some(match is_named || is_value {
                    true => canonical,
                    false => name.to_owned(),
                })
            })
        })
    }

    /// The canonical name of an operation.
    fn operation(&self, name: &str) -> Option<String> {
        let mut canonical: Vec<String> = Vec::new();
        let mut names = name.split('/');
        for part in self
            .parts
            .iter()
            .filter(|part| part.meaning == Meaning::Selects)
        {
            let name = names.next()?;
            let before = canonical.last().map_or("", String::as_str);
            let of_arch = |arch| Some((arch, part.value(arch, before, name)?));
            let (arch, value) = ARCHITECTURES.into_iter().find_map(of_arch)?;
            let own = match arch == Arch::NATIVE {
                true => part.name(before, value),
                false => name.to_owned(),
            };
            canonical.push(own);
        }
        (names.next().is_none() && !canonical.is_empty()).then(|| canonical.join("/"))
    }

    fn unknown(&self, syscall: Syscall, name: &str) -> UnknownOperation {
        let selecting = self
            .parts
            .iter()
            .filter(|part| part.meaning == Meaning::Selects);
        let parts = selecting.clone().count();
        if parts > 1 && name.split('/').count() != parts {
            let first_of = |set: &str| Arch::NATIVE.set(set).iter().find(|(value, _)| *value != 0);
            let sets = selecting.map(|part| part.sets[0].replace('*', "SOL_SOCKET"));
            let example: Vec<&str> = sets
                .filter_map(|set| first_of(&set).map(|(_, name)| *name))
                .collect();
            return UnknownOperation::Parts {
                syscall,
                parts,
                example: example.join("/"),
            };
        }
        let sets = self
            .parts
            .iter()
            .flat_map(|part| part.sets(Arch::NATIVE, ""));
        let mut near: Vec<(usize, &str)> = sets
            .flatten()
            .map(|(_, known)| (edit_distance(name, known), *known))
            .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
            .collect();
        near.sort_unstable();
        near.dedup();
        UnknownOperation::Name {
            syscall,
            name: name.to_owned(),
            near: near
                .into_iter()
                .take(3)
                .map(|(_, name)| name.to_owned())
                .collect(),
        }
    }
}
