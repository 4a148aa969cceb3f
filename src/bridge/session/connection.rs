//! The session with the server, opened on the client's behalf.
//!
//! The client's `initialize` opens it. When the server cannot answer in time, or somebody has to sign in first, the
//! client gets an answer from here and the real exchange happens later, privately, with the client's own parameters. The
//! same happens when a session is lost. `initialize` and `notifications/initialized` are barriers: what follows them on
//! stdin waits until the server has taken them; for the second one only a little while ([`crate::bridge::session::barrier`]).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use reqwest::header::HeaderValue;
use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

use crate::message::{IdKey, Kind, Peek, peek};
use crate::problem::{Problem, ProblemId};
use crate::remote::listen_stream::{ListenEnd, ListenStream};
use crate::remote::request::SESSION_ID;
use crate::remote::{Failure, Outgoing, Session};

use crate::bridge::Bridge;
use crate::bridge::client::client_info::ClientInfo;
use crate::bridge::client::responder::Handler;
use crate::bridge::session::initialize::{InitializeRequest, InitializeResult, Offers};

/// How far the session must be before a message may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionStage {
    /// The client has not said `initialize`: what it sends is its own affair.
    Nothing,
    /// The server has answered `initialize`.
    Taken,
    /// The server has taken `notifications/initialized` too.
    Open,
}

/// Where the session stands.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// No `initialize` yet.
    Idle,
    /// Under way.
    Opening,
    /// The server has answered `initialize`.
    Taken,
    /// The server has taken `notifications/initialized`.
    Open,
    /// The last attempt failed, or the session was lost; the next message that needs it tries again.
    Down(Failure),
}

/// The session as the bridge sees it.
#[derive(Debug)]
pub struct Connection {
    pub(crate) state: watch::Sender<State>,
    /// The client's `notifications/initialized`, once it came.
    initialized: watch::Sender<Option<Bytes>>,
    /// Counts the attempts to open a session.
    attempts: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    hello: Option<Arc<InitializeRequest>>,
    /// Where the server's answer goes while the client still waits for it.
    pub(crate) waiting: Option<oneshot::Sender<Bytes>>,
    /// The revision that the client was told.
    pub(crate) told: Option<String>,
    /// What the server really offers, when the client was answered without it.
    corrected: Option<Offers>,
    /// The client was answered in the server's place.
    pub(crate) stood_in: bool,
    standing: Option<AbortHandle>,
    attempt: Option<AbortHandle>,
}

impl Inner {
    /// Whether this is the `initialize` that the session is opened for.
    pub(crate) fn is_for(&self, hello: &Arc<InitializeRequest>) -> bool {
        self.hello.as_ref().is_some_and(|current| Arc::ptr_eq(current, hello))
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::Idle),
            initialized: watch::Sender::new(None),
            attempts: AtomicU64::new(0),
            inner: Mutex::default(),
        }
    }
}

impl Connection {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a message that is read now has to wait for.
    pub fn need(&self) -> SessionStage {
        if self.initialized.borrow().is_some() {
            SessionStage::Open
        } else if self.lock().hello.is_some() {
            SessionStage::Taken
        } else {
            SessionStage::Nothing
        }
    }

    /// The revision that the client was told, or what it asked for while it still waits to be told.
    pub fn told_or_asked(&self) -> Option<String> {
        let inner = self.lock();
        inner.told.clone().or_else(|| inner.hello.as_ref()?.asked.clone())
    }

    /// Who the client is.
    pub fn caller(&self) -> ClientInfo {
        self.lock().hello.as_ref().map(|hello| hello.caller.clone()).unwrap_or_default()
    }

    /// What the server really offers, where the client was told something else.
    pub fn corrected(&self) -> Option<Offers> {
        self.lock().corrected
    }

    /// Whether there is a server to ask.
    pub fn is_up(&self) -> bool {
        matches!(&*self.state.borrow(), State::Taken | State::Open)
    }

    /// The client has said `notifications/initialized`.
    pub fn client_initialized(&self, body: Bytes) {
        self.initialized.send_replace(Some(body));
    }

    /// The session of this epoch is gone; the next message that needs one opens another.
    fn lost(&self, current: u64, epoch: u64) {
        if current == epoch {
            self.state.send_if_modified(|state| {
                let up = matches!(state, State::Taken | State::Open);
                if up {
                    let otherwise = Box::new(Problem::new(ProblemId::SessionLost));
                    *state = State::Down(Failure::SessionLost { epoch, otherwise });
                }
                up
            });
        }
    }
}

