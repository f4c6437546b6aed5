//! The calls of a streamed trace, one a line, as they come.

use std::io::{self, BufWriter, Write};

use loupe_common::errno::Errno;
use loupe_common::operations::named_arguments;
use loupe_common::syscalls::Syscall;
use loupe_common::text::escape_json;
use loupe_common::wire::Failure;

use crate::engine::StreamedCall;
use crate::text::printable;

/// Writes calls to a file or to standard error.
pub struct CallWriter {
    out: BufWriter<Box<dyn Write + Send>>,
    json: bool,
    /// When the first call ended: times are told from there.
    start_ns: Option<u64>,
    /// The reader has gone away.
    closed: bool,
}

impl CallWriter {
    pub fn new(out: Box<dyn Write + Send>, json: bool) -> CallWriter {
        CallWriter {
            out: BufWriter::new(out),
            json,
            start_ns: None,
            closed: false,
        }
    }

    /// Writes some calls and sees to it that they can be read.
    pub fn write(&mut self, calls: &[StreamedCall]) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let written = calls
            .iter()
            .try_for_each(|call| self.write_one(call))
            .and_then(|()| self.out.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            Err(error) => Err(Failure::internal("cannot write the calls").because(Some(&error))),
            Ok(()) => Ok(()),
        }
    }

    fn write_one(&mut self, call: &StreamedCall) -> io::Result<()> {
        if self.json {
            let line = serde_json::to_string(call)?;
            return writeln!(self.out, "{}", escape_json(&line));
        }
        let start = *self.start_ns.get_or_insert(call.time_ns);
        let line = text(call, start);
        self.out.write_all(line.as_bytes())
    }
}

/// `0.001234 4711 openat(AT_FDCWD, "/etc/shadow", O_RDONLY|O_CLOEXEC, 0) = -1 EACCES (Permission
/// denied) <0.000005>`.
fn text(call: &StreamedCall, start_ns: u64) -> String {
    // Calls of other CPUs may have ended before the first one that came.
    let time = call.time_ns.saturating_sub(start_ns) as f64 / 1e9;
    let took = call
        .duration_ns
        .map_or_else(String::new, |ns| format!(" <{:.6}>", ns as f64 / 1e9));
    format!(
        "{time:.6} {} {}({}) = {}{took}\n",
        call.tid,
        call.name,
        arguments(call).join(", "),
        result(call.result)
    )
}

/// As the C library's function returns it.
fn result(result: i64) -> String {
    match result.checked_neg().and_then(Errno::new) {
        Some(errno) => {
            let known = i32::try_from(-result).map(nix::errno::Errno::from_raw);
            let why = known.map_or("", nix::errno::Errno::desc);
            format!("-1 {errno} ({why})")
        }
        None if (0..=0xffff).contains(&result) => result.to_string(),
        None => format!("{result:#x}"),
    }
}

/// Only those that the syscall has: what is in the other registers means nothing.
fn arguments(call: &StreamedCall) -> Vec<String> {
    let syscall = Syscall::from_name(&call.name);
    let count = syscall.map_or(call.args.len(), Syscall::argument_count);
    let shown = call.args.iter().take(count);
    let mut texts: Vec<String> = shown.map(|value| number(*value)).collect();
    let Some(syscall) = syscall else {
        return texts;
    };
    for (index, name) in named_arguments(syscall, &call.args) {
        if let Some(text) = texts.get_mut(index) {
            *text = name;
        }
    }
    let Some(index) = syscall.path_argument().filter(|index| *index < count) else {
        return texts;
    };
    let at = AT_FLAGS_OF.iter().find(|(name, _)| *name == call.name);
    let at = at.map(|(_, place)| (*place, call.args[*place]));
    if let Some((place, flags)) = at {
        texts[place] = at_flags(flags);
    }
    match &call.path {
        Some(path) => texts[index] = format!("\"{}\"", printable(path)),
        // The descriptor itself is meant.
        None if at.is_some_and(|(_, flags)| flags & libc::AT_EMPTY_PATH as u64 != 0) => {
            texts[index] = "\"\"".to_owned();
        }
        None => {}
    }
    // What a path is relative to.
    if index == 1 && call.args[0] as i32 == libc::AT_FDCWD {
        texts[0] = "AT_FDCWD".to_owned();
    }
    texts
}

