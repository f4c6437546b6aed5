//! Offsets of kernel structure members, from the running kernel's BTF.
//!
//! Reads just enough of the format to walk structures by name; everything else is skipped.
//! Format: <https://docs.kernel.org/bpf/btf.html>.

mod structures;

use super::TracerError;
pub use structures::Structures;

const MAGIC: u16 = 0xeb9f;
const KIND_INT: u32 = 1;
const KIND_POINTER: u32 = 2;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_TYPEDEF: u32 = 8;
const KIND_PROTOTYPE: u32 = 13;

/// Offsets of the fields that the in-kernel programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskOffsets {
    /// `thread_info.status`.
    pub status: u32,
    pub exit_code: u32,
    pub pid: u32,
    pub flags: u32,
    /// `cgroups`, and on from there: `css_set.dfl_cgrp`, `cgroup.kn`, `kernfs_node.id`.
    pub cgroup: [u32; 4],
    pub io_uring: IoUring,
}

/// How the kernel tells of an operation that is submitted to a ring of io_uring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoUring {
    /// Without io_uring, or in no way that Loupe knows.
    Untold,
    /// By a request, whose number of the operation is at this offset.
    Request {
        tracepoint: &'static str,
        opcode: u32,
    },
    /// By the number itself, as the argument of `io_uring_submit_sqe` at this place.
    Argument(usize),
}

/// `io_uring_submit_req`, since Linux 6.4; before, with several sets of arguments, the other.
const IO_URING_TRACEPOINTS: [&str; 2] = ["io_uring_submit_req", "io_uring_submit_sqe"];

impl TaskOffsets {
    pub fn of_running_kernel() -> Result<TaskOffsets, TracerError> {
        let data = running_kernel()?;
        let types = Types::parse(&data).ok_or(TracerError::BtfField("valid header"))?;
        let find = |path: &[&str], name| types.offset(path).ok_or(TracerError::BtfField(name));
        Ok(TaskOffsets {
            status: find(
                &["task_struct", "thread_info", "thread_info", "status"],
                "task_struct.thread_info.status",
            )?,
            exit_code: find(&["task_struct", "exit_code"], "task_struct.exit_code")?,
            pid: find(&["task_struct", "pid"], "task_struct.pid")?,
            flags: find(&["task_struct", "flags"], "task_struct.flags")?,
            cgroup: [
                find(&["task_struct", "cgroups"], "task_struct.cgroups")?,
                find(&["css_set", "dfl_cgrp"], "css_set.dfl_cgrp")?,
                find(&["cgroup", "kn"], "cgroup.kn")?,
                find(&["kernfs_node", "id"], "kernfs_node.id")?,
            ],
            io_uring: types.io_uring(),
        })
    }
}

/// The running kernel's type information, undecoded.
pub fn running_kernel() -> Result<Vec<u8>, TracerError> {
    let path = "/sys/kernel/btf/vmlinux";
    std::fs::read(path).map_err(|error| {
        TracerError::Btf(aya::BtfError::FileError {
            path: path.into(),
            error,
        })
    })
}

/// The type section, undecoded, and the strings.
struct Types<'a> {
    types: &'a [u8],
    strings: &'a [u8],
}