impl Bridge {
    /// Begins a session for the client; returns before the server has been asked, so that the next line of stdin already
    /// waits for it.
    pub(crate) fn begin_initialize(self: &Arc<Self>, hello: InitializeRequest) -> Handler {
        let (waiting, answered) = oneshot::channel();
        let hello = Arc::new(hello);
        let fresh = Inner { hello: Some(Arc::clone(&hello)), waiting: Some(waiting), ..Inner::default() };
        let old = std::mem::replace(&mut *self.connection.lock(), fresh);
        for task in [old.standing, old.attempt].into_iter().flatten() {
            task.abort();
        }
        self.connection.initialized.send_replace(None);
        self.connection.state.send_replace(State::Opening);
        self.spawn_open();
        Handler::Initialize(hello, answered)
    }

    /// Returns when a message with this need may go; tries to open the session when the last attempt failed.
    ///
    /// # Errors
    /// The failure of an attempt that began after the call, or was under way.
    pub(crate) async fn ready(self: &Arc<Self>, need: SessionStage) -> Result<(), Failure> {
        if need == SessionStage::Nothing {
            return Ok(());
        }
        self.begin_opening();
        let mut state = self.connection.state.subscribe();
        let reached = state
            .wait_for(|state| match state {
                State::Open | State::Down(_) => true,
                State::Taken => need == SessionStage::Taken,
                State::Idle | State::Opening => false,
            })
            .await;
        match reached.as_deref() {
            Ok(State::Down(failure)) => Err(unopened(failure.clone())),
            Ok(_) => Ok(()),
            Err(_) => Err(Problem::new(ProblemId::ShuttingDown).into()),
        }
    }

    /// The session that a message with this need belongs to, once it is [`Bridge::ready`].
    pub(crate) fn epoch_for(&self, need: SessionStage) -> Option<u64> {
        (need != SessionStage::Nothing).then(|| self.remote.session().epoch)
    }

    /// Starts an attempt when the last one failed. Many callers cause one attempt.
    pub(crate) fn begin_opening(self: &Arc<Self>) {
        let begin = self.connection.state.send_if_modified(|state| {
            let down = matches!(state, State::Down(_));
            if down {
                *state = State::Opening;
            }
            down
        });
        if begin {
            self.spawn_open();
        }
    }

    /// Starts an attempt in a task of its own, in the place of one that may still wait for `notifications/initialized`.
    fn spawn_open(self: &Arc<Self>) {
        let number = self.connection.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        let task = tokio::spawn(Arc::clone(self).open(number));
        if let Some(earlier) = self.connection.lock().attempt.replace(task.abort_handle()) {
            earlier.abort();
        }
    }

    /// The session of this epoch is gone. What the server had asked the client is void.
    pub(crate) fn session_lost(&self, epoch: u64) {
        self.connection.lost(self.remote.session().epoch, epoch);
    }

    async fn open(self: Arc<Self>, number: u64) {
        let attempt = Attempt { connection: &self.connection, number };
        if let Err(failure) = self.try_open().await {
            tracing::debug!(?failure, "the session could not be opened");
            self.connection.state.send_replace(State::Down(failure));
        }
        drop(attempt);
    }

