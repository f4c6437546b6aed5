//! Bytes from the kernel to the records that both sides share. Pure, tested without a kernel.

use loupe_common::profile_abi::{
    CGROUP_NAME_BYTES, CallKey, CgroupEvent, EVENT_CGROUP_GONE, EVENT_CGROUP_MADE,
    EVENT_FIRST_CALL, EVENT_SLOT_OPENED, EXECUTABLE_PATH_BYTES, ExecutableKey, FILE_PATH_BYTES,
    FileKey, FirstCallEvent, SlotEvent, SlotKey,
};
use loupe_common::stats::{ErrorKey, ForeignKey, OperationKey};

/// Reads little-endian fields in order. The records are `repr(C)` without implicit padding
/// (asserted in `loupe-common`), so order is layout. What is missing is 0.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let Some((head, rest)) = self.0.split_first_chunk() else {
            self.0 = &[];
            return [0; N];
        };
        self.0 = rest;
        *head
    }

    fn u16(&mut self) -> u16 {
        u16::from_ne_bytes(self.bytes())
    }

    fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.bytes())
    }

    fn u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.bytes())
    }
}

/// A key of counts.
pub trait Record: Sized {
    /// From as many bytes as it has.
    fn read(bytes: &[u8]) -> Self;
    fn slot(&self) -> u32;
}

impl Record for CallKey {
    fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader(bytes);
        CallKey {
            slot: reader.u32(),
            number: reader.u32(),
        }
    }

    fn slot(&self) -> u32 {
        self.slot
    }
}

impl Record for ErrorKey {
    fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader(bytes);
        ErrorKey {
            slot: reader.u16(),
            number: reader.u16(),
            errno: reader.u16(),
            pad: reader.u16(),
        }
    }

    fn slot(&self) -> u32 {
        self.slot.into()
    }
}

impl Record for OperationKey {
    fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader(bytes);
        OperationKey {
            slot: reader.u16(),
            number: reader.u16(),
            errno: reader.u16(),
            pad: reader.u16(),
            value: reader.u64(),
        }
    }

    fn slot(&self) -> u32 {
        self.slot.into()
    }
}

impl Record for ForeignKey {
    fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader(bytes);
        ForeignKey {
            slot: reader.u32(),
            abi: reader.u32(),
            number: reader.u32(),
            pad: reader.u32(),
        }
    }

    fn slot(&self) -> u32 {
        self.slot
    }
}

impl Record for FileKey {
    fn read(bytes: &[u8]) -> Self {
        let mut reader = Reader(bytes);
        FileKey {
            slot: reader.u32(),
            errno: reader.u16(),
            length: reader.u16(),
            path: reader.bytes::<FILE_PATH_BYTES>(),
        }
    }

    fn slot(&self) -> u32 {
        self.slot
    }
}

/// An event as the in-kernel programs write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Cgroup(CgroupEvent),
    Slot(SlotEvent),
    FirstCall(FirstCallEvent),
}

/// `None` of a record that no program of ours wrote.
pub fn event(bytes: &[u8]) -> Option<Told> {
    let mut reader = Reader(bytes);
    let kind = reader.u32();
    let expected = match kind {
        EVENT_CGROUP_MADE | EVENT_CGROUP_GONE => size_of::<CgroupEvent>(),
        EVENT_SLOT_OPENED => size_of::<SlotEvent>(),
        EVENT_FIRST_CALL => size_of::<FirstCallEvent>(),
        _ => return None,
    };
    if bytes.len() < expected {
        return None;
    }
    Some(match kind {
        EVENT_SLOT_OPENED => Told::Slot(SlotEvent {
            kind,
            slot: reader.u32(),
            key: SlotKey {
                owner: reader.u64(),
                executable: ExecutableKey {
                    inode: reader.u64(),
                    device: reader.u32(),
                    pad: reader.u32(),
                },
            },
            cgroup: reader.u64(),
            time_ns: reader.u64(),
            pid: reader.u32(),
            uid: reader.u32(),
            comm: reader.bytes(),
            path: reader.bytes::<EXECUTABLE_PATH_BYTES>(),
        }),
        EVENT_FIRST_CALL => Told::FirstCall(FirstCallEvent {
            kind,
            slot: reader.u32(),
            number: reader.u32(),
            pad: reader.u32(),
            time_ns: reader.u64(),
        }),
        _ => Told::Cgroup(CgroupEvent {
            kind,
            flags: reader.u32(),
            id: reader.u64(),
            parent: reader.u64(),
            owner: reader.u64(),
            name: reader.bytes::<CGROUP_NAME_BYTES>(),
        }),
    })
}

/// The text up to its NUL.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_field_by_field() {
        let bytes: Vec<u8> = [7u32, 39].into_iter().flat_map(u32::to_ne_bytes).collect();
        assert_eq!(
            CallKey::read(&bytes),
            CallKey {
                slot: 7,
                number: 39
            }
        );
        let bytes: Vec<u8> = [7u16, 2, 13, 0]
            .into_iter()
            .flat_map(u16::to_ne_bytes)
            .collect();
        let key = ErrorKey::read(&bytes);
        assert_eq!((key.slot(), key.number, key.errno), (7, 2, 13));
    }

    #[test]
    fn an_event_is_read_by_its_kind_and_a_short_one_is_none() {
        let mut bytes: Vec<u8> = [EVENT_FIRST_CALL, 5, 39, 0]
            .into_iter()
            .flat_map(u32::to_ne_bytes)
            .collect();
        assert_eq!(event(&bytes), None);
        bytes.extend(99u64.to_ne_bytes());
        let expected = FirstCallEvent {
            kind: EVENT_FIRST_CALL,
            slot: 5,
            number: 39,
            pad: 0,
            time_ns: 99,
        };
        assert_eq!(event(&bytes), Some(Told::FirstCall(expected)));
        assert_eq!(event(&77u32.to_ne_bytes()), None);
        assert_eq!(event(&[]), None);
    }

    #[test]
    fn a_text_ends_at_its_nul() {
        assert_eq!(text(b"nginx\0garbage"), "nginx");
        assert_eq!(text(b"full"), "full");
    }
}
