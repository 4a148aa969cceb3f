//! Owns the local side: the client's lines, the requests in flight, and what the client learns while they wait.
//!
//! [`run()`] is the bridge. [`dispatch::Dispatcher`] looks at each line of stdin in order and starts what it asks for;
//! each request has its own task ([`forward::forwarder`]), notifications and responses go through one outbox that keeps
//! their order. From the bottom up: [`client`] is the side of stdin and stdout, [`session`] that of the server,
//! [`lists`] knows what the client has in place of the server's lists, [`sign_in`] decides what happens while nobody is
//! signed in, [`forward`] sends requests to the server and returns their answers, and [`dispatch`] takes the lines.
//! [`mod@run`] puts them together.

pub mod cancellation;
pub mod client;
pub mod dispatch;
pub mod forward;
pub mod lists;
pub mod reconnection;
pub mod run;
pub mod session;
pub mod sign_in;
pub mod stand_in;

pub use run::{End, run};
