//! A connection to a NATS server: who one is there, by which certificate the server is known, and
//! coming back to it for ever. Knows no messages and no streams.
//!
//! Everything that goes over the network from a fleet's hosts goes through here.

mod connection;
mod credentials;
mod error;

pub use connection::{Link, connect};
pub use credentials::{Credentials, Extra, KeyPair, Part};
pub use error::NatsError;
