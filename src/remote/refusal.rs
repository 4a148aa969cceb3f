//! Explains an answer without a message: a refusal by status, or a kind of body that MCP does not use.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use url::Url;

use crate::config::{Product, Settings};
use crate::http::host_of;
use crate::limits::{QUOTED_WORDS_CHARS, REFUSAL_QUOTED_BYTES};
use crate::problem::{Problem, ProblemId, catalogue};
use crate::secret::{Secrets, ServerWords};

/// What the answer means, with the server's words if there are any.
pub(super) fn explain_refusal(
    settings: &Settings,
    url: &Url,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    sent: &Secrets,
) -> Problem {
    let planhat = settings.product != Product::Other;
    let id =
        if status.is_success() { ProblemId::NotMcp } else { catalogue::status::of_status(status.as_u16(), planhat) };
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    Problem::new(id)
        .with("status", status.as_u16())
        .with("host", host_of(url))
        .with("url", settings.shown_url())
        .said("content_type", kind.map(|kind| sent.words(kind)))
        .said("server_request_id", server_request_id(headers).map(|id| sent.words(id)))
        .said("server_said", server_said(headers, body, sent))
}

/// The id by which the server's operator finds the request in their logs.
fn server_request_id(headers: &HeaderMap) -> Option<&str> {
    ["x-request-id", "request-id", "x-correlation-id", "x-amzn-requestid", "x-trace-id", "cf-ray"]
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok())
}

/// The server's words: the message in a JSON body, or the start of a plain text. HTML is not quoted, nor anything from a
/// body of more than [`REFUSAL_QUOTED_BYTES`]: JSON takes many times its length when it is decoded.
fn server_said(headers: &HeaderMap, body: &[u8], sent: &Secrets) -> Option<ServerWords> {
    if body.len() > REFUSAL_QUOTED_BYTES {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    let html = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("html"));
    if text.is_empty() || html || text.starts_with('<') {
        return None;
    }
    let words = match serde_json::from_str::<Value>(text) {
        Ok(json) => message_in(&json)?,
        Err(_) => text.to_owned(),
    };
    let words = words.trim().trim_end_matches('.');
    // Shorten last: a truncated secret would not be recognised.
    (!words.is_empty()).then(|| sent.words(words).shortened(QUOTED_WORDS_CHARS))
}

/// The message of a JSON refusal, at any of the places where servers put it.
fn message_in(json: &Value) -> Option<String> {
    match json {
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => ["error_description", "message", "detail", "title", "error"]
            .iter()
            .find_map(|name| members.get(*name).and_then(message_in)),
        _ => None,
    }
}

/// Adds the seconds that the server asks to wait.
pub(super) fn with_wait(problem: Problem, wait: Option<Duration>) -> Problem {
    match wait {
        Some(wait) => problem.with("retry_after_seconds", wait.as_secs().max(1)),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_words_are_found_wherever_it_puts_them() {
        let words = |body: &str| server_said(&HeaderMap::new(), body.as_bytes(), &Secrets::none());
        for body in [
            r#"{"error":"MODEL is unknown"}"#,
            r#"{"statusCode":400,"message":"MODEL is unknown","error":"Bad Request"}"#,
            r#"{"error":{"code":7,"message":"MODEL is unknown."}}"#,
            r#"{"error":"invalid_request","error_description":"MODEL is unknown"}"#,
            "MODEL is unknown.\n",
        ] {
            assert_eq!(words(body).as_ref().map(ServerWords::as_str), Some("MODEL is unknown"), "{body}");
        }
        let great = format!(r#"{{"message":"MODEL is unknown","x":[{}1]}}"#, "1,".repeat(REFUSAL_QUOTED_BYTES / 2));
        assert_eq!(words(&great), None);
        for body in ["", "<html>no</html>", "{}", r#"{"error":{"code":1}}"#, "[1]"] {
            assert_eq!(words(body), None, "{body}");
        }
    }

    #[test]
    fn a_quotation_of_the_server_is_bounded() {
        let long = "word ".repeat(QUOTED_WORDS_CHARS);
        let said = server_said(&HeaderMap::new(), long.as_bytes(), &Secrets::none()).expect("it said much");
        assert_eq!(said.as_str().chars().count(), QUOTED_WORDS_CHARS);
    }
}
