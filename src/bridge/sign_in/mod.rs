//! Owns what happens while nobody is signed in: what a request gets, what starts a sign-in, and how the user is asked.

pub mod elicitation;
pub mod outcome;
pub mod policy;
pub mod tool;
pub mod waiting;
