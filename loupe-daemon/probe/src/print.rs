//! What the probe prints: one JSON document (schema `loupe.probe/1`), a result a line.

use crate::attempt::Kind;
use crate::blame::Outcomes;
use crate::list::Feature;
use crate::machine;
use crate::tables::{nr, val};
use crate::tools::Tools;

/// Text on its way out.
pub struct Out {
    descriptor: usize,
    bytes: [u8; 4096],
    length: usize,
}

impl Out {
    pub fn to(descriptor: usize) -> Out {
        Out {
            descriptor,
            bytes: [0; 4096],
            length: 0,
        }
    }

    pub fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.length == self.bytes.len() {
                self.flush();
            }
            self.bytes[self.length] = byte;
            self.length += 1;
        }
    }

    pub fn number(&mut self, number: u64) {
        let mut digits = [0; 20];
        let (mut rest, mut start) = (number, digits.len());
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.text(core::str::from_utf8(&digits[start..]).unwrap_or(""));
    }

    /// A text of the OS: what is no plain character is left out.
    fn quoted(&mut self, bytes: &[u8]) {
        self.text("\"");
        for byte in bytes.iter().take_while(|byte| **byte != 0) {
            if (b' '..=b'~').contains(byte) && !b"\"\\".contains(byte) {
                let one = [*byte];
                self.text(core::str::from_utf8(&one).unwrap_or(""));
            }
        }
        self.text("\"");
    }

    pub fn name(&mut self, feature: &Feature) {
        feature.write_name(&mut |part| self.text(part));
    }

    pub fn flush(&mut self) {
        let mut from = 0;
        while from < self.length {
            let rest = &self.bytes[from..self.length];
            let at = rest.as_ptr() as usize;
            let written =
                machine::syscall(nr!("write"), [self.descriptor, at, rest.len(), 0, 0, 0]);
            if written <= 0 {
                break;
            }
            from += written as usize;
        }
        self.length = 0;
    }
}

/// What is known of the whole run.
pub fn head(out: &mut Out, tools: &Tools) {
    let mut name = [0_u8; 390];
    let at = core::ptr::from_mut(&mut name) as usize;
    machine::syscall(nr!("uname"), [at, 0, 0, 0, 0, 0]);
    let mut time = [0_u64; 2];
    let at = core::ptr::from_mut(&mut time) as usize;
    machine::syscall(
        nr!("clock_gettime"),
        [val!("clock", "CLOCK_REALTIME"), at, 0, 0, 0, 0],
    );
    out.text("{\"schema\":\"loupe.probe/1\",\"arch\":\"x86_64\",\"os\":{");
    // Fields of `struct utsname`, 65 bytes each.
    for (index, field) in ["sysname", "release", "version", "machine"]
        .iter()
        .enumerate()
    {
        let place = [0, 2, 3, 4][index] * 65;
        if index > 0 {
            out.text(",");
        }
        out.text("\"");
        out.text(field);
        out.text("\":");
        out.quoted(&name[place..place + 65]);
    }
    out.text("},\"time\":");
    out.number(time[0]);
    out.text(",\"root\":");
    let root = machine::syscall(nr!("geteuid"), [0; 6]) == 0;
    out.text(if root { "true" } else { "false" });
    out.text(",\"isolated\":");
    out.text(if tools.isolated { "true" } else { "false" });
    out.text(",\"results\":[\n");
}

/// Each feature with its result.
pub fn results(
    out: &mut Out,
    features: &[Feature],
    wanted: &dyn Fn(&Feature) -> bool,
    outcomes: &Outcomes,
) {
    let mut first = true;
    for (feature, outcome) in features.iter().zip(&outcomes.0) {
        if !wanted(feature) {
            continue;
        }
        if !first {
            out.text(",\n");
        }
        first = false;
        out.text("{\"feature\":\"");
        out.name(feature);
        out.text("\",\"result\":\"");
        match outcome.kind {
            Kind::Works => out.text("works\""),
            Kind::Errno if outcome.errno == 38 => out.text("ENOSYS\""),
            Kind::Errno => {
                out.text("errno\",\"errno\":");
                out.number(u64::from(outcome.errno));
            }
            Kind::Lies => out.text("lies\""),
            Kind::Crashes => out.text("crashes\""),
            Kind::Hangs => out.text("hangs\""),
            Kind::Blocked => {
                out.text("not tried\",\"needs\":\"");
                out.name(&features[outcome.other]);
                out.text("\"");
            }
            Kind::Skipped | Kind::None => {
                let reason = match (outcome.kind, feature.reason) {
                    (Kind::Skipped, _) => outcome.reason,
                    (_, "") => "no case yet",
                    (_, reason) => reason,
                };
                out.text("not tried\",\"reason\":");
                out.quoted(reason.as_bytes());
            }
        }
        out.text("}");
    }
    out.text("\n]}\n");
    out.flush();
}
