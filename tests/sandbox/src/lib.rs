//! A Planhat-shaped tenant in one process: an authorization server and an MCP server on loopback, to test against, to
//! try the bridge on, and to break on purpose.
//!
//! ```
//! use std::time::Duration;
//! use planhat_sandbox::{Config, Fault, Sandbox};
//!
//! let sandbox = Sandbox::start(Config::with_redirect("http://127.0.0.1:4040/callback"));
//! sandbox.fault(Fault::status(429).retry_after(Duration::from_secs(2)).tool("list_model_records"));
//! // … run the bridge with `--url` set to `sandbox.mcp_url()` …
//! assert_eq!(sandbox.counters().tool("list_model_records"), 0);
//! ```
//!
//! What makes it trustworthy: the MCP server proper is `rmcp`'s, the HTTP is real, and everything that a test needs to
//! wait for can be waited for ([`Sandbox::wait_until`], [`Sandbox::wait_request`], [`Gate`]) without sleeping.

pub mod attack;
mod body;
pub mod browser;
mod config;
mod counters;
mod desktop;
mod fault;
mod front;
mod gate;
mod gzip;
pub mod habit;
mod mcp;
mod oauth;
mod peek;
mod port;
mod quirks;
mod raw;
mod record;
mod sandbox;
mod state;
mod tenant;
mod tls;
pub mod wire;

pub use config::{
    AnswerMode, CLIENT_ID, CLIENT_SECRET, Challenge, ClientKind, ClientSpec, Config, Consent, ExpiresIn, Iss,
    PRIVATE_APP_TOKEN, ProtectedResource, Refusals, ResourceParameter, Rotation, TokenAuth, UserSpec,
};
pub use counters::{Counters, Timeout};
pub use desktop::Desktop;
#[cfg(not(unix))]
pub use desktop::{HANDS_ON, hand_on};
pub use fault::{Fault, Place};
pub use gate::Gate;
pub use gzip::{Gzip, gzip_bomb};
pub use port::ReservedPort;
pub use quirks::{Quirks, Registration};
pub use raw::RawReply;
pub use record::Recorded;
pub use sandbox::Sandbox;
pub use tenant::permission::{Action, Model, Permission, UnknownPermission};
pub use tls::{Flaw, Tls};

/// Locks; a test thread that panicked while it held the lock left nothing half-done.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
