//! A lost session in other words than 404, which the specification asks for ("Session Management").
//!
//! Servers built from the examples of the TypeScript SDK answer 400 after a restart ("No valid session ID provided"), and
//! some answer 401 without a challenge. Such a request was refused before it was executed. The words may just as well be
//! about a session that is an argument of the call, so a new session is tried once; when it does not help, the same words
//! count for nothing for a while.

use std::sync::{Mutex, PoisonError};

use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::{Duration, Instant};

use super::{Failure, Outgoing, Remote, Session};
use crate::hash::fnv1a;
use crate::message::{IdKey, Kind, Peek, peek};
use crate::remote::response::explain_refusal;
use crate::secret::Secrets;

/// How long words are doubted after a new session did not help.
const DOUBT: Duration = Duration::from_secs(60);
/// How far from the word "session" it may be said what is wrong with it, in bytes.
const NEAR: usize = 40;
/// The longest text that is looked at, in bytes: what speaks of a session is short.
const LONGEST: usize = 2048;
/// What is said of a session that is gone.
const GONE: &[&str] = &[
    "invalid",
    "not found",
    "not valid",
    "no valid",
    "no active",
    "no such",
    "expired",
    "unknown",
    "unrecognized",
    "missing",
    "not exist",
    "no longer",
    "not initialized",
    "terminated",
];

/// The words in which an answer to a request with a session id says that the session is gone, if it does.
fn words_of_loss(status: StatusCode, challenged: bool, body: &[u8], expects: Option<&IdKey>) -> Option<String> {
    let fits = match status {
        StatusCode::BAD_REQUEST => true,
        // With a challenge it asks for another token.
        StatusCode::UNAUTHORIZED => !challenged,
        _ => false,
    };
    if !fits || body.len() > LONGEST {
        return None;
    }
    match peek(body) {
        Ok(Peek::One(Kind::Response { result: None, id: Some((_, key)) })) if expects != Some(&key) => return None,
        Ok(Peek::One(Kind::Response { result: None, .. })) | Err(_) => {}
        Ok(_) => return None,
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    let words = match serde_json::from_str::<Value>(text) {
        Ok(json) => words_in(&json),
        Err(_) if text.starts_with('<') => return None,
        Err(_) => text.to_owned(),
    };
    let words = words.to_lowercase();
    let near = |at: usize| {
        let start = (0..=at.saturating_sub(NEAR)).rev().find(|at| words.is_char_boundary(*at)).unwrap_or(0);
        let end = (at + NEAR + "session".len()..words.len()).find(|at| words.is_char_boundary(*at));
        &words[start..end.unwrap_or(words.len())]
    };
    let is_gone = words.match_indices("session").any(|(at, _)| GONE.iter().any(|gone| near(at).contains(gone)));
    // What the TypeScript SDK says to any request in a session that its new process has not seen begin.
    (is_gone || words.contains("server not initialized")).then_some(words)
}

/// What a JSON refusal says, wherever servers put it.
fn words_in(json: &Value) -> String {
    match json {
        Value::String(text) => text.clone(),
        Value::Object(members) => ["error", "message", "error_description", "detail", "title"]
            .iter()
            .filter_map(|name| members.get(*name))
            .map(words_in)
            .collect::<Vec<_>>()
            .join(". "),
        _ => String::new(),
    }
}

/// Words after which a new session did not help.
#[derive(Debug, Default)]
pub(super) struct Doubts(Mutex<Option<(u64, Instant)>>);

impl Doubts {
    /// Whether to believe them; a request that was sent again in a new session only because of them says that they are
    /// about something else.
    fn believes(&self, words: &str, reopened: bool) -> bool {
        let words = fnv1a(words.as_bytes());
        let mut doubted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reopened {
            *doubted = Some((words, Instant::now()));
        }
        !doubted.is_some_and(|(known, at)| known == words && at.elapsed() < DOUBT)
    }
}

impl Remote {
    /// The loss of the session, where this refusal speaks of it.
    pub(super) fn lost_in_words(
        &self,
        session: &Session,
        out: &Outgoing,
        response: &Response,
        body: &[u8],
        sent: &Secrets,
    ) -> Option<Failure> {
        session.id.as_ref()?;
        let (status, headers) = (response.status(), response.headers());
        let words = words_of_loss(status, headers.contains_key(WWW_AUTHENTICATE), body, out.expects.as_ref())?;
        if !self.doubts.believes(&words, out.reopened) {
            return None;
        }
        tracing::info!(status = status.as_u16(), "the server no longer knows the session");
        out.send_state.mark_not_executed();
        let otherwise = Box::new(explain_refusal(&self.settings, response.url(), status, headers, body, sent));
        Some(Failure::SessionLost { epoch: session.epoch, otherwise })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_session_is_recognised_by_what_is_said_of_it() {
        let mine = IdKey::Number("7".into());
        let lost = |status: u16, challenged, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            words_of_loss(status, challenged, body.as_bytes(), Some(&mine)).is_some()
        };
        for body in [
            r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#,
            r#"{"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#,
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32001,"message":"Session not found"}}"#,
            r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Server not initialized"},"id":null}"#,
            r#"{"error":"invalid_session","message":"The session has expired."}"#,
            r#"{"detail":"Unknown Mcp-Session-Id"}"#,
            "Invalid or missing session ID",
            "  Session does not exist\n",
        ] {
            assert!(lost(400, false, body), "{body}");
            assert!(lost(401, false, body), "{body}");
            assert!(!lost(401, true, body), "with a challenge: {body}");
            assert!(!lost(403, false, body) && !lost(500, false, body), "{body}");
        }
        for body in [
            "",
            "{}",
            "session",
            "<html>Session expired</html>",
            r#"{"message":"MODEL is invalid"}"#,
            r#"{"jsonrpc":"2.0","id":8,"error":{"code":-32000,"message":"Session not found"}}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":{"message":"Session not found"}}"#,
            r#"[{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"Session not found"}}]"#,
            "The session was moved to the end of the list of meetings, whose owner is invalid",
            "The owner is invalid, and without one nothing can be said about any session",
        ] {
            assert!(!lost(400, false, body), "{body}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn words_after_which_a_new_session_did_not_help_are_doubted_for_a_while() {
        let doubts = Doubts::default();
        assert!(doubts.believes("session not found", false));
        assert!(!doubts.believes("session not found", true), "the new session is answered in the same words");
        assert!(!doubts.believes("session not found", false), "also to the next call");
        assert!(doubts.believes("no valid session id", false));
        tokio::time::advance(DOUBT).await;
        assert!(doubts.believes("session not found", false));
    }
}
