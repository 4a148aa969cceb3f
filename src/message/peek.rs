//! A look at a message without taking it apart.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{IdKey, Revision};

/// What kind of message it is; borrowed from its text.
#[derive(Debug)]
pub enum Kind<'a> {
    /// Wants exactly one answer.
    Request {
        /// As it was written.
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
    /// The members of a batch, each still to be looked at; never empty.
    Batch(Vec<&'a RawValue>),
}

/// Why a text is no message.
#[derive(Debug, thiserror::Error)]
pub enum PeekError {
    /// Not JSON at all, or not UTF-8.
    #[error("{0}")]
    NotJson(String),
    /// JSON that is no JSON-RPC 2.0 message; with the id where one can be read, so that the sender learns of it.
    #[error("{reason}")]
    NotJsonRpc {
        /// As it was written, when it is a string or a number.
        id: Option<Box<RawValue>>,
        /// What is wrong with it.
        reason: String,
    },
    /// A batch without a message in it.
    #[error("the batch is empty")]
    EmptyBatch,
    /// A member that is looked at stands twice in one object: two readers could take a different one of them.
    #[error("`{member}` stands twice")]
    Duplicate {
        /// As with [`PeekError::NotJsonRpc`].
        id: Option<Box<RawValue>>,
        /// Which one.
        member: String,
    },
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// `null` is a value here, not an absence: `"result":null` is a result.
pub(super) fn present<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Looks at one line or body.
///
/// # Errors
/// [`PeekError::NotJson`], JSON-RPC's -32700, and for the others its -32600.
pub fn peek(text: &[u8]) -> Result<Peek<'_>, PeekError> {
    let text = std::str::from_utf8(text)
        .map_err(|e| PeekError::NotJson(format!("invalid UTF-8 at byte {}", e.valid_up_to() + 1)))?;
    // JSON's own white space; others have more of it.
    let text = text.trim_start_matches([' ', '\t', '\n', '\r']);
    match text.as_bytes().first() {
        Some(b'{') => peek_object(text).map(Peek::One),
        Some(b'[') => {
            let members: Vec<&RawValue> = serde_json::from_str(text).map_err(|e| PeekError::NotJson(e.to_string()))?;
            if members.is_empty() {
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

/// Looks at one message that is known to be an object or a member of a batch.
///
/// # Errors
/// As [`peek`].
pub fn peek_object(text: &str) -> Result<Kind<'_>, PeekError> {
    if !text.starts_with('{') {
        return Err(PeekError::NotJsonRpc { id: None, reason: "a message is a JSON object".to_owned() });
    }
    let members: Members<'_> = match serde_json::from_str(text) {
        Ok(members) => members,
        Err(e) => return Err(explain(text, &e)),
    };
    let wrong = |reason: &str| PeekError::NotJsonRpc {
        id: members.id.filter(|id| IdKey::parse(id).is_some()).map(ToOwned::to_owned),
        reason: reason.to_owned(),
    };
    if members.jsonrpc.as_deref() != Some("2.0") {
        return Err(wrong("`jsonrpc` is not \"2.0\""));
    }
    match (members.method, members.id) {
        (Some(_), _) if members.result.is_some() || members.error.is_some() => {
            Err(wrong("it has a `method` and a `result` or `error`"))
        }
        (Some(method), Some(id)) => match IdKey::parse(id) {
            Some(key) => Ok(Kind::Request { id, key, method, params: members.params }),
            None => Err(wrong("`id` is neither a string nor a number")),
        },
        (Some(method), None) => Ok(Kind::Notification { method, params: members.params }),
        (None, id) => match (members.result, members.error) {
            (Some(_), Some(_)) => Err(wrong("it has a `result` and an `error`")),
            (None, None) => Err(wrong("it has no `method`, `result` or `error`")),
            (result, _) => match id {
                None => Ok(Kind::Response { id: None, result }),
                Some(id) if id.get() == "null" => Ok(Kind::Response { id: None, result }),
                Some(id) => match IdKey::parse(id) {
                    Some(key) => Ok(Kind::Response { id: Some((id, key)), result }),
                    None => Err(wrong("`id` is neither a string nor a number")),
                },
            },
        },
    }
}

/// Tells "not JSON" from "JSON of another shape", and finds the id in the latter.
fn explain(text: &str, error: &serde_json::Error) -> PeekError {
    #[derive(Deserialize)]
    struct JustId<'a> {
        #[serde(borrow, default)]
        id: Option<&'a RawValue>,
    }
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return PeekError::NotJson(error.to_string());
    }
    let id = serde_json::from_str::<JustId<'_>>(text).ok().and_then(|just| just.id);
    let id = id.filter(|id| IdKey::parse(id).is_some()).map(ToOwned::to_owned);
    let reason = error.to_string();
    match duplicate_in(&reason) {
        Some(member) => PeekError::Duplicate { id, member },
        None => PeekError::NotJsonRpc { id, reason },
    }
}

/// The member that stands twice, if that is what the decoder says; it has no other way of saying it.
fn duplicate_in(reason: &str) -> Option<String> {
    let (member, _) = reason.strip_prefix("duplicate field `")?.split_once('`')?;
    Some(member.to_owned())
}

/// Members of `params` that the bridge acts on, each as it was written; everything else in there is none of its business.
#[derive(Debug, Default, Deserialize)]
pub struct Params<'a> {
    /// The tool of `tools/call`, the prompt of `prompts/get`.
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    /// The resource of `resources/read`.
    #[serde(borrow, default)]
    uri: Option<&'a RawValue>,
    /// The arguments of `tools/call`.
    #[serde(borrow, default)]
    pub arguments: Option<&'a RawValue>,
    /// Where a page of a list begins that is not the first.
    #[serde(borrow, default)]
    pub cursor: Option<&'a RawValue>,
    /// What the server is to be told again (stateless era).
    #[serde(borrow, default, rename = "requestState")]
    request_state: Option<&'a RawValue>,
    /// The client's answers to what it was asked (stateless era).
    #[serde(borrow, default, rename = "inputResponses")]
    pub input_responses: Option<&'a RawValue>,
    /// The request that `notifications/cancelled` is about.
    #[serde(borrow, default, rename = "requestId")]
    pub request_id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "_meta")]
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
    /// # Errors
    /// The name of a member that stands twice: two readers could take a different one. Nothing else can be wrong here,
    /// because each is taken as it was written.
    pub fn of(params: Option<&'a RawValue>) -> Result<Self, String> {
        match params {
            Some(raw) if raw.get().starts_with('{') => serde_json::from_str(raw.get()).map_err(|e| {
                let reason = e.to_string();
                duplicate_in(&reason).unwrap_or(reason)
            }),
            _ => Ok(Self::default()),
        }
    }

    /// `name`, when it is a string.
    pub fn name(&self) -> Option<String> {
        text(self.name)
    }

    /// `uri`, when it is a string.
    pub fn uri(&self) -> Option<String> {
        text(self.uri)
    }

    /// Where progress is wanted, when it is a string or a number.
    pub fn progress_token(&self) -> Option<&'a RawValue> {
        self.meta().progress_token.filter(|token| IdKey::parse(token).is_some())
    }

    /// The revision that a request of the stateless era names.
    pub fn revision(&self) -> Option<Revision> {
        serde_json::from_str(self.meta().protocol_version?.get()).ok()
    }

    /// Who the client is, as a request of the stateless era says.
    pub fn client_info(&self) -> Option<&'a RawValue> {
        self.meta().client_info
    }

    /// What the client can do, as a request of the stateless era says.
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
    fn a_member_that_stands_twice_is_refused_and_the_id_still_found() {
        match peek(br#"{"jsonrpc":"2.0","id":7,"method":"a","method":"b"}"#) {
            Err(PeekError::Duplicate { id: Some(id), member }) => assert_eq!((id.get(), &*member), ("7", "method")),
            other => panic!("{other:?}"),
        }
        match peek(br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"b"}"#) {
            Err(PeekError::Duplicate { id: None, member }) => assert_eq!(member, "id"),
            other => panic!("{other:?}"),
        }
        let params: &RawValue = serde_json::from_str(r#"{"name":"a","name":"b"}"#).expect("JSON");
        assert_eq!(Params::of(Some(params)).unwrap_err(), "name");
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
