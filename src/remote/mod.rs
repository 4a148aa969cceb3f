//! Owns the remote side: Streamable HTTP requests out, messages in.
//!
//! [`Remote::exchange`] is the one send loop: bearer, headers, POST, classify the answer, act on the verdict (refresh,
//! wait, give up with a reason). What comes back is an [`Exchange`] that yields whole JSON messages, from a JSON body
//! or from an SSE stream alike. The bridge matches answers to requests.
//!
//! From the bottom up: an [`Outgoing`] message and the [`RemoteSession`] it belongs to become a [`request`]; `transport`
//! executes it; `verdict` says what the answer means (with `sent_request`, `lost_session` and `body`); `unauthorized`
//! (with `refused_kinds`), `old_token` and `throttle` act on a 401, on what may mean the same, and on a 429; `exchange` and `stream` (with `body_room`, `patience` and [`sse`]) read what the server
//! delivers, `refusal` explains what it refuses, and a [`Failure`] says what the server may have done; [`send`] puts
//! them together, with `http_sse` and `one_stream` for servers of the older transport, on top of which `resumption` and [`listen_stream`] open streams again, as often as `stream_life` and
//! [`own_requests`] let them. [`mcp_headers`] stands alone.

mod body;
mod body_room;
pub mod exchange;
mod failure;
mod http_sse;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod listen_stream;
mod lost_session;
pub mod mcp_headers;
mod old_token;
mod one_stream;
pub mod outgoing;
pub mod own_requests;
mod patience;
mod redirect;
mod refusal;
mod refused_kinds;
pub mod request;
mod resumption;
pub mod send;
mod sent_request;
pub mod session;
pub mod sse;
pub mod stream;
pub mod stream_life;
mod throttle;
mod transport;
mod unauthorized;
pub mod verdict;

pub use body_room::{BodyRoom, Message};
pub use exchange::Exchange;
pub use failure::Failure;
pub use outgoing::{BoundUser, Outgoing, SendState, Withdrawn};
pub use resumption::Resumption;
pub use send::Remote;
pub use session::RemoteSession;
