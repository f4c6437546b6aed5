//! A connection to a NATS server: who one is there, by which certificate the server is known, and
//! coming back to it for ever; what its streams have in common. Knows no message and no stream.
//!
//! Everything that goes over the network from a fleet's hosts goes through here.

mod connection;
mod credentials;
mod error;
mod stream;

pub use connection::{Link, connect, is_connected, wait_for_connection};
pub use credentials::{Credentials, Extra, KeyPair, Part};
pub use error::NatsError;
pub use stream::unbounded;
