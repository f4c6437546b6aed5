//! The start of a dispatch table for the developer of an OS: one line per syscall, in C and in
//! Rust, sorted by number.

use std::fmt::Write as _;

use loupe_common::feature::Feature;
use loupe_common::syscalls::Arch;

use super::need::{Class, Needs, Row};
use crate::text::printable;

/// A row of the table: number, name, need.
fn numbered(needs: &Needs, arch: Arch) -> Vec<(u32, String, &Row)> {
    let rows = needs.rows.iter().filter_map(|need| {
        let syscall = need.feature.syscall()?;
        Some((syscall.number_on(arch)?, syscall.to_string(), need))
    });
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|(number, ..)| *number);
    rows
}

fn arch_name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x86-64",
        Arch::Aarch64 => "aarch64",
    }
}

/// Names from outside, so that no comment ends early.
fn comment(text: &str) -> String {
    let escaped: String = text.chars().flat_map(char::escape_default).collect();
    escaped
        .replace("*/", "* /")
        .replace("/*", "/ *")
        .replace('\\', "/")
        .replace("??", "? ?")
}

fn heading(needs: &Needs, arch: Arch) -> String {
    let of = |class| needs.of_class(class).count();
    format!(
        "Syscalls of {} for {}: {} to implement, {} to fake, {} to stub.",
        arch_name(arch),
        needs.applications.join(", "),
        of(Class::Implement),
        of(Class::Fake),
        of(Class::Stub)
    )
}

/// A header with an X-macro: `#define X(number, name, what)`, then `LOUPE_SYSCALLS(X)`.
pub fn c_header(needs: &Needs, arch: Arch) -> String {
    let mut text = format!("/* {}\n *\n", comment(&heading(needs, arch)));
    for line in &needs.measured_on {
        // Writing to a String cannot fail.
        let _ = writeln!(text, " * {}", comment(line));
    }
    if let Some(files) = files(needs) {
        let _ = writeln!(text, " *\n * {}", comment(&files));
    }
    text.push_str(
        " *\n\
         \x20* Written by `loupe export c`. For each syscall, LOUPE_SYSCALLS calls its argument with\n\
         \x20* the number, the name, and what has to be done about it:\n\
         \x20*   IMPLEMENT  the applications named need it to work\n\
         \x20*   FAKE       return 0 and do nothing\n\
         \x20*   STUB       fail with ENOSYS\n\
         \x20* What is not listed was never called: it fails with ENOSYS too.\n \
         */\n\
         #ifndef LOUPE_SYSCALLS_H\n\
         #define LOUPE_SYSCALLS_H\n\n\
         enum loupe_action { LOUPE_IMPLEMENT, LOUPE_FAKE, LOUPE_STUB };\n\n\
         #define LOUPE_SYSCALLS(X)",
    );
    for (number, name, need) in numbered(needs, arch) {
        let call = format!("X({number}, {name}, {})", need.class.word().to_uppercase());
        let who = comment(&who(need));
        // Writing to a String cannot fail.
        let _ = write!(text, " \\\n\t{call:<40} /* {who} */");
    }
    text.push_str("\n\n#endif\n");
    text
}

fn who(need: &Row) -> String {
    let names = need.applications.join(", ");
    match (need.conflict, operations(need)) {
        (true, _) => format!("must fail for some and succeed for others of {names}"),
        (false, Some(operations)) => format!("{names}: {operations}"),
        (false, None) => names,
    }
}

/// What alone is needed of a syscall, without its name.
fn operations(need: &Row) -> Option<String> {
    let names = need.parts.iter().map(|part| {
        let name = part.to_string();
        let own = name.split_once(':').map(|(_, own)| own.to_owned());
        own.unwrap_or(name)
    });
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then(|| format!("only {}", names.join(", ")))
}

/// The pseudo-files that have to be there, which are in no row.
fn files(needs: &Needs) -> Option<String> {
    let names: Vec<String> = needs.pseudo_files.iter().map(Feature::to_string).collect();
    (!names.is_empty()).then(|| format!("Pseudo-files that have to be there: {}", names.join(", ")))
}

/// A module with a table to look numbers up in.
pub fn rust_table(needs: &Needs, arch: Arch) -> String {
    let mut text = format!("//! {}\n//!\n", printable(&heading(needs, arch)));
    for line in &needs.measured_on {
        let _ = writeln!(text, "//! - {}", printable(line));
    }
    if let Some(files) = files(needs) {
        let _ = writeln!(text, "//!\n//! {}", printable(&files));
    }
    text.push_str(
        "//!\n\
         //! Written by `loupe export rust`. What is not listed was never called: it fails with ENOSYS.\n\n\
         /// What has to be done about a syscall.\n\
         #[derive(Clone, Copy, Debug, PartialEq, Eq)]\n\
         pub enum Action {\n    \
             /// The applications named need it to work.\n    \
             Implement,\n    \
             /// Return 0 and do nothing.\n    \
             Fake,\n    \
             /// Fail with ENOSYS.\n    \
             Stub,\n\
         }\n\n\
         /// One syscall.\n\
         #[derive(Clone, Copy, Debug)]\n\
         pub struct Syscall {\n    \
             pub number: u32,\n    \
             pub name: &'static str,\n    \
             pub action: Action,\n    \
             /// Those that need this action, and not less.\n    \
             pub applications: &'static [&'static str],\n\
         }\n\n\
         /// Sorted by number.\n\
         #[rustfmt::skip]\n\
         pub static SYSCALLS: &[Syscall] = &[\n",
    );
    for (number, name, need) in numbered(needs, arch) {
        let action = match need.class {
            Class::Implement => "Implement",
            Class::Fake => "Fake",
            Class::Stub => "Stub",
        };
        // The escapes of `Debug` are those of the language.
        let _ = writeln!(
            text,
            "    Syscall {{ number: {number}, name: {name:?}, action: Action::{action}, \
             applications: &{:?} }},{}",
            need.applications,
            match operations(need) {
                Some(operations) => format!(" // {operations}"),
                None => String::new(),
            }
        );
    }
    text.push_str("];\n");
    text
}
