//! Owns the lists of tools, prompts and resources as they pass: what the client has in the place of the server's lists, and
//! what is learned from them.

pub mod learned;
pub mod pages;
pub mod retry_safety;
pub mod served;
