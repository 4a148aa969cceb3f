//! `planhat-mcp`: a local stdio MCP server that is really a remote one.
//!
//! Almost all of the code lies on one of two paths. Each stop is a file; read them in this order.
//!
//! ## A message
//!
//! 1. [`bridge::client::input`]: a line of stdin.
//! 2. [`bridge::dispatch`]: what the line is, and what it starts; [`mod@message::peek`] looks at a few fields and leaves the
//!    bytes alone.
//! 3. [`bridge::client::in_flight`]: the table of the requests that wait for their one answer.
//! 4. [`bridge::forward::forwarder`]: the request is sent to the server until there is an answer;
//!    [`bridge::sign_in::policy`] decides when somebody has to sign in first.
//! 5. [`bridge::session::live`]: the session with the server, opened (again) by [`bridge::session::opening`].
//! 6. [`bridge::forward::attempt`]: one attempt.
//! 7. [`remote::send`]: the send loop puts on the bearer token and the headers ([`remote::request`]), posts, and acts on the
//!    verdict.
//! 8. [`remote::verdict`]: what the server's answer means, as a pure function.
//! 9. [`remote::exchange`]: reads the answer, a JSON body or a stream of events ([`remote::sse`]).
//! 10. [`bridge::session::server_messages`]: the awaited answer, and the server's other messages.
//! 11. [`bridge::forward::retry`]: what to do after a failed attempt, as a pure function.
//! 12. [`bridge::client::responder`]: the one answer.
//! 13. [`bridge::client::output`]: a line of stdout.
//!
//! Notifications and responses of the client leave this path at [`bridge::dispatch`] for [`bridge::session::outbox`],
//! which keeps their order.
//!
//! ## A token
//!
//! 1. [`auth::authorizer`]: a request has no token, or the server refuses it.
//! 2. [`auth::coordination::start`]: whether a sign-in may start automatically, as a pure decision.
//! 3. [`auth::coordination::process`]: it runs in a separate process, which outlives the bridge.
//! 4. [`auth::coordination::login`]: it takes the login lock, or joins the sign-in that holds it.
//! 5. [`auth::discovery::challenge`]: what the 401 says.
//! 6. [`auth::discovery::search`]: where to sign in; [`auth::discovery::metadata`] reads the documents.
//! 7. [`auth::registration::choose`]: as which client; [`auth::registration::dynamic`] registers one.
//! 8. [`auth::login::code_flow`]: the user's part, with PKCE.
//! 9. [`auth::login::authorization_request`]: the page to open, and the response to expect.
//! 10. [`auth::login::loopback::listener`]: the redirect to this machine.
//! 11. [`auth::exchange::token_endpoint`]: the code becomes a token; [`auth::exchange::refusal`] explains a refusal.
//! 12. [`auth::grants::grant`]: what is stored of it, in the credential store ([`store::credential_store`]).
//! 13. [`auth::bearer::cache`]: the token that this process uses, in step with the store.
//! 14. [`auth::bearer::renewal`]: lock, read the store again, refresh, save, use.
//! 15. [`remote::request`]: the `Authorization` header.
//!
//! # The import rule
//!
//! A module may use only modules to the left of it; `tests/it/layout.rs` enforces this:
//!
//! ```text
//! limits | tasks | blocking, hash, secret, clock, pacing | files | problem | config | logging | message | http, store | auth | remote | bridge | clients | cli | main
//! ```

pub mod auth;
pub mod blocking;
pub mod bridge;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod config;
pub mod files;
pub mod hash;
pub mod http;
pub mod limits;
pub mod logging;
pub mod message;
pub mod pacing;
pub mod problem;
pub mod remote;
pub mod secret;
#[cfg(test)]
mod seeds;
pub mod store;
pub mod tasks;
