//! `--format`: the one spelling that all commands share, as the options that each has.

use std::path::PathBuf;

use loupe_common::wire::Failure;

use super::args::{Cli, Command, FleetCommand, Form, OsCommand, ProfileCommand};

/// What a command can print beside text.
#[derive(Default)]
struct Options<'a> {
    json: Option<&'a mut bool>,
    csv: Option<&'a mut bool>,
    markdown: Option<&'a mut bool>,
    /// Its JSON goes to a file.
    report: Option<&'a mut Option<PathBuf>>,
}

fn json(json: &mut bool) -> Options<'_> {
    Options {
        json: Some(json),
        ..Options::default()
    }
}

fn json_csv<'a>(json: &'a mut bool, csv: &'a mut bool) -> Options<'a> {
    Options {
        json: Some(json),
        csv: Some(csv),
        ..Options::default()
    }
}

/// Says in the command's own options what `--format` asks for.
pub fn apply(cli: &mut Cli) -> Result<(), Failure> {
    let Some(form) = cli.global.format else {
        return Ok(());
    };
    let options = options(&mut cli.command);
    let can = [
        ("json", options.json.is_some() || options.report.is_some()),
        ("csv", options.csv.is_some()),
        ("markdown", true),
    ];
    let wanted = match form {
        Form::Text => return Ok(()),
        Form::Markdown => {
            if let Some(markdown) = options.markdown {
                *markdown = true;
            }
            return Ok(());
        }
        Form::Json => match options.report {
            Some(report) => {
                report.get_or_insert_with(|| PathBuf::from("-"));
                return Ok(());
            }
            None => options.json,
        },
        Form::Csv => options.csv,
    };
    match wanted {
        Some(option) => {
            *option = true;
            Ok(())
        }
        None => {
            let can = can.iter().filter(|(_, can)| *can).map(|(name, _)| *name);
            let can: Vec<&str> = std::iter::once("text").chain(can).collect();
            Err(Failure::usage(format!(
                "this command has no such form; it has {}",
                can.join(", ")
            )))
        }
    }
}

fn options(command: &mut Command) -> Options<'_> {
    match command {
        Command::Doctor(args) => json(&mut args.json),
        Command::Trace(args) => json(&mut args.json),
        Command::Run(args) => Options {
            report: Some(&mut args.json),
            ..Options::default()
        },
        Command::Try(args) => json(&mut args.json),
        Command::Analyze(args) => json(&mut args.json),
        Command::Verify(args) => json(&mut args.json),
        Command::Study(args) => json(&mut args.json),
        Command::List(args) => json(&mut args.json),
        Command::Show(args) => json(&mut args.json),
        Command::Explain(args) => json(&mut args.json),
        Command::Emulate(args) => json(&mut args.json),
        Command::Report(args) => json_csv(&mut args.json, &mut args.csv),
        Command::Diff(args) => json_csv(&mut args.json, &mut args.csv),
        Command::Stats(args) => json_csv(&mut args.json, &mut args.csv),
        Command::Gap(args) => json_csv(&mut args.json, &mut args.csv),
        Command::Plan(args) => Options {
            markdown: Some(&mut args.markdown),
            ..json_csv(&mut args.json, &mut args.csv)
        },
        Command::Jobs(args) => json(&mut args.json),
        Command::Watch(args) => json(&mut args.json),
        Command::Os(args) => match &mut args.command {
            OsCommand::List(args) => json(&mut args.json),
            OsCommand::Show(args) => json(&mut args.json),
            OsCommand::Diff(args) => json(&mut args.json),
            OsCommand::Compare(args) => Options {
                markdown: Some(&mut args.markdown),
                ..json(&mut args.json)
            },
            OsCommand::Import(_) => Options::default(),
        },
        Command::Profile(args) => match &mut args.command {
            ProfileCommand::Add(args) => json(&mut args.json),
            ProfileCommand::Remove(args) => json(&mut args.json),
            ProfileCommand::Status(args) => json(&mut args.json),
            ProfileCommand::Show(args) => json(&mut args.json),
            ProfileCommand::Watch(args) => json(&mut args.json),
            ProfileCommand::Diff(args) => json(&mut args.json),
            ProfileCommand::Top(args) => json(&mut args.json),
            ProfileCommand::Export(_) => Options::default(),
        },
        Command::Fleet(args) => match &mut args.command {
            FleetCommand::Import(args) => json(&mut args.json),
            FleetCommand::Hosts(args) => json(&mut args.json),
            FleetCommand::Who(args) => json(&mut args.json),
            FleetCommand::Show(args) => json(&mut args.json),
            FleetCommand::Drift(args) => json(&mut args.json),
            FleetCommand::Gap(args) => json(&mut args.json),
            FleetCommand::Plan(args) => json(&mut args.json),
            FleetCommand::Init(args) => json(&mut args.json),
            FleetCommand::AddHost(args) => json(&mut args.json),
            FleetCommand::ShowPayload(_) | FleetCommand::Hub(_) => Options::default(),
        },
        // A schema is JSON already.
        Command::Schema(_)
        | Command::Rm(_)
        | Command::Gc(_)
        | Command::Import(_)
        | Command::Export(_)
        | Command::Cancel(_) => Options::default(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn applied(line: &str) -> Result<Command, Failure> {
        let mut cli = Cli::try_parse_from(line.split(' ')).expect("a command line");
        apply(&mut cli).map(|()| cli.command)
    }

    #[test]
    fn the_one_spelling_says_what_the_old_ones_say() {
        let Ok(Command::List(list)) = applied("loupe list --format json") else {
            panic!("another command");
        };
        assert!(list.json);
        let Ok(Command::Plan(plan)) = applied("loupe --format markdown plan --os x") else {
            panic!("another command");
        };
        assert!(plan.markdown && !plan.csv);
        let Ok(Command::Stats(stats)) = applied("loupe stats --format csv") else {
            panic!("another command");
        };
        assert!(stats.csv && !stats.json);
        let Ok(Command::Run(run)) = applied("loupe run --format json ls") else {
            panic!("another command");
        };
        assert_eq!(run.json.as_deref(), Some("-".as_ref()));
    }

    #[test]
    fn a_form_that_a_command_has_not_is_refused_with_those_that_it_has() {
        let refused = applied("loupe explain a futex --format csv").expect_err("no CSV");
        assert!(
            refused.message.contains("text, json, markdown"),
            "{refused}"
        );
        assert!(applied("loupe cancel 3 --format json").is_err());
        assert!(applied("loupe cancel 3 --format text").is_ok());
    }
}
