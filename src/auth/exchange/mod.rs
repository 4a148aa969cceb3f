//! Owns the requests to the token and revocation endpoints (RFC 6749, RFC 7009): how the client authenticates, what the
//! answers mean, and what an ID token says.

pub mod answer;
pub mod client_authentication;
pub mod id_token;
pub mod refresh_verdict;
pub mod refusal;
pub mod request;
pub mod token_endpoint;
