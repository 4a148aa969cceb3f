//! The start, which waits for nobody: `initialize` is answered from the server if it answers in time, else from memory,
//! else with the least that is true; and nothing that is asked then waits for a server that is known to want a sign-in.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio::time::Duration;

use crate::message::write;
use crate::problem::{Problem, ProblemId};
use crate::remote::Failure;

use crate::bridge::Bridge;
use crate::bridge::client::responder::InFlight;
use crate::bridge::session::connection::{SessionStage, State};
use crate::bridge::session::initialize::{InitializeRequest, InitializeResult};

/// How long a server that is known to want a sign-in may take to say so before it is taken at its word.
const WORD: Duration = Duration::from_secs(1);

impl Bridge {
    /// Answers the client's `initialize`: from the server if it answers in time, else from here.
    pub(crate) async fn answer_initialize(
        self: &Arc<Self>,
        request: &InFlight,
        hello: Arc<InitializeRequest>,
        mut answered: oneshot::Receiver<Bytes>,
    ) {
        let mut state = self.connection.state.subscribe();
        let from_server = tokio::select! {
            biased;
            answer = &mut answered => answer.ok(),
            down = state.wait_for(|state| matches!(state, State::Down(_))) => {
                let failure = down.ok().and_then(|state| match &*state {
                    State::Down(failure) => Some(failure.clone()),
                    _ => None,
                });
                // A failure that no waiting will mend is the client's to know now; its answer may also have come.
                answered.try_recv().ok().or_else(|| match failure {
                    Some(Failure::Explained(problem) | Failure::Refused { problem, .. }) if problem.id.is_final() => {
                        Some(write::error(Some(&request.id), &problem.to_json_rpc_error()))
                    }
                    _ => None,
                })
            }
            // The server would only say what is known.
            true = self.auth.needs_sign_in() => None,
            () = tokio::time::sleep(self.settings.limits.initialize_wait) => None,
        };
        let answer = from_server.or_else(|| self.stand_in(&hello, &mut answered));
        if let Some(answer) = answer {
            self.answer(request, answer).await;
        }
    }

    /// Answers in the server's place, unless its answer has come after all.
    fn stand_in(&self, hello: &Arc<InitializeRequest>, answered: &mut oneshot::Receiver<Bytes>) -> Option<Bytes> {
        let remembered = remembered_hello(self, hello);
        let mut inner = self.connection.lock();
        if let Ok(answer) = answered.try_recv() {
            return Some(answer);
        }
        if !inner.is_for(hello) {
            // The client has said `initialize` again, and the session is the later one's.
            return Some(write::result(&hello.id, &hello.minimal_result(&self.settings)));
        }
        inner.waiting = None;
        inner.stood_in = true;
        if let Some((result, welcome)) = remembered {
            tracing::info!("initialize is answered from memory");
            inner.told = Some(welcome.revision);
            return Some(write::raw_result(&hello.id, &result));
        }
        inner.told = Some(hello.revision_without_server().as_str().to_owned());
        Some(write::result(&hello.id, &hello.minimal_result(&self.settings)))
    }

    /// Whether this request gets nowhere before somebody signs in. Says so without the server where that is known to want
    /// it, because a server that is slow or away would keep everybody waiting to hear the same.
    pub(crate) async fn sign_in_comes_first(self: &Arc<Self>, request: &InFlight) -> Option<Failure> {
        if self.connection.is_up() || request.listens() || !self.auth.needs_sign_in().await {
            return None;
        }
        if request.need != SessionStage::Nothing && self.remembered_list(request).is_none() {
            // It may have changed its mind, and what it asks for is the best start of a sign-in.
            let mut state = self.connection.state.subscribe();
            let settled = state.wait_for(|state| matches!(state, State::Taken | State::Open | State::Down(_)));
            let settled = tokio::time::timeout(WORD, settled).await;
            if settled.is_ok_and(|state| state.is_ok_and(|state| !matches!(*state, State::Down(_)))) {
                return None;
            }
        }
        Some(Failure::SignIn(self.auth.sign_in_needed()))
    }

    /// As [`Bridge::ready`]; a list that could be given from memory does not wait as long as other requests.
    pub(crate) async fn ready_for(self: &Arc<Self>, request: &InFlight) -> Result<(), Failure> {
        if request.need == SessionStage::Nothing || self.connection.is_up() || self.remembered_list(request).is_none() {
            return self.ready(request.need).await;
        }
        // Who was answered from here has waited for the server already.
        let stood_in = self.connection.lock().stood_in;
        let patience = if stood_in { Duration::ZERO } else { self.settings.limits.initialize_wait };
        let silent = || {
            let problem = Problem::new(ProblemId::ServerOffline).with("host", self.settings.service_name());
            Failure::NotSent(problem.with("detail", "It has not answered yet"))
        };
        tokio::time::timeout(patience, self.ready(request.need)).await.unwrap_or_else(|_| Err(silent()))
    }
}

/// What the server answered to the same question before.
fn remembered_hello(bridge: &Bridge, hello: &InitializeRequest) -> Option<(Box<RawValue>, InitializeResult)> {
    let result = bridge.auth.remembered(hello.asked.as_deref()?, "initialize")?;
    let welcome = InitializeResult::of(&result)?;
    Some((result, welcome))
}

/// Whether a failure says that the server cannot be asked now, so that what it said before is the best there is.
pub fn is_out_of_reach(failure: &Failure) -> bool {
    match failure {
        Failure::NotSent(_) | Failure::Unclear { .. } => true,
        Failure::Explained(problem) | Failure::Refused { problem, .. } => problem.id.is_out_of_reach(),
        Failure::SignIn(_) | Failure::Scope { .. } | Failure::SessionLost { .. } | Failure::Withdrawn => false,
    }
}
