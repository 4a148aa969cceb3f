//! Owns the local side: what the client says, who waits for what, and what the client is told meanwhile.
//!
//! [`run()`] is the bridge. [`Bridge::take`] in [`dispatch`] looks at each line of stdin in order and starts what it asks
//! for; each request is carried by a task of its own ([`forward`]), notifications and responses go through one outbox that
//! keeps their order. [`client`] is the side of stdin and stdout, [`session`] the one of the server, [`sign_in`] says what
//! happens while nobody is signed in, and [`lists`] knows what the client has in the place of the server's lists.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use crate::auth::Authorizer;
use crate::config::Settings;
use crate::remote::Remote;
use crate::remote::mcp_headers::McpHeaders;

pub mod client;
pub mod dispatch;
pub mod forward;
pub mod lists;
pub mod run;
pub mod session;
pub mod sign_in;

pub use run::{End, run};

use client::in_flight::Pending;
use client::output::Output;
use forward::retry_safety::Safety;
use lists::served::ServedLists;
use session::connection::Connection;
use session::outbox::Outbox;
use session::server_messages::ServerRequests;
use session::subscriptions::Subscriptions;
use sign_in::elicitation::Elicitation;

/// One bridge between one client and one server.
#[derive(Debug)]
pub struct Bridge {
    settings: Arc<Settings>,
    auth: Arc<Authorizer>,
    remote: Arc<Remote>,
    output: Output,
    /// What is to be said about the line of stdin that was just read.
    refused: Mutex<Vec<Bytes>>,
    pending: Pending,
    connection: Connection,
    lane: Outbox,
    server_requests: ServerRequests,
    subscriptions: Subscriptions,
    own_ids: OwnIds,
    safety: Safety,
    mirrors: McpHeaders,
    /// As many requests as the server takes at once.
    places: Semaphore,
    /// Lists that were answered here and not by the server: the client may be owed a `list_changed`.
    given: ServedLists,
    /// What the client's user is asked.
    conversation: Elicitation,
    /// Set when stdin has ended: nobody waits for a person any more.
    closing: watch::Sender<bool>,
}

/// Ids of our own, which no client or server uses: `planhat-mcp/<random>/<n>`.
#[derive(Debug)]
struct OwnIds {
    run: String,
    next: AtomicU64,
}

impl OwnIds {
    fn new() -> Self {
        let random = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        Self { run: format!("{random:016x}"), next: AtomicU64::new(1) }
    }

    /// The next id, as JSON.
    fn next(&self) -> String {
        format!("\"planhat-mcp/{}/{}\"", self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// A flag that is raised once and read often.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

impl Flag {
    fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was raised; lowers it.
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }

    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
