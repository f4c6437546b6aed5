//! The command line `loupe`: arguments, the way to the engine, progress, output, exit codes.
//! One file per command; no command measures anything itself.
//!
//! Results go to standard output, everything else to standard error, whatever `--json` says.
//! `docs/exit-codes.md` is the contract of the exit codes.

mod args;
mod commands;
mod completion;
mod config;
mod documents;
mod door;
mod form;
mod measured;
mod output;
mod progress;
mod schemas;
mod services;
mod signals;
mod source;
mod sys;
mod talk;
mod units;

use std::process::ExitCode;

use clap::Parser as _;
use loupe_common::exit;
use loupe_common::wire::Failure;

use args::{Cli, Command};
use output::print_failure;

use crate::report::Rows;

/// How `loupe` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Code(u8),
    /// By the signal that the command died of.
    Signal(i32),
}

impl Ending {
    const OK: Ending = Ending::Code(exit::OK);
}

/// Does what the arguments say.
pub fn main() -> ExitCode {
    if let Some(ending) = completion::if_asked().or_else(documents::if_asked) {
        return ending;
    }
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    if let Err(failure) = complete(&mut cli) {
        print_failure("loupe", &failure);
        return ExitCode::from(failure.exit_code);
    }
    log(cli.global.verbose);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ending = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli)),
        Err(error) => Err(Failure::internal("cannot start the runtime").because(Some(&error))),
    };
    match ending {
        Ok(Ending::Code(code)) => ExitCode::from(code),
        Ok(Ending::Signal(signal)) => sys::die_by(signal),
        Err(failure) => {
            print_failure("loupe", &failure);
            ExitCode::from(failure.exit_code)
        }
    }
}

/// Adds what the user's configuration says, and chooses how results are printed.
fn complete(cli: &mut Cli) -> Result<(), Failure> {
    config::complete(cli)?;
    form::apply(cli)?;
    let global = &cli.global;
    // These write their files themselves: what is printed is the command's output, or one of several.
    let itself = matches!(cli.command, Command::Trace(_) | Command::Export(_));
    output::choose(output::Choice {
        color: global.color.unwrap_or_default(),
        rows: match global.format {
            Some(args::Form::Markdown) => Some(Rows::Markdown),
            Some(args::Form::Csv) => Some(Rows::Csv),
            _ => None,
        },
        file: global.output.clone().filter(|_| !itself),
    });
    Ok(())
}

/// Help, or what is wrong with the arguments.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that has gone away has got enough.
        drop(error.print());
        return ExitCode::from(exit::OK);
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    output::print_usage_error(text);
    ExitCode::from(exit::USAGE)
}

async fn dispatch(cli: Cli) -> Result<Ending, Failure> {
    let global = cli.global;
    match cli.command {
        Command::Doctor(args) => commands::doctor::run(&global, &args).await,
        Command::Trace(args) => commands::trace::run(&global, args).await,
        Command::Run(args) => commands::run::run(&global, args).await,
        Command::Try(args) => commands::trial::run(&global, &args).await,
        Command::Analyze(args) => commands::analyze::run(&global, &args).await,
        Command::Study(args) => commands::study::run(&global, &args).await,
        Command::List(args) => commands::list::run(&global, &args).await,
        Command::Rm(args) => commands::remove::rm(&global, &args).await,
        Command::Gc(args) => commands::remove::gc(&global, &args).await,
        Command::Show(args) => commands::show::run(&global, &args).await,
        Command::Explain(args) => commands::explain::run(&global, &args).await,
        Command::Emulate(args) => commands::emulate::run(&global, &args).await,
        Command::Verify(args) => commands::verify_os::run(&global, &args).await,
        Command::Report(args) => commands::report::run(&global, &args).await,
        Command::Diff(args) => commands::diff::run(&global, &args).await,
        Command::Stats(args) => commands::stats::run(&global, &args).await,
        Command::Os(args) => commands::os::run(&global, &args.command).await,
        Command::Gap(args) => commands::gap::run(&global, &args).await,
        Command::Plan(args) => commands::plan::run(&global, &args).await,
        Command::Import(args) => commands::import::run(&global, &args).await,
        Command::Export(args) => commands::export::run(&global, &args).await,
        Command::Jobs(args) => commands::jobs::run(&global, &args).await,
        Command::Cancel(args) => commands::cancel::run(&global, &args).await,
        Command::Watch(args) => commands::watch::run(&global, &args).await,
        Command::Probe(args) => commands::probe::run(&args),
        Command::Schema(args) => schemas::run(&args),
        Command::Fleet(args) => commands::fleet::run(&global, &args).await,
        Command::Profile(args) => commands::profile::run(&global, &args.command).await,
    }
}

/// The engine's own messages; only warnings unless asked for more.
fn log(verbose: u8) {
    let level = match verbose {
        // The client of NATS warns of every lost connection.
        0 => "warn,async_nats=error",
        1 => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("LOUPE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .init();
}

#[cfg(test)]
mod tests;
