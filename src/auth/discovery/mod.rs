//! Owns where to sign in and for what: what a 401 says, the metadata of the resource and of the authorization server
//! (RFC 9728, RFC 8414), and the scope to ask for.

pub mod challenge;
pub mod metadata;
pub mod probe;
pub mod safe_url;
pub mod scope;
pub mod search;
