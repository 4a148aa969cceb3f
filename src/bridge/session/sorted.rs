//! What a body or an event of the server holds, sorted by what has to be done with it. Nothing is done here.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::message::peek::{Params, peek_object};
use crate::message::{IdKey, Kind, Peek, PeekError, aside, peek, utf8, write};
use crate::problem::{Problem, ProblemId};

/// The role of one message of the server.
#[derive(Debug)]
pub enum Role {
    /// The awaited answer.
    Answer,
    /// For the client, unchanged; with the server's request that it cancels, if any.
    Notification(Option<IdKey>),
    /// A request to the client, with its method.
    Request(IdKey, Box<RawValue>, String),
    /// An answer to another request.
    OtherAnswer(IdKey, Box<RawValue>),
    /// An answer without an id, while none is awaited.
    WithoutId,
}

/// One message of the server.
#[derive(Debug)]
pub struct SortedMessage {
    /// What has to be done with it.
    pub role: Role,
    /// The message on one line; an awaited answer that had no id has one.
    pub line: Bytes,
}

/// The messages in a body or an event.
#[derive(Debug)]
pub enum Sorted {
    /// The usual case.
    One(SortedMessage),
    /// Revision 2025-03-26 lets a server send several messages in one array.
    Batch(Batch),
}

/// The messages in an array.
#[derive(Debug, Default)]
pub struct Batch {
    /// In their order.
    pub messages: Vec<SortedMessage>,
    /// The number of members that are no messages, or too many.
    pub dropped: usize,
    /// Why the first of them was dropped, when it is no message.
    pub reason: Option<PeekError>,
}

/// Sorts a body or an event; a long one on another thread. An answer to `awaited` that has no id gets `id`.
///
/// # Errors A problem, if it is not a JSON-RPC message.
pub async fn sorted(body: Bytes, awaited: Option<&IdKey>, id: Option<&RawValue>) -> Result<Sorted, Problem> {
    if !aside::is_long(body.len()) {
        return sort(body, awaited, id);
    }
    let (awaited, id) = (awaited.cloned(), id.map(ToOwned::to_owned));
    aside(body.len(), move || sort(body, awaited.as_ref(), id.as_deref())).await
}

/// The same at once, however long it takes.
///
/// # Errors
/// As [`sorted`].
pub fn sort(body: Bytes, awaited: Option<&IdKey>, id: Option<&RawValue>) -> Result<Sorted, Problem> {
    let body = utf8::mended(body);
    let members = match peek(&body) {
        Ok(Peek::One(kind)) => {
            let role = role_of(&kind, awaited);
            let text = text_with_id(&kind, &role, &body, id);
            return Ok(Sorted::One(SortedMessage { role, line: write::one_line(text.unwrap_or(body)) }));
        }
        Ok(Peek::Batch(members)) => members,
        Err(error) => return Err(Problem::new(ProblemId::InvalidAnswer).with("detail", error)),
    };
    let mut batch = Batch { dropped: members.excess, ..Batch::default() };
    for member in &members.kept {
        match peek_object(member.get()) {
            Ok(kind) => {
                let role = role_of(&kind, awaited);
                let member = body.slice_ref(member.get().as_bytes());
                let text = text_with_id(&kind, &role, &member, id);
                batch.messages.push(SortedMessage { role, line: write::one_line(text.unwrap_or(member)) });
            }
            Err(error) => {
                batch.dropped += 1;
                batch.reason.get_or_insert(error);
            }
        }
    }
    Ok(Sorted::Batch(batch))
}

fn role_of(kind: &Kind<'_>, awaited: Option<&IdKey>) -> Role {
    match kind {
        Kind::Notification { method, params } if method == "notifications/cancelled" => {
            let cancelled = Params::of(*params).ok().and_then(|params| IdKey::parse(params.request_id?));
            Role::Notification(cancelled)
        }
        Kind::Notification { .. } => Role::Notification(None),
        Kind::Request { key, id, method, .. } => Role::Request(key.clone(), (*id).to_owned(), method.to_string()),
        Kind::Response { id: Some((_, key)), .. } if awaited == Some(key) => Role::Answer,
        Kind::Response { id: Some((id, key)), .. } => Role::OtherAnswer(key.clone(), (*id).to_owned()),
        Kind::Response { id: None, .. } if awaited.is_some() => Role::Answer,
        Kind::Response { id: None, .. } => Role::WithoutId,
    }
}

/// The text of an awaited answer that has to get its id; `None` where the text stays, which so is copied by nobody.
fn text_with_id(kind: &Kind<'_>, role: &Role, body: &Bytes, id: Option<&RawValue>) -> Option<Bytes> {
    match (role, kind, id) {
        (Role::Answer, Kind::Response { id: None, .. }, Some(id)) => {
            Some(write::with_id(std::str::from_utf8(body).unwrap_or_default(), id))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::limits::MAX_BATCH_MEMBERS;

    use super::*;

    fn batch(members: &str, count: usize) -> Batch {
        let body = format!("[{}{members}]", format!("{members},").repeat(count - 1));
        match sort(Bytes::from(body), None, None) {
            Ok(Sorted::Batch(batch)) => batch,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_batch_of_a_server_has_a_thousand_members_and_the_rest_and_the_garbage_is_counted() {
        let note = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
        for (members, count, messages, dropped) in [
            (note, 3, 3, 0),
            (note, MAX_BATCH_MEMBERS, MAX_BATCH_MEMBERS, 0),
            (note, 5_000, MAX_BATCH_MEMBERS, 4_000),
            ("1", 100_000, 0, 100_000),
            ("{}", 10_000, 0, 10_000),
            ("[[1],2]", 10_000, 0, 10_000),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 5_000, MAX_BATCH_MEMBERS, 4_000),
            (r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#, 5_000, MAX_BATCH_MEMBERS, 4_000),
        ] {
            let batch = batch(members, count);
            assert_eq!((batch.messages.len(), batch.dropped), (messages, dropped), "{members}");
        }
        // A batch in a batch is no message (JSON-RPC 2.0, 6).
        assert!(batch(&format!("[{note}]"), 2).messages.is_empty());
    }

    #[test]
    fn an_answer_without_an_id_is_the_awaited_one_and_gets_its_id() {
        let body = Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\n\"error\":{\"code\":1,\"message\":\"\"}}");
        let awaited = IdKey::Number("7".to_owned());
        let id: Box<RawValue> = serde_json::from_str("7.0").expect("JSON");
        match sort(body.clone(), Some(&awaited), Some(&id)) {
            Ok(Sorted::One(SortedMessage { role: Role::Answer, line })) => {
                assert_eq!(line, "{\"id\":7.0,\"jsonrpc\":\"2.0\", \"error\":{\"code\":1,\"message\":\"\"}}");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(sort(body, None, None), Ok(Sorted::One(SortedMessage { role: Role::WithoutId, .. }))));
    }
}
