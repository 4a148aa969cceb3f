//! Owns the client's side: lines in and out, the requests that wait for their one answer, how that answer is given, and
//! what the client hears meanwhile.

pub mod batch;
pub mod client_info;
pub mod in_flight;
pub mod input;
pub mod output;
pub mod progress;
pub mod responder;
