//! Why a request needs a sign-in, and what it gets.

use bytes::Bytes;
use serde_json::Value;

use crate::auth::SignInReason;
use crate::problem::Problem;

/// A sign-in that a request needs.
#[derive(Debug, Clone)]
pub struct SignInNeed {
    /// Why it may start.
    pub reason: SignInReason,
    /// The serial of the token that is not enough, as in [`Bearer::serial`](crate::auth::Bearer::serial); `None` if any
    /// token will do.
    pub newer_than: Option<u64>,
    /// The answer when nobody signs in.
    pub otherwise: Problem,
}

/// What a request that needs a sign-in gets.
#[derive(Debug)]
pub enum SignInOutcome {
    /// Somebody has signed in, so the request may be sent again.
    SignedIn,
    /// This result.
    Result(Value),
    /// This answer, as a whole line.
    Line(Bytes),
    /// This problem.
    Problem(Problem),
}
