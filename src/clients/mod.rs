//! Owns what is known of MCP clients on this machine: where each keeps the list of servers that it starts, what stands there
//! about this program, and how it is put there and taken away again.
//!
//! [`table`] has a row for each client. [`plan`] decides what a change does to a file, [`mod@write`] does it and remembers how to
//! take it back; [`own`] asks the client to do it itself.

pub mod client;
pub mod copies;
pub mod diff;
pub mod edit;
pub mod entries;
pub mod folders;
pub mod links;
pub mod look;
pub mod own;
mod places;
pub mod plan;
pub mod program;
pub mod shape;
pub mod table;
pub mod write;

pub use client::{Client, Scope, Target};
pub use folders::Folders;
pub use look::ClientFile;
pub use plan::Change;
pub use table::on_this_machine;
