//! Recognises a lost session that the server reports without the 404 that the specification asks for ("Session
//! Management").
//!
//! Servers built from the examples of the TypeScript SDK answer 400 after a restart ("No valid session ID provided"),
//! some answer 401 without a challenge, some 404 with an error that names the request, and some 200 with an error that names
//! none. Such a request was refused before it was executed. The words may just as well be about a session that is an argument of the call, so a new
//! session is tried once; if it does not help, the same words do not count for a while.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use crate::config::Settings;
use crate::hash::fnv1a;
use crate::limits::{LOSS_DOUBT_PERIOD, REFUSAL_OF_SESSION_BYTES};
use crate::message::{IdKey, Kind, Peek, peek};

use super::outgoing::SendState;

/// How far from "session" the words about its loss may be, in bytes.
const LOSS_WORDS_REACH_BYTES: usize = 40;
/// Words for a lost session.
const LOSS_WORDS: &[&str] = &[
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
    " closed",
    " ended",
    "inactive",
    "not active",
    "could not find",
    "cannot find",
    "no session",
];

/// The words with which the answer to a request with a session id says that the session is lost, if it does.
pub(super) fn words_of_loss(
    status: StatusCode,
    challenged: bool,
    body: &[u8],
    expects: Option<&IdKey>,
) -> Option<String> {
    let fits = match status {
        // Nearly every answer is told apart from a refusal without parsing it.
        StatusCode::OK => {
            body.len() <= REFUSAL_OF_SESSION_BYTES
                && [&b"session"[..], b"Session", b"SESSION", b"not initialized"]
                    .iter()
                    .any(|word| memchr::memmem::find(body, word).is_some())
        }
        // A 404 that names the request is an answer, unless it says that it is not.
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => true,
        // With a challenge it asks for another token.
        StatusCode::UNAUTHORIZED => !challenged,
        _ => false,
    };
    if !fits || body.len() > REFUSAL_OF_SESSION_BYTES {
        return None;
    }
    match peek(body) {
        // An answer under another name, or one that is broken: the request may have been executed.
        Err(_) if status == StatusCode::OK && memchr::memmem::find(body, b"\"jsonrpc\"").is_some() => return None,
        Err(_) => {}
        // With 200 a JSON-RPC message that names its request is an answer, whatever its words.
        Ok(Peek::One(Kind::Response { id: Some(_), .. })) if status == StatusCode::OK => return None,
        Ok(Peek::One(Kind::Response { result: None, id: Some((_, key)) })) if expects != Some(&key) => return None,
        Ok(Peek::One(Kind::Response { result: None, .. })) => {}
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
        let start =
            (0..=at.saturating_sub(LOSS_WORDS_REACH_BYTES)).rev().find(|at| words.is_char_boundary(*at)).unwrap_or(0);
        let end = (at + LOSS_WORDS_REACH_BYTES + "session".len()..words.len()).find(|at| words.is_char_boundary(*at));
        &words[start..end.unwrap_or(words.len())]
    };
    let is_gone = words.match_indices("session").any(|(at, _)| LOSS_WORDS.iter().any(|loss| near(at).contains(loss)));
    // The TypeScript SDK's words for any request in a session that its process did not open.
    (is_gone || words.contains("server not initialized")).then_some(words)
}

/// The words of a JSON refusal, from all the members in which servers put them.
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
    /// Whether to believe the words. If a request was sent again in a new session because of them and they come back,
    /// they are about something else.
    pub(super) fn believes(&self, words: &str, reopened: bool) -> bool {
        let words = fnv1a(words.as_bytes());
        let mut doubted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reopened {
            *doubted = Some((words, Instant::now()));
        }
        !doubted.is_some_and(|(doubted, at)| doubted == words && at.elapsed() < LOSS_DOUBT_PERIOD)
    }
}

/// Checks the first message of a successful answer for the words of a lost session.
#[derive(Debug)]
pub(super) struct LossWatch {
    /// Explains the answer if a new session does not help.
    pub(super) settings: Arc<Settings>,
    /// The words that are not believed.
    pub(super) doubts: Arc<Doubts>,
    /// Records that the request was not executed.
    pub(super) send_state: Arc<SendState>,
    /// Whether the request was sent again because of such words.
    pub(super) reopened: bool,
}

impl LossWatch {
    /// Whether the message says that the session is lost, and is believed.
    pub(super) fn says_lost(&self, message: &[u8]) -> bool {
        let words = words_of_loss(StatusCode::OK, false, message, None);
        let lost = words.is_some_and(|words| self.doubts.believes(&words, self.reopened));
        if lost {
            tracing::info!("the server no longer knows the session, and says so with 200");
            self.send_state.mark_not_executed();
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_session_is_recognised_by_the_words_about_it() {
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
            "This session was closed; please initialize a new one",
            r#"{"error":{"code":-32000,"message":"Server not initialized"},"id":null}"#,
            "  Session does not exist\n",
        ] {
            assert!(lost(400, false, body), "{body}");
            assert!(lost(401, false, body), "{body}");
            assert!(!lost(401, true, body), "with a challenge: {body}");
            assert!(!lost(403, false, body) && !lost(500, false, body), "{body}");
            assert_eq!(lost(200, false, body), !body.contains(r#""id":7"#), "an answer is one: {body}");
            assert!(lost(404, false, body), "{body}");
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
            assert!(!lost(400, false, body) && !lost(200, false, body), "{body}");
        }
        let padded = |bytes: usize| format!("Session not found{}", " ".repeat(bytes - "Session not found".len()));
        assert!(lost(400, false, &padded(REFUSAL_OF_SESSION_BYTES)));
        assert!(!lost(400, false, &padded(REFUSAL_OF_SESSION_BYTES + 1)), "so long a text is about something else");
        let odd = r#"{"json\u0072pc":"2.0","id":7,"error":{"code":1,"message":"Session not found"}}"#;
        assert!(!lost(200, false, odd), "an answer, however its members are written");
        // What was executed is never sent again for its words, whatever it is wrapped in.
        for wrapped in [
            "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"text\":\"Session 4 not found\"}}\n\n",
            r#"{"jsonrpc":"2.0","id":7,"result":{"text":"session expired"}"#,
        ] {
            assert!(!lost(200, false, wrapped), "{wrapped}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn words_after_which_a_new_session_did_not_help_are_doubted_for_a_while() {
        let doubts = Doubts::default();
        assert!(doubts.believes("session not found", false));
        assert!(!doubts.believes("session not found", true), "the new session is answered in the same words");
        assert!(!doubts.believes("session not found", false), "also to the next call");
        assert!(doubts.believes("no valid session id", false));
        tokio::time::advance(LOSS_DOUBT_PERIOD).await;
        assert!(doubts.believes("session not found", false));
    }
}
