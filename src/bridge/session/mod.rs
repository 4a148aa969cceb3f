//! Owns the session with the server: opening it (again), messages to the server in their order, messages of the server's
//! own, and what is set up again in the next session.

pub mod ask;
pub mod barrier;
pub mod delivery;
pub mod handshake;
pub mod incoming;
pub mod initialize;
pub mod lasting;
pub mod live;
pub mod opening;
pub mod outbox;
pub mod server_messages;
pub mod startup;
pub mod subscriptions;
