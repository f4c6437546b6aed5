//! `loupe watch JOB`.

use loupe_common::exit;
use loupe_common::wire::{Failure, Request};

use super::follow;
use crate::client::args::{Global, Watch};
use crate::client::door::{self, Need};
use crate::client::progress::Display;
use crate::client::signals::Signals;
use crate::client::talk::Talk;
use crate::client::{Ending, output};
use crate::report::Telling;

pub async fn run(global: &Global, args: &Watch) -> Result<Ending, Failure> {
    door::choose(global, Need::Daemon).await?;
    let mut signals = Signals::catch()?;
    let mut talk = Talk::open(global.socket(), &Request::Watch { job: args.job }, &[]).await?;
    let display = Display::new(global.verbose > 0);
    let analysis = tokio::select! {
        analysis = follow::to_the_end(&mut talk, &display) => analysis?,
        signal = signals.next() => {
            display.finish();
            output::note(&format!(
                "left job {}; it goes on if it is detached or others watch it",
                args.job
            ));
            return Ok(Ending::Code(exit::by_signal(signal)));
        }
    };
    display.costs(&analysis);
    drop(display);
    follow::print(&analysis, args.json, Telling::default())
}
