//! Owns the session with the server: opening and reopening it, messages to the server in order, the server's own
//! messages, and what is restored in the next session.

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
pub mod own_sessions;
pub mod server_messages;
pub mod server_requests;
pub mod sorted;
pub mod startup;
pub mod subscriptions;