fn u32_at(data: &[u8], offset: usize) -> Option<u32> {
    let bytes = data.get(offset..offset + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

impl<'a> Types<'a> {
    fn parse(data: &'a [u8]) -> Option<Types<'a>> {
        if u16::from_le_bytes(data.get(..2)?.try_into().ok()?) != MAGIC {
            return None;
        }
        let field = |index: usize| u32_at(data, 4 + 4 * index).map(|value| value as usize);
        let header = field(0)?;
        let section = |offset: usize, length: usize| {
            let start = header.checked_add(offset)?;
            data.get(start..start.checked_add(length)?)
        };
        Some(Types {
            types: section(field(1)?, field(2)?)?,
            strings: section(field(3)?, field(4)?)?,
        })
    }

    /// Every type: its number, and where it is.
    fn all(&self) -> impl Iterator<Item = (u32, usize)> {
        let first = (1, 0);
        let all = std::iter::successors(Some(first), |(id, at)| {
            let (kind, count) = self.kind(*at)?;
            Some((id + 1, at + 12 + tail_length(kind, count)?))
        });
        all.take_while(|(_, at)| at + 12 <= self.types.len())
    }

    /// The kind, and how many parts it has.
    fn kind(&self, at: usize) -> Option<(u32, usize)> {
        let info = u32_at(self.types, at + 4)?;
        Some(((info >> 24) & 0x1f, (info & 0xffff) as usize))
    }

    fn io_uring(&self) -> IoUring {
        let known = IO_URING_TRACEPOINTS
            .into_iter()
            .find_map(|tracepoint| self.io_uring_by(tracepoint));
        known.unwrap_or(IoUring::Untold)
    }

    fn io_uring_by(&self, tracepoint: &'static str) -> Option<IoUring> {
        let parameters = self.parameters_of(tracepoint)?;
        if parameters.first() == Some(&Parameter::PointerTo(b"io_kiocb")) {
            let opcode = self.offset(&["io_kiocb", "opcode"])?;
            return Some(IoUring::Request { tracepoint, opcode });
        }
        let place = parameters
            .iter()
            .position(|kind| *kind == Parameter::Byte)?;
        Some(IoUring::Argument(place))
    }

    /// What a tracepoint tells: the parameters of its function type, without the first one,
    /// which is the tracepoint's own.
    fn parameters_of(&self, tracepoint: &str) -> Option<Vec<Parameter<'a>>> {
        let wanted = format!("btf_trace_{tracepoint}");
        let (_, typedef) = self.all().find(|(_, at)| {
            let name = u32_at(self.types, *at).map(|name| self.name(name));
            self.kind(*at).is_some_and(|(kind, _)| kind == KIND_TYPEDEF)
                && name == Some(wanted.as_bytes())
        })?;
        let at: Vec<usize> = self.all().map(|(_, at)| at).collect();
        let of = |id: u32| at.get((id as usize).checked_sub(1)?).copied();
        let target = |at: usize| of(u32_at(self.types, at + 8)?);
        let prototype = target(target(typedef)?)?;
        let (kind, count) = self.kind(prototype)?;
        if kind != KIND_PROTOTYPE {
            return None;
        }
        let parameter = |index: usize| {
            let mut at = of(u32_at(self.types, prototype + 12 + 8 * index + 4)?)?;
            while self.kind(at)?.0 == KIND_TYPEDEF {
                at = target(at)?;
            }
            Some(match self.kind(at)?.0 {
                KIND_POINTER => {
                    // A pointer to nothing in particular has no target.
                    let name = target(at).and_then(|at| u32_at(self.types, at));
                    Parameter::PointerTo(name.map_or(&[][..], |name| self.name(name)))
                }
                KIND_INT if u32_at(self.types, at + 8)? == 1 => Parameter::Byte,
                _ => Parameter::Other,
            })
        };
        (1..count).map(parameter).collect()
    }

    fn name(&self, offset: u32) -> &'a [u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The byte offset at the end of a path: structure, member, then, where the member is a
    /// structure itself, that structure's name and its member.
    fn offset(&self, path: &[&str]) -> Option<u32> {
        let [structure, member, rest @ ..] = path else {
            return Some(0);
        };
        Some(self.member(structure, member)? + self.offset(rest)?)
    }

    fn member(&self, structure: &str, member: &str) -> Option<u32> {
        self.all().find_map(|(_, at)| {
            let (kind, count) = self.kind(at)?;
            let name = self.name(u32_at(self.types, at)?);
            let bitfields = u32_at(self.types, at + 4)? >> 31 != 0;
            (kind == KIND_STRUCT && name == structure.as_bytes())
                .then(|| self.member_offset(at + 12, count, bitfields, member))
                .flatten()
        })
    }

    fn member_offset(&self, at: usize, count: usize, bitfields: bool, member: &str) -> Option<u32> {
        (0..count).map(|index| at + 12 * index).find_map(|at| {
            let name = self.name(u32_at(self.types, at)?);
            let bits = u32_at(self.types, at + 8)?;
            // With bit fields in the structure the upper byte is the field's width.
            let bits = if bitfields { bits & 0x00ff_ffff } else { bits };
            (name == member.as_bytes()).then_some(bits / 8)
        })
    }
}

/// What kind of thing a tracepoint tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parameter<'a> {
    /// With the name of what it points to; empty for `void`.
    PointerTo(&'a [u8]),
    Byte,
    Other,
}

/// Bytes that follow the common part of a type; `None` for a kind from the future.
fn tail_length(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        // Pointer, forward, typedef, volatile, const, restrict, function, float, type tag.
        2 | 7..=12 | 16 | 18 => 0,
        // Integer, variable, declaration tag.
        1 | 14 | 17 => 4,
        // Array.
        3 => 12,
        KIND_STRUCT | KIND_UNION | 15 | 19 => 12 * count,
        // Enumeration, function prototype.
        6 | 13 => 8 * count,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A BTF blob with an `int` and `struct s { int a; int b; }`.
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0s\0a\0b\0";
        let mut types = Vec::new();
        for word in [1u32, 1 << 24, 4, 32] {
            types.extend(word.to_le_bytes());
        }
        for word in [5u32, 4 << 24 | 2, 8, 7, 1, 0, 9, 1, 32] {
            types.extend(word.to_le_bytes());
        }
        let mut data = Vec::new();
        data.extend(MAGIC.to_le_bytes());
        data.extend([1, 0]);
        for word in [24, 0, types.len(), types.len(), strings.len()] {
            data.extend((word as u32).to_le_bytes());
        }
        data.extend(types);
        data.extend(strings);
        data
    }

    #[test]
    fn members_are_found_by_name() {
        let data = sample();
        let types = Types::parse(&data).expect("valid");
        assert_eq!(types.offset(&["s", "a"]), Some(0));
        assert_eq!(types.offset(&["s", "b"]), Some(4));
        assert_eq!(types.offset(&["s", "c"]), None);
        assert_eq!(types.offset(&["t", "a"]), None);
    }

    /// `u8`, `u64`, `struct io_kiocb { u64 a; u8 opcode; }`, and a tracepoint with these
    /// parameters after its own: `r` a request, `p` a pointer to nothing, `b` a byte, `w` a word.
    fn tracepoint(name: &str, parameters: &str) -> Vec<u8> {
        let mut strings = b"\0u8\0u64\0io_kiocb\0a\0opcode\0".to_vec();
        let typedef_name = strings.len() as u32;
        strings.extend(format!("btf_trace_{name}\0").bytes());
        let mut types: Vec<u32> = Vec::new();
        types.extend([1, KIND_INT << 24, 1, 8]); // 1
        types.extend([4, KIND_INT << 24, 8, 64]); // 2
        types.extend([8, KIND_STRUCT << 24 | 2, 16, 17, 2, 0, 19, 1, 64]); // 3
        types.extend([0, KIND_POINTER << 24, 3]); // 4
        types.extend([0, KIND_POINTER << 24, 0]); // 5
        types.extend([1, KIND_TYPEDEF << 24, 1]); // 6
        let count = parameters.len() as u32 + 1;
        types.extend([0, KIND_PROTOTYPE << 24 | count, 0, 0, 5]); // 7
        for letter in parameters.chars() {
            let id = match letter {
                'r' => 4,
                'p' => 5,
                'b' => 6,
                _ => 2,
            };
            types.extend([0, id]);
        }
        types.extend([0, KIND_POINTER << 24, 7]); // 8
        types.extend([typedef_name, KIND_TYPEDEF << 24, 8]); // 9
        let bytes = 4 * types.len() as u32;
        let mut data = [MAGIC.to_le_bytes(), [1, 0]].concat();
        for word in [24, 0, bytes, bytes, strings.len() as u32] {
            data.extend(word.to_le_bytes());
        }
        data.extend(types.into_iter().flat_map(u32::to_le_bytes));
        data.extend(strings);
        data
    }

    #[test]
    fn operations_of_io_uring_are_found_however_the_kernel_tells_of_them() {
        let by_request = |tracepoint| IoUring::Request {
            tracepoint,
            opcode: 8,
        };
        for (name, parameters, expected) in [
            // Linux 6.4, 6.0, 5.18 and 5.15.
            (
                "io_uring_submit_req",
                "r",
                by_request("io_uring_submit_req"),
            ),
            (
                "io_uring_submit_sqe",
                "rb",
                by_request("io_uring_submit_sqe"),
            ),
            ("io_uring_submit_sqe", "ppwbwbb", IoUring::Argument(3)),
            ("io_uring_submit_sqe", "ppbwwbb", IoUring::Argument(2)),
            ("io_uring_submit_sqe", "p", IoUring::Untold),
            ("io_uring_create", "r", IoUring::Untold),
        ] {
            let data = tracepoint(name, parameters);
            let types = Types::parse(&data).expect("valid");
            assert_eq!(types.io_uring(), expected, "{name}({parameters})");
        }
    }

    #[test]
    fn damaged_data_is_refused_and_never_panics() {
        let data = sample();
        for cut in 0..data.len() {
            if let Some(types) = Types::parse(&data[..cut]) {
                let _ = types.offset(&["s", "b"]);
            }
        }
        let data = tracepoint("io_uring_submit_sqe", "ppwb");
        for cut in 0..data.len() {
            if let Some(types) = Types::parse(&data[..cut]) {
                let _ = types.io_uring();
            }
        }
        assert!(Types::parse(b"not btf at all, surely not").is_none());
    }
}
