//! Completions: what a shell asks while a command line is being typed (`COMPLETE=bash loupe -- loupe show
//! re`), and the scripts by which bash, zsh and fish ask. Names come from the database, or from louped; where
//! neither can be asked at once there are none, and nothing is said.
//!
//! An argument is completed by what its value is called in the help: every `OS` is the name of an OS.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, Command, CommandFactory as _};
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _,
};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, Shell};
use loupe_common::exit;
use loupe_common::profile::{ProfileAnswer, ProfileRequest};
use loupe_common::syscalls::Arch;
use loupe_common::wire::{Reply, Request};

use super::args::{Cli, Global};
use super::door::{self, Need};
use super::units::Units;
use super::{config, measured, talk};
use crate::fleet;
use crate::store::{Listed, Names};

/// By which a shell says that it asks, and which shell it is.
const VARIABLE: &str = "COMPLETE";
/// Whoever types does not wait longer for louped.
const LIMIT: Duration = Duration::from_millis(500);

/// Answers a shell, if it is one that asks. It comes first of all: nothing else is done then.
pub fn if_asked() -> Option<ExitCode> {
    let asks = std::env::var_os(VARIABLE)?;
    let shell = Path::new(&asks).file_name()?.to_str()?;
    Shells::builtins().completer(shell)?;
    let words = std::env::args_os();
    let directory = std::env::current_dir().ok();
    let answered = CompleteEnv::with_factory(command_line)
        .var(VARIABLE)
        .try_complete(words, directory.as_deref());
    // A shell has no use for what is wrong: there are no completions then.
    Some(match answered {
        Ok(_) => ExitCode::from(exit::OK),
        Err(_) => ExitCode::from(exit::LOUPE_FAILED),
    })
}

/// What a shell reads to ask the `loupe` that it finds.
pub fn script(shell: Shell, to: &mut Vec<u8>) -> io::Result<()> {
    let shells = Shells::builtins();
    let shell = shells
        .completer(&shell.to_string())
        .ok_or_else(|| io::Error::other(format!("{shell} cannot ask")))?;
    shell.write_registration(VARIABLE, "loupe", "loupe", "loupe", to)?;
    if shell.name() == "zsh" {
        // Where zsh loads the file by itself it does so to complete, and the file is that function.
        to.extend_from_slice(
            b"\nif [ \"$funcstack[1]\" = \"_loupe\" ]; then\n    \
              _clap_dynamic_completer_loupe \"$@\"\nfi\n",
        );
    }
    Ok(())
}

/// The command line, with what completes its arguments.
fn command_line() -> Command {
    completed(Cli::command(), "")
}

/// `verb` is where the command stands: `profile show`.
fn completed(command: Command, verb: &str) -> Command {
    let command = command.mut_args(|arg| match completer(verb, &arg) {
        Some(completer) => arg.add(completer),
        None => arg,
    });
    command.mut_subcommands(|below| {
        let verb = match verb {
            "" => below.get_name().to_owned(),
            above => format!("{above} {}", below.get_name()),
        };
        completed(below, &verb)
    })
}

fn completer(verb: &str, arg: &Arg) -> Option<ArgValueCompleter> {
    let value = arg.get_value_names()?.first()?.as_str();
    Some(match (verb, value) {
        (_, "OS") => ArgValueCompleter::new(oses),
        (_, "APP" | "APP,…" | "ANALYSIS") => ArgValueCompleter::new(analyses),
        (_, "A" | "B" | "FILE|APP/WORKLOAD") => ArgValueCompleter::new(analyses_and_files),
        (_, "WORKLOAD") => ArgValueCompleter::new(workloads),
        (_, "FEATURE" | "FEATURE,…" | "FEATURE[=ERRNO]" | "FEATURE[=plausible]") => {
            ArgValueCompleter::new(syscalls)
        }
        ("profile show" | "profile watch" | "profile diff", "NAME") => {
            ArgValueCompleter::new(subjects)
        }
        ("fleet show", "NAME") => ArgValueCompleter::new(fleet_names),
        (_, "UNIT") => ArgValueCompleter::new(units),
        ("cancel" | "watch", "JOB") => ArgValueCompleter::new(jobs),
        _ => return None,
    })
}

