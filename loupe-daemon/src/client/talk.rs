//! The client's side of the protocol: one connection, one request, its replies.

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use loupe_common::exit;
use loupe_common::wire::{Assembler, Failure, Reply, Request, code, encode_request};
use tokio::net::UnixStream;

use crate::link::{self, LinkReader, LinkWriter};

/// A connection that has carried its request.
#[derive(Debug)]
pub struct Talk {
    reader: LinkReader,
    writer: LinkWriter,
    assembler: Assembler,
}

impl Talk {
    /// Sends the request, with descriptors where it needs some.
    pub async fn open(
        socket: &Path,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Talk, Failure> {
        let line = encode_request(request)?;
        let stream = UnixStream::connect(socket).await.map_err(|error| {
            Failure::internal(format!("cannot connect to {}", socket.display()))
                .because(Some(&error))
        })?;
        let (reader, writer) = link::split(stream);
        let sent = match descriptors {
            [] => writer.send(&line).await,
            some => writer.send_with(&line, some).await,
        };
        if let Err(error) = sent
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(Failure::internal("cannot send to louped").because(Some(&error)));
        }
        // A daemon that hangs up on a request has said why: that can still be read.
        Ok(Talk {
            reader,
            writer,
            assembler: Assembler::default(),
        })
    }

    /// Says something more. A daemon that has gone is noticed when its reply is missing.
    pub async fn say(&self, request: &Request) -> Result<(), Failure> {
        let line = encode_request(request)?;
        if let Err(error) = self.writer.send(&line).await {
            tracing::debug!(%error, "louped has hung up");
        }
        Ok(())
    }

    /// The next reply; an error reply is an error. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Reply, Failure> {
        loop {
            let line = self
                .reader
                .next_line()
                .await
                .map_err(|error| {
                    Failure::internal("the connection to louped broke").because(Some(&error))
                })?
                .ok_or_else(|| {
                    Failure::internal("louped hung up without an answer").hint(
                        "see what happened to it: `journalctl -u louped`; finished replays are \
                         kept",
                    )
                })?;
            match self.assembler.push(&line)? {
                Some(Reply::Error(failure)) => return Err(failure),
                Some(reply) => return Ok(reply),
                None => {}
            }
        }
    }
}

/// One request, one reply.
pub async fn ask(socket: &Path, request: &Request) -> Result<Reply, Failure> {
    Talk::open(socket, request, &[]).await?.next().await
}

/// A reply that does not fit the request.
pub fn unexpected(reply: &Reply) -> Failure {
    let mut text = format!("{reply:?}");
    if let Some((end, _)) = text.char_indices().nth(200) {
        text.truncate(end);
    }
    Failure::new(
        code::BAD_REQUEST,
        exit::LOUPE_FAILED,
        format!("louped answered something else than was asked: {text}"),
    )
}

/// A plain value of a reply, as the type that it was.
pub fn value<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        Failure::internal("louped's answer cannot be read")
            .because(Some(&error))
            .hint("loupe and louped are of different releases: restart louped after an upgrade")
    })
}
