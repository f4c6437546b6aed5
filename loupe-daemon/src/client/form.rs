//! `--format`: the one spelling that all commands share, as the options that each has.

use std::path::PathBuf;

use loupe_common::wire::Failure;

use super::args::{Cli, Command, FleetCommand, Form, OsCommand, ProfileCommand};

/// What a command can print beside text.
#[derive(Default)]
struct Options<'a> {
    json: Option<&'a mut bool>,
    /// Events.
    jsonl: Option<&'a mut bool>,
    otlp: Option<&'a mut bool>,
    /// Its JSON goes to a file.
    report: Option<&'a mut Option<PathBuf>>,
    /// It has a table, which is printed as [`crate::report::Rows`] says.
    table: bool,
    /// It has values of its own for these.
    csv: Option<&'a mut bool>,
    markdown: Option<&'a mut bool>,
}

fn json(json: &mut bool) -> Options<'_> {
    Options {
        json: Some(json),
        ..Options::default()
    }
}

fn table(json: &mut bool) -> Options<'_> {
    Options {
        json: Some(json),
        table: true,
        ..Options::default()
    }
}

fn table_csv<'a>(json: &'a mut bool, csv: &'a mut bool) -> Options<'a> {
    Options {
        csv: Some(csv),
        ..table(json)
    }
}

/// Says in the command's own options what `--format` asks for.
pub fn apply(cli: &mut Cli) -> Result<(), Failure> {
    let Some(form) = cli.global.format else {
        return Ok(());
    };
    let options = options(&mut cli.command);
    let has_json = options.json.is_some() || options.report.is_some();
    let (has_jsonl, has_otlp) = (options.jsonl.is_some(), options.otlp.is_some());
    let (has, own) = match form {
        Form::Text => (true, None),
        Form::Json => {
            if let Some(report) = options.report {
                report.get_or_insert_with(|| PathBuf::from("-"));
            }
            (has_json, options.json)
        }
        Form::Csv => (options.table, options.csv),
        Form::Markdown => (options.table, options.markdown),
        Form::Jsonl => (has_jsonl, options.jsonl),
        Form::Otlp => (has_otlp, options.otlp),
    };
    if let Some(own) = own {
        *own = true;
    }
    if has {
        return Ok(());
    }
    let can: Vec<&str> = [
        ("text", true),
        ("json", has_json),
        ("csv", options.table),
        ("markdown", options.table),
        ("jsonl", has_jsonl),
        ("otlp", has_otlp),
    ]
    .into_iter()
    .filter_map(|(name, can)| can.then_some(name))
    .collect();
    Err(Failure::usage(format!(
        "this has no such form; it has {}",
        can.join(", ")
    )))
}

fn options(command: &mut Command) -> Options<'_> {
    match command {
        Command::Doctor(args) => table(&mut args.json),
        Command::Trace(args) => Options {
            // Each call as it ends is no table.
            table: !args.stream,
            ..json(&mut args.json)
        },
        Command::Run(args) => Options {
            report: Some(&mut args.json),
            ..Options::default()
        },
        Command::Try(args) => json(&mut args.json),
        Command::Analyze(args) => table(&mut args.json),
        Command::Verify(args) => table(&mut args.json),
        Command::Probe(args) => table(&mut args.json),
        Command::Study(args) => table(&mut args.json),
        Command::List(args) => table(&mut args.json),
        Command::Show(args) => table(&mut args.json),
        Command::Explain(args) => json(&mut args.json),
        Command::Emulate(args) => json(&mut args.json),
        Command::Report(args) => table_csv(&mut args.json, &mut args.csv),
        Command::Diff(args) => table_csv(&mut args.json, &mut args.csv),
        Command::Stats(args) => table_csv(&mut args.json, &mut args.csv),
        Command::Gap(args) => table_csv(&mut args.json, &mut args.csv),
        Command::Plan(args) => Options {
            markdown: Some(&mut args.markdown),
            // What would run is a sentence, and so is whether a promise holds.
            table: args.what_if.is_empty() && args.verify.is_empty(),
            ..table_csv(&mut args.json, &mut args.csv)
        },
        Command::Jobs(args) => table(&mut args.json),
        Command::Watch(args) => table(&mut args.json),
        Command::Os(args) => match &mut args.command {
            OsCommand::List(args) => table(&mut args.json),
            OsCommand::Show(args) => table(&mut args.json),
            OsCommand::Diff(args) => table(&mut args.json),
            OsCommand::Compare(args) => Options {
                markdown: Some(&mut args.markdown),
                ..table(&mut args.json)
            },
            OsCommand::Import(_) | OsCommand::Export(_) => Options::default(),
        },
        Command::Profile(args) => match &mut args.command {
            ProfileCommand::Add(args) => json(&mut args.json),
            ProfileCommand::Remove(args) => json(&mut args.json),
            ProfileCommand::Status(args) => table(&mut args.json),
            ProfileCommand::Show(args) => table(&mut args.json),
            ProfileCommand::Watch(args) => table(&mut args.json),
            ProfileCommand::Diff(args) => table(&mut args.json),
            ProfileCommand::Top(args) => table(&mut args.json),
            ProfileCommand::Export(_) => Options::default(),
        },
        Command::Fleet(args) => match &mut args.command {
            FleetCommand::Import(args) => json(&mut args.json),
            FleetCommand::Hosts(args) => table(&mut args.json),
            FleetCommand::Who(args) => table(&mut args.json),
            FleetCommand::Show(args) => table(&mut args.json),
            FleetCommand::Drift(args) => Options {
                jsonl: Some(&mut args.jsonl),
                otlp: Some(&mut args.otlp),
                ..table(&mut args.json)
            },
            FleetCommand::Gap(args) => table(&mut args.json),
            FleetCommand::Plan(args) => table(&mut args.json),
            FleetCommand::Init(args) => json(&mut args.json),
            FleetCommand::AddHost(args) => json(&mut args.json),
            FleetCommand::Report(_)
            | FleetCommand::Export(_)
            | FleetCommand::Metrics(_)
            | FleetCommand::ShowPayload(_)
            | FleetCommand::Hub(_) => Options::default(),
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
        for form in ["csv", "markdown"] {
            let line = format!("loupe explain a futex --format {form}");
            let refused = applied(&line).expect_err("no table");
            assert!(refused.message.ends_with("it has text, json"), "{refused}");
        }
        assert!(applied("loupe plan --os x --what-if futex --format csv").is_err());
        assert!(applied("loupe cancel 3 --format json").is_err());
        assert!(applied("loupe fleet drift --since 7d --format otlp").is_ok());
        assert!(applied("loupe fleet gap --os x --format otlp").is_err());
        assert!(applied("loupe cancel 3 --format text").is_ok());
    }

    #[test]
    fn what_has_a_table_has_it_in_all_forms() {
        for command in [
            "doctor",
            "trace ls",
            "analyze a.toml",
            "study dir",
            "list",
            "show a",
            "report",
            "diff a b",
            "stats",
            "os list",
            "os show x",
            "os diff x y",
            "os compare",
            "gap --os x",
            "plan --os x",
            "jobs",
            "watch 3",
            "verify --os x a.toml",
            "profile status",
            "profile show a",
            "profile diff a --since 1h",
            "profile top",
            "fleet hosts",
            "fleet who futex",
            "fleet show a",
            "fleet drift --since 1h",
            "fleet gap --os x",
            "fleet plan --os x",
        ] {
            for form in ["json", "csv", "markdown"] {
                let line = format!("loupe {command} --format {form}");
                assert!(applied(&line).is_ok(), "{line}");
            }
        }
    }
}
