//! What the client and the server have agreed on so far, including answers that the bridge gave in the server's place.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch};

use crate::bridge::client::client_info::ClientInfo;
use crate::bridge::client::own_ids::OwnIds;
use crate::message::{IdKey, Revision};
use crate::problem::{Problem, ProblemId};
use crate::remote::{Failure, Outgoing};

use super::initialize::{InitializeRequest, InitializeResult, Offers};
use crate::bridge::client::session_stage::{SessionStage, State};

/// The handshake of the client with the server.
#[derive(Debug)]
pub struct Handshake {
    state: watch::Sender<State>,
    /// The client's `notifications/initialized`, once sent.
    initialized: watch::Sender<Option<Bytes>>,
    agreed: Mutex<Agreed>,
}

#[derive(Debug, Default)]
struct Agreed {
    /// The client's `initialize`.
    request: Option<Arc<InitializeRequest>>,
    /// Where the server's answer goes while the client still waits for it.
    waiting: Option<oneshot::Sender<Bytes>>,
    /// The revision in the answer that the client got.
    revision: Option<Revision>,
    /// What the server really offers, if the bridge answered in its place.
    real_offers: Option<Offers>,
    /// Whether the bridge answered in the server's place.
    was_substituted: bool,
}

/// The `initialize` of one attempt to open a session.
#[derive(Debug)]
pub struct NextInitialize {
    /// The message.
    pub out: Outgoing,
    /// For the client's own `initialize`: its id, in its original spelling.
    pub id: Option<Box<RawValue>>,
    /// The revision under which its answer is remembered: the one that the client asked for.
    pub revision: Option<Revision>,
}

impl Default for Handshake {
    fn default() -> Self {
        Self { state: watch::Sender::new(State::Idle), initialized: watch::Sender::new(None), agreed: Mutex::default() }
    }
}

impl Handshake {
    /// The state, and every change of it.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Moves to another state.
    pub fn set_state(&self, state: State) {
        self.state.send_replace(state);
    }

    /// Whether there is a server to ask.
    pub fn is_up(&self) -> bool {
        self.state.borrow().is_up()
    }

    /// The stage that a message read now has to wait for.
    pub fn stage(&self) -> SessionStage {
        if self.initialized.borrow().is_some() {
            SessionStage::Open
        } else if self.lock().request.is_some() {
            SessionStage::Answered
        } else {
            SessionStage::NotNeeded
        }
    }

    /// The revision in the answer that the client got, or the requested one while it waits for an answer.
    pub fn revision(&self) -> Option<Revision> {
        let agreed = self.lock();
        agreed.revision.clone().or_else(|| agreed.request.as_ref()?.requested_revision.clone())
    }

    /// Who the client is.
    pub fn client_info(&self) -> ClientInfo {
        self.lock().request.as_ref().map(|request| request.client_info.clone()).unwrap_or_default()
    }

    /// What the server really offers, if the bridge answered in its place.
    pub fn real_offers(&self) -> Option<Offers> {
        self.lock().real_offers
    }

    /// Whether the bridge answered in the server's place.
    pub fn was_substituted(&self) -> bool {
        self.lock().was_substituted
    }

    /// Starts over for an `initialize` of the client; the server's answer comes through the channel.
    pub fn begin(&self, request: Arc<InitializeRequest>) -> oneshot::Receiver<Bytes> {
        let (waiting, answer) = oneshot::channel();
        *self.lock() = Agreed { request: Some(request), waiting: Some(waiting), ..Agreed::default() };
        self.initialized.send_replace(None);
        self.state.send_replace(State::Opening);
        answer
    }

    /// Moves from `Down` to `Opening`; `false` in every other state. Many callers cause one attempt.
    pub fn reopen(&self) -> bool {
        self.state.send_if_modified(|state| {
            let is_down = matches!(state, State::Down(_));
            if is_down {
                *state = State::Opening;
            }
            is_down
        })
    }

    /// Moves from `Answered` to `Open`; `false` in every other state: the session was lost meanwhile, or another attempt
    /// has begun.
    pub fn open(&self) -> bool {
        self.state.send_if_modified(|state| {
            let was_answered = matches!(state, State::Answered);
            if was_answered {
                *state = State::Open;
            }
            was_answered
        })
    }

