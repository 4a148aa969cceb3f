//! Reads a few fields of a message and leaves the rest alone.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::elements::Elements;
use super::members::Picked;
use super::{IdKey, Revision};
use crate::limits::MAX_BATCH_MEMBERS;

/// What kind of message it is; borrowed from its text.
#[derive(Debug)]
pub enum Kind<'a> {
    /// Wants exactly one answer.
    Request {
        /// In its original spelling.
        id: &'a RawValue,
        /// The same, comparable.
        key: IdKey,
        /// The method.
        method: Cow<'a, str>,
        /// The parameters, if any.
        params: Option<&'a RawValue>,
    },
    /// Wants no answer.
    Notification {
        /// The method.
        method: Cow<'a, str>,
        /// The parameters, if any.
        params: Option<&'a RawValue>,
    },
    /// An answer to a request.
    Response {
        /// `None` when it is `null` or absent: the peer could not tell which request failed.
        id: Option<(&'a RawValue, IdKey)>,
        /// The result; `None` for an error.
        result: Option<&'a RawValue>,
    },
}

/// One line or body: a message or, in revision 2025-03-26, a batch of them.
#[derive(Debug)]
pub enum Peek<'a> {
    /// A single message.
    One(Kind<'a>),
    /// The members of a batch, each still to be peeked at; never empty. Beyond [`MAX_BATCH_MEMBERS`] they are only counted.
    Batch(Elements<'a>),
}

/// Why a text is not a message.
#[derive(Debug, thiserror::Error)]
pub enum PeekError {
    /// Not JSON at all, or not UTF-8.
    #[error("{0}")]
    NotJson(String),
    /// JSON that is not a JSON-RPC 2.0 message; with the id if readable, so that the sender gets an answer.
    #[error("{reason}")]
    NotJsonRpc {
        /// In its original spelling, if it is a string or a number.
        id: Option<Box<RawValue>>,
        /// What is wrong with it.
        reason: String,
    },
    /// A batch without a message in it.
    #[error("the batch is empty")]
    EmptyBatch,
    /// A member that the bridge reads occurs twice in one object: two parsers could each choose a different one.
    #[error("`{member}` occurs twice")]
    Duplicate {
        /// As with [`PeekError::NotJsonRpc`].
        id: Option<Box<RawValue>>,
        /// Which one.
        member: String,
    },
}

/// Looks at one line or body.
///
/// # Errors
/// [`PeekError::NotJson`], JSON-RPC's -32700, and for the others its -32600.
pub fn peek(text: &[u8]) -> Result<Peek<'_>, PeekError> {
    let text = std::str::from_utf8(text)
        .map_err(|e| PeekError::NotJson(format!("invalid UTF-8 at byte {}", e.valid_up_to() + 1)))?;
    // JSON's white space only; Rust's `trim` removes more.
    let text = text.trim_start_matches([' ', '\t', '\n', '\r']);
    match text.as_bytes().first() {
        Some(b'{') => peek_object(text).map(Peek::One),
        Some(b'[') => {
            let members = Elements::of(text, MAX_BATCH_MEMBERS).map_err(|e| PeekError::NotJson(e.to_string()))?;
            if members.kept.is_empty() {
                return Err(PeekError::EmptyBatch);
            }
            Ok(Peek::Batch(members))
        }
        _ => match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Err(PeekError::NotJsonRpc { id: None, reason: "a message is a JSON object".to_owned() }),
            Err(e) => Err(PeekError::NotJson(e.to_string())),
        },
    }
}

