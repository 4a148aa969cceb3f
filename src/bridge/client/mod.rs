//! Owns the client's side: lines in and out, the requests in flight, the one answer of each, and progress
//! notifications.

pub mod batch;
pub mod capabilities;
pub mod client_info;
pub mod endpoint;
pub mod flag;
pub mod in_flight;
pub mod input;
pub mod list_methods;
pub mod output;
pub mod own_ids;
pub mod progress;
pub mod request;
pub mod responder;
pub mod room;
pub mod session_stage;
pub mod waiting_lines;
pub mod writer;
