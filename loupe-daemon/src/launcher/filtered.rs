//! A program under a filter that it gets before it begins, without anything of the launcher's: for an
//! OS on which nothing can be injected from outside (`loupe verify`'s runners). Judges nothing, and
//! decides no filter.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;

use libc::sock_filter;

use crate::sys::seccomp;

/// The first argument; then the file with the filter, a file that is made as a sign that it is on, the
/// program, and all of the program's words.
pub const ARGUMENT: &str = "__filtered";

/// A filter as lines of numbers, for [`run`] to read.
pub fn written(filter: &[(u16, u8, u8, u32)]) -> String {
    let lines = filter.iter();
    lines
        .map(|(code, jt, jf, k)| format!("{code} {jt} {jf} {k}\n"))
        .collect()
}

/// Becomes the program; returns only why it could not.
pub fn run(words: impl Iterator<Item = OsString>) -> io::Error {
    match become_it(words) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn become_it(words: impl Iterator<Item = OsString>) -> io::Result<std::convert::Infallible> {
    let missing = || io::Error::other("FILTER, SIGN, PROGRAM and its words are needed");
    let mut words = words.map(OsString::into_vec);
    let mut word = || words.next().ok_or_else(missing);
    let text = String::from_utf8(std::fs::read(path(word()?))?).map_err(io::Error::other)?;
    let sign = path(word()?);
    let program = CString::new(word()?)?;
    let own: Vec<CString> = words.map(CString::new).collect::<Result<_, _>>()?;
    let mut filter = exec_of(&program);
    for line in text.lines() {
        filter.push(
            instruction(line).ok_or_else(|| {
                io::Error::other(format!("{line:?} is no instruction of a filter"))
            })?,
        );
    }
    File::create(sign)?;
    seccomp::put_on(&filter)?;
    Ok(nix::unistd::execv(&program, &own)?)
}

fn path(bytes: Vec<u8>) -> std::path::PathBuf {
    OsString::from_vec(bytes).into()
}

fn instruction(line: &str) -> Option<sock_filter> {
    let mut numbers = line.split(' ').map(str::parse::<u32>);
    let mut number = || numbers.next()?.ok();
    Some(sock_filter {
        code: u16::try_from(number()?).ok()?,
        jt: u8::try_from(number()?).ok()?,
        jf: u8::try_from(number()?).ok()?,
        k: number()?,
    })
}

/// Lets the exec of exactly this string in memory through: the one that starts the program, which has
/// another memory afterwards.
fn exec_of(program: &CString) -> Vec<sock_filter> {
    const OFFSET_NUMBER: u32 = 0;
    const OFFSET_ARGUMENT: u32 = 16;
    let load = |at| (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at);
    let equal = |k, jf| (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, jf, k);
    let address = program.as_ptr() as u64;
    let program = [
        load(OFFSET_NUMBER),
        equal(libc::SYS_execve as u32, 5),
        load(OFFSET_ARGUMENT),
        equal(address as u32, 3),
        load(OFFSET_ARGUMENT + 4),
        equal((address >> 32) as u32, 1),
        (libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let insn = |(code, jt, jf, k): (u32, u8, u8, u32)| sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    program.map(insn).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_as_it_was_written() {
        let text = written(&[(32, 0, 0, 4), (21, 1, 0, 0xc000_003e)]);
        let read: Option<Vec<sock_filter>> = text.lines().map(instruction).collect();
        let read = read.expect("readable");
        let last = read.last().expect("two");
        assert_eq!(
            (last.code, last.jt, last.jf, last.k),
            (21, 1, 0, 0xc000_003e)
        );
        assert!(instruction("1 2 300 4").is_none() && instruction("1 2").is_none());
    }

    #[test]
    fn what_is_missing_is_told() {
        let error = run(["/nonexistent".into()].into_iter());
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(run(std::iter::empty()).to_string().contains("are needed"));
    }
}
