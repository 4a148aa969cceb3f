//! Opens the session on request, and listens to the server's own messages in it.
//!
//! `initialize` and `notifications/initialized` are barriers: later messages on stdin wait until the server has
//! accepted them, for the second only briefly ([`super::barrier`]).

use std::collections::VecDeque;
use std::sync::Arc;

use reqwest::header::HeaderValue;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::auth::AuthState;
use crate::bridge::client::room::Room;
use crate::limits::QUOTED_WORDS_CHARS;
use crate::message::{Revision, offered_in_refusal, revisions_after_refusal};
use crate::problem::{Problem, ProblemId};
use crate::remote::listen_stream::{ListenEnd, ListenStream};
use crate::remote::request::SESSION_ID;
use crate::remote::{Failure, Message, RemoteSession};

use super::ask::PrivateAnswer;
use super::barrier::send_initialized;
use super::handshake::NextInitialize;
use super::initialize::InitializeResult;
use super::lasting::lasting;
use super::live::Session;
use crate::bridge::client::session_stage::State;
use crate::tasks;

/// Makes the attempts to open the session, for the life of the bridge. Attempts that are requested after this call
/// count, even before the future is first polled.
pub fn keep_open(session: Arc<Session>) -> impl Future<Output = ()> {
    let mut attempts = session.attempts();
    lasting("open the session", move |is_anew| {
        if is_anew {
            // A fault of this program must leave no attempt under way for ever.
            let problem = Problem::new(ProblemId::InternalError).with("detail", "opening the session was dropped");
            attempts.mark_unchanged();
            session.handshake.set_state(State::Down(problem.into()));
        }
        Opener { session: Arc::clone(&session), listening: JoinSet::new() }.run(attempts.clone())
    })
}

/// Opens a session as soon as somebody has signed in, even if no request waits for it: the client may be due a
/// `list_changed`.
pub async fn follow_sign_ins(session: Arc<Session>) {
    lasting("follow sign-ins", move |_| each_sign_in(Arc::clone(&session))).await;
}

async fn each_sign_in(session: Arc<Session>) {
    let mut state = session.auth.watch();
    while state.changed().await.is_ok() {
        let signed_in = match &*state.borrow_and_update() {
            AuthState::SignedIn { grant } => Some(*grant),
            AuthState::SignedOut | AuthState::SigningIn { .. } => None,
        };
        if let Some(grant) = signed_in {
            tracing::info!("signed in");
            if let Some(epoch) = session.remote.outlived_by(grant) {
                session.lost(epoch);
            }
            session.reopen();
        }
    }
}

#[derive(Debug)]
struct Opener {
    session: Arc<Session>,
    /// The task that listens in the open session.
    listening: JoinSet<()>,
}

impl Opener {
    async fn run(mut self, mut attempts: watch::Receiver<u64>) {
        while attempts.changed().await.is_ok() {
            loop {
                attempts.mark_unchanged();
                tokio::select! {
                    // First, so that an attempt stops once another is requested: nobody needs its answer.
                    biased;
                    changed = attempts.changed() => match changed {
                        Ok(()) => {}
                        Err(_) => return,
                    },
                    opened = self.open() => {
                        if let Err(failure) = opened {
                            tracing::debug!(?failure, "the session could not be opened");
                            self.session.handshake.set_state(State::Down(failure));
                        }
                        break;
                    }
                }
            }
        }
    }

    async fn open(&mut self) -> Result<(), Failure> {
        self.end_previous();
        let session = &self.session;
        let Some((next, answer)) = self.negotiate().await? else { return Ok(()) };
        let result = answer.result().and_then(|result| {
            let read = InitializeResult::of(result)?;
            if let Some(asked) = &next.revision {
                session.auth.tokens().remember(answer.incoming.exchange.grant, asked, "initialize", result);
            }
            Some(read)
        });
        let Some(result) = result else {
            // The server refuses in its own words; the client should read them, when it still waits.
            let words = answer.incoming.exchange.sent.words(&String::from_utf8_lossy(&answer.line));
            session.handshake.server_answered(answer.line, None);
            let words = words.shortened(QUOTED_WORDS_CHARS);
            return Err(Problem::new(ProblemId::RevisionRefused).because(words).into());
        };
        let id = answer.incoming.exchange.headers.get(SESSION_ID).cloned();
        let version = HeaderValue::from_str(result.revision.as_str()).ok();
        let opened =
            RemoteSession { id, version, grant: answer.incoming.exchange.grant, ..(*session.remote.session()).clone() };
        let epoch = opened.epoch;
        session.remote.set_session(opened);
        session.handshake.server_answered(answer.line, Some(&result));
        drop(answer.room); // for others, while this waits for the client
        session.handshake.set_state(State::Answered);

        let Some(initialized) = session.handshake.initialized().await else { return Ok(()) };
        send_initialized(&session.remote, initialized).await?;
        // Listen before anything else goes out, so that no message of the server is missed.
        self.listening.spawn(tasks::task(listen(Arc::clone(&self.session))));
        if !self.session.set_open(epoch) {
            // Lost while it opened; the next message that needs it has it opened again.
            self.listening = JoinSet::new();
        }
        Ok(())
    }

