//! `planhat-mcp`: a local stdio MCP server that is really a remote one.
//!
//! # Two walks
//!
//! - **A message**: [`bridge::client::input`] reads a line, [`message::peek()`] looks at a few fields and leaves the bytes alone,
//!   [`bridge::client::in_flight`] remembers who waits for what, [`remote::send`] carries it (bearer, headers, POST, classify the
//!   answer, act), [`remote::sse`] or a JSON body brings the answer, and [`bridge::client::output`] writes a line.
//! - **A token**: [`auth::discovery`] → [`auth::registration`] → [`auth::login`] (PKCE, browser,
//!   loopback callback) → [`store`] (the OS keychain) → the `Authorization` header. Renewal swaps the middle for
//!   [`auth::bearer::renewal`]: lock, read the store again, refresh, save, use.
//!
//! # The import rule
//!
//! A module may use only what stands to the left of it; `tests/it/layout.rs` enforces this:
//!
//! ```text
//! blocking, hash, secret, clock, pacing | problem | config | logging | message | http, store | auth | remote | bridge | cli | main
//! ```

pub mod auth;
pub mod blocking;
pub mod bridge;
pub mod cli;
pub mod clock;
pub mod config;
pub mod hash;
pub mod http;
pub mod logging;
pub mod message;
pub mod pacing;
pub mod problem;
pub mod remote;
pub mod secret;
#[cfg(test)]
mod seeds;
pub mod store;
