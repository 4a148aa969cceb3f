//! The life of the bridge: building it, reading its lines, and the ways it ends.

use std::io::{Read, Write};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Duration;

use crate::auth::Authorizer;
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::http::Http;
use crate::limits::LAST_NOTIFICATIONS_WAIT;
use crate::remote::Remote;
use crate::remote::mcp_headers::McpHeaders;

use super::client::endpoint::Client;
use super::client::input::{LinesAhead, read_lines};
use super::client::output::{Output, Written};
use super::dispatch::Dispatcher;
use super::forward::forwarder::Forwarder;
use super::lists::learned::Learned;
use super::lists::served::Lists;
use super::session::delivery::deliver_outbox;
use super::session::lasting::lasting;
use super::session::live::Session;
use super::session::opening::{follow_sign_ins, keep_open};
use super::session::server_messages::ServerMessages;
use super::session::server_requests::ServerRequests;
use super::session::subscriptions::Subscriptions;
use super::sign_in::elicitation::Elicitation;
use super::sign_in::policy::SignIn;
use super::sign_in::waiting::SignInWait;
use crate::bridge::lists::retry_safety::RetrySafety;
use crate::tasks;

/// How long the client may take to read the last lines at the end.
pub(super) const LAST_LINES_WAIT: Duration = Duration::from_millis(400);

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

/// The parts that [`run`] works with.
struct Parts {
    session: Arc<Session>,
    subscriptions: Arc<Subscriptions>,
    lists: Arc<Lists>,
    dispatcher: Dispatcher,
}

impl Parts {
    fn new(settings: Arc<Settings>, http: Http, auth: Arc<Authorizer>, clock: SharedClock, output: Output) -> Self {
        let client = Arc::new(Client::new(output));
        let server_requests = ServerRequests::default();
        let owed = server_requests.owed();
        let remote = Arc::new(Remote::new(Arc::clone(&settings), http, Arc::clone(&auth), clock, owed, true));
        let header_marks = Arc::<McpHeaders>::default();
        let retry_safety = Arc::new(RetrySafety::new(settings.product.is_planhat()));
        let wait = Arc::new(SignInWait::new(Arc::clone(&client), Arc::clone(&auth), Arc::clone(&settings)));
        let session = Arc::new(Session::new(settings, client, remote, auth, server_requests));
        let subscriptions = Arc::new(Subscriptions::new(Arc::clone(&session)));
        let lists = Arc::new(Lists::new(Arc::clone(&session), Arc::clone(&retry_safety)));
        let learned = Learned::new(
            Arc::clone(&session),
            Arc::clone(&subscriptions),
            Arc::clone(&retry_safety),
            Arc::clone(&header_marks),
        );
        let elicitation = Arc::new(Elicitation::new(Arc::clone(&session), Arc::clone(&wait)));
        let sign_in = SignIn::new(Arc::clone(&session), Arc::clone(&lists), Arc::clone(&elicitation), wait);
        let forwarder =
            Arc::new(Forwarder::new(Arc::clone(&session), Arc::clone(&lists), learned, sign_in, retry_safety));
        let dispatcher =
            Dispatcher::new(Arc::clone(&session), Arc::clone(&subscriptions), elicitation, header_marks, forwarder);
        Self { session, subscriptions, lists, dispatcher }
    }
}

/// Runs the bridge between `input` and `output` until one of them or a signal ends it. `signals` yields one item per
/// signal.
///
/// Returns once the session is ended at the server and the last line is written, or when that takes too long: about 2 s
/// after a signal at most, at once after a second one.
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
    let parts = Parts::new(settings, http, auth, clock, output);
    let session = Arc::clone(&parts.session);
    let mut background = JoinSet::new();
    background.spawn(tasks::task(keep_open(Arc::clone(&session))));
    background.spawn(tasks::task(deliver_outbox(Arc::clone(&session))));
    background.spawn(tasks::task(follow_overdue(Arc::clone(&session.server_messages))));
    background.spawn(tasks::task(follow_sign_ins(Arc::clone(&session))));
    let (followed, lists, subscriptions) =
        (Arc::clone(&session), Arc::clone(&parts.lists), Arc::clone(&parts.subscriptions));
    background.spawn(tasks::task(lasting("follow sessions", move |_| {
        follow_sessions(Arc::clone(&followed), Arc::clone(&lists), Arc::clone(&subscriptions))
    })));

    let end = tokio::select! {
        biased;
        _ = signals.recv() => End::Signal,
        () = session.client.output.closed() => End::OutputClosed,
        () = serve(&parts, &mut lines) => End::EndOfInput,
    };
    tracing::debug!(?end, "ending");
    tokio::select! {
        biased;
        _ = signals.recv() => {}
        () = shut_down(&session, written, background) => {}
    }
    end
}

/// Takes lines until the end, then waits until everything is answered.
async fn serve(parts: &Parts, lines: &mut LinesAhead) {
    let session = &parts.session;
    while let Some(line) = lines.recv().await {
        for refusal in parts.dispatcher.take(line) {
            session.client.output.send(refusal).await;
        }
        session.outbox.room().await;
        session.client.output.may_ask_for_more().await;
    }
    session.client.close();
    session.server_messages.close();
    session.client.in_flight.drained().await;
    // No answer depends on these, so the wait is short.
    let _ = tokio::time::timeout(LAST_NOTIFICATIONS_WAIT, session.outbox.drained()).await;
}

/// Waits no longer for answers of the client than a person may take.
async fn follow_overdue(messages: Arc<ServerMessages>) {
    lasting("follow answers that the client owes", move |_| {
        let messages = Arc::clone(&messages);
        async move { messages.follow_overdue().await }
    })
    .await;
}

/// Does what each opened session requires: tells the client which lists have changed, and restores its subscriptions.
async fn follow_sessions(session: Arc<Session>, lists: Arc<Lists>, subscriptions: Arc<Subscriptions>) {
    let mut opened = session.opened();
    let mut has_changed = opened.changed().await;
    while has_changed.is_ok() {
        lists.compare_served();
        has_changed = tokio::select! {
            biased;
            // Another session: it takes over what remains to restore.
            has_changed = opened.changed() => has_changed,
            has_changed = async {
                subscriptions.restore().await;
                std::future::pending().await
            } => has_changed,
        };
    }
}

async fn shut_down(session: &Session, written: Written, background: JoinSet<()>) {
    session.client.close();
    tokio::join!(session.remote.end_session(), session.remote.remembered().written());
    drop(background);
    // Let stopped tasks drop their batch slots now, so that their batches are written.
    tokio::task::yield_now().await;
    session.client.output.finish();
    let _ = tokio::time::timeout(LAST_LINES_WAIT, written.wait()).await;
}
