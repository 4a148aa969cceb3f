//! Owns how the network is reached: the client (trust roots, proxy, time-outs), what a failed exchange is called, when
//! a throttled request may go again, the gate that a 429 closes, the guard against addresses that lead inwards, which
//! secrets a request carries, and a look at a connection for those who ask why there is none.

pub mod certificate;
pub mod client;
pub mod clock_skew;
pub mod connection;
pub mod error;
pub mod inspect;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod rate_limit_gate;
pub mod retry_after;
mod sent;
pub mod ssrf_guard;

pub use client::{Answer, Bounds, Http};
pub use clock_skew::Skew;
pub use error::{NetError, Step, host_of};
pub use rate_limit_gate::Gate;
pub use ssrf_guard::NamedBy;
