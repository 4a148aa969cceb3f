//! Owns the remote side: Streamable HTTP requests out, messages in.
//!
//! [`Remote::exchange`] is the one send loop: bearer, headers, POST, classify the answer, act (refresh, wait, give up
//! with a reason). What comes back is an [`Exchange`] that yields whole JSON messages, from a JSON body or from an SSE
//! stream alike. Which message answers whom is the bridge's business.

#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod listen_stream;
mod lost;
pub mod mcp_headers;
pub mod outgoing;
mod redirect;
mod refused;
pub mod request;
pub mod response;
pub mod send;
pub mod session;
pub mod sse;

pub use outgoing::{BoundUser, Failure, Outgoing, SendState, Withdrawn};
pub use response::Exchange;
pub use send::Remote;
pub use session::Session;
