//! One connection: the first line, in time and in bounds; then the request it holds.

use loupe_common::exit;
use loupe_common::wire::{Failure, MAX_LINE, Reply, Request, code, decode_request, encode_reply};
use tokio::net::UnixStream;

use super::{Server, requests};
use crate::backend::{Backend, Viewer};
use crate::engine::Identity;
use crate::link::{self, LinkError, LinkReader, LinkWriter};

/// A client that has asked for something, and the way to answer it.
#[derive(Debug)]
pub(super) struct Client {
    pub identity: Identity,
    pub reader: LinkReader,
    pub writer: LinkWriter,
}

/// The client cannot be reached any more. Nobody is left to be told.
#[derive(Debug)]
pub(super) struct Gone;

impl Client {
    pub fn viewer(&self) -> Viewer {
        Viewer::of(&self.identity)
    }
}

/// Sends one reply.
pub(super) async fn reply(writer: &LinkWriter, reply: &Reply) -> Result<(), Gone> {
    let lines = match encode_reply(reply) {
        Ok(lines) => lines,
        Err(failure) => {
            tracing::error!(%failure, "a reply cannot be encoded");
            encode_reply(&Reply::Error(failure)).map_err(|_| Gone)?
        }
    };
    writer.send(&lines).await.map_err(|error| {
        tracing::debug!(%error, "the client is gone");
        Gone
    })
}

/// What follows a request that takes a while.
#[derive(Debug)]
pub(super) enum FollowUp {
    Request(Request),
    /// A line that makes no sense here.
    Bad(Failure),
    /// Both directions are closed.
    Gone,
}

/// The next line after the first. A client that has only nothing more to say is waited with,
/// for ever: the future is for use in `select!`.
pub(super) async fn follow_up(reader: &mut LinkReader) -> FollowUp {
    match reader.next_line().await {
        Ok(Some(line)) => match decode_request(&line) {
            Ok(request) => FollowUp::Request(request),
            Err(failure) => FollowUp::Bad(failure),
        },
        Ok(None) if !reader.peer_is_gone() => std::future::pending().await,
        Ok(None) => FollowUp::Gone,
        Err(error) => {
            tracing::debug!(%error, "the client is gone");
            FollowUp::Gone
        }
    }
}

/// Serves one client, from its first line to the last reply.
pub(super) async fn handle<B: Backend>(server: &Server<B>, stream: UnixStream, identity: Identity) {
    let (reader, writer) = link::split(stream);
    let mut client = Client {
        identity,
        reader,
        writer,
    };
    let request = match first_request(server, &mut client).await {
        Some(Ok(request)) => request,
        Some(Err(failure)) => {
            server.refusals.log(client.identity.uid, &failure);
            // If it cannot be sent there is nobody to tell.
            let _ = reply(&client.writer, &Reply::Error(failure)).await;
            return;
        }
        None => return,
    };
    // `Gone` needs no answer: each request has cleaned up after itself.
    let _ = requests::serve(server, &mut client, request).await;
}

/// `None`: the client left without a word.
async fn first_request<B: Backend>(
    server: &Server<B>,
    client: &mut Client,
) -> Option<Result<Request, Failure>> {
    let bad = |code, message: String| Some(Err(Failure::new(code, exit::USAGE, message)));
    let limit = server.limits.first_line;
    let line = tokio::select! {
        biased;
        () = server.stopping.cancelled() => {
            return bad(code::STOPPING, "the daemon is stopping".to_owned());
        }
        line = tokio::time::timeout(limit, client.reader.next_line()) => line,
    };
    match line {
        Ok(Ok(Some(line))) => Some(decode_request(&line)),
        Ok(Ok(None)) => None,
        Ok(Err(LinkError::TooLong)) => bad(
            code::LINE_TOO_LONG,
            format!("a request may be at most {MAX_LINE} bytes long, its line break included"),
        ),
        Ok(Err(error)) => bad(code::BAD_REQUEST, error.to_string()),
        Err(_) => bad(
            code::TOO_SLOW,
            format!("no whole request came within {} s", limit.as_secs_f64()),
        ),
    }
}
