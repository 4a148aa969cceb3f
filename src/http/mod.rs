//! Owns how the network is reached: the client (trust roots, proxy, time-outs), what a failed exchange is called, when
//! to try again, and the gate that a 429 closes.

mod client;

pub use client::{Answer, Bounds, Http};

/// STUB of what the http module brings.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct NetError(pub String);

impl From<NetError> for crate::problem::Problem {
    fn from(e: NetError) -> Self {
        crate::problem::Problem::new(crate::problem::ProblemId::NotJson).because(e)
    }
}
