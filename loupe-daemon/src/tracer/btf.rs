//! Offsets of kernel structure members, from the running kernel's BTF.
//!
//! Reads just enough of the format to walk structures by name; everything else is skipped.
//! Format: <https://docs.kernel.org/bpf/btf.html>.

use super::TracerError;

const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;

/// Where the in-kernel programs find what they read in `task_struct`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskOffsets {
    /// `thread_info.status`.
    pub status: u32,
    pub exit_code: u32,
    pub pid: u32,
    /// Of `io_kiocb.opcode`; `None`: a kernel without io_uring, or without its tracepoint.
    pub io_uring_opcode: Option<u32>,
}

/// The name by which the kernel's type information shows the tracepoint, with the request as its
/// argument (since Linux 6.4).
const IO_URING_TRACEPOINT: &[u8] = b"\0btf_trace_io_uring_submit_req\0";

impl TaskOffsets {
    pub fn of_running_kernel() -> Result<TaskOffsets, TracerError> {
        let path = "/sys/kernel/btf/vmlinux";
        let data = std::fs::read(path).map_err(|error| {
            TracerError::Btf(aya::BtfError::FileError {
                path: path.into(),
                error,
            })
        })?;
        let types = Types::parse(&data).ok_or(TracerError::BtfField("valid header"))?;
        let find = |path: &[&str], name| types.offset(path).ok_or(TracerError::BtfField(name));
        Ok(TaskOffsets {
            status: find(
                &["task_struct", "thread_info", "thread_info", "status"],
                "task_struct.thread_info.status",
            )?,
            exit_code: find(&["task_struct", "exit_code"], "task_struct.exit_code")?,
            pid: find(&["task_struct", "pid"], "task_struct.pid")?,
            io_uring_opcode: types
                .has_name(IO_URING_TRACEPOINT)
                .then(|| types.offset(&["io_kiocb", "opcode"]))
                .flatten(),
        })
    }
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

    /// Whether anything has this name, which is given between NULs.
    fn has_name(&self, name: &[u8]) -> bool {
        self.strings
            .windows(name.len())
            .any(|window| window == name)
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
        let mut at = 0;
        while at + 12 <= self.types.len() {
            let info = u32_at(self.types, at + 4)?;
            let (kind, count) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
            let name = self.name(u32_at(self.types, at)?);
            at += 12;
            if kind == KIND_STRUCT && name == structure.as_bytes() {
                return self.member_offset(at, count, info >> 31 != 0, member);
            }
            at += tail_length(kind, count)?;
        }
        None
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

    #[test]
    fn damaged_data_is_refused_and_never_panics() {
        let data = sample();
        for cut in 0..data.len() {
            if let Some(types) = Types::parse(&data[..cut]) {
                let _ = types.offset(&["s", "b"]);
            }
        }
        assert!(Types::parse(b"not btf at all, surely not").is_none());
    }
}
