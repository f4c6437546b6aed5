//! Arguments of `loupe probe`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Measure what an OS implements, by a program that runs on it
///
/// The program needs no C library. It tries each syscall, operation, flag, operation of io_uring and
/// usual pseudo-file by one small use whose effect it checks, each in a process of its own. Here it is run here; --write
/// writes it for another OS, where it prints what `loupe os import --probe` reads.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  loupe probe                                 what this kernel does
  loupe probe --only fcntl                    one syscall, and its operations
  loupe probe --write ./loupe-probe           the program, for another OS
  ./loupe-probe > out.json                    there
  loupe os import --probe out.json --name myos   and here again
docs/probe.md says what is checked, and what not.")]
pub struct Probe {
    /// Write the program to this file, and run nothing
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
          conflicts_with_all = ["only", "full", "json"])]
    pub write: Option<PathBuf>,

    /// Try nothing but this syscall (with its operations and flags), operation, flag or file; may be
    /// repeated
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,

    /// Name what works, and why the rest was not tried
    #[arg(long, conflicts_with = "json")]
    pub full: bool,

    /// Print JSON (schema loupe.probe/1)
    #[arg(long)]
    pub json: bool,
}