/// Of these words those that go on from what was typed.
fn fitting<S: AsRef<str>>(
    typed: &OsStr,
    words: impl IntoIterator<Item = S>,
) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let words = words.into_iter();
    words
        .filter(|word| word.as_ref().starts_with(&*typed) && is_plain(word.as_ref()))
        .map(|word| CompletionCandidate::new(word.as_ref()))
        .collect()
}

/// Names are what applications are called, and end in a command line.
fn is_plain(word: &str) -> bool {
    let plain = |character: char| character.is_alphanumeric() || "/._-+@:~".contains(character);
    !word.is_empty() && word.chars().all(plain)
}

/// Applications, and the workloads of the one that is meant; numbers of analyses for who begins one.
fn analyses(typed: &OsStr) -> Vec<CompletionCandidate> {
    let named = named();
    let text = typed.to_string_lossy();
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        let numbered = named.into_iter();
        let numbered = numbered.map(|(id, application, workload)| {
            (id.to_string(), format!("{application}/{workload}"))
        });
        return numbered
            .filter(|(id, _)| id.starts_with(&*text))
            .map(|(id, name)| CompletionCandidate::new(id).help(Some(name.into())))
            .collect();
    }
    let mut applications: Vec<&str> = named.iter().map(|(_, name, _)| name.as_str()).collect();
    applications.sort_unstable();
    applications.dedup();
    applications.retain(|name| name.starts_with(&*text));
    let mut words: Vec<String> = applications.iter().copied().map(str::to_owned).collect();
    if text.contains('/') || applications.len() == 1 {
        let whole = named.iter();
        words.extend(whole.map(|(_, application, workload)| format!("{application}/{workload}")));
    }
    words.sort_unstable();
    words.dedup();
    fitting(typed, words)
}

fn analyses_and_files(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = analyses(typed);
    found.extend(PathCompleter::file().complete(typed));
    found
}

fn workloads(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut words: Vec<String> = named().into_iter().map(|(.., workload)| workload).collect();
    words.sort_unstable();
    words.dedup();
    fitting(typed, words)
}

/// Names of profiles, however their letters are written; and files, for who begins a path.
fn oses(typed: &OsStr) -> Vec<CompletionCandidate> {
    let text = typed.to_string_lossy();
    let names = global().and_then(|global| measured::shelf(&global).ok()?.names().ok());
    let mut names = names.unwrap_or_default();
    names.retain(|name| {
        let begins = name.get(..text.len());
        begins.is_some_and(|begins| begins.eq_ignore_ascii_case(&text)) && is_plain(name)
    });
    names.sort_unstable();
    names.dedup();
    let mut found: Vec<CompletionCandidate> =
        names.into_iter().map(CompletionCandidate::new).collect();
    if found.is_empty() || text.contains('/') {
        found.extend(PathCompleter::any().complete(typed));
    }
    found
}

fn syscalls(typed: &OsStr) -> Vec<CompletionCandidate> {
    fitting(typed, Arch::NATIVE.table().iter().map(|(_, name)| name))
}

fn units(typed: &OsStr) -> Vec<CompletionCandidate> {
    fitting(typed, Units::here().names())
}

fn subjects(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(global) = global().map(|global| global.of_services()) else {
        return Vec::new();
    };
    let asked = asked(&global, Request::Profile(ProfileRequest::Status));
    let mut words = match asked {
        Some(Reply::Profile(ProfileAnswer::Status(status))) => {
            let subjects = status.subjects.into_iter();
            subjects.map(|status| status.subject.name).collect()
        }
        _ => here(&global).subjects,
    };
    words.sort_unstable();
    words.dedup();
    fitting(typed, words)
}

fn fleet_names(typed: &OsStr) -> Vec<CompletionCandidate> {
    let named = option("--fleet-db").or_else(|| std::env::var_os("LOUPE_FLEET_DB"));
    let named = named.filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = named.or_else(|| {
        let database = door::database(&global()?).ok()?;
        Some(database.with_file_name(fleet::DATABASE))
    });
    fitting(
        typed,
        path.map_or_else(Vec::new, |path| fleet::names_at(&path)),
    )
}