/// Which argument of a call has flags of how its path is meant.
const AT_FLAGS_OF: [(&str, usize); 4] = [
    ("fchownat", 4),
    ("newfstatat", 3),
    ("statx", 2),
    ("unlinkat", 2),
];
const AT_FLAGS: [(i32, &str); 4] = [
    (libc::AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"),
    (libc::AT_REMOVEDIR, "AT_REMOVEDIR"),
    (libc::AT_NO_AUTOMOUNT, "AT_NO_AUTOMOUNT"),
    (libc::AT_EMPTY_PATH, "AT_EMPTY_PATH"),
];

/// By name, and what has none as a number.
fn at_flags(mut flags: u64) -> String {
    let mut names: Vec<String> = Vec::new();
    for (bit, name) in AT_FLAGS {
        if flags & bit as u64 != 0 {
            flags &= !(bit as u64);
            names.push(name.to_owned());
        }
    }
    if flags != 0 || names.is_empty() {
        names.push(number(flags));
    }
    names.join("|")
}

/// Small numbers are counts and descriptors, others flags and addresses.
fn number(value: u64) -> String {
    let small = value as i32;
    match value {
        ..=0xffff => value.to_string(),
        // A negative `int`, whether or not it fills the register.
        _ if (-4095..0).contains(&small) && value >> 32 == 0 => small.to_string(),
        _ if (-4095..0).contains(&(value as i64)) => (value as i64).to_string(),
        _ => format!("{value:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(result: i64, duration_ns: Option<u64>) -> StreamedCall {
        StreamedCall {
            time_ns: 3_500_000,
            pid: 1,
            tid: 2,
            name: "openat".to_owned(),
            args: [0xffff_ff9c, 1, 0, 0, 0, u64::MAX],
            result,
            duration_ns,
            path: Some("/etc/\u{1b}x".to_owned()),
        }
    }

    #[test]
    fn a_call_reads_like_a_line_of_c() {
        let mut failed = call(-2, Some(1500));
        failed.args[2] = 0x80000;
        assert_eq!(
            text(&failed, 2_000_000),
            "0.001500 2 openat(AT_FDCWD, \"/etc/\\x1bx\", O_RDONLY|O_CLOEXEC, 0) = -1 ENOENT (No \
             such file or directory) <0.000002>\n"
        );
        assert!(text(&call(3, None), 9_000_000).ends_with(") = 3\n"));
        assert!(text(&call(0x7f00_0000_0000, None), 0).ends_with(" = 0x7f0000000000\n"));
        assert!(text(&call(i64::MIN, None), 0).ends_with(" = 0x8000000000000000\n"));
    }

    #[test]
    fn operations_and_flags_have_their_names_and_other_registers_mean_nothing() {
        let shown = |name: &str, args| {
            let call = StreamedCall {
                name: name.to_owned(),
                args,
                path: None,
                ..call(0, None)
            };
            arguments(&call).join(", ")
        };
        let max = u64::MAX;
        assert_eq!(shown("fcntl", [5, 2, 1, max, max, max]), "5, F_SETFD, 1");
        assert_eq!(shown("getpid", [max; 6]), "");
        assert_eq!(
            shown(
                "newfstatat",
                [3, 0x7f00_0000, 0x7f00_1000, 0x1100, max, max]
            ),
            "3, \"\", 0x7f001000, AT_SYMLINK_NOFOLLOW|AT_EMPTY_PATH"
        );
        assert_eq!(
            shown(
                "statx",
                [0xffff_ff9c, 0x7f00_0000, 0x2000, 0xfff, 0x7f00_1000, max]
            ),
            "AT_FDCWD, 0x7f000000, 8192, 4095, 0x7f001000"
        );
        let foreign = shown("i386:240", [1, 0x7f00_0000, max, 0, 0, 0]);
        assert_eq!(foreign, "1, 0x7f000000, -1, 0, 0, 0");
        assert_eq!(
            shown("mmap", [0, 4096, 3, 0x22, 0xffff_ffff, 0]),
            "0, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0"
        );
    }

    /// Fails after so many bytes.
    struct Closing(usize, io::ErrorKind);

    impl Write for Closing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.checked_sub(bytes.len()) {
                Some(left) => {
                    self.0 = left;
                    Ok(bytes.len())
                }
                None => Err(self.1.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_ends_the_stream_and_a_full_disk_fails_it() {
        let calls = vec![call(0, None); 100];
        let closing = Closing(1000, io::ErrorKind::BrokenPipe);
        let mut writer = CallWriter::new(Box::new(closing), false);
        assert_eq!(writer.write(&calls), Ok(()));
        assert!(writer.closed);
        let full = Closing(1000, io::ErrorKind::StorageFull);
        let mut writer = CallWriter::new(Box::new(full), true);
        assert!(writer.write(&calls).is_err());
    }
}
