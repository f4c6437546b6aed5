//! The calls of a streamed trace, one a line, as they come.

use std::io::{self, BufWriter, Write};

use loupe_common::errno::Errno;
use loupe_common::text::escape_json;
use loupe_common::wire::Failure;

use crate::engine::StreamedCall;

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

/// `0.001234 4711 openat(0xffffff9c, 0x7f…, 0x0, 0x0, 0x0, 0x0) = -2 ENOENT <0.000005>`.
fn text(call: &StreamedCall, start_ns: u64) -> String {
    // Calls of other CPUs may have ended before the first one that came.
    let time = call.time_ns.saturating_sub(start_ns) as f64 / 1e9;
    let arguments: Vec<String> = call.args.iter().map(|arg| format!("{arg:#x}")).collect();
    let errno = call.result.checked_neg().and_then(Errno::new);
    let result = match errno {
        Some(errno) => format!("{} {errno}", call.result),
        None if (0..=0xffff).contains(&call.result) => call.result.to_string(),
        None => format!("{:#x}", call.result),
    };
    let took = call
        .duration_ns
        .map_or_else(String::new, |ns| format!(" <{:.6}>", ns as f64 / 1e9));
    format!(
        "{time:.6} {} {}({}) = {result}{took}\n",
        call.tid,
        call.name,
        arguments.join(", ")
    )
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
        }
    }

    #[test]
    fn a_call_reads_like_a_line_of_c() {
        assert_eq!(
            text(&call(-2, Some(1500)), 2_000_000),
            "0.001500 2 openat(0xffffff9c, 0x1, 0x0, 0x0, 0x0, 0xffffffffffffffff) = -2 ENOENT \
             <0.000002>\n"
        );
        assert!(text(&call(3, None), 9_000_000).ends_with(") = 3\n"));
        assert!(text(&call(0x7f00_0000_0000, None), 0).ends_with(" = 0x7f0000000000\n"));
        assert!(text(&call(i64::MIN, None), 0).ends_with(" = 0x8000000000000000\n"));
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
