//! Owns what is known of MCP clients on this machine: where each keeps the list of servers that it starts, and what stands
//! there about this program.

pub mod entries;
pub mod folders;

pub use folders::{ClientFile, Folders};
