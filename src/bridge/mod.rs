//! Owns the local side: the lines of the client, the requests that wait for an answer, and what the client hears while they
//! wait.
//!
//! [`run()`] is the bridge. [`dispatch::Dispatcher`] looks at each line of stdin in order and starts what it asks for; each
//! request has a task of its own ([`forward::forwarder`]), notifications and responses go through one outbox that keeps
//! their order. From the bottom up: [`client`] is the side of stdin and stdout, [`session`] that of the server, [`lists`]
//! knows what the client has in the place of the server's lists, [`sign_in`] decides what happens while nobody is signed in,
//! [`forward`] brings requests to the server and back, and [`dispatch`] takes the lines. [`mod@run`] puts them together.

pub mod cancellation;
pub mod client;
pub mod dispatch;
pub mod forward;
pub mod lists;
pub mod reconnection;
pub mod run;
pub mod session;
pub mod sign_in;

pub use run::{End, run};
