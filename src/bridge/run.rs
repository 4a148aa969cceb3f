//! The life of the bridge: start, lines, and the several ways to end.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Duration;

use crate::auth::Authorizer;
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::http::Http;
use crate::remote::Remote;
use crate::remote::mcp_headers::McpHeaders;

use super::{Bridge, OwnIds};
use crate::bridge::client::in_flight::Pending;
use crate::bridge::client::input::{Line, read_lines};
use crate::bridge::client::output::{Output, Written};
use crate::bridge::forward::retry_safety::Safety;
use crate::bridge::lists::served::ServedLists;
use crate::bridge::session::connection::Connection;
use crate::bridge::session::outbox::Outbox;
use crate::bridge::session::server_messages::ServerRequests;
use crate::bridge::session::subscriptions::Subscriptions;
use crate::bridge::sign_in::elicitation::Elicitation;

/// How long the last lines may take to be read by the client, once everything else is over.
const LAST_LINES: Duration = Duration::from_millis(400);

/// How long the last notifications may take to reach the server after the end of stdin.
const LAST_NOTIFICATIONS: Duration = Duration::from_secs(2);

/// Why the bridge ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client closed stdin; everything was answered.
    EndOfInput,
    /// The client closed stdout.
    OutputClosed,
    /// A signal asked for it.
    Signal,
}

/// Runs the bridge between `input` and `output` until one of them or a signal ends it. `signals` yields one item a signal.
///
/// Returns after the session was ended at the server and the last line was written, or when waiting for that has taken
/// too long: at most about 2 s after a signal, at once after a second one.
pub async fn run(
    settings: Arc<Settings>,
    http: Http,
    auth: Arc<Authorizer>,
    clock: SharedClock,
    (input, output): (impl Read + Send + 'static, impl Write + Send + 'static),
    mut signals: mpsc::Receiver<()>,
) -> End {
    let (output, written) = Output::start(output);
    let mut lines = read_lines(input, settings.limits.max_message_bytes);
    let server_requests = ServerRequests::default();
    let owed = server_requests.owed();
    let bridge = Arc::new(Bridge {
        remote: Arc::new(Remote::new(Arc::clone(&settings), http, Arc::clone(&auth), clock, owed)),
        safety: Safety::new(settings.product.is_planhat()),
        mirrors: McpHeaders::default(),
        places: Semaphore::new(settings.limits.in_flight),
        settings,
        auth,
        output,
        refused: Mutex::default(),
        pending: Pending::default(),
        connection: Connection::default(),
        lane: Outbox::default(),
        server_requests,
        subscriptions: Subscriptions::default(),
        own_ids: OwnIds::new(),
        given: ServedLists::default(),
        conversation: Elicitation::default(),
        closing: watch::Sender::new(false),
    });
    let mut background = JoinSet::new();
    background.spawn(Arc::clone(&bridge).run_lane());
    background.spawn(Arc::clone(&bridge).follow_sign_ins());

    let end = tokio::select! {
        biased;
        _ = signals.recv() => End::Signal,
        () = bridge.output.closed() => End::OutputClosed,
        () = serve(&bridge, &mut lines) => End::EndOfInput,
    };
    tracing::debug!(?end, "ending");
    tokio::select! {
        biased;
        _ = signals.recv() => {}
        () = wind_up(bridge, written, background) => {}
    }
    end
}

/// Takes lines until their end, then waits until everything is answered.
async fn serve(bridge: &Arc<Bridge>, lines: &mut mpsc::Receiver<Line>) {
    while let Some(line) = lines.recv().await {
        bridge.take(line).await;
    }
    bridge.closing.send_replace(true);
    bridge.answer_for_client();
    bridge.pending.drained().await;
    // Nobody is told what becomes of these, so nobody should wait long for them.
    let _ = tokio::time::timeout(LAST_NOTIFICATIONS, bridge.lane.drained()).await;
}

async fn wind_up(bridge: Arc<Bridge>, written: Written, background: JoinSet<()>) {
    bridge.closing.send_replace(true);
    bridge.remote.end_session().await;
    drop(background);
    // Tasks that were told to stop let go of their places in batches now, so that these are written.
    tokio::task::yield_now().await;
    bridge.output.finish();
    let _ = tokio::time::timeout(LAST_LINES, written.wait()).await;
}
