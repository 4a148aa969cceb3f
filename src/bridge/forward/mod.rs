//! Owns the way of one request to the server and back, and when it may be tried again.

pub mod forwarder;
pub mod retry_safety;
