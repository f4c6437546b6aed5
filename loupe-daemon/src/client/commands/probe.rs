//! `loupe probe`: the program that measures an OS, written for another one or run here.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use loupe_common::wire::Failure;

use crate::client::args::Probe;
use crate::client::measured::os_failure;
use crate::client::{Ending, output};
use crate::plan::os::read_probed;
use crate::report;
use crate::text::printable;

/// The program; empty where Loupe was built for another processor.
const PROGRAM: &[u8] = include_bytes!(env!("LOUPE_PROBE_PROGRAM"));

pub fn run(args: &Probe) -> Result<Ending, Failure> {
    if PROGRAM.is_empty() {
        return Err(
            Failure::usage("this Loupe has no probe: it was built for another processor")
                .hint("the probe knows the calls of x86-64; take Loupe's build for that"),
        );
    }
    match &args.write {
        Some(path) => write(path),
        None => here(args),
    }
}

/// Leaves the program where it was asked for.
fn write(path: &Path) -> Result<Ending, Failure> {
    write_program(path, OpenOptions::new().create(true).truncate(true)).map_err(|error| {
        Failure::usage(format!("cannot write {}", path.display())).because(Some(&error))
    })?;
    output::print(&format!(
        "Wrote {} ({} bytes, static, x86-64). Run it on the OS, and keep what it prints:\n  \
         ./loupe-probe > out.json\n  loupe os import --probe out.json --name NAME\n",
        printable(&path.display().to_string()),
        PROGRAM.len()
    ))?;
    Ok(Ending::OK)
}

fn write_program(path: &Path, options: &mut OpenOptions) -> io::Result<()> {
    let mut file = options.write(true).mode(0o755).open(path)?;
    file.write_all(PROGRAM)?;
    // One that was there already has a mode of its own.
    file.set_permissions(fs::Permissions::from_mode(0o755))
}

/// A file that goes with this value.
struct Kept(PathBuf);

impl Drop for Kept {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, file = %self.0.display(), "the probe is left behind");
        }
    }
}

/// Runs it on this kernel. It bounds itself: each of its tries has a time limit.
fn here(args: &Probe) -> Result<Ending, Failure> {
    let failed = |what: &str, error: &io::Error| {
        Failure::internal(format!("the probe cannot be {what}")).because(Some(error))
    };
    let name = format!("loupe-probe-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    // What is there already may be somebody else's.
    write_program(&path, OpenOptions::new().create_new(true))
        .map_err(|error| failed("written", &error))?;
    let program = Kept(path);
    let mut command = Command::new(&program.0);
    for name in &args.only {
        command.arg("--only").arg(name);
    }
    let printed = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed("started", &error))?;
    let text = String::from_utf8_lossy(&printed.stdout);
    let probed = read_probed(Path::new("what the probe printed"), &text)
        .map_err(|error| os_failure(&error))?;
    if probed.results.is_empty() {
        return Err(Failure::usage("the probe knows nothing of that name")
            .hint("`loupe-probe --list` names all; `loupe probe --write FILE` writes it"));
    }
    match args.json {
        true => output::print_json(&probed)?,
        false => output::print(&report::probed_table(&probed, args.full, output::style()))?,
    }
    Ok(Ending::OK)
}
