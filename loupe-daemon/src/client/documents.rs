//! The manual pages and the shells' completions, out of the definitions of both command lines, and the
//! schemas of what is printed as JSON:
//! `loupe write-documents DIRECTORY`, for whoever makes a package. It is no command of a user's,
//! so the pages and completions do not have it.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};
use clap_complete::{Generator as _, Shell};
use loupe_common::exit;

use super::args::Cli;
use super::{completion, output, schemas};

const VERB: &str = "write-documents";

/// Writes them, if that is what the arguments say.
pub fn if_asked() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    if words.next().as_deref() != Some(OsStr::new(VERB)) {
        return None;
    }
    let directory = words.next().map(PathBuf::from);
    let (Some(directory), None) = (directory, words.next()) else {
        output::print_usage_error("write-documents takes one directory\n");
        return Some(ExitCode::from(exit::USAGE));
    };
    Some(match write(&directory) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => {
            let what = format!("cannot write to {}: {error}\n", directory.display());
            output::print_usage_error(&what);
            ExitCode::from(exit::LOUPE_FAILED)
        }
    })
}

/// Both programs with the section of the manual that each belongs to.
fn programs() -> [(Command, &'static str); 2] {
    [(Cli::command(), "1"), (crate::server::command_line(), "8")]
}

fn write(directory: &Path) -> io::Result<()> {
    for (program, section) in programs() {
        let manual = directory.join(format!("man{section}"));
        fs::create_dir_all(&manual)?;
        let mut program = program.disable_help_subcommand(true);
        program.build();
        write_pages(&program, section, &manual)?;
    }
    let schemas = directory.join("schemas");
    fs::create_dir_all(&schemas)?;
    for (file, text) in schemas::files().map_err(|failure| io::Error::other(failure.message))? {
        fs::write(schemas.join(file), text)?;
    }
    let completions = directory.join("completions");
    fs::create_dir_all(&completions)?;
    for (program, _) in programs() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let name = program.get_name().to_owned();
            if name == "louped" {
                clap_complete::generate_to(shell, &mut program.clone(), name, &completions)?;
                continue;
            }
            let mut script = Vec::new();
            completion::script(shell, &mut script)?;
            fs::write(completions.join(shell.file_name(&name)), script)?;
        }
    }
    Ok(())
}

/// A page for a command and each of its subcommands: `loupe.1`, `loupe-os.1`, `loupe-os-show.1`.
fn write_pages(command: &Command, section: &str, manual: &Path) -> io::Result<()> {
    let visible = |command: &&Command| !command.is_hide_set();
    for subcommand in command.get_subcommands().filter(visible) {
        write_pages(subcommand, section, manual)?;
    }
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned();
    let page = clap_mangen::Man::new(command.clone())
        .title(name.clone())
        .section(section)
        .source(format!("loupe {}", env!("CARGO_PKG_VERSION")))
        .manual("Loupe");
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(manual.join(format!("{name}.{section}")), text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(directory: &Path) -> BTreeSet<String> {
        fs::read_dir(directory)
            .expect("a directory")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect()
    }

    #[test]
    fn each_command_has_a_page_and_each_shell_its_completions() {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path()).expect("written");
        let pages = names(&directory.path().join("man1"));
        for command in Cli::command().get_subcommands() {
            let page = format!("loupe-{}.1", command.get_name());
            assert!(pages.contains(&page), "{page} is not among {pages:?}");
        }
        assert!(pages.contains("loupe.1") && pages.contains("loupe-os-show.1"));
        assert_eq!(names(&directory.path().join("man8")).len(), 1);
        let completions = names(&directory.path().join("completions"));
        let wanted = [
            "_loupe",
            "_louped",
            "loupe.bash",
            "loupe.fish",
            "louped.bash",
            "louped.fish",
        ];
        assert_eq!(completions, wanted.map(str::to_owned).into());
        let page = fs::read_to_string(directory.path().join("man1/loupe-analyze.1"));
        assert!(page.expect("the page").contains("exhaustive"));
    }
}
