//! Owns a request's trip to the server and back: when it may be sent, one attempt, what follows a failure, and its
//! answer.

pub mod attempt;
pub mod first_list;
pub mod forwarder;
pub mod readiness;
pub mod retry;
