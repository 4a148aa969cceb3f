//! The first list of a client whose server is away. Clients give up their start after some seconds, and then ask no more: so
//! an answer that says why comes before that, and the list itself is announced when the server is there.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::auth::AuthState;
use crate::bridge::client::request::InFlight;
use crate::bridge::client::session_stage::{SessionStage, State};
use crate::bridge::lists::served::Lists;
use crate::bridge::session::live::Session;
use crate::limits::FIRST_LIST_WAIT;
use crate::pacing::noise;
use crate::problem::{Problem, ProblemId};
use crate::remote::Failure;
use crate::remote::stream_life::LISTENING_BACKOFF;
use crate::tasks;

/// Whether somebody already tries to open the session for a list that was answered without it.
#[derive(Debug, Default)]
pub struct FirstLists(Arc<AtomicBool>);

impl FirstLists {
    /// Returns when a list has to be answered without the server, and why; never for what can still be answered otherwise.
    pub async fn overdue(&self, session: &Session, lists: &Lists, request: &InFlight) -> Problem {
        if !request.is_for_whole_list() || request.stage == SessionStage::NotNeeded {
            return pending().await;
        }
        tokio::time::sleep(FIRST_LIST_WAIT).await;
        let is_first = *session.opened().borrow() == 0 && !session.handshake.is_up();
        let is_signing_in = matches!(&*session.auth.watch().borrow(), AuthState::SigningIn { .. });
        if !is_first
            || is_signing_in
            || lists.remembered(request).await.is_some()
            || session.auth.tokens().needs_sign_in().await
        {
            return pending().await;
        }
        let state = session.handshake.watch().borrow().clone();
        match why(&state) {
            Some(detail) => {
                let problem = Problem::new(ProblemId::ServerOffline).with("host", session.settings.service_name());
                problem.with("detail", detail)
            }
            None => pending().await,
        }
    }

    /// Tries to open the session until it is there: the client is due a `list_changed` then.
    pub fn keep_trying(&self, session: &Arc<Session>) {
        if self.0.swap(true, Ordering::Relaxed) {
            return;
        }
        let (session, tries) = (Arc::clone(session), Arc::clone(&self.0));
        tasks::spawn(async move {
            open(&session).await;
            tries.store(false, Ordering::Relaxed);
        });
    }
}

/// What stands between the client and its list; `None` where waiting, or a sign-in, is the better answer.
fn why(state: &State) -> Option<String> {
    match state {
        State::Opening => Some("It has not answered yet".to_owned()),
        State::Down(Failure::NotSent(problem) | Failure::Unclear { problem, .. }) => {
            Some(problem.what().trim_end_matches('.').to_owned())
        }
        State::Down(Failure::Explained(problem)) if problem.id.is_out_of_reach() => {
            Some(problem.what().trim_end_matches('.').to_owned())
        }
        State::Idle | State::Answered | State::Open | State::Down(_) => None,
    }
}

async fn open(session: &Session) {
    let mut state = session.handshake.watch();
    for attempt in 1.. {
        let settled = state.wait_for(|state| state.is_up() || matches!(state, State::Down(_))).await;
        // For anything else than a server that is away, the next message of the client shows the way.
        if !settled.is_ok_and(|state| matches!(&*state, State::Down(_)) && why(&state).is_some()) {
            return;
        }
        tokio::time::sleep(LISTENING_BACKOFF.wait(attempt, noise())).await;
        session.remote.own_requests().turn().await;
        session.reopen();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_is_away_leaves_a_first_list_without_its_server() {
        let problem = || Problem::new(ProblemId::ConnectFailed).with("host", "a.example");
        for (state, is_away) in [
            (State::Opening, true),
            (State::Down(Failure::NotSent(problem())), true),
            (State::Down(Failure::Unclear { problem: problem(), wait: None }), true),
            (State::Down(Failure::Explained(ProblemId::AnswerTimedOut.into())), true),
            (State::Down(Failure::Explained(ProblemId::NotMcp.into())), false),
            (State::Down(Failure::SignIn(ProblemId::SignInNeeded.into())), false),
            (State::Idle, false),
            (State::Answered, false),
            (State::Open, false),
        ] {
            assert_eq!(why(&state).is_some(), is_away, "{state:?}");
        }
        let why = why(&State::Down(Failure::NotSent(problem())));
        assert!(why.is_some_and(|why| why.contains("a.example") && !why.ends_with('.')));
    }
}
