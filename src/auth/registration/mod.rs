//! Owns the client that the program signs in as: a configured or dynamically registered one (RFC 7591), and how it
//! authenticates.

pub mod choose;
pub mod client;
pub mod client_home;
pub mod client_metadata;
pub mod dynamic;
pub mod private_key;
