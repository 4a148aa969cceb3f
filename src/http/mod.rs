//! Owns how the network is reached: the client (trust roots, proxy, time-outs), what a failed exchange is called, when
//! a throttled request may go again, the gate that a 429 closes, and the guard against addresses that lead inwards.

pub mod client;
pub mod error;
pub mod gate;
pub mod guard;
pub mod retry_after;

pub use client::{Answer, Bounds, Http};
pub use error::{NetError, Step, host_of};
pub use gate::Gate;
pub use guard::NamedBy;
