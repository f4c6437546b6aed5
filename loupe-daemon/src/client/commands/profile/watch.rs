//! `loupe profile watch [NAME]`.

use loupe_common::exit;
use loupe_common::profile::{ProfileEvent, ProfileRequest};
use loupe_common::wire::{Failure, Reply, Request};

use crate::client::args::{Global, ProfileWatch};
use crate::client::door::{self, Need};
use crate::client::signals::Signals;
use crate::client::talk::{self, Talk};
use crate::client::{Ending, output};
use crate::report;

pub async fn run(global: &Global, args: &ProfileWatch) -> Result<Ending, Failure> {
    door::choose(global, Need::Service).await?;
    let mut signals = Signals::catch()?;
    let request = Request::Profile(ProfileRequest::Watch {
        name: args.name.clone(),
    });
    let mut talk = Talk::open(global.socket(), &request, &[]).await?;
    loop {
        tokio::select! {
            reply = talk.next() => match reply? {
                Reply::ProfileEvent(event) => output::print(&line(&event, args.json)?)?,
                other => return Err(talk::unexpected(&other)),
            },
            signal = signals.next() => return Ok(Ending::Code(exit::by_signal(signal))),
        }
    }
}

fn line(event: &ProfileEvent, json: bool) -> Result<String, Failure> {
    if !json {
        return Ok(report::profile_event(event, output::style()));
    }
    output::json_line(&report::profile_event_json(event))
}
