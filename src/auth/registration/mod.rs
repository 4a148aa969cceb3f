//! Owns as whom the program signs in: a client that was configured, one that it registers by itself (RFC 7591), and how
//! that client proves who it is.

pub mod choose;
pub mod client;
pub mod dynamic;
pub mod private_key;
