//! Debian packages: which are missing, and their installation. Knows not what they are for.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::workspace;

/// A Debian package that something needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    pub name: String,
    /// A program that stands for the package, whoever installed it; without one, dpkg is asked.
    pub program: Option<&'static str>,
    /// The service that the package starts when it is installed and at each boot.
    pub service: Option<&'static str>,
}

impl Package {
    pub fn library(name: impl Into<String>) -> Package {
        Package {
            name: name.into(),
            program: None,
            service: None,
        }
    }

    pub fn program(name: &str, program: &'static str) -> Package {
        Package {
            program: Some(program),
            ..Package::library(name)
        }
    }

    pub fn server(name: &str, program: &'static str, service: &'static str) -> Package {
        Package {
            service: Some(service),
            ..Package::program(name, program)
        }
    }

    pub fn is_missing(&self) -> bool {
        match self.program {
            Some(program) => !workspace::has_program(program),
            None => !is_installed(&self.name),
        }
    }
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

/// The command that a person would type for [`install`].
pub fn by_hand(packages: &[Package]) -> String {
    let names: Vec<_> = packages.iter().map(|package| &*package.name).collect();
    let names = names.join(" ");
    let sudo = if workspace::is_root() { "" } else { "sudo " };
    format!("{sudo}apt-get update && {sudo}apt-get install --yes --no-install-recommends {names}")
}

/// Installs packages, as root or through sudo. Their servers are neither started nor enabled:
/// Loupe starts its own, and nobody asked for an open port.
pub fn install(packages: &[Package]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    if !workspace::has_program("apt-get") {
        let names: Vec<_> = packages.iter().map(|package| &*package.name).collect();
        bail!(
            "there is no apt-get here; install what these Debian packages hold and try again: {}",
            names.join(" ")
        );
    }
    if !packages.iter().all(|package| is_known(&package.name)) {
        update()?;
    }
    if !install_once(packages)? {
        // The likeliest reason: the lists name versions that the mirror has replaced.
        update()?;
        if !install_once(packages)? {
            bail!("apt-get could not install all packages; its messages are above");
        }
    }
    Ok(())
}

fn is_known(package: &str) -> bool {
    Command::new("apt-cache")
        .args(["show", "--quiet", "--no-all-versions", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success() && !output.stdout.is_empty())
}

fn update() -> Result<()> {
    // An unreachable third-party source fails the update but rarely matters; what does matter
    // shows when a package cannot be installed.
    let mut command = workspace::as_root("apt-get", &[])?;
    let status = workspace::status(command.args(["update", "-qq"]))?;
    if !status.success() {
        eprintln!("warning: apt-get update failed ({status}); trying with the lists as they are");
    }
    Ok(())
}

/// Arguments: the services to disable, as one word; the packages.
const SCRIPT: &str = r#"
set -eu
services=$1
shift
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ] || grep -q 'cargo xtask setup' "$policy"; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '%s\n' '#!/bin/sh' '# Keeps servers from starting; made and removed by cargo xtask setup.' 'exit 101' > "$policy"
    chmod 755 "$policy"
fi
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
if [ -n "$services" ] && command -v systemctl > /dev/null; then
    systemctl disable --quiet $services
fi
"#;

fn install_once(packages: &[Package]) -> Result<bool> {
    let services: Vec<_> = packages
        .iter()
        .filter_map(|package| package.service)
        .collect();
    let names: Vec<_> = packages.iter().map(|package| &*package.name).collect();
    let mut command = workspace::as_root("/bin/sh", &[])?;
    command
        .args(["-c", SCRIPT, "sh", &services.join(" ")])
        .args(&names);
    let sudo = if workspace::is_root() { "" } else { "sudo " };
    eprintln!("    $ {sudo}apt-get install {}", names.join(" "));
    let status = command.status().context("cannot run /bin/sh")?;
    Ok(status.success())
}
