//! `profile watch`: what happens to profiles, until the client hangs up or the daemon stops.

use loupe_common::wire::Reply;

use crate::backend::Backend;
use crate::server::Server;
use crate::server::connection::{Client, FollowUp, Gone, follow_up, reply};

pub(super) async fn watch<B: Backend>(
    server: &Server<B>,
    client: &mut Client,
    name: Option<String>,
) -> Result<(), Gone> {
    let Client {
        identity,
        reader,
        writer,
    } = client;
    let mut events = match server.backend.watch_profiles(identity, name) {
        Ok(events) => events,
        Err(failure) => return reply(writer, &Reply::Error(failure)).await,
    };
    loop {
        tokio::select! {
            () = server.stopping.cancelled() => return Ok(()),
            followed = follow_up(reader) => match followed {
                FollowUp::Bad(failure) => return reply(writer, &Reply::Error(failure)).await,
                // Nothing can be asked for here but an end.
                FollowUp::Request(_) | FollowUp::Gone => return Ok(()),
            },
            event = events.recv() => match event {
                Some(event) => reply(writer, &Reply::ProfileEvent(event)).await?,
                None => return Ok(()),
            },
        }
    }
}
