//! The wire protocol between `loupe` and `louped`: one JSON object a line over a Unix socket.
//!
//! Types, and their way to bytes and back; no I/O. `docs/protocol.md` is the manual.
//! What only user space knows (workload files, stored evidence) travels as plain JSON values,
//! so that this crate needs to know nothing about it.

mod messages;
mod parts;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::exit;
use crate::text::escape_json;

pub use messages::{AnalyzeRequest, JobId, JobInfo, JobState, Reply, Request, RunOnce};
pub use parts::Assembler;

/// The version of the protocol that this code speaks.
pub const VERSION: u32 = 1;

/// Every version that a daemon of this code answers to.
pub const SUPPORTED: &[u32] = &[VERSION];

/// The longest line, its line break included. Longer replies are cut in parts.
pub const MAX_LINE: usize = 4 << 20;

/// Where the daemon listens unless asked otherwise.
pub const DEFAULT_SOCKET: &str = "/run/loupe/louped.sock";

/// The group whose members may use the daemon.
pub const GROUP: &str = "loupe";

/// Values of [`Failure::code`].
pub mod code {
    /// The line is not a JSON object of the expected shape.
    pub const BAD_REQUEST: &str = "bad-request";
    pub const UNSUPPORTED_VERSION: &str = "unsupported-version";
    pub const UNKNOWN_REQUEST: &str = "unknown-request";
    pub const LINE_TOO_LONG: &str = "line-too-long";
    /// The first line did not come in time.
    pub const TOO_SLOW: &str = "too-slow";
    /// Too many connections, runs or queued jobs.
    pub const BUSY: &str = "busy";
    /// The daemon is stopping.
    pub const STOPPING: &str = "stopping";
    pub const NOT_FOUND: &str = "not-found";
    pub const CANCELLED: &str = "cancelled";
    /// The job took all that the daemon gives to one.
    pub const BOUND: &str = "bound";
    /// The work was done and failed; the message says how.
    pub const FAILED: &str = "failed";
}

/// Why something did not work, in the form that reaches the user: the same whether it happened
/// in the client's own process or in the daemon.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema, Deserialize, thiserror::Error,
)]
#[error("{message}")]
pub struct Failure {
    /// One of [`code`]'s words; a newer daemon may have more.
    pub code: String,
    pub message: String,
    /// What lies behind it, nearest first.
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    pub causes: Box<[String]>,
    /// The cure, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Box<str>>,
    /// What application and test printed, where that explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Box<str>>,
    /// What `loupe` exits with: one of [`exit`]'s codes.
    pub exit_code: u8,
    /// Only for [`code::UNSUPPORTED_VERSION`].
    #[serde(default, skip_serializing_if = "<[u32]>::is_empty")]
    pub supported: Box<[u32]>,
}

impl Failure {
    pub fn new(code: &str, exit_code: u8, message: impl Into<String>) -> Failure {
        Failure {
            code: code.to_owned(),
            message: message.into(),
            causes: Box::default(),
            hint: None,
            output: None,
            exit_code,
            supported: Box::default(),
        }
    }

