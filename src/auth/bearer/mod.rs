//! Owns the token that requests carry: which one is in use here, keeping it fresh, having it without a person, widening
//! what it reaches, and what the server answered while it was in use.

pub mod cache;
pub mod client_credentials;
pub mod remembered_answers;
pub mod renewal;
pub mod renewal_decision;
pub mod state;
pub mod static_token;
pub mod step_up;
pub mod tokens;