fn jobs(typed: &OsStr) -> Vec<CompletionCandidate> {
    let asked = global().and_then(|global| asked(&global, Request::Jobs));
    let Some(Reply::Jobs { jobs }) = asked else {
        return Vec::new();
    };
    fitting(typed, jobs.iter().map(|job| job.id.to_string()))
}

/// Analyses by number, application and workload.
fn named() -> Vec<(i64, String, String)> {
    let Some(global) = global() else {
        return Vec::new();
    };
    let request = Request::List { application: None };
    if let Some(Reply::Listed { entries }) = asked(&global, request)
        && let Ok(listed) = talk::value::<Vec<Listed>>(entries)
    {
        let listed = listed.into_iter();
        return listed
            .map(|one| (one.analysis, one.application, one.workload))
            .collect();
    }
    here(&global).analyses
}

fn here(global: &Global) -> Names {
    door::database(global).map_or_else(|_| Names::default(), |path| Names::at(&path))
}

/// What louped answers, if it is its business and it does so at once.
fn asked(global: &Global, request: Request) -> Option<Reply> {
    if door::is_done_here(global, Need::Results) || !global.socket().exists() {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let asking = async {
        let reply = talk::ask(global.socket(), &request);
        tokio::time::timeout(LIMIT, reply).await.ok()?.ok()
    };
    runtime.block_on(asking)
}

/// What the command line that is being typed says of where results are, with what is usual.
fn global() -> Option<Global> {
    let socket = option("--socket").or_else(|| std::env::var_os("LOUPE_SOCKET"));
    let mut global = Global {
        db: option("--db").map(PathBuf::from),
        chosen_socket: socket.map(PathBuf::from),
        local: typed().any(|word| word == "--local"),
        ..Global::default()
    };
    config::settle(&mut global).ok()?;
    Some(global)
}

/// The words that are there already.
fn typed() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(2)
}

/// The value of an option: behind it, or in the same word.
fn option(name: &str) -> Option<OsString> {
    let mut words = typed();
    while let Some(word) = words.next() {
        if word == name {
            return words.next();
        }
        let word = word.to_str().and_then(|word| word.strip_prefix(name));
        if let Some(value) = word.and_then(|rest| rest.strip_prefix('=')) {
            return Some(value.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(found: Vec<CompletionCandidate>) -> Vec<String> {
        let words = found.iter().map(|one| one.get_value().to_string_lossy());
        words.map(std::borrow::Cow::into_owned).collect()
    }

    #[test]
    fn a_name_that_a_shell_would_run_is_not_offered() {
        let names = ["redis", "re$(reboot)", "re dis", "re\x1b[2J", "nginx", ""];
        assert_eq!(words(fitting(OsStr::new("re"), names)), ["redis"]);
    }

    #[test]
    fn every_os_application_and_syscall_of_the_command_line_is_completed() {
        fn walk(command: &Command, found: &mut Vec<String>) {
            for arg in command.get_arguments() {
                let name = arg.get_value_names().and_then(|names| names.first());
                if arg.get::<ArgValueCompleter>().is_none()
                    && let Some(name) = name
                    && ["OS", "APP", "APP,…", "FEATURE", "FEATURE,…"].contains(&name.as_str())
                {
                    found.push(format!("{} {name}", command.get_name()));
                }
            }
            command
                .get_subcommands()
                .for_each(|below| walk(below, found));
        }
        let mut missing = Vec::new();
        walk(&command_line(), &mut missing);
        assert_eq!(missing, Vec::<String>::new());
        assert!(words(syscalls(OsStr::new("fut"))).contains(&"futex".to_owned()));
    }

    #[test]
    fn zsh_completes_at_once_where_it_loads_the_script_by_itself() {
        for (shell, part) in [
            (Shell::Bash, "complete -o nospace"),
            (Shell::Zsh, "= \"_loupe\" ]; then"),
            (Shell::Fish, "complete --keep-order"),
        ] {
            let mut script = Vec::new();
            super::script(shell, &mut script).expect("written");
            let script = String::from_utf8(script).expect("text");
            assert!(
                script.contains(part) && script.contains("COMPLETE="),
                "{script}"
            );
        }
    }
}