    async fn try_open(self: &Arc<Self>) -> Result<(), Failure> {
        self.end_old_session();
        let Some(opening) = self.next_hello() else { return Ok(()) };
        let mut exchange = self.remote.exchange(&opening.out).await?;
        let id = exchange.headers.get(SESSION_ID).cloned();
        let grant = exchange.grant;
        let answer = loop {
            match exchange.next().await? {
                None => return Err(Problem::new(ProblemId::NoAnswer).into()),
                Some(message) => {
                    let heard = self.hear(message, Some(&opening.key), opening.id.as_deref()).await?;
                    if let Some(answer) = heard.answer {
                        break answer;
                    }
                }
            }
        };
        let welcome = match peek(&answer) {
            Ok(Peek::One(Kind::Response { result: Some(result), .. })) => {
                let welcome = InitializeResult::of(result);
                if let (Some(_), Some(asked)) = (&welcome, &opening.asked) {
                    self.auth.remember(grant, asked, "initialize", result);
                }
                welcome
            }
            _ => None,
        };
        let Some(welcome) = welcome else {
            // The server refuses in its own words; the client should read them, when it still waits.
            self.deliver_welcome(answer.clone(), None);
            let detail = String::from_utf8_lossy(&answer[..answer.len().min(500)]).into_owned();
            return Err(Problem::new(ProblemId::RevisionRefused).because(detail).into());
        };
        let version = HeaderValue::from_str(&welcome.revision).ok();
        self.remote.set_session(Session { id, version, grant, ..(*self.remote.session()).clone() });
        self.deliver_welcome(answer, Some(&welcome));
        self.connection.state.send_replace(State::Taken);

        let mut said = self.connection.initialized.subscribe();
        let body = match said.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(body)) => body.clone(),
            _ => return Ok(()),
        };
        self.say_initialized(body).await?;
        // Listening begins before anything else goes out, so that nothing that is said meanwhile is missed.
        self.start_standing();
        self.connection.state.send_replace(State::Open);
        self.settle_given();
        self.restore_subscriptions().await;
        Ok(())
    }

    /// Lets go of everything that belonged to the session before.
    fn end_old_session(&self) {
        if let Some(standing) = self.connection.lock().standing.take() {
            standing.abort();
        }
        self.server_requests.abandon(&self.output);
        let old = self.remote.session();
        self.remote.set_session(old.successor());
    }

    /// The `initialize` to send: the client's own while it waits for the answer, else one of ours.
    fn next_hello(&self) -> Option<Opening> {
        let inner = self.connection.lock();
        let hello = inner.hello.as_ref()?;
        if inner.waiting.is_some() {
            let out = Outgoing { expects: Some(hello.key.clone()), ..Outgoing::unanswered(hello.body.clone()) };
            let asked = hello.asked.clone();
            return Some(Opening { out, key: hello.key.clone(), id: Some(hello.id.clone()), asked });
        }
        let id = self.own_ids.next();
        let key = IdKey::Text(id.trim_matches('"').to_owned());
        let told = inner.told.clone().unwrap_or_else(|| hello.revision_without_server().as_str().to_owned());
        let out = Outgoing { expects: Some(key.clone()), ..Outgoing::unanswered(hello.again(&id, &told)) };
        Some(Opening { out, key, id: None, asked: Some(told) })
    }

    /// Gives the server's answer to the client, if it still waits for it, and remembers what was said.
    fn deliver_welcome(&self, answer: Bytes, welcome: Option<&InitializeResult>) {
        let mut inner = self.connection.lock();
        match (inner.waiting.take(), welcome) {
            (Some(waiting), welcome) => {
                inner.told = welcome.map(|w| w.revision.clone());
                // The client may have been answered just now; then the answer is only ours to read.
                let _ = waiting.send(answer);
            }
            (None, Some(welcome)) => {
                if inner.told.as_deref() != Some(&welcome.revision) {
                    tracing::warn!(told = ?inner.told, session = welcome.revision, "the server chose another revision");
                }
                if inner.stood_in {
                    inner.corrected = Some(welcome.offers);
                }
            }
            (None, None) => {}
        }
    }

    fn start_standing(self: &Arc<Self>) {
        let bridge = Arc::clone(self);
        let task = tokio::spawn(async move {
            let mut standing = ListenStream::new(&bridge.remote);
            loop {
                match standing.next().await {
                    Ok(message) => {
                        if let Err(problem) = bridge.hear(message, None, None).await {
                            tracing::warn!(%problem, "a message on the standing stream was dropped");
                        }
                    }
                    Err(ListenEnd::SessionLost(epoch)) => {
                        bridge.session_lost(epoch);
                        bridge.begin_opening();
                        return;
                    }
                    Err(over) => {
                        tracing::debug!(?over, "no standing stream");
                        return;
                    }
                }
            }
        });
        self.connection.lock().standing = Some(task.abort_handle());
    }
}

/// Leaves no attempt under way for ever, should its task end in a way that nobody meant.
struct Attempt<'a> {
    connection: &'a Connection,
    number: u64,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let latest = self.connection.attempts.load(Ordering::Relaxed) == self.number;
        self.connection.state.send_if_modified(|state| {
            let unfinished = latest && matches!(state, State::Opening);
            if unfinished {
                let problem = Problem::new(ProblemId::InternalError).with("detail", "opening the session was dropped");
                *state = State::Down(Failure::Explained(problem));
            }
            unfinished
        });
    }
}

/// An attempt to open a session.
#[derive(Debug)]
struct Opening {
    out: Outgoing,
    key: IdKey,
    /// For the client's own `initialize`: its id, as it was written.
    id: Option<Box<RawValue>>,
    /// The revision that it asks for.
    asked: Option<String>,
}

/// What it means for a message that its session could not be opened: whatever became of `initialize`, the message itself
/// was not sent.
fn unopened(failure: Failure) -> Failure {
    let offline = |problem: &Problem| {
        let offline = Problem::new(ProblemId::ServerOffline).with("detail", problem.what().trim_end_matches('.'));
        problem.fact("host").map(str::to_owned).into_iter().fold(offline, |offline, host| offline.with("host", host))
    };
    match failure {
        Failure::Unclear { problem, .. } => Failure::NotSent(offline(&problem)),
        Failure::Explained(problem) if matches!(problem.id, ProblemId::AnswerTimedOut | ProblemId::NoAnswer) => {
            Failure::Explained(offline(&problem))
        }
        failure => failure,
    }
}
