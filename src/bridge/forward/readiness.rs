//! Decides whether a request may go to the server now, or need not go at all.

use tokio::time::Duration;

use crate::bridge::client::request::InFlight;
use crate::bridge::client::session_stage::{SessionStage, State};
use crate::bridge::lists::served::Lists;
use crate::bridge::session::live::Session;
use crate::limits::SIGNED_OUT_OPENING_WAIT;
use crate::problem::{Problem, ProblemId};
use crate::remote::Failure;

/// The failure, if this request cannot succeed before somebody signs in. If the server is known to require a sign-in,
/// this does not wait for it: a slow or absent server would keep every request waiting for the same answer.
pub async fn sign_in_comes_first(session: &Session, lists: &Lists, request: &InFlight) -> Option<Failure> {
    if session.handshake.is_up() || request.listens() || !session.auth.tokens().needs_sign_in().await {
        return None;
    }
    if request.stage != SessionStage::NotNeeded && lists.remembered(request).await.is_none() {
        let mut state = session.handshake.watch();
        let settled = state.wait_for(|state| state.is_up() || matches!(state, State::Down(_)));
        let settled = tokio::time::timeout(SIGNED_OUT_OPENING_WAIT, settled).await;
        if settled.is_ok_and(|state| state.is_ok_and(|state| state.is_up())) {
            return None;
        }
    }
    Some(Failure::SignIn(session.auth.sign_in_needed().await))
}

/// As [`Session::ready`]; a list that can be answered from memory does not wait as long.
///
/// # Errors
/// As [`Session::ready`].
pub async fn ready_for(session: &Session, lists: &Lists, request: &InFlight) -> Result<(), Failure> {
    if request.stage == SessionStage::NotNeeded
        || session.handshake.is_up()
        || lists.remembered(request).await.is_none()
    {
        return session.ready(request.stage).await;
    }
    // If the bridge answered `initialize`, the client has already waited for the server.
    let patience =
        if session.handshake.was_substituted() { Duration::ZERO } else { session.settings.limits.initialize_wait };
    tokio::time::timeout(patience, session.ready(request.stage)).await.unwrap_or_else(|_| {
        let problem = Problem::new(ProblemId::ServerOffline).with("host", session.settings.service_name());
        Err(Failure::NotSent(problem.with("detail", "It has not answered yet")))
    })
}
