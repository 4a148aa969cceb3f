//! Owns the token that requests carry: the one in use, renewing it, obtaining one without a person, widening its scope,
//! and the server's answers under it.

pub mod cache;
pub mod client_credentials;
pub mod old_token;
pub mod remembered_answers;
pub mod renewal;
pub mod renewal_decision;
pub mod state;
pub mod static_token;
pub mod step_up;
pub mod tokens;
