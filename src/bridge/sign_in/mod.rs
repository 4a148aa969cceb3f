//! Owns what the client is told while nobody is signed in: what a request that needs a sign-in gets, and how the client
//! is asked to show its link.

pub mod elicitation;
pub mod policy;