/// Looks at one message: an object, or a member of a batch.
///
/// # Errors
/// As [`peek`].
pub fn peek_object(text: &str) -> Result<Kind<'_>, PeekError> {
    if !text.starts_with('{') {
        return Err(PeekError::NotJsonRpc { id: None, reason: "a message is a JSON object".to_owned() });
    }
    let members = match Picked::of(text, &["jsonrpc", "id", "method", "params", "result", "error"]) {
        Ok(members) => members,
        // Still JSON, if only a name cannot be read.
        Err(error) if serde_json::from_str::<&RawValue>(text).is_ok() => {
            return Err(PeekError::NotJsonRpc { id: None, reason: error.to_string() });
        }
        Err(error) => return Err(PeekError::NotJson(error.to_string())),
    };
    let [jsonrpc, id, method, params, result, error] = members.values;
    let readable_id = || id.filter(|id| IdKey::parse(id).is_some()).map(ToOwned::to_owned);
    if let Some(member) = members.duplicate {
        let id = if member == "id" { None } else { readable_id() };
        return Err(PeekError::Duplicate { id, member: member.to_owned() });
    }
    let wrong = |reason: &str| PeekError::NotJsonRpc { id: readable_id(), reason: reason.to_owned() };
    if text_of(jsonrpc).as_deref() != Some("2.0") {
        return Err(wrong("`jsonrpc` is not \"2.0\""));
    }
    let method = match not_null(method) {
        Some(method) => Some(text_of(Some(method)).ok_or_else(|| wrong("`method` is not a string"))?),
        None => None,
    };
    // `null` is a value here, not an absence: `"result":null` is a result.
    let (params, error) = (not_null(params), not_null(error));
    match (method, id) {
        (Some(_), _) if result.is_some() || error.is_some() => {
            Err(wrong("it has a `method` and a `result` or `error`"))
        }
        (Some(method), Some(id)) => match IdKey::parse(id) {
            Some(key) => Ok(Kind::Request { id, key, method, params }),
            None => Err(wrong("`id` is neither a string nor a number")),
        },
        (Some(method), None) => Ok(Kind::Notification { method, params }),
        (None, id) => match (result, error) {
            (Some(_), Some(_)) => Err(wrong("it has a `result` and an `error`")),
            (None, None) => Err(wrong("it has no `method`, `result` or `error`")),
            (result, _) => match not_null(id) {
                None => Ok(Kind::Response { id: None, result }),
                Some(id) => match IdKey::parse(id) {
                    Some(key) => Ok(Kind::Response { id: Some((id, key)), result }),
                    None => Err(wrong("`id` is neither a string nor a number")),
                },
            },
        },
    }
}

/// A member that is `null` counts as absent.
fn not_null(member: Option<&RawValue>) -> Option<&RawValue> {
    member.filter(|member| member.get() != "null")
}

/// A string, copied only where escapes make it necessary.
fn text_of(member: Option<&RawValue>) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(member?.get()).ok().map(|text| text.0)
}

/// Members of `params` that the bridge acts on, each in its original spelling.
#[derive(Debug, Default)]
pub struct Params<'a> {
    /// The tool of `tools/call`, the prompt of `prompts/get`.
    name: Option<&'a RawValue>,
    /// The resource of `resources/read`.
    uri: Option<&'a RawValue>,
    /// The arguments of `tools/call`.
    pub arguments: Option<&'a RawValue>,
    /// Where a page of a list begins, other than the first.
    pub cursor: Option<&'a RawValue>,
    /// The state that goes back to the server unchanged (stateless era).
    request_state: Option<&'a RawValue>,
    /// The client's answers to the server's questions (stateless era).
    pub input_responses: Option<&'a RawValue>,
    /// The request that `notifications/cancelled` is about.
    pub request_id: Option<&'a RawValue>,
    meta: Option<&'a RawValue>,
}

/// Members of `params._meta` that the bridge acts on.
#[derive(Debug, Default, Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/protocolVersion")]
    protocol_version: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/clientInfo")]
    client_info: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/clientCapabilities")]
    client_capabilities: Option<&'a RawValue>,
}

impl<'a> Params<'a> {
    /// Looks into `params`.
    ///
    /// # Errors The name of a duplicate member: two parsers could each choose a different one. Nothing else can fail,
    /// because no value is parsed here.
    pub fn of(params: Option<&'a RawValue>) -> Result<Self, String> {
        const NAMES: [&str; 8] =
            ["name", "uri", "arguments", "cursor", "requestState", "inputResponses", "requestId", "_meta"];
        let Some(raw) = params.filter(|raw| raw.get().starts_with('{')) else { return Ok(Self::default()) };
        let picked = Picked::of(raw.get(), &NAMES).map_err(|error| error.to_string())?;
        if let Some(member) = picked.duplicate {
            return Err(member.to_owned());
        }
        let [name, uri, arguments, cursor, request_state, input_responses, request_id, meta] =
            picked.values.map(not_null);
        Ok(Self { name, uri, arguments, cursor, request_state, input_responses, request_id, meta })
    }

    /// `name`, when it is a string.
    pub fn name(&self) -> Option<String> {
        text(self.name)
    }

    /// `uri`, when it is a string.
    pub fn uri(&self) -> Option<String> {
        text(self.uri)
    }

