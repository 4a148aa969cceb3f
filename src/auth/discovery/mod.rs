//! Owns where to sign in and for what: the challenge of a 401, the metadata of the resource and the authorization
//! server (RFC 9728, RFC 8414), and the scope to request.

pub mod barrier;
pub mod challenge;
pub mod hint;
pub mod metadata;
pub mod probe;
pub mod safe_url;
pub mod scope;
pub mod search;
