//! All operations and flags of a syscall that have a name on this architecture. An operation without
//! one (`ioctl:0x5413`) is in no list.

use super::Operation;
use super::meaning::{Meaning, Part, Row};
use crate::syscalls::{Arch, Syscall};

impl Operation {
    /// The operations of a syscall, by their preferred names; none where it has flags only.
    pub fn all_of(syscall: Syscall) -> Vec<Operation> {
        let parts = |row: &'static Row| {
            let parts = row.parts.iter();
            parts.filter(|part| part.meaning == Meaning::Selects)
        };
        let Some(row) = Row::of(syscall).filter(|row| row.selects()) else {
            return Vec::new();
        };
        let mut names: Vec<Vec<String>> = vec![Vec::new()];
        for part in parts(row) {
            names = names
                .into_iter()
                .flat_map(|before| {
                    let last = before.last().map_or("", String::as_str);
                    let own = part.all_names(last).into_iter();
                    let with = |name: String| before.iter().cloned().chain([name]).collect();
                    own.map(with).collect::<Vec<Vec<String>>>()
                })
                .collect();
        }
        let new = |name: String| Operation {
            syscall,
            is_flag: false,
            name: name.into(),
        };
        names.into_iter().map(|one| new(one.join("/"))).collect()
    }

    /// The flags of a syscall.
    pub fn flags_of(syscall: Syscall) -> Vec<Operation> {
        let parts = Row::of(syscall).into_iter().flat_map(|row| row.parts);
        let flags = parts.filter(|part| part.meaning != Meaning::Selects);
        flags
            .flat_map(|part| {
                let names = part.all_names("").into_iter();
                names.filter(|name| part.flag_value(Arch::NATIVE, name, false).is_some())
            })
            .map(|name| Operation {
                syscall,
                is_flag: true,
                name: name.into(),
            })
            .collect()
    }
}

impl Part {
    /// The preferred name of each value that has one and fits.
    fn all_names(&self, before: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (value, _) in self.sets(Arch::NATIVE, before).flatten() {
            let name = self.name(before, *value);
            if value & !self.mask == 0 && !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::super::meaning::{Place, ROWS};
    use super::*;

    fn names(of: Vec<Operation>) -> Vec<String> {
        of.iter().map(Operation::to_string).collect()
    }

    fn syscall(name: &str) -> Syscall {
        Syscall::from_name(name).expect("a syscall")
    }

    #[test]
    fn every_name_that_is_listed_is_read_back_and_can_be_told_from_arguments() {
        for row in ROWS {
            let syscall = syscall(row.syscall);
            let (operations, flags) = (Operation::all_of(syscall), Operation::flags_of(syscall));
            assert_eq!(operations.is_empty(), !row.selects(), "{syscall}");
            for part in operations.into_iter().chain(flags) {
                let text = part.to_string();
                assert_eq!(text.parse::<Operation>().as_ref(), Ok(&part), "{text}");
                let is_there = part.tests().is_ok();
                assert_eq!(is_there, row.place == Place::Registers, "{text}");
            }
        }
    }

    #[test]
    fn lists_have_both_halves_of_a_name_and_each_flag_once() {
        let sockets = names(Operation::all_of(syscall("socket")));
        assert!(sockets.contains(&"socket:AF_UNIX/SOCK_STREAM".to_owned()));
        let flags = names(Operation::flags_of(syscall("socket")));
        assert_eq!(flags, ["socket:SOCK_NONBLOCK", "socket:SOCK_CLOEXEC"]);
        let seeks = names(Operation::all_of(syscall("lseek")));
        assert_eq!(seeks.len(), 5, "{seeks:?}");
        let opens = names(Operation::flags_of(syscall("openat")));
        assert!(opens.contains(&"openat:O_RDONLY".to_owned()), "{opens:?}");
        assert!(opens.contains(&"openat:O_CREAT".to_owned()), "{opens:?}");
        assert!(Operation::all_of(syscall("getpid")).is_empty());
    }
}
