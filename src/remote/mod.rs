//! Owns the remote side: Streamable HTTP requests out, messages in.
//!
//! [`Remote::exchange`] is the one send loop: bearer, headers, POST, classify the answer, act (refresh, wait, give up
//! with a reason). What comes back is an [`Exchange`] that yields whole JSON messages, from a JSON body or from an SSE
//! stream alike. Which message answers whom is the bridge's business.

pub mod answer;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod lost;
pub mod mirror;
pub mod outgoing;
mod redirect;
mod refused;
pub mod request;
pub mod send;
pub mod session;
pub mod sse;
pub mod standing;

pub use answer::Exchange;
pub use outgoing::{Failure, MeantFor, Outgoing, Whereabouts};
pub use send::Remote;
pub use session::Session;
