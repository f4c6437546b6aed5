//! Bytes of a ring buffer record to an [`Event`]. Pure, tested without a kernel.

use loupe_common::event::{
    EVENT_CALL, EVENT_EXEC, EVENT_EXIT, EVENT_FIRST_SEEN, EVENT_FORK, EVENT_LISTEN,
    EVENT_OUTSIDE_SIGNAL, EVENT_OWN_FILTER,
};
use nix::sys::signal::Signal;
use std::fmt;

/// One finished call of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub time_ns: u64,
    pub pid: u32,
    pub tid: u32,
    pub abi: u32,
    pub number: u32,
    pub result: i64,
    /// `None` where the enter was not seen (seccomp answered).
    pub duration_ns: Option<u64>,
    pub args: [u64; 6],
    /// Of a call that names a file.
    pub path: Option<Box<str>>,
}

/// What the in-kernel programs told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    FirstSeen { abi: u32, number: u32 },
    Exec,
    Fork,
    Exit { pid: u32, tid: u32 },
    Listen { pid: u32 },
    OwnFilter,
    OutsideSignal(OutsideSignal),
    Call(Call),
}

/// A signal to a process of a run from a process outside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutsideSignal {
    pub signal: u32,
    pub receiver: u32,
    pub sender: u32,
    /// The sender's name, NUL-padded.
    pub name: [u8; 16],
}

impl fmt::Display for OutsideSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = i32::try_from(self.signal).ok().map(Signal::try_from);
        match signal {
            Some(Ok(signal)) => f.write_str(signal.as_str())?,
            _ => write!(f, "signal {}", self.signal)?,
        }
        let name = self.name.split(|byte| *byte == 0).next();
        let name = String::from_utf8_lossy(name.unwrap_or_default());
        let (receiver, sender) = (self.receiver, self.sender);
        write!(
            f,
            " to its process {receiver}, from process {sender} ({name})"
        )
    }
}

/// Reads little-endian fields in order. The records are `repr(C)` without implicit padding
/// (asserted in `loupe-common`), so order is layout.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn u32(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_ne_bytes(*head))
    }

    fn u64(&mut self) -> Option<u64> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_ne_bytes(*head))
    }
}

impl Reader<'_> {
    /// What is left, up to a NUL; `None` where that is nothing.
    fn text(&self) -> Option<Box<str>> {
        let text = self.0.split(|byte| *byte == 0).next()?;
        (!text.is_empty()).then(|| String::from_utf8_lossy(text).into())
    }
}

/// Reads a record's slot, cgroup id and event; `None` of a record that Loupe did not write.
pub fn decode(record: &[u8]) -> Option<(u32, u64, Event)> {
    let mut reader = Reader(record);
    let (kind, slot, cgroup_id) = (reader.u32()?, reader.u32()?, reader.u64()?);
    let (time_ns, pid, tid) = (reader.u64()?, reader.u32()?, reader.u32()?);
    let event = match kind {
        EVENT_FIRST_SEEN | EVENT_CALL => {
            let (number, abi) = (reader.u32()?, reader.u32()?);
            let (result, duration) = (reader.u64()? as i64, reader.u64()?);
            if kind == EVENT_FIRST_SEEN {
                Event::FirstSeen { abi, number }
            } else {
                let mut args = [0; 6];
                for arg in &mut args {
                    *arg = reader.u64()?;
                }
                Event::Call(Call {
                    time_ns,
                    pid,
                    tid,
                    abi,
                    number,
                    result,
                    duration_ns: (duration > 0).then_some(duration),
                    args,
                    path: reader.text(),
                })
            }
        }
        EVENT_EXEC => Event::Exec,
        EVENT_FORK => Event::Fork,
        EVENT_EXIT => Event::Exit { pid, tid },
        EVENT_LISTEN => Event::Listen { pid },
        EVENT_OWN_FILTER => Event::OwnFilter,
        EVENT_OUTSIDE_SIGNAL => {
            let (receiver, signal) = (reader.u32()?, reader.u32()?);
            Event::OutsideSignal(OutsideSignal {
                signal,
                receiver,
                sender: pid,
                name: *reader.0.first_chunk()?,
            })
        }
        _ => return None,
    };
    Some((slot, cgroup_id, event))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(5u32.to_ne_bytes());
        bytes.extend(77u64.to_ne_bytes());
        bytes.extend(1000u64.to_ne_bytes());
        bytes.extend(10u32.to_ne_bytes());
        bytes.extend(11u32.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_call_is_read_field_by_field() {
        let mut bytes = header(EVENT_CALL);
        bytes.extend(202u32.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend((-38i64).to_ne_bytes());
        bytes.extend(0u64.to_ne_bytes());
        for arg in 1..=6u64 {
            bytes.extend(arg.to_ne_bytes());
        }
        assert_eq!(bytes.len(), size_of::<loupe_common::event::CallEvent>());
        let Some((5, 77, Event::Call(call))) = decode(&bytes) else {
            panic!("not a call");
        };
        assert_eq!(
            (call.number, call.result, call.duration_ns),
            (202, -38, None)
        );
        assert_eq!(call.args, [1, 2, 3, 4, 5, 6]);
        assert_eq!(call.path, None);
        // The rest of the record is whatever was there before.
        bytes.extend(b"/etc/passwd\0left over");
        let Some((5, 77, Event::Call(call))) = decode(&bytes) else {
            panic!("not a call");
        };
        assert_eq!(call.path.as_deref(), Some("/etc/passwd"));
    }

    #[test]
    fn a_signal_from_outside_says_who_sent_it() {
        let mut bytes = header(EVENT_OUTSIDE_SIGNAL);
        bytes.extend(42u32.to_ne_bytes());
        bytes.extend(9u32.to_ne_bytes());
        bytes.extend(*b"bash\0\0\0\0\0\0\0\0\0\0\0\0");
        assert_eq!(bytes.len(), size_of::<loupe_common::event::ProcessEvent>());
        let Some((5, 77, Event::OutsideSignal(signal))) = decode(&bytes) else {
            panic!("not a signal");
        };
        assert_eq!(
            signal.to_string(),
            "SIGKILL to its process 42, from process 10 (bash)"
        );
    }

    #[test]
    fn a_short_or_unknown_record_is_none_of_ours() {
        assert_eq!(decode(&header(99)), None);
        assert_eq!(decode(&header(EVENT_CALL)), None);
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&header(EVENT_FORK)), Some((5, 77, Event::Fork)));
    }
}
