//! Owns the lists of tools, prompts and resources as they pass through: what the client has in place of the server's
//! lists, and what the bridge learns from them.

pub mod check_tool;
pub mod learned;
pub mod own_tool;
pub mod pages;
pub mod retry_safety;
pub mod served;
