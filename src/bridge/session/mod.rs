//! Owns the session with the server: opening it (again), what is known until it is open, what goes to the server in order,
//! what the server says by itself, and what is set up again in the next session.

pub mod barrier;
pub mod connection;
pub mod initialize;
pub mod outbox;
pub mod server_messages;
pub mod startup;
pub mod subscriptions;
