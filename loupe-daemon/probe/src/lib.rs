//! The program that `loupe probe` is about: it runs on an OS and finds out what that OS implements,
//! by one small use of each syscall, operation and pseudo-file whose effect it checks. It needs no C
//! library, and of the OS as little as can be.
//!
//! A library for Cargo, which checks it; loupe-daemon's build script makes the program of it, with
//! `--cfg loupe_program`. It knows nothing of profiles: Loupe makes one of what it prints.

#![no_std]
#![cfg_attr(loupe_program, no_main)]

mod attempt;
mod blame;
mod cases;
mod handlers;
mod helpers;
mod list;
mod machine;
mod print;
mod report;
mod run;
#[cfg(loupe_program)]
mod start;
mod tables;
mod tools;

use core::ffi::CStr;

use list::Feature;
use print::Out;
use tables::nr;
use tools::Tools;

const USAGE: &str = "\
usage: loupe-probe [--only NAME | --skip NAME]... [--list] [--trace]
Tries what this OS implements, and prints it as JSON, for `loupe os import --probe`.
  --only NAME  nothing but this syscall, operation, flag or file; of a syscall, its parts too
  --skip NAME  all but this
  --list       print the names only
  --trace      name each on standard error before it is tried, for an OS that ends meanwhile
";

/// Names on the command line at most.
const MOST_NAMES: usize = 32;

#[derive(Default)]
struct Options {
    only: [Option<&'static str>; MOST_NAMES],
    skip: [Option<&'static str>; MOST_NAMES],
    list: bool,
    trace: bool,
}

impl Options {
    fn wants(&self, feature: &Feature) -> bool {
        let named = |name: &&'static str| feature.name == *name || feature.is_called(name);
        let is_in = |names: &[Option<&'static str>]| names.iter().flatten().any(&named);
        let all = self.only[0].is_none();
        (all || is_in(&self.only)) && !is_in(&self.skip)
    }
}

/// The words are the command line's.
pub fn main(words: &[*const u8]) -> ! {
    let mut options = Options::default();
    let (mut only, mut skip) = (options.only.iter_mut(), options.skip.iter_mut());
    let mut rest = words.iter().skip(1).map(|word| text(*word));
    while let Some(word) = rest.next() {
        let place = match word {
            // What the cases of execve start.
            "--exits" => run::finish(42),
            "--list" => {
                options.list = true;
                continue;
            }
            "--trace" => {
                options.trace = true;
                continue;
            }
            "--only" => only.next(),
            "--skip" => skip.next(),
            _ => None,
        };
        match (place, rest.next()) {
            (Some(place), Some(name)) => *place = Some(name),
            _ => usage(),
        }
    }
    measure(&options, words.first().map_or(0, |word| *word as usize))
}

fn usage() -> ! {
    let mut out = Out::to(2);
    out.text(USAGE);
    out.flush();
    run::finish(2)
}

fn text(word: *const u8) -> &'static str {
    // SAFETY: the kernel has put the words of the command line there, each with a zero at its end,
    // for as long as the program runs.
    unsafe { CStr::from_ptr(word.cast()) }
        .to_str()
        .unwrap_or("?")
}

fn measure(options: &Options, program: usize) -> ! {
    let (list, outcomes) = handlers::tables();
    list.fill();
    let wanted = |feature: &Feature| options.wants(feature);
    let mut out = Out::to(1);
    if options.list {
        for feature in list.features().iter().filter(|feature| wanted(feature)) {
            out.name(feature);
            out.text("\n");
        }
        out.flush();
        run::finish(0);
    }
    let here = c".".as_ptr() as usize;
    let origin = machine::syscall(nr!("open"), [here, 0, 0, 0, 0, 0]);
    let directory = directory();
    enter_directory(&directory);
    let shared = tools::shared_memory();
    let tools = Tools::find(shared, program, origin);
    let report = shared.unwrap_or(&handlers::OWN_REPORT);
    let told = |feature: &Feature| {
        if options.trace {
            let mut out = Out::to(2);
            out.name(feature);
            out.text("\n");
            out.flush();
        }
    };
    run::all(list, &wanted, &tools, report, &told, outcomes);
    leave_directory(&directory);
    print::head(&mut out, &tools);
    print::results(&mut out, list.features(), &wanted, outcomes);
    run::finish(0)
}

/// Where the cases make their files: a new directory in the first of these places that lets one.
/// Nothing that is there already is entered: it may be somebody else's.
fn enter_directory(name: &[u8]) {
    for place in [c"/tmp", c"/var/tmp", c"/dev/shm"] {
        let at = place.as_ptr() as usize;
        machine::syscall(nr!("chdir"), [at, 0, 0, 0, 0, 0]);
        let at = name.as_ptr() as usize;
        let made = machine::syscall(nr!("mkdir"), [at, 0o700, 0, 0, 0, 0]) == 0
            || machine::syscall(nr!("mkdirat"), [helpers::HERE as usize, at, 0o700, 0, 0, 0]) == 0;
        if made && machine::syscall(nr!("chdir"), [at, 0, 0, 0, 0, 0]) == 0 {
            return;
        }
    }
}

/// The directory's name has the process's number in it.
fn directory() -> [u8; 32] {
    let mut name = [0_u8; 32];
    name[..12].copy_from_slice(b"loupe-probe.");
    let mut rest = machine::syscall(nr!("getpid"), [0; 6]).unsigned_abs() % 100_000_000;
    for digit in name[12..20].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    name
}

fn leave_directory(name: &[u8]) {
    machine::syscall(nr!("chdir"), [c"..".as_ptr() as usize, 0, 0, 0, 0, 0]);
    let at = name.as_ptr() as usize;
    machine::syscall(nr!("rmdir"), [at, 0, 0, 0, 0, 0]);
    machine::syscall(
        nr!("unlinkat"),
        [helpers::HERE as usize, at, 0x200, 0, 0, 0],
    );
}
