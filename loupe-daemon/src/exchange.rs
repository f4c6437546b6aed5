//! What hosts tell a fleet without files: the fleet's own authority and keys, the host's outbox and its
//! sending, the hub's taking in. What is told, and how it is merged, is the fleet's; how a server is
//! reached, the connection's.
//!
//! The server between them is a transport. What a host knows is in its own database, what the hub
//! knows in its, and whatever the server loses is told again.

mod agent;
mod authority;
mod charter;
mod error;
mod hub;
mod message;
mod outbox;
mod server_conf;
mod stream;

pub use agent::{Agent, Gather, Gathered, Wanted};
pub use charter::{Charter, Enrolled, Newcomer};
pub use error::ExchangeError;
pub use hub::Hub;
pub use message::Piece;
pub use stream::facts_of;
