//! The definition of the command line. What the program does with it is tested from outside.

use clap::{CommandFactory as _, Parser as _};
use loupe_common::policy::Action;

use super::args::{Cli, Command};
use crate::store::Selector;

fn parse(line: &str) -> Result<Cli, String> {
    Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
}

fn refused(line: &str) -> String {
    parse(line).expect_err("must be refused")
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_says_what_it_is_for() {
    for command in Cli::command().get_subcommands() {
        let about = command.get_about().map(ToString::to_string);
        assert!(
            about.is_some_and(|about| about.len() > 20),
            "{}",
            command.get_name()
        );
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{command} {argument}");
        }
    }
}

#[test]
fn global_options_work_before_and_after_the_command() {
    for line in [
        "loupe --db x --local list",
        "loupe list --db x --local",
        "loupe --local list --db x",
    ] {
        let global = parse(line).expect("good").global;
        assert!(
            global.local && global.db.as_deref() == Some("x".as_ref()),
            "{line}"
        );
    }
}

#[test]
fn what_follows_the_dashes_is_the_commands() {
    let cli = parse("loupe run --stub futex --stub brk=EPERM --fake read -- ls --stub x -- y");
    let Command::Run(run) = cli.expect("good").command else {
        panic!("another command");
    };
    assert_eq!(run.what.command, ["ls", "--stub", "x", "--", "y"]);
    let actions: Vec<_> = run
        .stub
        .iter()
        .map(|(_, action)| action.to_string())
        .collect();
    assert_eq!(actions, ["stub", "stub=EPERM"]);
    assert_eq!(run.stub[0].1, Action::STUB);
    assert_eq!(run.fake.len(), 1);
}

#[test]
fn a_command_needs_no_dashes_and_what_stands_behind_it_is_its_own() {
    for (line, command) in [
        ("loupe trace ls -l", &["ls", "-l"][..]),
        (
            "loupe trace --stream ls --json -- x",
            &["ls", "--json", "--", "x"],
        ),
        ("loupe trace -- --odd", &["--odd"]),
    ] {
        let Command::Trace(trace) = parse(line).expect("good").command else {
            panic!("another command");
        };
        assert_eq!(trace.command, command, "{line}");
        assert!(!trace.json, "{line}");
    }
    let Command::Run(run) = parse("loupe run --stub futex ls").expect("good").command else {
        panic!("another command");
    };
    assert_eq!(run.what.command, ["ls"]);
    // A misspelt option is no command.
    refused("loupe trace --strem ls");
    refused("loupe trace --unit nginx.service ls");
    refused("loupe trace --");
}

#[test]
fn misspelt_names_get_suggestions() {
    let message = refused("loupe run --stub futexx -- ls");
    assert!(message.contains("did you mean futex?"), "{message}");
    let message = refused("loupe run --fake brkk -- ls");
    assert!(message.contains("did you mean brk"), "{message}");
    let message = refused("loupe explain nginx opennat");
    assert!(message.contains("openat"), "{message}");
    let message = refused("loupe run --stub futex=EWHAT -- ls");
    assert!(message.contains("unknown errno `EWHAT`"), "{message}");
    let message = refused("loupe analyse x.toml");
    assert!(message.contains("'analyze'"), "{message}");
}

#[test]
fn numbers_must_make_sense() {
    for line in [
        "loupe analyze w.toml --jobs 0",
        "loupe analyze w.toml --jobs -1",
        "loupe analyze w.toml --replicas 0",
        "loupe analyze w.toml --replicas many",
        "loupe cancel x",
        "loupe analyze w.toml --detach --local",
    ] {
        refused(line);
    }
}

#[test]
fn a_subject_is_an_application_or_one_of_its_workloads() {
    let names = |line: &str| {
        let Command::Show(show) = parse(line).expect("good").command else {
            panic!("another command");
        };
        let (application, workload) = show.subject.names();
        Selector::parse(application, workload).to_string()
    };
    assert_eq!(names("loupe show nginx"), "nginx");
    assert_eq!(names("loupe show nginx/wrk~1"), "nginx/wrk~1");
    assert_eq!(names("loupe show nginx --workload wrk"), "nginx/wrk");
    assert_eq!(names("loupe show nginx~1 --workload wrk"), "nginx/wrk~1");
}
