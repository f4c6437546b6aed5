//! `loupe profile status`, and `top`, which is drawn again and again.

use std::io::IsTerminal as _;
use std::time::Duration;

use loupe_common::exit;
use loupe_common::profile::{ProfileAnswer, ProfileRequest, ProfileStatus};
use loupe_common::wire::Failure;

use crate::client::args::{Global, ProfileStatus as StatusArgs, ProfileTop};
use crate::client::door::{self, Need};
use crate::client::services::{ask, unexpected};
use crate::client::signals::Signals;
use crate::client::{Ending, output};
use crate::report;

/// Between two pictures of `top`: long enough to read one.
const INTERVAL: Duration = Duration::from_secs(2);
/// Moves to the upper left corner and clears from there on; clearing first would flicker.
const HOME_AND_CLEAR: &str = "\x1b[H\x1b[J";

pub async fn status(global: &Global, args: &StatusArgs) -> Result<Ending, Failure> {
    door::choose(global, Need::Service).await?;
    let status = asked(global).await?;
    match args.json {
        true => output::print_json(&report::profile_status_json(&status))?,
        false => output::print(&report::profile_status(
            &status,
            crate::now_ms(),
            output::style(),
        ))?,
    }
    Ok(Ending::OK)
}

pub async fn top(global: &Global, args: &ProfileTop) -> Result<Ending, Failure> {
    door::choose(global, Need::Service).await?;
    if args.json {
        let status = asked(global).await?;
        output::print_json(&report::profile_status_json(&status))?;
        return Ok(Ending::OK);
    }
    if args.once || !std::io::stdout().is_terminal() {
        let status = asked(global).await?;
        output::print(&report::profile_top(&status, None, output::style()))?;
        return Ok(Ending::OK);
    }
    let mut signals = Signals::catch()?;
    loop {
        let status = asked(global).await?;
        let rows = output::rows();
        let text = report::profile_top(&status, rows, output::style());
        output::print(&format!("{HOME_AND_CLEAR}{text}"))?;
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            signal = signals.next() => return Ok(Ending::Code(exit::by_signal(signal))),
        }
    }
}

async fn asked(global: &Global) -> Result<ProfileStatus, Failure> {
    match ask(global, ProfileRequest::Status).await? {
        ProfileAnswer::Status(status) => Ok(*status),
        other => Err(unexpected(other)),
    }
}
