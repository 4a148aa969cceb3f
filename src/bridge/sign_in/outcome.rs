//! What a request needs a sign-in for, and what it gets.

use bytes::Bytes;
use serde_json::Value;

use crate::auth::SignInReason;
use crate::problem::Problem;

/// A sign-in that a request needs.
#[derive(Debug, Clone)]
pub struct SignInNeed {
    /// Why it may start.
    pub reason: SignInReason,
    /// The token that is not enough, as in [`Bearer::serial`](crate::auth::Bearer::serial); `None` when any token will do.
    pub newer_than: Option<u64>,
    /// The answer when nobody signs in.
    pub otherwise: Problem,
}

/// What a request gets that needs a sign-in.
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