    /// The session of this epoch is gone.
    pub fn lost(&self, epoch: u64) {
        self.state.send_if_modified(|state| {
            let was_up = state.is_up();
            if was_up {
                let otherwise = Box::new(Problem::new(ProblemId::SessionLost));
                *state = State::Down(Failure::SessionLost { epoch, otherwise });
            }
            was_up
        });
    }

    /// The client has sent `notifications/initialized`.
    pub fn client_initialized(&self, body: Bytes) {
        self.initialized.send_replace(Some(body));
    }

    /// Waits for the client's `notifications/initialized`; `None` when it can no longer come.
    pub async fn initialized(&self) -> Option<Bytes> {
        let mut initialized = self.initialized.subscribe();
        initialized.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// The `initialize` to send: the client's own while it waits for the answer, else one of ours. `instead` is the revision
    /// to ask for where the server has refused the one that belongs there.
    pub fn next_initialize(&self, own_ids: &OwnIds, instead: Option<&Revision>) -> Option<NextInitialize> {
        let agreed = self.lock();
        let request = agreed.request.as_ref()?;
        let out = |body, key: IdKey| Outgoing { expects: Some(key), ..Outgoing::unanswered(body) };
        if agreed.waiting.is_some() {
            let body = instead.map_or_else(|| request.body.clone(), |revision| request.repeated(&request.id, revision));
            let out = out(body, request.key.clone());
            return Some(NextInitialize {
                out,
                id: Some(request.id.clone()),
                revision: request.requested_revision.clone(),
            });
        }
        let id = own_ids.next();
        let revision = agreed.revision.clone().unwrap_or_else(|| request.revision_without_server());
        let out = out(request.repeated(&id, instead.unwrap_or(&revision)), id.key());
        Some(NextInitialize { out, id: None, revision: Some(revision) })
    }

    /// Gives the server's answer to the client if it still waits, and records what was agreed on.
    pub fn server_answered(&self, answer: Bytes, result: Option<&InitializeResult>) {
        let mut agreed = self.lock();
        match (agreed.waiting.take(), result) {
            (Some(waiting), result) => {
                agreed.revision = result.map(|result| result.revision.clone());
                // The bridge may just have answered in the server's place; then only the bridge reads this answer.
                let _ = waiting.send(answer);
            }
            (None, Some(result)) => {
                if agreed.revision.as_ref() != Some(&result.revision) {
                    let client = agreed.revision.as_ref();
                    tracing::warn!(?client, session = %result.revision, "the server chose another revision");
                }
                if agreed.was_substituted {
                    agreed.real_offers = Some(result.offers);
                }
            }
            (None, None) => {}
        }
    }

    /// Records that the bridge answers in the server's place, in this revision. `Ok(false)`, and no change, if the
    /// client has sent another `initialize` since.
    ///
    /// # Errors The server's answer, if it has arrived after all.
    pub fn substitute(
        &self,
        request: &Arc<InitializeRequest>,
        revision: Revision,
        answer: &mut oneshot::Receiver<Bytes>,
    ) -> Result<bool, Bytes> {
        let mut agreed = self.lock();
        if let Ok(answer) = answer.try_recv() {
            return Err(answer);
        }
        if !agreed.request.as_ref().is_some_and(|current| Arc::ptr_eq(current, request)) {
            return Ok(false);
        }
        agreed.waiting = None;
        agreed.was_substituted = true;
        agreed.revision = Some(revision);
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, Agreed> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_lost_before_it_is_open_does_not_open() {
        let handshake = Handshake::default();
        handshake.set_state(State::Answered);
        handshake.lost(1);
        assert!(!handshake.open());
        assert!(matches!(*handshake.watch().borrow(), State::Down(Failure::SessionLost { epoch: 1, .. })));
        assert!(handshake.reopen());
        assert!(!handshake.open(), "another attempt is under way");
        handshake.set_state(State::Answered);
        assert!(handshake.open() && !handshake.open());
    }
}
