//! Replies longer than a line: cut into `part` replies, put together again by the client.

use super::{Failure, Reply, code, decode_reply};
use crate::exit;

/// Bytes of text per part. Escaping doubles it at worst: the text is JSON, whose control
/// characters are escaped already, so that only quotes and backslashes grow.
const PART: usize = 400 * 1024;

/// The largest reply that a client puts together.
const MAX_REPLY: usize = 256 << 20;

/// Cuts the text of a reply.
pub(super) fn cut(mut text: &str) -> Vec<Reply> {
    let mut parts = Vec::new();
    while text.len() > PART {
        let end = (0..=PART).rev().find(|at| text.is_char_boundary(*at));
        let (piece, rest) = text.split_at(end.unwrap_or(PART));
        parts.push(Reply::Part {
            text: piece.to_owned(),
            last: false,
        });
        text = rest;
    }
    parts.push(Reply::Part {
        text: text.to_owned(),
        last: true,
    });
    parts
}

/// Turns lines into replies.
#[derive(Debug, Default)]
pub struct Assembler {
    text: String,
}

impl Assembler {
    /// Takes one line; `None` while a reply in parts is incomplete.
    pub fn push(&mut self, line: &[u8]) -> Result<Option<Reply>, Failure> {
        let (text, last) = match decode_reply(line)? {
            Reply::Part { text, last } => (text, last),
            whole if self.text.is_empty() => return Ok(Some(whole)),
            _ => {
                return Err(Failure::new(
                    code::BAD_REQUEST,
                    exit::LOUPE_FAILED,
                    "another reply began before the last part of one",
                ));
            }
        };
        if self.text.len() + text.len() > MAX_REPLY {
            return Err(Failure::internal(format!(
                "a reply is longer than {MAX_REPLY} bytes"
            )));
        }
        self.text.push_str(&text);
        if !last {
            return Ok(None);
        }
        match decode_reply(std::mem::take(&mut self.text).as_bytes())? {
            Reply::Part { .. } => Err(Failure::new(
                code::BAD_REQUEST,
                exit::LOUPE_FAILED,
                "a part within a part",
            )),
            whole => Ok(Some(whole)),
        }
    }
}
