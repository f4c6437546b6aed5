//! `cargo xtask demo`: from a fresh clone to the verdict table of a real server.

use anyhow::{Result, bail};

use crate::build;
use crate::setup::{self, Consent, Purpose};
use crate::workspace::{self, step};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    pub consent: Consent,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    setup::ensure(&[Purpose::Build, Purpose::Demo], &arguments.consent)?;
    let loupe = build::binaries(true)?.join("loupe");

    // A database of its own: the demo must not show up among real results.
    let database = workspace::target_directory()?.join("demo.db");
    let workload = workspace::root().join("tests/workloads/nginx.toml");
    step("Analysing nginx: each syscall that it uses is stubbed, then faked");
    let mut command = workspace::as_root(&loupe, &["NO_COLOR", "TERM", "COLUMNS"])?;
    command
        .arg("analyze")
        .arg(&workload)
        .arg("--local")
        .arg("--db")
        .arg(&database);
    let status = workspace::status(&mut command)?;
    match status.code() {
        Some(0) => {}
        // See docs/exit-codes.md: the table is there.
        Some(1) => eprintln!("    some verdicts could not be reached"),
        _ => bail!("the analysis failed ({status})"),
    }

    let sudo = if workspace::is_root() { "" } else { "sudo " };
    let shown = loupe
        .strip_prefix(workspace::root())
        .unwrap_or(&loupe)
        .display();
    let database = database
        .strip_prefix(workspace::root())
        .unwrap_or(&database)
        .display();
    step("Try next");
    for arguments in [
        format!("explain nginx sendfile --db {database}"),
        format!("show nginx --db {database}"),
        "trace -- ls".to_owned(),
        "run --stub getrandom -- ls".to_owned(),
        "doctor".to_owned(),
    ] {
        eprintln!("    {sudo}{shown} {arguments}");
    }
    Ok(())
}
