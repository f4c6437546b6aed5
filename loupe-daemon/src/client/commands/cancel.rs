//! `loupe cancel JOB`.

use loupe_common::wire::{Failure, Reply, Request};

use crate::client::args::{Cancel, Global};
use crate::client::door::{self, Need};
use crate::client::{Ending, output, talk};

pub async fn run(global: &Global, args: &Cancel) -> Result<Ending, Failure> {
    door::choose(global, Need::Daemon).await?;
    let request = Request::Cancel {
        job: Some(args.job),
    };
    match talk::ask(global.socket(), &request).await? {
        Reply::Cancelling { job } => {
            output::note(&format!("job {job} is being cancelled"));
            Ok(Ending::OK)
        }
        other => Err(talk::unexpected(&other)),
    }
}
