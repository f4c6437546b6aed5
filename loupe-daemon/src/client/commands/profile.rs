//! `loupe profile …`: one file per command. louped observes; nothing here does.

mod diff;
mod show;
mod status;
mod targets;
mod watch;

use loupe_common::wire::Failure;

use crate::client::Ending;
use crate::client::args::{Global, ProfileCommand};

pub async fn run(global: &Global, command: &ProfileCommand) -> Result<Ending, Failure> {
    match command {
        ProfileCommand::Add(args) => targets::add(global, args).await,
        ProfileCommand::Remove(args) => targets::remove(global, args).await,
        ProfileCommand::Status(args) => status::status(global, args).await,
        ProfileCommand::Show(args) => show::run(global, args).await,
        ProfileCommand::Watch(args) => watch::run(global, args).await,
        ProfileCommand::Diff(args) => diff::run(global, args).await,
        ProfileCommand::Export(args) => super::fleet::export(global, args),
        ProfileCommand::Top(args) => status::top(global, args).await,
    }
}
