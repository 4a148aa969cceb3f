//! Owns the lists of tools, prompts and resources as they pass: what the client has in the place of the server's, and what
//! is learned from them.

pub mod learned;
pub mod served;