    /// The progress token, if it is a string or a number.
    pub fn progress_token(&self) -> Option<&'a RawValue> {
        self.meta().progress_token.filter(|token| IdKey::parse(token).is_some())
    }

    /// The revision that a request of the stateless era names.
    pub fn revision(&self) -> Option<Revision> {
        serde_json::from_str(self.meta().protocol_version?.get()).ok()
    }

    /// The client's name and version, from a request of the stateless era.
    pub fn client_info(&self) -> Option<&'a RawValue> {
        self.meta().client_info
    }

    /// The client's capabilities, from a request of the stateless era.
    pub fn client_capabilities(&self) -> Option<&'a RawValue> {
        self.meta().client_capabilities
    }

    /// `requestState`, when it is a string.
    pub fn request_state(&self) -> Option<String> {
        text(self.request_state)
    }

    fn meta(&self) -> Meta<'a> {
        self.meta.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }
}

fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_requests_notifications_and_answers_apart() {
        let of = |text: &'static str| match peek(text.as_bytes()) {
            Ok(Peek::One(kind)) => kind,
            other => panic!("{other:?}"),
        };
        assert!(matches!(of(r#"{"jsonrpc":"2.0","id":0,"method":"x"}"#), Kind::Request { .. }));
        assert!(matches!(of(r#"{"jsonrpc":"2.0","method":"x"}"#), Kind::Notification { .. }));
        assert!(matches!(
            of(r#"{"jsonrpc":"2.0","id":1,"result":null}"#),
            Kind::Response { id: Some(_), result: Some(_) }
        ));
        assert!(matches!(
            of(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#),
            Kind::Response { id: None, result: None }
        ));
    }

    #[test]
    fn what_is_not_json_is_told_from_what_is_not_json_rpc() {
        for text in ["{", "nonsense", "{\"a\":1} x", "[1,", "\u{0}"] {
            assert!(matches!(peek(text.as_bytes()), Err(PeekError::NotJson(_))), "{text}");
        }
        assert!(matches!(peek(b"{\"a\":\"\xff\"}"), Err(PeekError::NotJson(_))));
        for text in ["1", "null", "\"x\"", "{}", r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#] {
            assert!(matches!(peek(text.as_bytes()), Err(PeekError::NotJsonRpc { .. })), "{text}");
        }
        assert!(matches!(peek(b" [ ] "), Err(PeekError::EmptyBatch)));
    }

    #[test]
    fn a_duplicate_member_is_refused_and_the_id_still_found() {
        match peek(br#"{"jsonrpc":"2.0","id":7,"method":"a","method":"b"}"#) {
            Err(PeekError::Duplicate { id: Some(id), member }) => assert_eq!((id.get(), &*member), ("7", "method")),
            other => panic!("{other:?}"),
        }
        match peek(br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"b"}"#) {
            Err(PeekError::Duplicate { id: None, member }) => assert_eq!(member, "id"),
            other => panic!("{other:?}"),
        }
        // A member that is not read here may occur twice.
        assert!(peek(br#"{"jsonrpc":"2.0","id":7,"method":"a","x":1,"x":2}"#).is_ok());
        // The words of the decoder decide nothing: these are no duplicates.
        for text in [
            r#"{"jsonrpc":"2.0","id":7,"method":"duplicate field `id`"}"#,
            r#"{"jsonrpc":"2.0","id":7,"method":["duplicate field `id`"]}"#,
        ] {
            assert!(!matches!(peek(text.as_bytes()), Err(PeekError::Duplicate { .. })), "{text}");
        }
        let params: &RawValue = serde_json::from_str(r#"{"name":"a","name":"b"}"#).expect("JSON");
        assert_eq!(Params::of(Some(params)).unwrap_err(), "name");
    }

    #[test]
    fn a_member_of_the_wrong_type_is_named_and_the_id_still_found() {
        for (text, words, id) in [
            (r#"{"jsonrpc":2,"id":7,"method":"a"}"#, "`jsonrpc`", Some("7")),
            (r#"{"jsonrpc":"2.0","id":7,"method":5}"#, "`method`", Some("7")),
            (r#"{"jsonrpc":"2.0","id":[],"method":"a"}"#, "`id`", None),
            (r#"{"jsonrpc":"2.0","id":7,"x":1,"\ud800":2,"method":"a"}"#, "escape", None),
        ] {
            match peek(text.as_bytes()) {
                Err(PeekError::NotJsonRpc { id: found, reason }) => {
                    assert_eq!(found.as_deref().map(RawValue::get), id, "{text}");
                    assert!(reason.contains(words), "{text}: {reason}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn depth_is_no_reason_to_refuse_a_message() {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{}1{}}}"#,
            "[".repeat(20_000),
            "]".repeat(20_000)
        );
        assert!(peek(deep.as_bytes()).is_ok());
    }
}
