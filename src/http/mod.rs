//! Owns access to the network: how connections are made (trust roots, proxy, time-outs), the client that all requests
//! share, the cookies of the MCP endpoint, the classification of failures, when a throttled request may be sent again, the
//! gate that a 429 closes, the guard against inward addresses, which secrets a request carries, and the inspection of a connection for `doctor`.

pub mod certificate;
pub mod client;
pub mod clock_skew;
pub mod connection;
mod cookie_date;
pub mod cookies;
pub mod error;
pub mod inspect;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod keep_alive;
mod lost_scheme;
pub mod rate_limit_gate;
pub mod retry_after;
mod sent;
pub mod ssrf_guard;

pub use client::{Answer, Bounds, Http};
pub use clock_skew::Skew;
pub use cookies::Cookies;
pub use error::{NetError, Step, host_of};
pub use lost_scheme::with_scheme_of;
pub use rate_limit_gate::Gate;
pub use ssrf_guard::AddressSource;
