//! The session with the server, opened on the client's behalf.
//!
//! The client's `initialize` opens it. If the server cannot answer in time, or somebody has to sign in first, the
//! bridge answers, and the real exchange happens later, in private, with the client's parameters. The same happens when
//! a session is lost. This type only requests attempts; [`super::opening`] makes them, and others follow
//! [`Session::opened`].

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot, watch};

use crate::auth::Authorizer;
use crate::bridge::client::endpoint::Client;
use crate::config::Settings;
use crate::limits::MAX_LISTENING_REQUESTS;
use crate::problem::{Problem, ProblemId};
use crate::remote::{Failure, Outgoing, Remote};

use super::ask::{PrivateAnswer, ask};
use super::handshake::Handshake;
use super::initialize::InitializeRequest;
use super::outbox::Outbox;
use super::own_sessions::OwnSessions;
use super::server_messages::ServerMessages;
use super::server_requests::ServerRequests;
use crate::bridge::client::session_stage::{SessionStage, State};

/// One client's session with one server, across all the server sessions behind it.
#[derive(Debug)]
pub struct Session {
    /// The settings.
    pub settings: Arc<Settings>,
    /// The client.
    pub client: Arc<Client>,
    /// The server.
    pub remote: Arc<Remote>,
    /// Who is signed in.
    pub auth: Arc<Authorizer>,
    /// What client and server have agreed on.
    pub handshake: Arc<Handshake>,
    /// Notifications and responses of the client on their way to the server.
    pub outbox: Arc<Outbox>,
    /// Takes what the server sends.
    pub server_messages: Arc<ServerMessages>,
    /// The sessions that the bridge opens by itself.
    pub own_sessions: OwnSessions,
    /// As many requests as the server takes at once.
    request_slots: Semaphore,
    /// The requests that open a stream which stays open.
    listening_slots: Semaphore,
    /// Counts the requested attempts.
    attempts: watch::Sender<u64>,
    /// Counts the opened sessions.
    opened: watch::Sender<u64>,
}

impl Session {
    /// A session that the client has not requested yet.
    pub fn new(
        settings: Arc<Settings>,
        client: Arc<Client>,
        remote: Arc<Remote>,
        auth: Arc<Authorizer>,
        server_requests: ServerRequests,
    ) -> Self {
        let handshake = Arc::<Handshake>::default();
        let outbox = Arc::<Outbox>::default();
        let server_messages =
            ServerMessages::new(Arc::clone(&client), server_requests, Arc::clone(&handshake), Arc::clone(&outbox));
        let request_slots = Semaphore::new(settings.limits.in_flight);
        let listening_slots = Semaphore::new(MAX_LISTENING_REQUESTS);
        let server_messages = Arc::new(server_messages);
        let (attempts, opened) = (watch::Sender::new(0), watch::Sender::new(0));
        let own_sessions = OwnSessions::default();
        Self {
            settings,
            client,
            remote,
            auth,
            handshake,
            outbox,
            server_messages,
            own_sessions,
            request_slots,
            listening_slots,
            attempts,
            opened,
        }
    }

    /// Starts a session for an `initialize` of the client; the server's answer comes through the channel. Returns
    /// before anything is sent, so that the next line of stdin already waits for the session.
    pub fn initialize(&self, request: Arc<InitializeRequest>) -> oneshot::Receiver<Bytes> {
        let answer = self.handshake.begin(request);
        self.request_attempt();
        answer
    }

    /// Reopens the session if it is down.
    pub fn reopen(&self) {
        if self.handshake.reopen() {
            self.request_attempt();
        }
    }

    fn request_attempt(&self) {
        self.attempts.send_modify(|attempts| *attempts += 1);
    }

    /// Changes with every requested attempt; each replaces the previous one.
    pub fn attempts(&self) -> watch::Receiver<u64> {
        self.attempts.subscribe()
    }

    /// Changes with every opened session.
    pub fn opened(&self) -> watch::Receiver<u64> {
        self.opened.subscribe()
    }

    /// The server has accepted `notifications/initialized` in the session of this epoch. `false` when that session is gone
    /// already.
    pub fn set_open(&self, epoch: u64) -> bool {
        let is_open = self.remote.session().epoch == epoch && self.handshake.open();
        if is_open {
            self.opened.send_modify(|opened| *opened += 1);
        }
        is_open
    }

    /// Returns when a message that needs this stage may go; triggers another attempt to open the session if the last
    /// one failed.
    ///
    /// # Errors The failure of an attempt that started after the call, or was in progress.
    pub async fn ready(&self, stage: SessionStage) -> Result<(), Failure> {
        if stage == SessionStage::NotNeeded {
            return Ok(());
        }
        self.reopen();
        let mut state = self.handshake.watch();
        let reached = state
            .wait_for(|state| match state {
                State::Open | State::Down(_) => true,
                State::Answered => stage == SessionStage::Answered,
                State::Idle | State::Opening => false,
            })
            .await;
        match reached.as_deref() {
            Ok(State::Down(failure)) => Err(not_opened(failure.clone())),
            Ok(_) => Ok(()),
            Err(_) => Err(Problem::new(ProblemId::ShuttingDown).into()),
        }
    }

    /// The epoch of the session that a message with this stage belongs to, once it is [`Session::ready`].
    pub fn epoch_for(&self, stage: SessionStage) -> Option<u64> {
        (stage != SessionStage::NotNeeded).then(|| self.remote.session().epoch)
    }

    /// Records that the session of this epoch is lost, unless it has already been replaced.
    pub fn lost(&self, epoch: u64) {
        if self.remote.session().epoch == epoch {
            self.handshake.lost(epoch);
        }
    }

    /// Waits for a free slot among the requests that the server takes at once.
    pub async fn request_slot(&self) -> SemaphorePermit<'_> {
        self.request_slots.acquire().await.expect("the semaphore is never closed")
    }

    /// A slot among the requests that open a stream which stays open; `None` if there are too many.
    pub fn listening_slot(&self) -> Option<SemaphorePermit<'_>> {
        self.listening_slots.try_acquire().ok()
    }

    /// Sends one of the bridge's own requests and returns its answer; forwards other messages on its stream.
    ///
    /// # Errors
    /// A [`Failure`] when there is no answer.
    pub async fn ask(&self, out: &Outgoing, id: Option<&RawValue>) -> Result<PrivateAnswer, Failure> {
        ask(&self.remote, Some(&self.server_messages), out, id).await
    }
}

/// What a failed attempt to open the session means for a message that needs it: whatever happened to `initialize`, the
/// message itself was not sent.
fn not_opened(failure: Failure) -> Failure {
    let offline = |problem: &Problem| {
        let offline = Problem::new(ProblemId::ServerOffline).with("detail", problem.what().trim_end_matches('.'));
        problem.fact("host").map(str::to_owned).into_iter().fold(offline, |offline, host| offline.with("host", host))
    };
    match failure {
        Failure::Unclear { problem, .. } => Failure::NotSent(offline(&problem)),
        Failure::Explained(problem)
            if matches!(problem.id, ProblemId::AnswerTimedOut | ProblemId::NoAnswer | ProblemId::AnswerTooLarge) =>
        {
            Failure::Explained(offline(&problem))
        }
        failure => failure,
    }
}