    /// A mistake of the user's.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(code::FAILED, exit::USAGE, message)
    }

    /// Loupe, or what it stands on, did not work.
    pub fn internal(message: impl Into<String>) -> Failure {
        Failure::new(code::FAILED, exit::LOUPE_FAILED, message)
    }

    /// An error with the chain of its causes.
    pub fn from_error(exit_code: u8, error: &(dyn std::error::Error + 'static)) -> Failure {
        Failure::new(code::FAILED, exit_code, error.to_string()).because(error.source())
    }

    /// Adds `cause` and everything behind it. A cause that the line before already quotes
    /// in full is left out.
    pub fn because(mut self, cause: Option<&(dyn std::error::Error + 'static)>) -> Failure {
        let mut causes = self.causes.into_vec();
        let mut next = cause;
        while let Some(cause) = next {
            let text = cause.to_string();
            let last = causes.last().unwrap_or(&self.message);
            if !last.ends_with(&text) {
                causes.push(text);
            }
            next = cause.source();
        }
        self.causes = causes.into();
        self
    }

    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a hint and an output where there are some.
    pub fn explained(mut self, hint: Option<String>, output: Option<String>) -> Failure {
        self.hint = hint.map(String::into_boxed_str).or(self.hint);
        self.output = output.map(String::into_boxed_str).or(self.output);
        self
    }
}

/// The line, with its line break, that carries a request.
pub fn encode_request(request: &Request) -> Result<Vec<u8>, Failure> {
    let line = encode_line(request)?;
    if line.len() > MAX_LINE {
        return Err(Failure::new(
            code::LINE_TOO_LONG,
            exit::USAGE,
            format!(
                "the request is {} bytes long; the daemon takes at most {MAX_LINE}",
                line.len()
            ),
        )
        .hint("a workload file this large cannot be sent to louped: use --local"));
    }
    Ok(line)
}

/// The line or, where it would be too long, the lines that carry a reply.
pub fn encode_reply(reply: &Reply) -> Result<Vec<u8>, Failure> {
    let line = encode_line(reply)?;
    if line.len() <= MAX_LINE {
        return Ok(line);
    }
    let text = String::from_utf8(line)
        .map_err(|_| Failure::internal("JSON that is not UTF-8 cannot be sent"))?;
    let mut lines = Vec::with_capacity(text.len() + text.len() / 4);
    for part in parts::cut(text.trim_end()) {
        lines.extend(encode_line(&part)?);
    }
    Ok(lines)
}

fn encode_line(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    #[derive(Serialize)]
    struct Envelope<'a, T> {
        loupe: u32,
        #[serde(flatten)]
        body: &'a T,
    }
    let envelope = Envelope {
        loupe: VERSION,
        body,
    };
    let line = serde_json::to_string(&envelope)
        .map_err(|error| Failure::internal("a message cannot be written").because(Some(&error)))?;
    // Some people read it with nc.
    let mut line = escape_json(&line).into_owned().into_bytes();
    line.push(b'\n');
    Ok(line)
}

/// Reads a request. The failure is what the client is answered with.
pub fn decode_request(line: &[u8]) -> Result<Request, Failure> {
    decode(line, "request", messages::REQUESTS)
}

/// Reads one line of a reply, which may be a part of a longer one: see [`Assembler`].
pub fn decode_reply(line: &[u8]) -> Result<Reply, Failure> {
    decode(line, "reply", messages::REPLIES)
}

fn decode<T: DeserializeOwned>(line: &[u8], tag: &str, known: &[&str]) -> Result<T, Failure> {
    let bad = |message: String| Failure::new(code::BAD_REQUEST, exit::USAGE, message);
    // serde_json refuses more than 128 levels of nesting, so the stack is safe.
    let value: Value = serde_json::from_slice(line)
        .map_err(|error| bad(format!("not a line of JSON: {error}")))?;
    let Value::Object(object) = &value else {
        return Err(bad("not a JSON object".to_owned()));
    };
    let Some(version) = object.get("loupe") else {
        return Err(bad("the field `loupe` (protocol version) is missing".into()));
    };
    if !SUPPORTED.iter().any(|known| version == known) {
        let mut failure = Failure::new(
            code::UNSUPPORTED_VERSION,
            exit::LOUPE_FAILED,
            format!("protocol version {version} is not supported; supported: {SUPPORTED:?}"),
        )
        .hint("loupe and louped are of different releases: restart louped after an upgrade");
        failure.supported = SUPPORTED.into();
        return Err(failure);
    }
    match object.get(tag) {
        Some(Value::String(word)) if known.contains(&word.as_str()) => {}
        Some(Value::String(word)) => {
            return Err(Failure::new(
                code::UNKNOWN_REQUEST,
                exit::LOUPE_FAILED,
                format!("unknown {tag} {word:?}; known: {}", known.join(", ")),
            ));
        }
        Some(_) => return Err(bad(format!("the field `{tag}` must be a string"))),
        None => return Err(bad(format!("the field `{tag}` is missing"))),
    }
    serde_json::from_value(value).map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests;
