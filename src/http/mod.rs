//! Owns how the network is reached: the client (trust roots, proxy, time-outs), what a failed exchange is called, when
//! a throttled request may go again, and the gate that a 429 closes.

pub mod client;
pub mod error;
pub mod gate;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod retry_after;

pub use client::{Answer, Bounds, Http};
pub use error::{NetError, Step, host_of};
pub use gate::Gate;
