//! `notifications/cancelled`, in either direction (MCP, "Cancellation").

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::message::peek::Params;
use crate::message::write;

/// Cancels the request with this id.
pub fn notification(id: &RawValue, reason: &str) -> Bytes {
    let reason = Value::from(reason);
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":{reason}}}}}"#
    ))
}

/// A client's cancellation, for the id under which the server has the request.
pub fn for_server(body: &Bytes, params: Option<&RawValue>, sent_as: &RawValue) -> Bytes {
    let client_id = Params::of(params).ok().and_then(|params| params.request_id);
    match (std::str::from_utf8(body), client_id) {
        (Ok(text), Some(client_id)) => Bytes::from(write::replaced(text, client_id, sent_as.get())),
        _ => body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::message::{Kind, Peek, peek};

    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn a_cancellation_names_the_id_as_it_was_written() {
        assert_eq!(
            notification(&raw("\"a\\u0062\""), "No \"answer\"."),
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a\u0062","reason":"No \"answer\"."}}"#
        );
    }

    #[test]
    fn the_server_reads_the_id_that_it_knows() {
        let text = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId": 7 ,"x":7}}"#;
        let body = Bytes::from_static(text.as_bytes());
        let Ok(Peek::One(Kind::Notification { params, .. })) = peek(&body) else { panic!("{text}") };
        assert_eq!(for_server(&body, params, &raw("\"own\"")), text.replace(" 7 ", " \"own\" "));
    }
}
