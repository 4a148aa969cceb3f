//! The request that an answer belongs to, as far as the meaning of the answer depends on it.

use std::borrow::Cow;

use serde::Deserialize;

use crate::limits::REQUEST_NAME_BYTES;
use crate::message::{IdKey, Kind, Peek, peek};

use super::outgoing::Outgoing;

/// A request that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum SentRequest<'a> {
    /// A GET for a stream.
    Stream,
    /// A POST of this message.
    Message(&'a Outgoing),
}

/// Whether a request belongs to a session, and whether by its id. Without one the stream is the session: it is there for as
/// long as it is open, whatever words say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Belongs {
    /// Whether it belongs to one.
    pub(super) in_session: bool,
    /// Whether it carries the session's id.
    pub(super) by_id: bool,
    /// Whether its token may have ended.
    pub(super) may_be_old: bool,
}

impl Belongs {
    /// To a session by its id alone, if it carries one.
    pub(super) fn by_id(by_id: bool) -> Self {
        Self { in_session: by_id, by_id, may_be_old: false }
    }
}

impl<'a> SentRequest<'a> {
    /// The id of the expected answer.
    pub(super) fn expects(self) -> Option<&'a IdKey> {
        match self {
            Self::Stream => None,
            Self::Message(out) => out.expects.as_ref(),
        }
    }

    /// Whether nobody waits for it. Then it is never a reason to sign in: a request that somebody waits for will show
    /// whether the token is good.
    pub(super) fn is_background(self) -> bool {
        self.expects().is_none()
    }

    /// The name that requests of its kind share: the tool's or the method's.
    pub(super) fn kind(self) -> String {
        let Self::Message(out) = self else { return "GET".to_owned() };
        match peek(&out.body) {
            Ok(Peek::One(Kind::Request { method, params, .. })) => {
                let tool = params
                    .filter(|_| method == "tools/call")
                    .and_then(|params| serde_json::from_str::<Named<'_>>(params.get()).ok())
                    .map(|named| named.name);
                match tool {
                    Some(tool) => format!("{method} {}", shortened(&tool)),
                    None => shortened(&method).to_owned(),
                }
            }
            Ok(Peek::One(Kind::Notification { method, .. })) => shortened(&method).to_owned(),
            _ => "an answer".to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

fn shortened(text: &str) -> &str {
    let end = (0..=REQUEST_NAME_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn requests_of_one_kind_are_those_of_one_tool_or_one_method() {
        let kind = |body: &'static str| {
            SentRequest::Message(&Outgoing::unanswered(Bytes::from_static(body.as_bytes()))).kind()
        };
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"x":1},"name":"echo"}}"#;
        assert_eq!(kind(call), "tools/call echo");
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#), "tools/list");
        assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#), "notifications/initialized");
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), "an answer");
        assert_eq!(SentRequest::Stream.kind(), "GET");
        let long = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "m".repeat(10 * REQUEST_NAME_BYTES));
        let long = Outgoing::unanswered(Bytes::from(long));
        assert_eq!(SentRequest::Message(&long).kind(), "m".repeat(REQUEST_NAME_BYTES));
    }
}
