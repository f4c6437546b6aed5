//! All that the probe knows of: each syscall, each operation, each flag, each operation of io_uring, each
//! pseudo-file, with the case that tries it or the reason why none does. Runs nothing.

use crate::attempt::Try;
use crate::cases;
use crate::tables::meaning::{Meaning, Part, Place};
use crate::tables::{self, RING_OPERATIONS, SYSCALLS, Set};

/// Features at most. The tables have some 2,500.
pub const MOST: usize = 3072;

/// A small, correct use of one feature, whose effect is checked.
pub struct Case {
    /// A feature's name; with a `*` at its end, of all that begin so and have no case of their own.
    pub name: &'static str,
    pub run: fn(&Try<'_>),
}

pub const fn case(name: &'static str, run: fn(&Try<'_>)) -> Case {
    Case { name, run }
}

/// What must hold of an argument.
#[derive(Clone, Copy, Default)]
pub struct Test {
    pub argument: usize,
    pub mask: u64,
    pub value: u64,
}

/// What is tried, or not.
#[derive(Clone, Copy)]
pub struct Feature {
    /// Of the syscall; none of a pseudo-file and of what is submitted to a ring.
    pub number: Option<usize>,
    /// The syscall's name, or a path.
    pub name: &'static str,
    /// Of an operation, the one or two parts of its name.
    pub parts: [&'static str; 2],
    pub tests: [Test; 2],
    /// How many of these there are: 0 for a whole syscall.
    pub count: usize,
    pub run: Option<fn(&Try<'_>)>,
    /// Why there is none.
    pub reason: &'static str,
    /// A syscall of which only operations are tried: its result is theirs.
    pub derived: bool,
    /// A call may have several of these beside its operation.
    pub is_flag: bool,
}

impl Feature {
    pub const NONE: Feature = Feature {
        number: None,
        name: "",
        parts: [""; 2],
        tests: [Test {
            argument: 0,
            mask: 0,
            value: 0,
        }; 2],
        count: 0,
        run: None,
        reason: "",
        derived: false,
        is_flag: false,
    };

    /// Whether a call is one of this feature.
    pub fn is(&self, number: usize, arguments: &[usize; 6]) -> bool {
        let fits = |test: &Test| arguments[test.argument] as u64 & test.mask == test.value;
        self.number == Some(number) && self.tests[..self.count].iter().all(fits)
    }

    /// Whether its name is this one, or begins so where that ends with a `*`.
    pub fn is_called(&self, wanted: &str) -> bool {
        self.full_name().is(wanted)
    }

    fn full_name(&self) -> Name {
        let mut name = Name::default();
        self.write_name(&mut |part| name.push(part));
        name
    }

    pub fn write_name(&self, write: &mut dyn FnMut(&str)) {
        write(self.name);
        for (part, before) in self.parts.iter().zip([":", "/"]).take(self.count) {
            write(before);
            write(part);
        }
    }
}

/// A name that is put together.
struct Name {
    bytes: [u8; 128],
    length: usize,
}

impl Default for Name {
    fn default() -> Name {
        Name {
            bytes: [0; 128],
            length: 0,
        }
    }
}

impl Name {
    fn push(&mut self, part: &str) {
        for byte in part.bytes() {
            if self.length < self.bytes.len() {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
    }

    fn is(&self, wanted: &str) -> bool {
        let own = &self.bytes[..self.length];
        match wanted.strip_suffix('*') {
            Some(beginning) => own.starts_with(beginning.as_bytes()),
            None => own == wanted.as_bytes(),
        }
    }
}

/// The features, in the order in which they are tried.
pub struct List {
    pub all: [Feature; MOST],
    pub count: usize,
}

impl List {
    pub fn features(&self) -> &[Feature] {
        &self.all[..self.count]
    }

    pub fn fill(&mut self) {
        for (number, name) in SYSCALLS {
            let number = Some(usize::from(*number));
            let derived =
                tables::row(name).is_some_and(|row| row.selects() && row.place == Place::Registers);
            self.add(Feature {
                number,
                name,
                derived,
                ..Feature::NONE
            });
        }
        for (number, name) in SYSCALLS {
            self.add_operations(usize::from(*number), name);
        }
        for (number, name) in SYSCALLS {
            self.add_flags(usize::from(*number), name);
        }
        for (number, name) in RING_OPERATIONS {
            self.add(Feature {
                name: "io_uring",
                parts: [name, ""],
                tests: [
                    Test {
                        value: u64::from(*number),
                        ..Test::default()
                    },
                    Test::default(),
                ],
                count: 1,
                ..Feature::NONE
            });
        }
        for case in cases::pseudo_files() {
            self.add(Feature {
                name: case.name,
                ..Feature::NONE
            });
        }
    }

    fn add(&mut self, mut feature: Feature) {
        let Some(place) = self.all.get_mut(self.count) else {
            return;
        };
        let name = feature.full_name();
        let mut best = 0;
        for case in cases::all() {
            if case.name.len() > best && name.is(case.name) {
                best = case.name.len();
                feature.run = Some(case.run);
            }
        }
        // A reason that names a feature more exactly is above a case for many.
        for (pattern, reason) in cases::reasons() {
            if pattern.len() > best && name.is(pattern) {
                best = pattern.len();
                feature.reason = reason;
                feature.run = None;
            }
        }
        *place = feature;
        self.count += 1;
    }

    fn add_flags(&mut self, number: usize, name: &'static str) {
        let row = tables::row(name).filter(|row| row.place == Place::Registers);
        let parts = row.into_iter().flat_map(|row| row.parts);
        for part in parts.filter(|part| part.meaning != Meaning::Selects) {
            each_name(part, "", &mut |value, flag| {
                let mask = match part.meaning {
                    Meaning::Field => part.mask,
                    _ => value,
                };
                if mask == 0 {
                    return;
                }
                let test = Test {
                    argument: usize::from(part.argument),
                    mask,
                    value,
                };
                self.add(Feature {
                    number: Some(number),
                    name,
                    parts: [flag, ""],
                    tests: [test, Test::default()],
                    count: 1,
                    is_flag: true,
                    ..Feature::NONE
                });
            });
        }
    }

    fn add_operations(&mut self, number: usize, name: &'static str) {
        let Some(row) = tables::row(name).filter(|row| row.place == Place::Registers) else {
            return;
        };
        let mut selecting = row
            .parts
            .iter()
            .filter(|part| part.meaning == Meaning::Selects);
        let (Some(first), second) = (selecting.next(), selecting.next()) else {
            return;
        };
        let new = |part: &Part, value: u64| Test {
            argument: usize::from(part.argument),
            mask: part.mask,
            value,
        };
        each_name(first, "", &mut |value, first_name| {
            let test = new(first, value);
            let feature = Feature {
                number: Some(number),
                name,
                ..Feature::NONE
            };
            match second {
                None => self.add(Feature {
                    parts: [first_name, ""],
                    tests: [test, Test::default()],
                    count: 1,
                    ..feature
                }),
                Some(second) => each_name(second, first_name, &mut |value, second_name| {
                    self.add(Feature {
                        parts: [first_name, second_name],
                        tests: [test, new(second, value)],
                        count: 2,
                        ..feature
                    });
                }),
            }
        });
    }
}

/// The preferred name of each value that fits: the first one in the tables.
fn each_name(part: &Part, before: &str, told: &mut dyn FnMut(u64, &'static str)) {
    let mut earlier: [Set; 4] = [&[]; 4];
    for (index, name) in part.sets.iter().enumerate() {
        let set = tables::set(name, before);
        let mut last = None;
        for (value, name) in set {
            let known = earlier
                .iter()
                .copied()
                .flatten()
                .any(|(known, _)| known == value);
            if value & !part.mask == 0 && !known && last != Some(*value) {
                told(*value, name);
            }
            last = Some(*value);
        }
        if let Some(place) = earlier.get_mut(index) {
            *place = set;
        }
    }
}
