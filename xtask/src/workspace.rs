//! Where things are, and how commands are run and shown. Knows no verb.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result, bail};

/// The triple of the in-kernel programs for this machine.
pub fn bpf_target() -> &'static str {
    crate::toolchain::target_triple(cfg!(target_endian = "big"))
}

/// The directory of the workspace's Cargo.toml.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask's manifest is one directory below the root")
}

/// The target directory: the one that holds this program as `debug/xtask`.
pub fn target_directory() -> Result<PathBuf> {
    let program = env::current_exe().context("cannot find this program's own path")?;
    program
        .ancestors()
        .nth(2)
        .map(Path::to_owned)
        .with_context(|| format!("{} is in no target directory", program.display()))
}

/// The cargo that runs this program, in the workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What `cargo run` says about xtask would look like a change to the crates that ask for it.
    for (name, _) in env::vars_os() {
        let prefix = name.as_encoded_bytes();
        if prefix.starts_with(b"CARGO_PKG_") || prefix.starts_with(b"CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Whether a program of this name is where the shell or a service manager looks.
pub fn has_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .any(|directory| directory.join(name).is_file())
}

pub fn is_root() -> bool {
    // SAFETY: geteuid takes no arguments, touches no memory and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

pub fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

/// A command for root: itself when this is root, else through sudo with the environment variables
/// named in `keep`.
pub fn as_root(program: impl AsRef<OsStr>, keep: &[&str]) -> Result<Command> {
    if is_root() {
        return Ok(Command::new(program));
    }
    if !has_program("sudo") {
        bail!("this needs root, and there is no sudo: run the same command as root");
    }
    let mut command = Command::new("sudo");
    if !keep.is_empty() {
        command.arg(format!("--preserve-env={}", keep.join(",")));
    }
    command.arg(program);
    Ok(command)
}

/// Announces one step on standard error.
pub fn step(text: &str) {
    eprintln!("==> {text}");
}

/// Shows a command, runs it, and fails unless it succeeds.
pub fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Shows a command, runs it, and leaves the judgement to the caller.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    eprintln!("    $ {}", shown(command));
    command
        .status()
        .with_context(|| format!("cannot run `{}`", shown(command)))
}

/// Runs a command without a word and returns what it prints.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run `{}`", shown(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` failed ({}): {}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` printed something that is not text", shown(command)))
}

/// A command as one would type it, with the program's bare name.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program
        .file_name()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        text.push(' ');
        if argument.is_empty() || argument.contains([' ', '\n', '\'', '"', '*', '$']) {
            text.push_str(&format!("'{}'", argument.replace('\'', r"'\''")));
        } else {
            text.push_str(&argument);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_command_can_be_pasted_into_a_shell() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "--test", "*", "it's"]);
        assert_eq!(shown(&command), r"cargo test --test '*' 'it'\''s'");
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }
}
