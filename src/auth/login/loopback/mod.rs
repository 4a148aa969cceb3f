//! Owns the redirect to this machine (RFC 8252, 7.3): the listener, the door that filters its requests, the page that
//! the user sees, and who else holds the port.

pub mod door;
pub mod inside;
pub mod listener;
pub mod page;
pub mod port_owner;
