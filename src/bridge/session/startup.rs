//! The answer to the client's `initialize`, without waiting long: from the server if it answers in time, else from
//! memory, else a minimal one.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::message::write;
use crate::remote::Failure;

use super::initialize::{InitializeRequest, InitializeResult};
use super::live::Session;
use crate::bridge::client::session_stage::State;

/// The answer to `request`; `answer` brings the server's.
pub async fn answer_initialize(
    session: &Session,
    request: &Arc<InitializeRequest>,
    mut answer: oneshot::Receiver<Bytes>,
) -> Bytes {
    let mut state = session.handshake.watch();
    let from_server = tokio::select! {
        biased;
        answer = &mut answer => answer.ok(),
        down = state.wait_for(|state| matches!(state, State::Down(_))) => {
            let failure = down.ok().and_then(|state| match &*state {
                State::Down(failure) => Some(failure.clone()),
                _ => None,
            });
            // The client should learn at once of a failure that waiting cannot fix; the answer may also have arrived.
            answer.try_recv().ok().or_else(|| match failure {
                Some(
                    Failure::Explained(problem) | Failure::Redirected(problem) | Failure::Refused { problem, .. },
                ) if problem.id.is_final() => {
                    Some(write::error(Some(&request.id), &problem.to_json_rpc_error()))
                }
                _ => None,
            })
        }
        // The server would only repeat that somebody has to sign in.
        true = session.auth.tokens().needs_sign_in() => None,
        () = tokio::time::sleep(session.settings.limits.initialize_wait) => None,
    };
    match from_server {
        Some(from_server) => from_server,
        None => substitute(session, request, &mut answer).await,
    }
}

/// Answers in the server's place, unless its answer has arrived after all.
async fn substitute(
    session: &Session,
    request: &Arc<InitializeRequest>,
    answer: &mut oneshot::Receiver<Bytes>,
) -> Bytes {
    let remembered = remembered_result(session, request).await;
    let revision =
        remembered.as_ref().map_or_else(|| request.revision_without_server(), |(_, result)| result.revision.clone());
    match session.handshake.substitute(request, revision, answer) {
        Err(from_server) => from_server,
        Ok(true) if let Some((result, _)) = remembered => {
            tracing::info!("initialize is answered from memory");
            write::raw_result(&request.id, &result)
        }
        // With `false` the session belongs to a later `initialize` of the client.
        Ok(_) => write::result(&request.id, &request.minimal_result(&session.settings)),
    }
}

/// The server's earlier answer to the same request.
async fn remembered_result(
    session: &Session,
    request: &InitializeRequest,
) -> Option<(Box<RawValue>, InitializeResult)> {
    let result = session.auth.tokens().remembered(request.requested_revision.as_ref()?, "initialize").await?;
    let read = InitializeResult::of(&result)?;
    Some((result, read))
}