    /// Sends `initialize` until the server has accepted a revision or refused them all; `None` when the client has sent none.
    /// A server that lists the revisions it speaks may refuse a newer one instead of answering in its own, which is what the
    /// specification asks for ("Lifecycle").
    async fn negotiate(&self) -> Result<Option<(NextInitialize, PrivateAnswer)>, Failure> {
        let session = &self.session;
        let mut left: Option<VecDeque<Revision>> = None;
        let mut instead = None;
        let remembered = session.remote.remembered();
        remembered.load().await;
        let mut may_recall = true;
        // Whether what is asked for is what an earlier process was answered to.
        let mut is_remembered = false;
        loop {
            let Some(next) = session.handshake.next_initialize(&session.client.own_ids, instead.as_ref()) else {
                return Ok(None);
            };
            if let (true, None, Some(asked)) = (std::mem::take(&mut may_recall), &instead, &next.revision) {
                instead = remembered.revision_instead_of(asked);
                is_remembered = instead.is_some();
                if is_remembered {
                    continue;
                }
            }
            let answered = session.ask(&next.out, next.id.as_deref()).await;
            let is_taken = matches!(&answered, Ok(answer) if answer.result().is_some());
            if is_remembered && (matches!(&answered, Err(Failure::Refused { .. })) || answered.is_ok() && !is_taken) {
                tracing::info!(
                    "the server no longer takes the revision that it took before; it is asked as if for the first time"
                );
                remembered.takes_revision(None);
                (is_remembered, instead) = (false, None);
                continue;
            }
            if is_taken && instead.is_some() {
                remembered.takes_revision(instead.clone());
            }
            let offered = match &answered {
                Ok(answer) if answer.result().is_none() => offered_in_refusal(&answer.line),
                Err(Failure::Refused { revisions, .. }) => revisions.clone(),
                Ok(_) | Err(_) => None,
            };
            if let (Err(Failure::Refused { status, .. }), None) = (&answered, &offered)
                && matches!(status.as_u16(), 404 | 405)
                && session.remote.speaks_excluded_transport().await
            {
                let problem = Problem::new(ProblemId::OldTransport).with("status", status.as_u16());
                return Err(problem.with("host", session.settings.service_name()).into());
            }
            let (Some(offered), Some(refused)) = (offered, &next.revision) else {
                return answered.map(|answer| Some((next, answer)));
            };
            let left = left.get_or_insert_with(|| revisions_after_refusal(refused, &offered).into());
            let Some(revision) = left.pop_front() else {
                return match answered {
                    Ok(answer) => Ok(Some((next, answer))),
                    Err(_) => {
                        let offered = offered.iter().map(Revision::as_str).collect::<Vec<_>>().join(", ");
                        let problem = Problem::new(ProblemId::RevisionRefused).with("revision", refused);
                        Err(if offered.is_empty() { problem } else { problem.with("offered", offered) }.into())
                    }
                };
            };
            tracing::info!(%revision, "the server refused the revision; asking for an older one");
            instead = Some(revision);
        }
    }

    /// Drops everything that belonged to the previous session.
    fn end_previous(&mut self) {
        self.listening = JoinSet::new();
        self.session.server_messages.abandon_requests();
        let previous = self.session.remote.session();
        self.session.remote.set_session(previous.successor());
    }
}

/// Forwards the server's own messages until the session is over.
async fn listen(session: Arc<Session>) {
    let opened_at = Instant::now();
    let mut stream = ListenStream::new(&session.remote);
    loop {
        match stream.next().await {
            Ok(Message { body, room }) => {
                let mut room = Room::of_body(room);
                if let Err(problem) = session.server_messages.receive(body, None, None, &mut room).await {
                    tracing::warn!(%problem, "a message on the standing stream was dropped");
                }
            }
            Err(ListenEnd::SessionLost(epoch)) => {
                session.lost(epoch);
                let Some(wait) = session.own_sessions.after_loss(opened_at.elapsed()) else {
                    tracing::info!("the server loses its sessions; the next message of the client opens another");
                    return;
                };
                // A message that opens it sooner ends this task.
                tokio::time::sleep(wait).await;
                session.remote.own_requests().turn().await;
                session.reopen();
                return;
            }
            Err(end) => {
                tracing::debug!(?end, "no standing stream");
                return;
            }
        }
    }
}
